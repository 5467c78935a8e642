//! Many segments as one log: claims by position, rolling by arithmetic, and the bookkeeping of what is
//! prepared, published and durable.
//!
//! One `fetch_add` on one global position hands out the log. The segment of a claim is its position divided
//! by the segment size, its slot in the ring that number modulo the slots. There is no rotation protocol.

mod abandoned;
mod caller;
mod catalog;
mod desk;
mod durability;
mod frontier;
mod list;
mod locate;
mod page;
mod retired;
mod ring;
mod room;
mod sleeper;
mod supply;
mod sync;
mod watch;

pub(crate) use caller::Caller;
pub(crate) use catalog::{Catalog, UNMAPPED_FOR_ONE, View};
pub(crate) use desk::Desk;
pub(crate) use durability::{Durability, Flusher, Wish};
pub(crate) use list::{List, Origin, Shelf};
pub(crate) use locate::{check_boundary, frame_in, next_boundary, read_live, read_published, segment_at};
pub(crate) use page::Page;
pub(crate) use retired::Retired;
pub(crate) use room::Room;
pub(crate) use sleeper::{Progress, Sleeper};
pub(crate) use supply::Demand;
#[cfg(feature = "futures")]
pub(crate) use supply::Turn;
pub(crate) use watch::Watch;

use std::time::Instant;

use crossbeam_utils::CachePadded;

use self::frontier::Frontier;
use self::ring::Ring;
use self::supply::Supply;
use crate::error::{Error, Result};
use crate::format::verify::Verifier;
use crate::limits::{FRAME_HEADER_BYTES, HEADER_BYTES, POSITION_MAX, claim_max, through_file_min};
use crate::primitive::{Arc, AtomicU64, Mutex, Ordering, Patience, lock};
use crate::region::Home;
use crate::segment::Segment;
use crate::segment::claim::{Claimed, Place};
use crate::segment::scan::Published;
use crate::signal::Signal;
use crate::stats::Distribution;

/// Whether a claim waits for its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patient {
    Yes,
    No,
}

/// Set in the cursor when no more claims are given out.
const CLOSED: u64 = 1 << 63;

/// Sizes that follow from the segment size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    shift: u32,
    pub(crate) claim_max: u64,
}

impl Geometry {
    pub(crate) const fn new(segment_bytes: u64) -> Self {
        Self { shift: segment_bytes.trailing_zeros(), claim_max: claim_max(segment_bytes) }
    }

    pub(crate) const fn segment_bytes(&self) -> u64 {
        1 << self.shift
    }

    #[inline]
    pub(crate) const fn number(&self, position: u64) -> u64 {
        position >> self.shift
    }

    #[inline]
    const fn offset(&self, position: u64) -> u64 {
        position & (self.segment_bytes() - 1)
    }

    #[inline]
    const fn room(&self, position: u64) -> u64 {
        self.segment_bytes() - self.offset(position)
    }

    /// Claims that together stay within this much beyond the limit still land in prepared memory.
    const fn slack(&self) -> u64 {
        self.claim_max
    }
}

/// The log in memory: what writers, readers and the background threads share.
#[derive(Debug)]
pub(crate) struct Chain {
    /// The next position to claim, and the closed bit. The one contended line.
    cursor: CachePadded<AtomicU64>,
    /// The limit: claims are given out below it. Read-mostly; safety never depends on it, except that of a forked child,
    /// where it is zero for ever.
    home: Home,
    /// Told by every claim that ends. Read-mostly, as the limit is.
    grown: CachePadded<Signal>,
    pub(crate) durability: Durability,
    pub(crate) geometry: Geometry,
    /// Larger payloads are a special case: too large, or to be written through the file.
    pub(crate) plain_max: u64,
    /// Claims of so many bytes are written through the file. For ever out of reach where none are.
    through_file_min: u64,
    /// How many bytes were written so.
    through_file: AtomicU64,
    /// What this opening seals its frames with.
    pub(crate) verifier: Verifier,
    ring: Ring,
    pub(crate) catalog: Catalog,
    frontier: Frontier,
    supply: Supply,
    /// Why the cursor was closed, where that was not by closing the log.
    failure: Mutex<Option<Error>>,
    /// How long appends waited for segments.
    pub(crate) waits: Distribution,
}

