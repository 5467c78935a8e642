//! What the clones of a log share: its parts, how they are put to work, and how they end.

use std::path::Path;
use std::thread::JoinHandle;

use crate::append::Appended;
use crate::chain::{Chain, Geometry, Origin};
use crate::error::{Error, Result};
use crate::format::header::TailMark;
use crate::format::meta::Meta;
use crate::format::verify::Verifier;
use crate::keeper::{Keeper, Marks, Stock};
use crate::limits::HEADER_BYTES;
use crate::lsn::Lsn;
use crate::options::Options;
use crate::policy::SyncPolicy;
use crate::primitive::{Arc, Mutex, lock};
use crate::recovery::{RecoveryReport, recover};
use crate::reentry::refuse_inside_claim;
use crate::stats::Counters;
use crate::storage::{Directory, Failure, Preparation};
use crate::syncer::{Deputy, Syncer, Ticker, run_periodic};

/// The faults of this much are taken ahead when a segment is made ready, where every sync leaves new ones anyway.
const POPULATE_DURABLE_BYTES: usize = 256 << 10;

pub(super) struct Inner {
    pub(super) chain: Arc<Chain>,
    pub(super) syncer: Arc<Syncer>,
    pub(super) deputy: Arc<Deputy>,
    keeper: Arc<Keeper>,
    pub(super) directory: Arc<Directory>,
    ticker: Arc<Ticker>,
    pub(super) policy: SyncPolicy,
    /// What the policy says about appends.
    waits: bool,
    pub(super) counters: Arc<Counters>,
    pub(super) report: RecoveryReport,
    /// What `log.meta` says; changed by one retirement at a time.
    meta: Mutex<Meta>,
    threads: Mutex<Vec<JoinHandle<()>>>,
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
        let recovered = recover(&directory, options)?;
        let (meta, session) = (recovered.meta, recovered.session);
        let verifier = Verifier { seed: session.seed(meta.log_id), checksum: session.checksum };
        let geometry = Geometry::new(meta.segment_bytes);
        let origin = Origin { log_id: meta.log_id, directory: Arc::clone(&directory) };
        let chain = Arc::new(Chain::new(geometry, verifier, meta.start, recovered.tail, Some(origin)));
        let policy = options.sync_policy;
        let counters = Arc::new(Counters::default());
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
                zeros_are_durable: policy.acknowledges_durable(),
                follows_groups: options.zero_fill_follows_groups(),
            },
            spares_max: options.spares_max(),
            counters: Arc::clone(&counters),
            stock: Mutex::new(Stock::new(recovered.spares, recovered.next_spare)),
        });
        if let Some(active) = recovered.active {
            chain.install(active);
        }
        if recovered.created {
            // The metadata comes last: without it, an interrupted creation begins anew.
            keeper.prepare_next().map_err(|failure| failure.error)?;
            directory.create_meta(&meta)?;
        }
        let syncer =
            Arc::new(Syncer::new(Arc::clone(&chain), Arc::clone(&directory), policy, Arc::clone(&counters)));
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
            directory,
            ticker: Arc::new(Ticker::new()),
            policy,
            waits: policy.acknowledges_durable(),
            counters,
            report: recovered.report,
            meta: Mutex::new(meta),
            threads: Mutex::new(Vec::new()),
            #[cfg(feature = "testing")]
            marks,
            closed: Mutex::new(None),
        };
        #[cfg(feature = "testing")]
        if !has_threads {
            inner.prepare_inline();
            return Ok(inner);
        }
        inner.start_threads()?;
        Ok(inner)
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

    fn start_thread(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
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
        self.syncer.sync_to(self.chain.written_end())
    }

    pub(super) fn retire_before(&self, lsn: u64) -> Result<Lsn> {
        let outcome = self.retire(lsn);
        // Who waits for records that are gone. Whatever came of it: they may be gone although a file is not.
        self.chain.tell_everybody();
        outcome
    }

    fn retire(&self, lsn: u64) -> Result<Lsn> {
        let mut meta = lock(&self.meta);
        if lsn > self.chain.claimed() {
            return Err(Error::not_written(Lsn::new(lsn), Lsn::new(self.chain.claimed())));
        }
        let geometry = self.chain.geometry;
        // The newest record's segment stays, so that there is always one to find the end of the log in.
        let newest = self.chain.advance_published()?.position().saturating_sub(1);
        let number = geometry.number(lsn).min(geometry.number(newest));
        let start = number * geometry.segment_bytes();
        if start > meta.start {
            if self.chain.is_closed() {
                return Err(self.chain.closed_error());
            }
            // First the new start, durably; from then on the files below it are nothing.
            self.update_meta(&mut meta, start)?;
            self.keeper.discard(self.chain.catalog.take_before(number))?;
        }
        Ok(Lsn::new(meta.start))
    }

    /// Writes the log's start, and how far it is durable by now.
    fn update_meta(&self, meta: &mut Meta, start: u64) -> Result<()> {
        let proven = meta.proven.max(self.chain.durability.durable());
        let next = Meta { start, proven, generation: meta.generation + 1, ..*meta };
        if let Err(Failure { error, device_failed }) = self.directory.update_meta(meta, &next) {
            if device_failed {
                self.directory.note_poisoned();
                self.chain.poison(Error::poisoned_by(&error));
            }
            return Err(error);
        }
        *meta = next;
        Ok(())
    }

    pub(super) fn close(&self) -> Result<()> {
        // Before the lock: it wakes tasks, which is somebody else's code.
        self.chain.close();
        let outcome = self.close_once();
        // Everything is durable that ever will be.
        self.chain.tell_everybody();
        outcome
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
        // Held until the directory is given up: a retirement under way comes before, a later one is refused.
        let mut meta = lock(&self.meta);
        let outcome = self.finish(&mut meta);
        if let Err(error) = &outcome {
            // Whoever still waits for durability gets the reason.
            self.chain.poison(error.clone());
        }
        self.chain.catalog.map_held();
        let released = self.directory.release();
        let outcome = outcome.and(released);
        *closed = Some(outcome.clone());
        outcome
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
            segment.store_tail_mark(TailMark { end, durable: true, boot: self.directory.boot().0 });
            let flushed = body.region.flush(0..HEADER_BYTES as usize);
            flushed.map_err(|error| {
                Error::io("cannot mark the log closed", &self.directory.segment_path(segment.base()), error)
            })?;
            segment.see_whole()?;
        }
        // Evidence outside of the segments, should they go missing.
        self.update_meta(meta, meta.start)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Nobody is left to be told; `close` is for those who want to know.
        let _ = self.close();
    }
}
