//! What a writer tells on the disk itself, so that it stands in one order with the data: its acknowledgements and
//! its intentions. Marks lie behind the file system, and are no part of a crash state.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use crate::image::BLOCK;

/// The area of the disk that is not the file system's.
pub const MARK_BYTES: u64 = 1 << 20;

const MAGIC: u64 = 0x4d41_524b_5449_4445;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Everything below this LSN was acknowledged as durable.
    Durable(u64),
    /// The log may from now on begin anywhere up to this LSN.
    MayStartAt(u64),
    /// The log does not begin before this LSN any more.
    StartsAt(u64),
    /// Opening returned; what it reported, up to this LSN, is durable.
    Opened(u64),
}

impl Mark {
    fn encode(self) -> Page {
        let (kind, value) = match self {
            Self::Durable(lsn) => (1, lsn),
            Self::MayStartAt(lsn) => (2, lsn),
            Self::StartsAt(lsn) => (3, lsn),
            Self::Opened(lsn) => (4, lsn),
        };
        let mut page = Page([0; BLOCK]);
        for (target, word) in page.0.chunks_exact_mut(8).zip([MAGIC, kind, value]) {
            target.copy_from_slice(&u64::to_le_bytes(word));
        }
        page
    }

    /// Reads a write to the area of marks.
    pub fn decode(data: &[u8]) -> Option<Self> {
        let word = |index: usize| {
            let bytes = data.get(index * 8..index * 8 + 8)?;
            Some(u64::from_le_bytes(bytes.try_into().ok()?))
        };
        if word(0)? != MAGIC {
            return None;
        }
        let value = word(2)?;
        match word(1)? {
            1 => Some(Self::Durable(value)),
            2 => Some(Self::MayStartAt(value)),
            3 => Some(Self::StartsAt(value)),
            4 => Some(Self::Opened(value)),
            _ => None,
        }
    }
}

/// Direct I/O wants aligned memory.
#[repr(align(4096))]
struct Page([u8; BLOCK]);

/// The way of one thread to the area of marks.
#[derive(Debug)]
pub struct Marker {
    device: File,
    offset: u64,
}

impl Marker {
    pub fn new(device: &Path, area: u64, thread: u64) -> io::Result<Self> {
        let device = OpenOptions::new().write(true).custom_flags(nix::libc::O_DIRECT).open(device)?;
        Ok(Self { device, offset: area + thread * BLOCK as u64 })
    }

    /// Returns when the disk has the mark.
    pub fn set(&self, mark: Mark) -> io::Result<()> {
        self.device.write_all_at(&mark.encode().0, self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_read_back() {
        for mark in [Mark::Durable(7), Mark::MayStartAt(65536), Mark::StartsAt(0), Mark::Opened(u64::MAX)] {
            assert_eq!(Mark::decode(&mark.encode().0), Some(mark));
        }
        assert_eq!(Mark::decode(&[0; 4096]), None);
        assert_eq!(Mark::decode(&[]), None);
    }
}
