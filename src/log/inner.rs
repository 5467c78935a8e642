//! What the clones of a log share: its parts, how they are put to work, and how they end.

use core::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::PoisonError;
use std::thread::JoinHandle;

use crate::append::Appended;
use crate::chain::{Chain, Geometry, Origin, Page};
use crate::crew::{Crews, Seat};
use crate::cursors::Cursors;
use crate::error::{Error, Result};
use crate::event::{Announcer, Event};
use crate::format::header::TailMark;
use crate::format::meta::Meta;
use crate::format::verify::Verifier;
use crate::keeper::{Keeper, Marks, Retention, Stock, Upkeep};
use crate::limits::{HEADER_BYTES, MAPPED_IDLE_PARTITION};
use crate::lsn::Lsn;
use crate::options::Options;
use crate::policy::SyncPolicy;
use crate::primitive::{Arc, Mutex, lock};
use crate::recovery::{RecoveryReport, recover};
use crate::reentry::refuse_inside_claim;
use crate::stats::Counters;
use crate::storage::{Directory, Preparation};
use crate::syncer::{Deputy, SyncChore, Syncer, Ticker, run_periodic};
use crate::telemetry::Telemetry;
use crate::trace;

/// The faults of this much are taken ahead when a segment is made ready, where every sync leaves new ones anyway.
const POPULATE_DURABLE_BYTES: usize = 256 << 10;

pub(super) struct Inner {
    pub(super) chain: Arc<Chain>,
    pub(super) syncer: Arc<Syncer>,
    pub(super) deputy: Arc<Deputy>,
    pub(super) keeper: Arc<Keeper>,
    pub(super) cursors: Arc<Cursors>,
    pub(super) announcer: Arc<Announcer>,
    pub(super) directory: Arc<Directory>,
    ticker: Arc<Ticker>,
    pub(super) policy: SyncPolicy,
    /// What the policy says about appends.
    waits: bool,
    pub(super) counters: Arc<Counters>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) report: RecoveryReport,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// In crews that it shares with other logs, where it has no threads of its own.
    seats: Mutex<Vec<Seat>>,
    /// How far segments are marked, where no keeper's thread keeps that to itself.
    #[cfg(feature = "testing")]
    marks: Arc<Mutex<Marks>>,
    /// The outcome of closing, for everybody who closes.
    closed: Mutex<Option<Result<()>>>,
}

impl Inner {
    pub(super) fn open(options: &Options, path: &Path) -> Result<Self> {
        let directory =
            Arc::new(Directory::lock_for_writing(options.storage(), path, options.any_file_system)?);
        let recovered = {
            let _span = trace::recovery();
            let recovered = recover(&directory, options)?;
            trace::recovered(&recovered.report, recovered.report.truncated_bytes);
            recovered
        };
        let (meta, session) = (recovered.meta, recovered.session);
        let verifier = Verifier { seed: session.seed(meta.log_id), checksum: session.checksum };
        let geometry = Geometry::new(meta.segment_bytes);
        let origin = Origin { log_id: meta.log_id, directory: Arc::clone(&directory) };
        let mut chain = Chain::new(geometry, verifier, meta.start, recovered.tail, Some(origin));
        // (The descriptors of partitions are counted.)
        if options.sync_policy.acknowledges_durable() && !options.is_partition {
            chain.write_through_file();
        }
        if options.is_partition {
            chain.catalog.keep_mapped(MAPPED_IDLE_PARTITION);
        }
        let chain = Arc::new(chain);
        let torn = recovered
            .report
            .torn_tail
            .map(|_| Event::TornTail { end: recovered.report.end, bytes: recovered.report.truncated_bytes });
        let announcer = Arc::new(Announcer::new(torn.into_iter().collect()));
        let cursors = Cursors::open(&directory, meta.log_id, recovered.cursors, recovered.tail);
        let cursors = Arc::new(cursors.map_err(|failure| {
            if failure.device_failed {
                directory.note_poisoned();
            }
            failure.error
        })?);
        let policy = options.sync_policy;
        let counters = Arc::new(Counters::default());
        let telemetry =
            Arc::new(Telemetry::new(Arc::clone(&chain), Arc::clone(&directory), Arc::clone(&counters)));
        let populate_bytes = if policy.acknowledges_durable() {
            HEADER_BYTES as usize + POPULATE_DURABLE_BYTES
        } else {
            usize::MAX
        };
        let keeper = Arc::new(Keeper {
            chain: Arc::clone(&chain),
            directory: Arc::clone(&directory),
            session,
            log_id: meta.log_id,
            how: Preparation {
                zero_fill_bytes: options.zero_fill(),
                populate_bytes,
                others_sync: policy.acknowledges_durable(),
                follows_groups: options.zero_fill_follows_groups(),
                through_file: false,
            },
            spares_max: options.spares_max(),
            thrifty_until: options.is_partition.then(|| geometry.number(recovered.tail)),
            counters: Arc::clone(&counters),
            telemetry: Arc::clone(&telemetry),
            stock: Mutex::new(Stock::new(recovered.spares, recovered.next_spare)),
            page: std::sync::OnceLock::new(),
            cursors: Arc::clone(&cursors),
            announcer: Arc::clone(&announcer),
            retention: Retention::new(meta, options.retention, directory.storage().unix_nanos()),
        });
        if let Some(active) = recovered.active {
            chain.install(active);
        }
        if recovered.created {
            // The metadata comes last: without it, an interrupted creation begins anew.
            keeper.prepare_next().map_err(|failure| failure.error)?;
            directory.create_meta(&meta)?;
        }
        // Last of all that is mapped: an opening that fails has told nobody.
        if let Some(words) = directory.make_signal(meta.log_id) {
            keeper.serve(Page::new(words));
        }
        let syncer = Arc::new(Syncer::new(
            Arc::clone(&chain),
            Arc::clone(&directory),
            policy,
            Arc::clone(&counters),
            Arc::clone(&announcer),
            options.slow_sync_after(),
        ));
        #[cfg(feature = "testing")]
        let has_threads = directory.storage().has_threads();
        #[cfg(not(feature = "testing"))]
        let has_threads = true;
        let deputy = Arc::new(Deputy::new(Arc::clone(&syncer), has_threads));
        #[cfg(feature = "testing")]
        let marks = Arc::new(Mutex::new(Marks::new(recovered.tail, meta.segment_bytes)));
        let inner = Self {
            chain,
            syncer,
            deputy,
            keeper,
            cursors,
            announcer,
            directory,
            ticker: Arc::new(Ticker::new()),
            policy,
            waits: policy.acknowledges_durable(),
            counters,
            telemetry,
            report: recovered.report,
            threads: Mutex::new(Vec::new()),
            seats: Mutex::new(Vec::new()),
            #[cfg(feature = "testing")]
            marks,
            closed: Mutex::new(None),
        };
        #[cfg(feature = "testing")]
        if !has_threads {
            inner.prepare_inline();
            return Ok(inner);
        }
        match &options.crews {
            Some(crews) => inner.take_seats(crews),
            None => inner.start_threads()?,
        }
        Ok(inner)
    }

