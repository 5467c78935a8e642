//! Errors on demand.

use std::collections::HashMap;
use std::io;

/// What a log asks of its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Opening a file, creating it if need be.
    Open,
    /// Reading from a file.
    Read,
    /// Writing to a file; not a store into a mapping.
    Write,
    /// Reserving a file's blocks.
    Allocate,
    /// Syncing a range of a mapping (`msync`).
    Flush,
    /// Syncing a file.
    Sync,
    /// Syncing a directory.
    SyncDirectory,
    /// Renaming a file.
    Rename,
    /// Removing a file.
    Remove,
    /// Listing a directory.
    List,
    /// Mapping a file.
    Map,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Open,
        Self::Read,
        Self::Write,
        Self::Allocate,
        Self::Flush,
        Self::Sync,
        Self::SyncDirectory,
        Self::Rename,
        Self::Remove,
        Self::List,
        Self::Map,
    ];
}

/// Operations that are to fail.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    operation: Operation,
    first: u64,
    count: u64,
    error: io::ErrorKind,
}

impl Fault {
    /// The `n`th call from now on fails, counted from one, with an I/O error.
    #[must_use]
    pub fn nth(operation: Operation, n: u64) -> Self {
        Self { operation, first: n, count: 1, error: io::ErrorKind::Other }
    }

    /// And so do all later ones.
    #[must_use]
    pub fn persistent(mut self) -> Self {
        self.count = u64::MAX;
        self
    }

    /// With another error, for example [`StorageFull`](io::ErrorKind::StorageFull).
    #[must_use]
    pub fn error(mut self, error: io::ErrorKind) -> Self {
        self.error = error;
        self
    }
}

/// The faults in force, and what was called so far.
#[derive(Debug, Default)]
pub(super) struct Faults {
    calls: HashMap<Operation, u64>,
    /// With `first` counted from the disk's beginning.
    planned: Vec<Fault>,
}

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        let first = self.calls(fault.operation).saturating_add(fault.first);
        self.planned.push(Fault { first, ..fault });
    }

    pub(super) fn clear(&mut self) {
        self.planned.clear();
    }

    pub(super) fn calls(&self, operation: Operation) -> u64 {
        self.calls.get(&operation).copied().unwrap_or(0)
    }

    /// Counts a call, and fails it if that is planned.
    pub(super) fn call(&mut self, operation: Operation) -> io::Result<()> {
        let calls = self.calls.entry(operation).or_default();
        *calls += 1;
        let hit = self.planned.iter().find(|fault| {
            fault.operation == operation && *calls >= fault.first && *calls - fault.first < fault.count
        });
        hit.map_or(Ok(()), |fault| Err(io::Error::new(fault.error, "a simulated failure")))
    }
}
