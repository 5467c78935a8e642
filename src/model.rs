//! What the model checkers drive: the production protocol over modelled memory. For loom with segments of two records
//! and a ring of two slots, for shuttle with segments of four to sixteen and four slots. It composes and asserts; it
//! decides nothing that production code decides.
#![allow(clippy::disallowed_types, reason = "what a scenario sets for itself is not to be explored")]
#![allow(clippy::missing_errors_doc, clippy::missing_panics_doc)]

use core::sync::atomic::{AtomicBool, Ordering};
use std::path::Path;

use crate::append::{Appended, append, append_batch, append_with, room_for, try_append};
use crate::chain::{
    Caller, Chain, Demand, Desk, Flusher, Geometry, Page, Progress, Retired, Room, Wish, read_live,
};
use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::{Parsed, frame_bytes, parse};
use crate::format::header::{Identity, Session};
use crate::format::verify::{Verifier, Verifiers};
use crate::limits::HEADER_BYTES;
use crate::lsn::Lsn;
use crate::policy::Checksum;
use crate::primitive::{Arc, Mutex, Patience, lock};
use crate::record::PinnedRecord;
use crate::region::{Region, Words};
use crate::segment::Segment;
use crate::segment::scan::{Found, Mapped};
use crate::snapshot::Snapshot;
use crate::storage::Body;
use crate::tail::Tail;
use crate::watcher::Watcher;

/// Bytes of a modelled segment: for loom two records of up to eight bytes, and room for a third that straddles.
pub const SEGMENT_BYTES: u64 = if cfg!(tidelog_loom) { 64 } else { 256 };

const LOG_ID: [u8; 16] = [7; 16];

fn session() -> Session {
    let checksum = Checksum::Crc32c;
    Session { start: 0, number: 1, checksum, acks_durable: true, nonce: 5, boot: [0; 16], opened_unix_ns: 0 }
}

/// A record or batch in the log.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    pub lsn: u64,
    pub end: u64,
}

impl From<Appended> for Written {
    fn from(Appended { lsn, end }: Appended) -> Self {
        Self { lsn, end }
    }
}

/// A log without files.
#[derive(Clone, Debug)]
pub struct Model(std::sync::Arc<Inner>);

/// What a thread carries out while it leads.
struct Run<'a> {
    model: &'a Model,
    moments: u64,
    patience: Patience,
}

impl Flusher for Run<'_> {
    fn gather(&mut self, joined: u64, expected: u64) -> bool {
        if joined >= expected || self.moments == 0 {
            return false;
        }
        self.moments -= 1;
        self.patience.pause();
        true
    }

    fn target(&mut self) -> Result<u64> {
        let target = self.model.chain().advance_published()?.position();
        if target <= self.model.durable() {
            self.patience.pause();
        }
        Ok(target)
    }

    fn flush(&mut self, from: u64, to: u64) -> Result<()> {
        let poisoned = |error| Error::poisoned(Path::new("model"), error);
        let outcome = self.model.chain().flush_published(from, to, |segment, range| {
            if self.model.0.syncs_fail.load(Ordering::SeqCst) {
                return Err(poisoned(std::io::ErrorKind::Other.into()));
            }
            segment.body()?.region.flush(range).map_err(poisoned)
        });
        if let Err(error) = &outcome {
            self.model.chain().poison(error.clone());
        }
        outcome
    }
}

#[derive(Debug)]
struct Inner {
    chain: Arc<Chain>,
    page: std::sync::Arc<Page>,
    retired: Mutex<Retired>,
    syncs_fail: AtomicBool,
}

impl Model {
    /// An empty log with so many segments ready.
    #[must_use]
    pub fn new(segments: u64) -> Self {
        let session = session();
        let verifier = Verifier { seed: session.seed(LOG_ID), checksum: session.checksum };
        let page = std::sync::Arc::new(Page::new(Words::zeroed()));
        let _ = page.begin(0);
        let chain = Arc::new(Chain::new(Geometry::new(SEGMENT_BYTES), verifier, 0, 0, None));
        chain.durability.show_on(std::sync::Arc::clone(&page));
        let retired = Mutex::new(Retired::default());
        let model =
            Self(std::sync::Arc::new(Inner { chain, page, retired, syncs_fail: AtomicBool::new(false) }));
        for _ in 0..segments {
            assert!(model.install_next());
        }
        model
    }

