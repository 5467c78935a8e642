//! Making the published log durable: one sync, and the thread that does it periodically.

mod deputy;
mod gather;
mod rhythm;

pub(crate) use self::deputy::Deputy;
pub(crate) use self::rhythm::{SyncChore, run_periodic};

use std::time::{Duration, Instant};

use self::gather::{Gather, Gathering};
use crate::chain::{Chain, Flusher};
use crate::error::{Error, Result};
use crate::event::{Announcer, Event};
use crate::limits::HEADER_BYTES;
use crate::lsn::Lsn;
use crate::policy::SyncPolicy;
use crate::primitive::{Arc, AtomicU64, Condvar, Mutex, Ordering, Patience, lock, wait_timeout};
use crate::segment::Segment;
use crate::stats::Counters;
use crate::storage::Directory;
use crate::trace;

/// How far ahead of the tail the write faults are taken, after each sync, on the syncing thread.
const POPULATE_AHEAD_BYTES: usize = 256 << 10;

/// Carries out syncs.
#[derive(Debug)]
pub(crate) struct Syncer {
    chain: Arc<Chain>,
    directory: Arc<Directory>,
    policy: SyncPolicy,
    counters: Arc<Counters>,
    announcer: Arc<Announcer>,
    /// A sync that takes so long is told.
    slow: Duration,
    gathering: Gathering,
    /// How far ahead faults were taken.
    populated: AtomicU64,
    /// How many bytes had been written through the file when they were.
    through_file: AtomicU64,
}

impl Syncer {
    pub(crate) fn new(
        chain: Arc<Chain>,
        directory: Arc<Directory>,
        policy: SyncPolicy,
        counters: Arc<Counters>,
        announcer: Arc<Announcer>,
        slow: Duration,
    ) -> Self {
        let (gathering, populated) = (Gathering::new(), AtomicU64::new(0));
        let through_file = AtomicU64::new(0);
        Self { chain, directory, policy, counters, announcer, slow, gathering, populated, through_file }
    }

    pub(crate) fn chain(&self) -> &Arc<Chain> {
        &self.chain
    }

    /// Returns when everything below `position` is durable, by the policy's way of gathering.
    pub(crate) fn make_durable(&self, position: u64) -> Result<()> {
        let gathering = match self.policy {
            SyncPolicy::Grouped { window } if window.is_zero() => Gather::Returning(&self.gathering),
            SyncPolicy::Grouped { window } => Gather::Window(window),
            _ => Gather::Never,
        };
        self.carry_out(position, gathering)
    }

    /// As `make_durable`, without gathering.
    pub(crate) fn sync_to(&self, position: u64) -> Result<()> {
        self.carry_out(position, Gather::Never)
    }

    fn carry_out(&self, position: u64, gather: Gather<'_>) -> Result<()> {
        let mut run = Run { syncer: self, gather, patience: Patience::new(), reached: None, failure: None };
        let outcome = self.chain.durability.wait(position, &mut run);
        // After the others were woken.
        if let Some(reached) = run.reached {
            self.take_faults(reached);
        }
        if let Some(error) = &run.failure {
            trace::poisoned(error);
        }
        outcome
    }

    /// Leaves evidence for the next opening.
    fn leave_hint(&self, durable: u64) {
        if let Some(segment) = self.segment_at(durable) {
            segment.store_durable_hint(durable);
        }
    }

    /// Takes the faults that a sync left for the writers, and those of pages that nobody has touched.
    fn take_faults(&self, durable: u64) {
        if self.policy == SyncPolicy::None {
            return;
        }
        // Where appends wait for syncs, one small sync follows another, and each has protected one page again: not worth a
        // look at all of those that are ready. Relaxed: with an old value faults are taken twice, or by the writers.
        let ready = self.populated.load(Ordering::Relaxed);
        if self.policy.acknowledges_durable() && durable + (POPULATE_AHEAD_BYTES / 2) as u64 <= ready {
            return;
        }
        // What is written through the file takes no faults, and would lose by pages that are mapped.
        // Relaxed: only who leads comes here; with an old value faults are taken in vain, or by the writers.
        let through_file = self.chain.bytes_through_file();
        let before = self.through_file.load(Ordering::Relaxed);
        self.through_file.store(through_file, Ordering::Relaxed);
        if through_file.saturating_sub(before) >= (POPULATE_AHEAD_BYTES / 8) as u64 {
            return;
        }
        let Some(segment) = self.segment_at(durable) else { return };
        if let Some(body) = segment.mapped_body() {
            let tail = segment.file_offset(durable);
            body.region.populate(tail..tail + POPULATE_AHEAD_BYTES);
            // At a segment's end that reaches into the next one, where the keeper has done so much.
            self.populated.store(durable + POPULATE_AHEAD_BYTES as u64, Ordering::Relaxed);
        }
    }

    /// At the very end of a segment the next one may not be there yet.
    fn segment_at(&self, durable: u64) -> Option<Arc<Segment>> {
        let catalog = &self.chain.catalog;
        catalog.find_at(durable).or_else(|| catalog.find_at(durable.checked_sub(1)?))
    }

    #[cold]
    fn poison(&self, error: Error) -> Error {
        // First the note for the next opening, then the word to those who wait.
        self.directory.note_poisoned();
        self.announcer.tell_failure(&error);
        self.chain.poison(error.clone());
        error
    }
}

/// What a caller carries out while it leads.
struct Run<'a> {
    syncer: &'a Syncer,
    gather: Gather<'a>,
    patience: Patience,
    /// How far it made the log durable.
    reached: Option<u64>,
    /// Why it did not.
    failure: Option<Error>,
}

impl Run<'_> {
    #[cold]
    fn fail(&mut self, error: Error) -> Error {
        self.failure = Some(error.clone());
        self.syncer.poison(error)
    }
}

impl Flusher for Run<'_> {
    fn gather(&mut self, joined: u64, expected: u64) -> bool {
        self.gather.step(joined, expected)
    }

    fn target(&mut self) -> Result<u64> {
        let chain = &self.syncer.chain;
        let target = chain.advance_published().map_err(|error| self.fail(error))?.position();
        if target <= chain.durability.durable() {
            // The claim that is waited for, or one before it, is still being written.
            self.patience.pause();
            chain.see_progress_possible().map_err(|error| self.fail(error))?;
        }
        Ok(target)
    }

    fn flush(&mut self, from: u64, to: u64) -> Result<()> {
        let Syncer { chain, directory, counters, announcer, slow, .. } = self.syncer;
        let began = Instant::now();
        let outcome = chain.flush_published(from, to, |segment, range| {
            let flushed = segment.body()?.region.flush(range);
            flushed.map_err(|error| Error::poisoned(&directory.segment_path(segment.base()), error))?;
            chain.see_whole(segment)
        });
        outcome.map_err(|error| {
            counters.syncs.failures.add(1);
            self.fail(error)
        })?;
        let took = began.elapsed();
        counters.note_sync(took, chain.records_published());
        if took >= *slow {
            announcer.tell(|| Event::SyncSlow { took, durable: Lsn::new(to) });
        }
        self.syncer.leave_hint(to);
        self.reached = Some(to);
        Ok(())
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

/// Syncs on a thread of the log's, which must go on when a waker of a task or of a follower panics: that is somebody else's
/// code. The sync has ended by then, and all others were woken.
fn go_on(sync: impl FnOnce() -> Result<()>) -> Result<()> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(sync)).unwrap_or(Ok(()))
}

const _: () = assert!((POPULATE_AHEAD_BYTES as u64).is_multiple_of(HEADER_BYTES));
