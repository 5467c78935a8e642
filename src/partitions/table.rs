//! Which partitions there are, which are open, and which of those goes when there are too many.

use std::collections::{BTreeSet, HashMap};

use crate::error::{Error, Result};
use crate::log::Log;

/// An open partition, or one that somebody is about to open, close or drop.
#[derive(Debug)]
pub(super) enum Slot {
    Busy,
    Open {
        log: Log,
        /// When it was asked for last, by the table's clock.
        used: u64,
    },
}

#[derive(Debug, Default)]
pub(super) struct Table {
    /// Those that are there, open or not.
    pub(super) ids: BTreeSet<u64>,
    pub(super) slots: HashMap<u64, Slot>,
    /// Counts what was asked for.
    pub(super) clock: u64,
    /// How many take part of the open logs for work of ours: those are held, and soon not any more.
    pub(super) at_work: usize,
    pub(super) closed: bool,
    /// Why a partition could not be made durable when it was closed for another one, the first such.
    pub(super) lost: Option<Error>,
}

/// What there is of a partition.
pub(super) enum Look {
    Open(Log),
    /// It was closed by its user, or has failed and nobody holds it: it can be opened again.
    Over(Log),
    Busy,
    Closed,
}

impl Table {
    pub(super) fn refuse_closed(&self) -> Result<()> {
        if self.closed { Err(Error::partitions_closed()) } else { Ok(()) }
    }

    /// Looks for an open partition. One that is over is taken out: the caller has it, and its slot is busy.
    pub(super) fn look(&mut self, id: u64) -> Look {
        self.clock += 1;
        let Some(slot) = self.slots.get_mut(&id) else { return Look::Closed };
        match core::mem::replace(slot, Slot::Busy) {
            Slot::Busy => Look::Busy,
            Slot::Open { log, .. } if log.is_over() => Look::Over(log),
            Slot::Open { log, .. } => {
                *slot = Slot::Open { log: log.clone(), used: self.clock };
                Look::Open(log)
            }
        }
    }

    pub(super) fn put(&mut self, id: u64, log: Log) {
        self.clock += 1;
        self.slots.insert(id, Slot::Open { log, used: self.clock });
    }

    /// Takes out the partition that was asked for longest ago, of those that nobody holds. Its slot is busy then. It looks at
    /// all that are open, which is little beside opening one.
    pub(super) fn take_idlest(&mut self) -> Option<(u64, Log)> {
        let idle = self.slots.iter().filter_map(|(id, slot)| match slot {
            Slot::Open { log, used } if log.is_held_once() || log.is_finished() => Some((*used, *id)),
            _ => None,
        });
        let (_, id) = idle.min()?;
        match self.slots.insert(id, Slot::Busy) {
            Some(Slot::Open { log, .. }) => Some((id, log)),
            _ => None,
        }
    }

    /// True where one may become idle by itself: something is opened, closed or synced just now.
    pub(super) fn will_change(&self) -> bool {
        self.at_work > 0 || self.slots.values().any(|slot| matches!(slot, Slot::Busy))
    }

    pub(super) fn busy(&self) -> BTreeSet<u64> {
        let busy = self.slots.iter().filter(|(_, slot)| matches!(slot, Slot::Busy));
        busy.map(|(id, _)| *id).collect()
    }

    pub(super) fn open_logs(&self) -> impl Iterator<Item = &Log> {
        self.slots.values().filter_map(|slot| match slot {
            Slot::Open { log, .. } => Some(log),
            Slot::Busy => None,
        })
    }
}