    fn chain(&self) -> &Chain {
        &self.0.chain
    }

    // ---- The keeper's part

    /// True when the ring has a place for the next segment.
    #[must_use]
    pub fn has_slot(&self) -> bool {
        self.chain().has_slot()
    }

    /// So many segments are prepared beyond the one that is being written.
    #[must_use]
    pub fn segments_ahead(&self) -> u64 {
        let chain = self.chain();
        chain.next_segment().saturating_sub(chain.geometry.number(chain.claimed()) + 1)
    }

    /// Prepares the next segment, if there is a slot for it.
    pub fn install_next(&self) -> bool {
        let chain = self.chain();
        if !chain.has_slot() {
            return false;
        }
        let number = chain.next_segment();
        let identity = Identity { log_id: LOG_ID, number, segment_bytes: SEGMENT_BYTES };
        let region = Region::zeroed(SEGMENT_BYTES as usize);
        let body =
            Body { region, verifiers: Verifiers::new(&identity, &[session()]), owed: 0, _counted: None };
        chain.install(Arc::new(Segment::mapped(identity, body, None)));
        true
    }

    /// Waits until a writer asks for a segment or the log closes; false when it closed.
    #[must_use]
    pub fn wait_demand(&self) -> bool {
        self.chain().supply().wait_demand(std::time::Duration::MAX) != Demand::Stop
    }

    /// The same, but waits for no more than a short time: true while the log is open.
    #[must_use]
    pub fn wait_a_moment(&self) -> bool {
        self.chain().supply().wait_demand(std::time::Duration::ZERO) != Demand::Stop
    }

    /// One attempt to prepare a segment, unless the log is closed, which fails for want of room when `room` is false.
    pub fn attempt(&self, room: bool) {
        let Some(attempt) = self.chain().supply().begin_attempt() else { return };
        if room {
            assert!(self.install_next());
        } else {
            let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
            let error = Error::io("cannot prepare a segment", Path::new("model"), full);
            self.chain().attempt_failed(attempt, error);
        }
    }

    /// Claims as if the limit were not there: safety must not depend on it.
    pub fn lift_limit(&self) {
        self.chain().lift_limit();
    }

    // ---- Writers

    pub fn append(&self, payload: &[u8]) -> Result<Written> {
        append(self.chain(), payload).map(Written::from)
    }

    pub fn append_with(&self, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<Written> {
        append_with(self.chain(), len, fill).map(Written::from)
    }

    /// What is left of an `append_with` whose closure panics: the claim, dropped. (The model checker cannot switch
    /// threads while one unwinds.)
    pub fn abandon(&self, len: u64) -> Result<()> {
        self.chain().claim(frame_bytes(len)).map(drop)
    }

    pub fn append_batch(&self, records: &[&[u8]]) -> Result<Written> {
        append_batch(self.chain(), records).map(|appended| appended.expect("the batch is not empty").into())
    }

    // ---- Watermarks and syncs

    pub fn claimed(&self) -> u64 {
        self.chain().claimed()
    }

    pub fn written_end(&self) -> u64 {
        self.chain().written_end()
    }

    /// The published watermark as it was last seen.
    pub fn published(&self) -> u64 {
        self.chain().published().position()
    }

    /// Looks how far the log is published.
    pub fn advance_published(&self) -> u64 {
        self.chain().advance_published().expect("no damaged word").position()
    }

    pub fn durable(&self) -> u64 {
        self.chain().durability.durable()
    }

    /// From now on every flush fails.
    pub fn fail_syncs(&self) {
        self.0.syncs_fail.store(true, Ordering::SeqCst);
    }

    /// Returns when everything below `position` is durable.
    pub fn make_durable(&self, position: u64) -> Result<()> {
        self.gather_durable(position, 0)
    }

    /// The same, and before it carries out a sync it lets others come, so many times at most.
    pub fn gather_durable(&self, position: u64, moments: u64) -> Result<()> {
        let mut run = Run { model: self, moments, patience: Patience::new() };
        self.chain().durability.wait(position, &mut run)
    }

    pub fn sync(&self) -> Result<()> {
        self.make_durable(self.written_end())
    }

    /// Waits for a sync that another thread carries out.
    pub fn wait_for_others(&self, position: u64) -> Result<()> {
        self.chain().durability.wait_for_others(position)
    }

    /// As a task does: ready when the frame at `lsn` is durable.
    pub async fn durable_at(&self, lsn: u64) -> Result<()> {
        let mut wish = Wish::new(Arc::clone(&self.0.chain), lsn);
        core::future::poll_fn(|context| wish.poll(context.waker())).await
    }

    /// Where there is no room it fails.
    pub fn try_append(&self, payload: &[u8]) -> Result<Written> {
        try_append(self.chain(), payload).map(Written::from)
    }

    /// As a task does: where there is no room it waits as a future.
    pub async fn append_async(&self, payload: &[u8]) -> Result<Written> {
        loop {
            match try_append(self.chain(), payload) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                outcome => return outcome.map(Written::from),
            }
            Room::new(self.chain(), room_for(self.chain(), &[payload])).await?;
        }
    }