impl Chain {
    /// A log whose frames from `start`, where a segment begins, to `tail` are written, published and durable, with no
    /// segment to write to yet.
    pub(crate) fn new(
        geometry: Geometry,
        verifier: Verifier,
        start: u64,
        tail: u64,
        origin: Option<Origin>,
    ) -> Self {
        // A model, and a log without threads of its own, is never forked.
        let home = Home::new(origin.as_ref().is_some_and(|origin| origin.directory.has_threads()));
        let prepared_end = tail & !(geometry.segment_bytes() - 1);
        let numbers = geometry.number(start)..geometry.number(prepared_end);
        Self {
            cursor: CachePadded::new(AtomicU64::new(tail)),
            home,
            grown: CachePadded::new(Signal::new()),
            durability: Durability::new(tail),
            geometry,
            plain_max: geometry.claim_max - FRAME_HEADER_BYTES,
            through_file_min: u64::MAX,
            through_file: AtomicU64::new(0),
            verifier,
            ring: Ring::new(),
            catalog: Catalog::new(List::new(numbers, geometry.shift, origin)),
            frontier: Frontier::new(tail),
            supply: Supply::new(prepared_end),
            failure: Mutex::new(None),
            waits: Distribution::default(),
        }
    }

    /// Large claims are written through the file from now on.
    pub(crate) fn write_through_file(&mut self) {
        self.through_file_min = through_file_min(self.geometry.segment_bytes());
        self.plain_max = self.through_file_min - FRAME_HEADER_BYTES - 1;
    }

    /// True where a claim of this size is written through the file.
    pub(crate) fn goes_through_file(&self, bytes: u64) -> bool {
        bytes >= self.through_file_min
    }

    pub(crate) fn note_through_file(&self, bytes: u64) {
        // Relaxed, here and below: a hint for those who sync and prepare.
        self.through_file.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How many bytes were written through the file so far.
    pub(crate) fn bytes_through_file(&self) -> u64 {
        self.through_file.load(Ordering::Relaxed)
    }

    /// Takes `bytes` of the log for this thread alone.
    ///
    /// # Errors
    /// `Closed`, `Poisoned`, or why no segment could be prepared.
    #[inline(always)]
    pub(crate) fn claim(&self, bytes: u64) -> Result<Claimed<'_>> {
        self.claim_by(bytes, Patient::Yes)
    }