    /// Has threads that it shares with other logs do what else its own would do.
    fn take_seats(&self, crews: &Crews) {
        let upkeep = crews.keepers.seat(Box::new(Upkeep::new(Arc::clone(&self.keeper))));
        self.chain.supply().call_by(upkeep.bell());
        let syncs = crews.syncers.seat(Box::new(SyncChore::new(Arc::clone(&self.syncer))));
        self.deputy.call_by(syncs.bell());
        lock(&self.seats).extend([upkeep, syncs]);
    }

    fn start_threads(&self) -> Result<()> {
        let keeper = Arc::clone(&self.keeper);
        self.start_thread("tidelog-keeper", move || keeper.run())?;
        if matches!(self.policy, SyncPolicy::Periodic { .. }) {
            let (syncer, ticker) = (Arc::clone(&self.syncer), Arc::clone(&self.ticker));
            self.start_thread("tidelog-syncer", move || run_periodic(&syncer, &ticker))?;
        }
        Ok(())
    }

    /// Whoever needs a segment makes it ready.
    #[cfg(feature = "testing")]
    fn prepare_inline(&self) {
        let (keeper, marks) = (Arc::downgrade(&self.keeper), Arc::clone(&self.marks));
        self.chain.supply().prepare_inline(move || {
            if let Some(keeper) = keeper.upgrade() {
                keeper.round(&mut lock(&marks), true);
            }
        });
    }

    /// What the keeper's thread would do now.
    #[cfg(feature = "testing")]
    pub(super) fn upkeep(&self) {
        self.keeper.round(&mut lock(&self.marks), false);
    }

