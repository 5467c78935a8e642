//! When the `Periodic` policy syncs: looks of a thread of the log's own, or of one that many logs share.

use std::time::{Duration, Instant};

use super::{Syncer, Ticker, go_on};
use crate::crew::{Chore, Next};
use crate::error::Error;
use crate::policy::SyncPolicy;
use crate::primitive::Arc;
use crate::trace;

/// What the policy remembers from one look to the next.
#[derive(Debug)]
struct Rhythm {
    interval: Duration,
    bytes: Option<u64>,
    records: Option<u64>,
    /// From one look to the next.
    step: Duration,
    last: Instant,
    records_synced: u64,
}

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// Nothing to sync.
    Idle,
    /// Something, whether it is due or not.
    Busy,
    /// The log is poisoned: everybody has been told.
    Over,
}

impl Rhythm {
    fn of(policy: SyncPolicy) -> Option<Self> {
        let SyncPolicy::Periodic { interval, bytes, records } = policy else { return None };
        // Writers wake nobody, so the thread looks for itself how much is unsynced.
        let step = if bytes.is_some() || records.is_some() {
            (interval / 16).clamp(Duration::from_micros(500), Duration::from_millis(5)).min(interval)
        } else {
            interval
        };
        Some(Self { interval, bytes, records, step, last: Instant::now(), records_synced: 0 })
    }

    /// Syncs when that is due.
    fn look(&mut self, syncer: &Syncer) -> Look {
        let chain = &syncer.chain;
        let unsynced = chain.written_end().saturating_sub(chain.durability.durable());
        if unsynced == 0 {
            self.last = Instant::now();
            return Look::Idle;
        }
        let due = self.last.elapsed() >= self.interval
            || self.bytes.is_some_and(|bytes| unsynced >= bytes)
            || self.records.is_some_and(|records| {
                chain.advance_published().is_ok()
                    && chain.records_published().saturating_sub(self.records_synced) >= records
            });
        if !due {
            return Look::Busy;
        }
        self.last = Instant::now();
        // As far as it is published now; a claim that is still being written is for the next round.
        let published = match chain.advance_published() {
            Ok(published) => published,
            Err(error) => {
                // Nobody else syncs for those who wait under this policy.
                trace::poisoned(&syncer.poison(error));
                return Look::Over;
            }
        };
        self.records_synced = chain.records_published();
        // A failure has poisoned the log.
        go_on(|| syncer.sync_to(published.position())).map_or(Look::Over, |()| Look::Busy)
    }
}

/// Runs the `Periodic` policy until `ticker` stops or the log is poisoned.
pub(crate) fn run_periodic(syncer: &Syncer, ticker: &Ticker) {
    let Some(mut rhythm) = Rhythm::of(syncer.policy) else { return };
    while !ticker.tick(rhythm.step) {
        if rhythm.look(syncer) == Look::Over {
            break;
        }
    }
}

/// What a thread that many logs share does for one: under `Periodic` the policy's syncs, else those that tasks wait for.
#[derive(Debug)]
pub(crate) struct SyncChore {
    syncer: Arc<Syncer>,
    rhythm: Option<Rhythm>,
}

impl SyncChore {
    pub(crate) fn new(syncer: Arc<Syncer>) -> Self {
        let rhythm = Rhythm::of(syncer.policy);
        Self { syncer, rhythm }
    }

    /// One sync for the tasks that wait, and then the other logs' turn.
    fn run_errand(&self) -> Next {
        let durability = &self.syncer.chain.durability;
        let Some(position) = durability.errand() else { return Next::WhenCalled };
        match go_on(|| self.syncer.make_durable(position)) {
            Ok(()) => Next::After(Duration::ZERO),
            // Poisoned: everybody was told, and nobody registers any more.
            Err(_) => Next::Never,
        }
    }
}

impl Chore for SyncChore {
    fn step(&mut self) -> Next {
        let Some(rhythm) = &mut self.rhythm else { return self.run_errand() };
        match rhythm.look(&self.syncer) {
            // What is appended from now on may wait for an interval: the shorter steps are for a log that is written to.
            Look::Idle => Next::After(rhythm.interval),
            Look::Busy => {
                let rest = rhythm.interval.saturating_sub(rhythm.last.elapsed());
                Next::After(rest.min(rhythm.step))
            }
            Look::Over => Next::Never,
        }
    }

    fn panicked(&mut self) {
        let chain = &self.syncer.chain;
        chain.abandon(Error::thread_panicked("tidelog-syncer", self.syncer.directory.path()));
    }
}
