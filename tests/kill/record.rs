//! The records that killed writers append: what is in them follows from who wrote them.

use std::time::Duration;

use tidelog::{Checksum, SyncPolicy};

use crate::support::{Random, payload};

/// Writing threads of a child.
pub(crate) const THREADS: u64 = 4;
/// Records of a batch at most.
const BATCH_MAX: u64 = 5;
/// The "thread" of the checking process.
pub(crate) const CHECKER: u64 = 15;

pub(crate) const POLICIES: u64 = 4;

pub(crate) fn policy(number: u64) -> SyncPolicy {
    match number % POLICIES {
        0 => SyncPolicy::None,
        1 => SyncPolicy::Immediate,
        2 => SyncPolicy::periodic(Duration::from_millis(2)),
        _ => SyncPolicy::grouped(),
    }
}

pub(crate) fn checksum(number: u64) -> Checksum {
    if number.is_multiple_of(2) { Checksum::Crc32c } else { Checksum::Crc64 }
}

/// Which record: the round, thread and operation that wrote it, and its place in the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) round: u64,
    pub(crate) thread: u64,
    pub(crate) operation: u64,
    pub(crate) index: u64,
}

impl Key {
    /// In the payload's first bytes.
    pub(crate) fn id(self) -> u64 {
        self.round << 48 | self.thread << 44 | self.operation << 4 | self.index
    }

    pub(crate) fn of_id(id: u64) -> Self {
        Self { round: id >> 48, thread: id >> 44 & 15, operation: id >> 4 & ((1 << 40) - 1), index: id & 15 }
    }

    pub(crate) fn payload(self) -> Vec<u8> {
        let plan = Plan::of(self);
        payload(self.id(), plan.lengths[self.index as usize])
    }
}

/// What an operation does, told by its key alone.
pub(crate) struct Plan {
    pub(crate) with: bool,
    pub(crate) lengths: Vec<usize>,
}

impl Plan {
    pub(crate) fn of(key: Key) -> Self {
        let mut random = Random::new(Key { index: 0, ..key }.id() ^ 0x7469_6465);
        let batch = random.one_in(4);
        let count = if batch { 2 + random.below(BATCH_MAX - 1) } else { 1 };
        let length = |random: &mut Random| match random.below(4) {
            0 => random.below(24),
            1 | 2 => random.below(300),
            _ => random.below(3000),
        };
        let lengths = (0..count).map(|_| length(&mut random) as usize).collect();
        Self { with: !batch && random.one_in(3), lengths }
    }
}
