//! A simulated disk: files in memory that remember every version of every page, what was synced when, and which
//! directory entries are durable. From any moment of a run it gives the disks that a power cut could leave.

mod contents;
mod crash;
mod disk;
mod faults;
mod file;
mod history;
mod storage;

pub use self::crash::{Cut, Pick, Possibilities};
pub use self::disk::Disk;
pub use self::faults::{Fault, Operation};

/// SplitMix64 (Steele, Lea and Flood, 2014): small, seeded, and good enough to choose by.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}
