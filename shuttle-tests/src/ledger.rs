//! What the threads of a scenario know of the log, from what its operations returned.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidelog::model::Model;

/// An LSN, and the payload there.
pub type Record = (u64, Vec<u8>);

/// Everything that returned. No thread is switched while it is held.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    acknowledged: Vec<Record>,
    /// Where the last append that returned ends.
    returned: u64,
    /// Records of segments that were retired.
    archive: Vec<Record>,
    /// How far the tail has read.
    read: u64,
    /// The durable watermark when the first thread was told of a failed sync.
    poisoned_at: Option<u64>,
}

impl Ledger {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An append returned; `floor` is what `returned` gave before it was called.
    pub fn acknowledge(&self, floor: u64, end: u64, records: Vec<Record>) {
        let mut state = self.state();
        let lsn = records[0].0;
        assert!(lsn >= floor, "an append got {lsn}, after one that ends at {floor} had returned");
        state.returned = state.returned.max(end);
        state.acknowledged.extend(records);
    }

    /// Where the furthest append ends that has returned.
    #[must_use]
    pub fn returned(&self) -> u64 {
        self.state().returned
    }

    /// What has returned by now.
    #[must_use]
    pub fn acknowledged(&self) -> Vec<Record> {
        self.state().acknowledged.clone()
    }

    /// The records of segments that are about to be retired.
    pub fn archive(&self, records: Vec<Record>) {
        self.state().archive.extend(records);
    }

    /// The tail has read to `position`.
    pub fn read_to(&self, position: u64) {
        self.state().read = position;
    }

    /// How far the tail has read.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.state().read
    }

    /// A thread was told that the log is poisoned.
    pub fn told(&self, model: &Model) {
        // Taken before the ledger is held: to look is a step of the schedule.
        let durable = model.durable();
        let first = *self.state().poisoned_at.get_or_insert(durable);
        assert_eq!(durable, first, "the durable watermark moved after somebody was told of a failed sync");
    }

    /// Somebody was told that the log is poisoned.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.state().poisoned_at.is_some()
    }

    /// When no thread writes any more: the log holds what was acknowledged, in the order of the LSNs, and nothing
    /// else. Returns all records.
    pub fn assert_nothing_lost(&self, model: &Model) -> Vec<Record> {
        let left = model.audit();
        let mut state = self.state();
        let mut found = std::mem::take(&mut state.archive);
        found.extend(left);
        state.acknowledged.sort();
        assert_eq!(found, state.acknowledged, "left: the log; right: what returned");
        found
    }
}