    fn start_thread(&self, name: &'static str, run: impl FnOnce() + Send + 'static) -> Result<()> {
        let (chain, path) = (Arc::clone(&self.chain), self.directory.path().to_owned());
        let run = move || {
            // Those who wait for its work would wait for ever.
            if catch_unwind(AssertUnwindSafe(run)).is_err() {
                chain.abandon(Error::thread_panicked(name, &path));
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        let thread =
            thread.map_err(|error| Error::io("cannot start a thread", self.directory.path(), error))?;
        lock(&self.threads).push(thread);
        Ok(())
    }

    /// Under the policies that wait, an append inside a closure of `append_with` would wait for itself.
    #[inline]
    pub(super) fn refuse_to_wait_inside_claim(&self) -> Result<()> {
        if self.waits { refuse_inside_claim() } else { Ok(()) }
    }

    /// Waits where the policy does.
    #[inline]
    pub(super) fn acknowledge(&self, appended: Appended) -> Result<Lsn> {
        if self.waits {
            self.syncer.make_durable(appended.end)?;
        }
        Ok(Lsn::new(appended.lsn))
    }

    pub(super) fn sync_all(&self) -> Result<()> {
        self.chain.refuse_in_child()?;
        self.syncer.sync_to(self.chain.written_end())
    }

    pub(super) fn retire_before(&self, lsn: u64) -> Result<Lsn> {
        self.chain.refuse_in_child()?;
        self.keeper.retire_before(lsn)
    }

    pub(super) fn retention(&self) -> &Retention {
        &self.keeper.retention
    }

    pub(super) fn close(&self) -> Result<()> {
        self.chain.refuse_in_child()?;
        if let Some(outcome) = &*lock(&self.closed) {
            return outcome.clone();
        }
        let _span = trace::close(self.directory.path());
        // Before the lock: it wakes tasks, which is somebody else's code.
        self.chain.close();
        let outcome = self.close_once();
        // Everything is durable that ever will be.
        self.chain.tell_everybody();
        self.keeper.tell_readers();
        // Without a lock, as strangers are told.
        self.telemetry.report();
        outcome.inspect_err(|error| trace::failed("close", error))
    }

    pub(super) fn is_finished(&self) -> bool {
        lock(&self.closed).is_some()
    }

    fn close_once(&self) -> Result<()> {
        let mut closed = lock(&self.closed);
        if let Some(outcome) = &*closed {
            return outcome.clone();
        }
        self.ticker.stop();
        self.deputy.dismiss();
        self.chain.supply().stop();
        for thread in lock(&self.threads).drain(..) {
            // A thread that panicked has told so by itself; what matters follows.
            let _ = thread.join();
        }
        // Without the lock: a step that is under way is waited for.
        let seats = core::mem::take(&mut *lock(&self.seats));
        drop(seats);
        // Held until the directory is given up: a retirement under way comes before, a later one is refused.
        let mut meta = self.keeper.retention.lock_meta();
        let outcome = self.finish(&mut meta);
        let cursors = self.cursors.close().map_err(|failure| {
            if failure.device_failed {
                self.directory.note_poisoned();
            }
            failure.error
        });
        let outcome = outcome.and(cursors);
        if let Err(error) = &outcome {
            // Whoever still waits for durability gets the reason.
            self.chain.poison(error.clone());
        }
        self.chain.catalog.map_held();
        let released = self.directory.release();
        let outcome = outcome.and(released);
        self.announcer.close();
        *closed = Some(outcome.clone());
        outcome
    }

    /// In a forked child: nothing of the log is this process' to end. Its threads are not here to be waited for, nor even to
    /// be let go of.
    fn abandon(&mut self) {
        let threads = self.threads.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _never_dropped = ManuallyDrop::new(core::mem::take(threads));
        let seats = self.seats.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _never_left = ManuallyDrop::new(core::mem::take(seats));
        self.directory.abandon();
    }

    /// Makes everything durable, and leaves the mark that lets the next opening trust it without a look.
    fn finish(&self, meta: &mut Meta) -> Result<()> {
        let end = self.chain.written_end();
        self.chain.wait_published(end)?;
        self.syncer.sync_to(end)?;
        if let Some(error) = self.chain.durability.poison() {
            return Err(error);
        }
        let geometry = self.chain.geometry;
        self.keeper.mark(&mut Marks::new(self.report.end.get(), geometry.segment_bytes()));
        self.chain.release_published();
        self.keeper.put_away(geometry.number(end) + 1)?;
        self.directory.sync()?;
        // In the segment that the log ends in; at its very end that may be the one before.
        let last =
            self.chain.catalog.find_at(end).or_else(|| self.chain.catalog.find_at(end.checked_sub(1)?));
        if let Some((segment, body)) = last.as_deref().and_then(|last| Some((last, last.mapped_body()?)))
            && body.region.is_writable()
        {
            segment.close_file();
            segment.store_tail_mark(TailMark {
                end,
                durable: true,
                boot: self.directory.boot().0,
                sealed_unix_ns: 0,
            });
            let flushed = body.region.flush(0..HEADER_BYTES as usize);
            flushed.map_err(|error| {
                Error::io("cannot mark the log closed", &self.directory.segment_path(segment.base()), error)
            })?;
            segment.see_whole()?;
        }
        // Evidence outside of the segments, should they go missing.
        self.keeper.update_meta(meta, meta.start)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.chain.is_inherited() {
            self.abandon();
            return;
        }
        // Nobody is left to be told; `close` is for those who want to know.
        let _ = self.close();
    }
}

#[cfg(all(test, not(any(tidelog_loom, tidelog_shuttle))))]
mod tests;
