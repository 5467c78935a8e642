//! Records whose contents follow from their number, and what the next opening must find of them.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use tidelog::{Lsn, Options};

/// `splitmix64`.
pub(crate) struct Random(u64);

impl Random {
    /// Of one thread: `who` keeps the threads' choices apart.
    pub(crate) fn new(seed: u64, who: u64) -> Self {
        Self(seed ^ who.wrapping_mul(0xa076_1d64_78bd_642f))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// The seed of this run: `TIDELOG_SEED`, or another one each time.
pub(crate) fn seed() -> u64 {
    let told = std::env::var("TIDELOG_SEED").ok();
    told.map_or_else(
        || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64),
        |text| text.parse().expect("TIDELOG_SEED is a number"),
    )
}

/// Fills a buffer with what its number tells, the number itself first.
pub(crate) fn fill(buffer: &mut [u8], number: u64) {
    for (index, chunk) in buffer.chunks_mut(8).enumerate() {
        let word = number.wrapping_add(index as u64).wrapping_mul(if index == 0 { 1 } else { 0x9e37_79b9 });
        chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
    }
}

/// The payload of a number.
pub(crate) fn payload(number: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fill(&mut bytes, number);
    bytes
}

/// A payload is what its number tells. Those without room for a number are zeros of `fill(.., 0)`.
pub(crate) fn assert_whole(lsn: Lsn, bytes: &[u8]) {
    let number = bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
    assert!(bytes == payload(number, bytes.len()), "the record at {lsn} is not what was appended");
}

/// Every record that was returned is found again where it was said to be, unless it was retired.
pub(crate) fn check_reopened(options: &Options, dir: &Path, mut returned: Vec<(Lsn, u64, usize)>) {
    returned.sort_unstable();
    let log = options.open(dir).expect("a log that was closed opens");
    let snapshot = log.snapshot();
    let start = snapshot.start();
    let mut expected = returned.into_iter().filter(|(lsn, ..)| *lsn >= start);
    for record in &snapshot {
        let record = record.expect("a record of a closed log verifies");
        let (lsn, number, len) = expected.next().expect("no record that nobody appended");
        assert_eq!(record.lsn(), lsn);
        assert!(record.payload() == payload(number, len), "the record at {lsn} changed");
    }
    assert_eq!(expected.next(), None, "a record that was returned is gone");
    log.close().expect("the log closes");
}