    /// What the thread does that syncs for tasks.
    pub fn serve_tasks(&self) {
        while let Some(position) = self.chain().durability.next_errand() {
            if self.make_durable(position).is_err() {
                break;
            }
        }
    }

    /// Ends that thread.
    pub fn dismiss_deputy(&self) {
        self.chain().durability.dismiss();
    }

    pub fn poison(&self) {
        let failure = std::io::Error::from(std::io::ErrorKind::Other);
        self.chain().poison(Error::poisoned(Path::new("model"), failure));
    }

    /// Gives out no more claims, and waits for none.
    #[must_use]
    pub fn close_claims(&self) -> bool {
        self.chain().close()
    }

    /// Gives out no more claims, and ends the keeper.
    pub fn stop(&self) -> bool {
        let first = self.chain().close();
        self.chain().supply().stop();
        first
    }

    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.chain().is_closed()
    }

    /// Closes the log; true for the one caller that closed it.
    pub fn close(&self) -> Result<bool> {
        let first = self.stop();
        let end = self.written_end();
        self.chain().wait_published(end)?;
        self.make_durable(end)?;
        Ok(first)
    }

    // ---- Readers

    pub fn read(&self, lsn: u64) -> Result<PinnedRecord> {
        read_live(self.chain(), lsn)
    }

    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(self.chain())
    }

    pub fn tail(&self, from: u64) -> Result<Tail> {
        Tail::new(Arc::clone(&self.0.chain), Lsn::new(from), Progress::Published)
    }

    pub fn tail_durable(&self, from: u64) -> Result<Tail> {
        Tail::new(Arc::clone(&self.0.chain), Lsn::new(from), Progress::Durable)
    }

    #[must_use]
    pub fn watch_published(&self, beyond: u64) -> Watcher {
        Watcher::new(Arc::clone(&self.0.chain), Progress::Published, Lsn::new(beyond))
    }

    #[must_use]
    pub fn watch_durable(&self, beyond: u64) -> Watcher {
        Watcher::new(Arc::clone(&self.0.chain), Progress::Durable, Lsn::new(beyond))
    }

    // ---- Readers in other processes

    /// Answers readers in other processes until `stopped`.
    pub fn answer(&self, stopped: impl Fn() -> bool) {
        Desk::new(Arc::clone(&self.0.chain), std::sync::Arc::clone(&self.0.page)).run(stopped);
    }

    /// Has whoever answers ask whether it is stopped.
    pub fn rouse(&self) {
        self.0.page.rouse();
    }

    /// Waits as a reader in another process does, until the log is published beyond `position`, and returns the record
    /// there. (The files by which such a reader finds it are not modelled.)
    pub fn read_from_elsewhere(&self, position: u64) -> Vec<u8> {
        let mut tail = self.tail(position).expect("a tail");
        self.wait_elsewhere(Progress::Published, position, || {
            tail.try_next().expect("no damage").map(|record| record.payload().to_vec())
        })
    }

    /// The same, until the log is durable beyond `position`; returns how far.
    pub fn durable_from_elsewhere(&self, position: u64) -> u64 {
        let page = &self.0.page;
        self.wait_elsewhere(Progress::Durable, position, || Some(page.durable()).filter(|at| *at > position))
    }

    fn wait_elsewhere<T>(&self, progress: Progress, position: u64, mut look: impl FnMut() -> Option<T>) -> T {
        let mut caller = Caller::new(progress);
        loop {
            if let Some(found) = look() {
                return found;
            }
            caller.pause(position, None, &mut Patience::new(), || Some(std::sync::Arc::clone(&self.0.page)));
        }
    }

    // ---- Retiring

    /// Where the log begins.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.chain().catalog.start()
    }

    /// Drops the segments below `number` from the log.
    pub fn retire(&self, number: u64) {
        lock(&self.0.retired).add(self.chain().catalog.take_before(number));
        self.chain().release_published();
        self.chain().tell_everybody();
    }

    /// Lets go of segments that are wholly published.
    pub fn release_published(&self) {
        self.chain().release_published();
    }

    /// Zeroes the retired segments that nobody holds, as reuse does; returns how many there were.
    pub fn recycle(&self) -> usize {
        let mut unpinned = Vec::new();
        lock(&self.0.retired).take_unpinned(|segment| unpinned.push(segment));
        Self::zero(&unpinned);
        unpinned.len()
    }

    /// Unmaps the segments below the published watermark that nobody holds, and zeroes what was their memory, as other
    /// use of it might; returns how many there were. (The model cannot map them again.)
    pub fn unmap_idle(&self) -> usize {
        let catalog = &self.chain().catalog;
        catalog.settle(self.chain().published().position());
        let idle = catalog.take_idle(16, 16);
        Self::zero(&idle);
        idle.len()
    }

    #[allow(unsafe_code)]
    fn zero(segments: &[Segment]) {
        for segment in segments {
            let region = &segment.body().expect("mapped").region;
            // SAFETY: nobody else has the segment.
            unsafe { region.slice_mut(HEADER_BYTES as usize, SEGMENT_BYTES as usize) }.fill(0);
        }
    }

    // ---- What must hold

    /// Everything below the durable watermark is published in what a power cut would leave.
    pub fn assert_durable_is_flushed(&self) {
        let durable = self.durable();
        let view = self.chain().catalog.view();
        let mut at = view.start();
        while at < durable {
            let segment = view.find_at(at).expect("a segment below the watermark");
            let word = segment.body().expect("mapped").region.durable_word(segment.file_offset(at));
            at += match parse(word) {
                Parsed::Padding { bytes } => bytes,
                Parsed::Record { payload_len, .. } => frame_bytes(payload_len),
                other => panic!("{durable} is durable, and at {at} the disk has {other:?}"),
            };
        }
    }

    /// When no thread writes any more: everything that can be is published, frame follows frame without a gap,
    /// every checksum holds. Returns the records.
    pub fn audit(&self) -> Vec<(u64, Vec<u8>)> {
        let end = self.written_end();
        assert_eq!(self.advance_published(), end, "a claim was neither published nor padded");
        self.records_below(end)
    }

    /// The records below `end`, which is published.
    pub fn records_below(&self, end: u64) -> Vec<(u64, Vec<u8>)> {
        let mut records = Vec::new();
        for segment in self.chain().catalog.view().iter() {
            let mapped = Mapped::new(segment).expect("mapped");
            let mut at = 0;
            while segment.base() + at < end {
                at = match mapped.examine(at) {
                    Found::Record(frame) => {
                        records.push((segment.base() + at, mapped.payload(&frame).to_vec()));
                        frame.next()
                    }
                    Found::Padding { next } => next,
                    Found::End => break,
                    other => panic!("{other:?} at {}", segment.base() + at),
                };
            }
        }
        records
    }
}