    /// The same, but where it would wait for a segment it fails at once.
    ///
    /// # Errors
    /// `WouldBlock`, `Closed`, `Poisoned`.
    pub(crate) fn try_claim(&self, bytes: u64) -> Result<Claimed<'_>> {
        self.claim_by(bytes, Patient::No)
    }

    #[inline(always)]
    fn claim_by(&self, bytes: u64, patient: Patient) -> Result<Claimed<'_>> {
        let mut position = self.reserve(bytes, patient)?;
        if bytes > self.geometry.room(position) {
            position = self.reserve_behind(position, bytes, patient)?;
        }
        self.occupy(position, bytes, patient)
    }

    #[inline(always)]
    fn reserve(&self, bytes: u64, patient: Patient) -> Result<u64> {
        loop {
            // Relaxed: the limit only paces; what a claim touches is ordered by INSTALL.
            let claimed = self.cursor.load(Ordering::Relaxed);
            if claimed + bytes > self.home.limit().load(Ordering::Relaxed) {
                self.wait_for_room(bytes, patient)?;
                continue;
            }
            // Relaxed: positions are values, and one variable has one modification order. An append that
            // begins after another returned claims after it by coherence (G1).
            let position = self.cursor.fetch_add(bytes, Ordering::Relaxed);
            if position == claimed {
                // The processor guesses that nobody came between, and works out what follows from the value that it
                // has already, while the addition is under way.
                return Ok(claimed);
            }
            if position & CLOSED != 0 {
                return Err(self.closed_error());
            }
            return Ok(position);
        }
    }

    /// The claim at `position` straddles a segment's end: both parts become padding, and the next try fits.
    #[cold]
    fn reserve_behind(&self, mut position: u64, bytes: u64, patient: Patient) -> Result<u64> {
        loop {
            let room = self.geometry.room(position);
            if bytes <= room {
                return Ok(position);
            }
            let first = self.occupy(position, room, patient);
            let second = self.occupy(position + room, bytes - room, patient);
            first?.abort();
            second?.abort();
            position = self.reserve(bytes, patient)?;
        }
    }

    /// Begins a frame on a range that `reserve` gave to this thread, within one segment.
    #[inline(always)]
    fn occupy(&self, position: u64, bytes: u64, patient: Patient) -> Result<Claimed<'_>> {
        let number = self.geometry.number(position);
        let place = Place {
            lsn: position,
            file_offset: (HEADER_BYTES + self.geometry.offset(position)) as usize,
            bytes,
            seed: self.verifier.seed,
            lag: crate::format::frame::lag(position, self.durability.hint()),
        };
        let wait = || self.wait_for_segment(position, bytes, patient);
        let begun = self.ring.begin(number, place, &self.grown, wait)?;
        begun.ok_or_else(|| self.closed_error())
    }

    /// Waits for the segment of a claim that overran the prepared ones.
    #[cold]
    fn wait_for_segment(&self, position: u64, bytes: u64, patient: Patient) -> Result<()> {
        let number = self.geometry.number(position);
        let installed = || self.ring.holds(number);
        // A log that is closed or poisoned gets no more segments. And inside a closure of `append_with`, the claim
        // of that one may be what keeps the slot of this one's segment from being free.
        let refused = || {
            let closed = self.is_closed().then(|| self.closed_error());
            // A task goes on to wait for room, which asks for the segment.
            let closed = closed.or_else(|| (patient == Patient::No).then(Error::would_block));
            closed.or_else(|| crate::reentry::refuse_inside_claim().err())
        };
        let began = Instant::now();
        let outcome = self.supply.wait_installed(position, bytes, installed, refused);
        self.waits.note_time(began.elapsed());
        outcome
    }

    #[cold]
    fn wait_for_room(&self, bytes: u64, patient: Patient) -> Result<()> {
        self.refuse_in_child()?;
        if patient == Patient::No {
            return self.supply.ask(|| self.see_room(bytes));
        }
        // With a claim open, this thread could itself be what holds the preparer up.
        crate::reentry::refuse_inside_claim()?;
        let began = Instant::now();
        let mut looks = 0;
        let outcome = self.supply.wait_until(|| {
            looks += 1;
            self.see_room(bytes)
        });
        // Often the segment has just come.
        if looks > 1 {
            self.waits.note_time(began.elapsed());
        }
        outcome
    }

    /// Whether there is room, or why there will be none. The caller holds the supply's lock.
    fn see_room(&self, bytes: u64) -> Option<Result<()>> {
        // Relaxed: the supply's lock orders this after whoever closed, poisoned or installed.
        let claimed = self.cursor.load(Ordering::Relaxed);
        if claimed & CLOSED != 0 {
            return Some(Err(self.closed_error()));
        }
        if claimed > POSITION_MAX {
            return Some(Err(Error::invalid_option("the log's positions are used up; begin a new log")));
        }
        (claimed + bytes <= self.home.limit().load(Ordering::Relaxed)).then_some(Ok(()))
    }

    /// Why nothing is given out any more.
    #[cold]
    pub(crate) fn closed_error(&self) -> Error {
        lock(&self.failure).clone().unwrap_or_else(Error::closed)
    }

    /// Gives out no more claims, and wakes who sleeps. Returns true to the one caller that closed.
    pub(crate) fn close(&self) -> bool {
        let first = self.close_cursor();
        self.tell_everybody();
        first
    }

    /// Wakes all who sleep until the log has grown or become durable: something has happened that does not come by a
    /// claim or a sync. No lock is held.
    pub(crate) fn tell_everybody(&self) {
        self.grown.tell_everybody();
        self.durability.tell_everybody();
        self.supply.tell_tasks();
    }

    /// To be called now and then: see `Signal::tell_overlooked`.
    pub(crate) fn tell_overlooked(&self) {
        self.grown.tell_overlooked();
    }

    fn close_cursor(&self) -> bool {
        self.supply.close(|| {
            // Relaxed: see `reserve`. Claims after this are refused, so the position is the end of the log.
            let before = self.cursor.fetch_or(CLOSED, Ordering::Relaxed);
            (before & CLOSED == 0).then_some(before)
        })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.cursor.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// Everything that was claimed so far ends here.
    pub(crate) fn claimed(&self) -> u64 {
        let position = self.cursor.load(Ordering::Relaxed);
        if position & CLOSED == 0 { position } else { self.supply.end() }
    }

    /// The published watermark as it was last seen; may lag behind the writers.
    pub(crate) fn published(&self) -> Published {
        self.frontier.last()
    }

    /// Looks how far the log is published without a gap.
    ///
    /// # Errors
    /// `Corrupt` when a header word in memory is none that a writer stores.
    pub(crate) fn advance_published(&self) -> Result<Published> {
        if self.is_inherited() {
            // Whoever held the walk's lock when the process was forked is not here to give it up.
            return Ok(self.published());
        }
        self.frontier.advance(&self.catalog)
    }

    /// Waits until everything below `position` is published. Others' claims are short: a copy, or a closure
    /// of `append_with`.
    pub(crate) fn wait_published(&self, position: u64) -> Result<Published> {
        let mut published = self.published();
        let mut patience = Patience::new();
        while published.position() < position {
            let seen = self.advance_published()?;
            if seen > published {
                patience.reset();
            } else if seen.position() < position {
                patience.pause();
                self.see_progress_possible()?;
            }
            published = seen;
        }
        Ok(published)
    }

    /// Everything that was appended when this is called: the end of all claims that have a segment. (A claim
    /// without one never returned.)
    pub(crate) fn written_end(&self) -> u64 {
        self.claimed().min(self.supply.prepared_end())
    }

    /// Where the log ends for good; `None` while it may grow.
    pub(crate) fn final_end(&self) -> Option<u64> {
        if self.is_closed() { self.supply.final_end() } else { None }
    }

    /// Records below the watermark, counted by whoever moved it.
    pub(crate) fn records_published(&self) -> u64 {
        self.frontier.records()
    }

    /// The same, and the bytes of their payloads.
    pub(crate) fn published_so_far(&self) -> (u64, u64) {
        (self.frontier.records(), self.frontier.payload_bytes())
    }

    // ---- The preparer's side -------------------------------------------------------------------------

    /// The number of the next segment to prepare.
    pub(crate) fn next_segment(&self) -> u64 {
        self.geometry.number(self.supply.prepared_end())
    }

    /// True when the ring has a place for the next segment: the one that had it is published to its end.
    pub(crate) fn has_slot(&self) -> bool {
        let number = self.next_segment();
        let slots = crate::limits::RING_SLOTS;
        number < slots || self.published().position() >= (number - slots + 1) * self.geometry.segment_bytes()
    }

    /// Puts the next segment into use. RECYCLE: the slot's earlier segment is wholly published, which the
    /// caller knows from `has_slot`.
    pub(crate) fn install(&self, segment: Arc<Segment>) {
        debug_assert_eq!(segment.number(), self.next_segment());
        let published = self.published();
        let end = segment.end();
        self.catalog.push(Arc::clone(&segment));
        let number = segment.number();
        self.supply.install(
            end,
            || {
                let fits = self.ring.install(number, segment, published);
                debug_assert!(fits, "installed over a segment in use");
            },
            |position, bytes| {
                // Claims that gave up while there was no segment: theirs to write, nobody else's, as padding.
                if let Ok(claimed) = self.occupy(position, bytes, Patient::Yes) {
                    claimed.abort();
                }
            },
            || {
                // Relaxed: a hint, see `reserve`. INSTALL orders what the claims touch.
                self.home.limit().store(end - self.geometry.slack(), Ordering::Relaxed);
            },
        );
        self.tell_of_the_end();
    }

    /// An attempt to prepare a segment has failed.
    pub(crate) fn attempt_failed(&self, attempt: u64, error: Error) {
        self.supply.attempt_failed(attempt, error);
        self.tell_of_the_end();
    }

    /// Where the log was closed while a segment was on its way, its end is known only now.
    fn tell_of_the_end(&self) {
        // Either the close came before the supply's lock was given up, and is seen here; or it finds no segment on its
        // way, and whom it wakes sees the end.
        if self.is_closed() {
            self.tell_everybody();
        }
    }

    /// Lets go of segments that nobody writes to any more.
    pub(crate) fn release_published(&self) {
        self.ring.clear(self.published());
    }

    /// Claims no longer heed the limit, until the next segment is installed.
    #[cfg(any(tidelog_loom, tidelog_shuttle))]
    pub(crate) fn lift_limit(&self) {
        self.home.limit().store(POSITION_MAX, Ordering::Relaxed);
    }

    pub(crate) fn supply(&self) -> &Supply {
        &self.supply
    }

    /// A sync failed, or a header word in memory is damaged: nothing is given out or made durable any more.
    pub(crate) fn poison(&self, error: Error) {
        // As one step for the waiters and the watermark: no append succeeds any more when the first waiter is told, and
        // the watermark does not move when the first append is refused.
        self.durability.set_poison(|| {
            let first = lock(&self.failure).get_or_insert(error).clone();
            self.close_cursor();
            first
        });
        self.grown.tell_everybody();
        self.supply.tell_tasks();
    }
}
