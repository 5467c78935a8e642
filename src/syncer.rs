//! Making the published log durable: one sync, and the thread that does it periodically.

use std::time::{Duration, Instant};

use crate::chain::Chain;
use crate::error::{Error, Result};
use crate::limits::HEADER_BYTES;
use crate::policy::SyncPolicy;
use crate::primitive::{Arc, Condvar, Mutex, Patience, lock, wait_timeout};
use crate::stats::Counters;
use crate::storage::Directory;

/// How far ahead of the tail the write faults are taken, after each sync, on the syncing thread.
const POPULATE_AHEAD_BYTES: usize = 256 << 10;

/// Carries out syncs.
#[derive(Debug)]
pub(crate) struct Syncer {
    chain: Arc<Chain>,
    directory: Arc<Directory>,
    policy: SyncPolicy,
    counters: Arc<Counters>,
}

impl Syncer {
    pub(crate) fn new(
        chain: Arc<Chain>,
        directory: Arc<Directory>,
        policy: SyncPolicy,
        counters: Arc<Counters>,
    ) -> Self {
        Self { chain, directory, policy, counters }
    }

    /// Returns when everything below `position` is durable, by the policy's way of gathering.
    pub(crate) fn make_durable(&self, position: u64) -> Result<()> {
        let window = match self.policy {
            SyncPolicy::Grouped { window } => window,
            _ => Duration::ZERO,
        };
        self.sync_to(position, window)
    }

    /// As `make_durable`, without gathering.
    pub(crate) fn sync_to(&self, position: u64, window: Duration) -> Result<()> {
        let mut patience = Patience::new();
        self.chain.durability.wait(position, window, || self.sync_once(&mut patience))
    }

    /// One sync: of everything that is published now. Returns the new durable watermark.
    fn sync_once(&self, patience: &mut Patience) -> Result<u64> {
        let durable = self.chain.durability.durable();
        let began = Instant::now();
        let reached = self.chain.sync_published(durable, |segment, range| {
            let path = self.directory.segment_path(segment.base());
            segment.body()?.region.flush(range).map_err(|error| Error::poisoned(&path, error))?;
            self.chain.see_whole(segment)
        });
        let reached = reached.map_err(|error| self.poison(error))?;
        if reached <= durable {
            // The claim that is waited for, or one before it, is still being written.
            patience.pause();
            self.chain.see_progress_possible().map_err(|error| self.poison(error))?;
            return Ok(durable);
        }
        self.counters.note_sync(began.elapsed());
        self.after_sync(reached);
        Ok(reached)
    }

    /// Leaves evidence for the next opening, and takes the faults that the sync left for the writers.
    fn after_sync(&self, durable: u64) {
        let catalog = &self.chain.catalog;
        // At the very end of a segment the next one may not be there yet.
        let segment = catalog.find_at(durable).or_else(|| catalog.find_at(durable.checked_sub(1)?));
        let Some(segment) = segment else { return };
        segment.store_durable_hint(durable);
        if let (Some(body), true) = (segment.mapped_body(), self.policy != SyncPolicy::None) {
            let tail = segment.file_offset(durable);
            body.region.populate(tail..tail + POPULATE_AHEAD_BYTES);
        }
    }

    #[cold]
    fn poison(&self, error: Error) -> Error {
        // First the note for the next opening, then the word to those who wait.
        self.directory.note_poisoned();
        self.chain.poison(error.clone());
        error
    }
}

/// Tells the periodic thread to stop.
#[derive(Debug)]
pub(crate) struct Ticker {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Ticker {
    pub(crate) fn new() -> Self {
        Self { stopped: Mutex::new(false), changed: Condvar::new() }
    }

    pub(crate) fn stop(&self) {
        *lock(&self.stopped) = true;
        self.changed.notify_all();
    }

    /// Sleeps for `timeout`; true when it is time to stop.
    fn tick(&self, timeout: Duration) -> bool {
        let stopped = lock(&self.stopped);
        if *stopped {
            return true;
        }
        *wait_timeout(&self.changed, stopped, timeout)
    }
}

/// Runs the `Periodic` policy until `ticker` stops or the log is poisoned.
pub(crate) fn run_periodic(syncer: &Syncer, ticker: &Ticker) {
    let SyncPolicy::Periodic { interval, bytes, records } = syncer.policy else { return };
    // Writers wake nobody, so the thread looks for itself how much is unsynced.
    let step = if bytes.is_some() || records.is_some() {
        (interval / 16).clamp(Duration::from_micros(500), Duration::from_millis(5)).min(interval)
    } else {
        interval
    };
    let chain = &syncer.chain;
    let mut last = Instant::now();
    let mut records_synced = 0;
    while !ticker.tick(step) {
        let unsynced = chain.written_end().saturating_sub(chain.durability.durable());
        if unsynced == 0 {
            last = Instant::now();
            continue;
        }
        let due = last.elapsed() >= interval
            || bytes.is_some_and(|bytes| unsynced >= bytes)
            || records.is_some_and(|records| {
                chain.advance_published().is_ok()
                    && chain.records_published().saturating_sub(records_synced) >= records
            });
        if !due {
            continue;
        }
        last = Instant::now();
        // As far as it is published now; a claim that is still being written is for the next round.
        let published = match chain.advance_published() {
            Ok(published) => published,
            Err(error) => {
                // Nobody else syncs for those who wait under this policy.
                syncer.poison(error);
                break;
            }
        };
        records_synced = chain.records_published();
        if syncer.sync_to(published.position(), Duration::ZERO).is_err() {
            // Poisoned: everybody has been told.
            break;
        }
    }
}

const _: () = assert!((POPULATE_AHEAD_BYTES as u64).is_multiple_of(HEADER_BYTES));
