//! What the operating system tells about itself.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

/// Identifies one boot of the machine. Two equal values mean that the page cache survived in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Boot(pub(crate) [u8; 16]);

impl Boot {
    /// The boot that this process runs in; a random value where the system has no such thing, so that every
    /// opening looks like one after a restart. Not being able to read it just now is an error: taking this boot for
    /// another one would cut away records that returned.
    pub(crate) fn current() -> io::Result<Self> {
        let text = match std::fs::read_to_string("/proc/sys/kernel/random/boot_id") {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            text => text.unwrap_or_default(),
        };
        let mut id = [0; 16];
        let digits: Vec<u8> =
            text.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
        if digits.len() != 32 {
            let (low, high) = id.split_at_mut(8);
            low.copy_from_slice(&random_u64().to_le_bytes());
            high.copy_from_slice(&random_u64().to_le_bytes());
            return Ok(Self(id));
        }
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (pair[0] << 4) | pair[1];
        }
        Ok(Self(id))
    }
}

/// A random word: std draws the keys of its hash maps from the system's random source.
pub(crate) fn random_u64() -> u64 {
    use std::hash::BuildHasher;
    std::hash::RandomState::new().hash_one((std::process::id(), unix_nanos()))
}

/// Nanoseconds since 1970, for people to read in a header; zero where the clock is before that.
pub(crate) fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
