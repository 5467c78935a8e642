//! Keeping the log supplied: segments are prepared ahead, marked when they are full, and recycled when they
//! were retired.

mod retention;
mod upkeep;

pub(crate) use self::retention::Retention;
pub(crate) use self::upkeep::Upkeep;
use self::upkeep::{PERIOD_BUSY, PERIOD_IDLE, Rounds};

use std::sync::OnceLock;
use std::time::Instant;

use crate::chain::{Chain, Demand, Page, Retired, Shelf, UNMAPPED_FOR_ONE};
use crate::cursors::Cursors;
use crate::error::{Error, Result};
use crate::event::{Announcer, Event};
use crate::format::header::{Identity, Session, TailMark};
use crate::limits::SEGMENTS_AHEAD;
use crate::listener::Listener;
use crate::lsn::Lsn;
use crate::primitive::{Arc, Mutex, lock};
use crate::segment::Segment;
use crate::stats::Counters;
use crate::storage::{Directory, Failure, Preparation, Spare};
use crate::telemetry::Telemetry;
use crate::trace;

/// The keeper of a partition takes so many write faults ahead in the segment that it begins with.
const POPULATE_THRIFTY_BYTES: usize = 64 << 10;

/// Prepares, marks and recycles segments.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) chain: Arc<Chain>,
    pub(crate) directory: Arc<Directory>,
    /// How the segments of this opening are headed; the start is set for each.
    pub(crate) session: Session,
    pub(crate) log_id: [u8; 16],
    pub(crate) how: Preparation,
    pub(crate) spares_max: usize,
    /// The segment that a partition's opening begins with: until the log has grown beyond it, nothing is prepared that may
    /// never be used. `None` for a log that is alone.
    pub(crate) thrifty_until: Option<u64>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) stock: Mutex<Stock>,
    /// By which readers in other processes are woken, and how many of their questions an earlier opening got.
    pub(crate) page: OnceLock<(std::sync::Arc<Page>, u64)>,
    pub(crate) retention: Retention,
    pub(crate) cursors: Arc<Cursors>,
    pub(crate) announcer: Arc<Announcer>,
}

/// Files to make segments of, and retired segments that somebody still holds.
#[derive(Debug, Default)]
pub(crate) struct Stock {
    spares: Vec<Spare>,
    /// The next number for a spare's name.
    next_spare: u64,
    /// Removed from the log and from the directory once nobody holds them.
    retired: Retired,
    /// When a segment was last made ready.
    synced: Option<Synced>,
}

/// How much was synced at some time.
#[derive(Clone, Copy, Debug)]
struct Synced {
    durable: u64,
    through_file: u64,
    syncs: u64,
}

impl Stock {
    pub(crate) fn new(spares: Vec<Spare>, next_spare: u64) -> Self {
        Self { spares, next_spare, retired: Retired::default(), synced: None }
    }
}

impl Keeper {
    /// Has readers in other processes woken by way of `page`. Whatever recovery repaired is there to see.
    pub(crate) fn serve(&self, page: Page) {
        let page = std::sync::Arc::new(page);
        let earlier = page.begin(self.chain.durability.durable());
        self.chain.durability.show_on(std::sync::Arc::clone(&page));
        let _ = self.page.set((page, earlier));
    }

    /// Wakes readers in other processes, when nobody is left to answer them.
    pub(crate) fn tell_readers(&self) {
        if let Some((page, _)) = self.page.get() {
            page.tell();
        }
    }

    /// Makes the next segment ready and puts it into use.
    pub(crate) fn prepare_next(&self) -> core::result::Result<(), Failure> {
        let began = Instant::now();
        let number = self.chain.next_segment();
        let identity =
            Identity { log_id: self.log_id, number, segment_bytes: self.chain.geometry.segment_bytes() };
        let _span = trace::prepare(number, identity.base());
        let session = Session { start: identity.base(), ..self.session };
        let (spare, how) = {
            let mut stock = lock(&self.stock);
            let (bytes, through_file) = self.bytes_a_sync(&mut stock);
            (stock.spares.pop(), self.how.for_groups_of(bytes, through_file))
        };
        let how = if self.thrifty_until.is_some_and(|first| number <= first) {
            Preparation { populate_bytes: how.populate_bytes.min(POPULATE_THRIFTY_BYTES), ..how }
        } else {
            how
        };
        let recycled = spare.is_some();
        let body = self.directory.prepare(&identity, &session, how, spare)?;
        self.counters.upkeep.recycled.add(u64::from(recycled));
        self.counters.upkeep.prepared.note_time(began.elapsed());
        let segment = Arc::new(Segment::mapped(identity, body, Some(Arc::clone(&self.directory))));
        let (start, end) = (Lsn::new(segment.base()), Lsn::new(segment.end()));
        self.chain.install(segment);
        self.announcer.tell(|| Event::SegmentOpened {
            start,
            end,
            path: self.directory.segment_path(start.get()),
            recycled,
        });
        Ok(())
    }

    /// How much a sync made durable, since a segment was made ready before, and how much of that was written through files.
    fn bytes_a_sync(&self, stock: &mut Stock) -> (u64, u64) {
        let now = Synced {
            durable: self.chain.durability.durable(),
            through_file: self.chain.bytes_through_file(),
            syncs: self.counters.syncs(),
        };
        let before = stock.synced.replace(now).unwrap_or(now);
        let syncs = now.syncs.saturating_sub(before.syncs);
        let each = |now: u64, before: u64| now.saturating_sub(before).checked_div(syncs).unwrap_or(0);
        (each(now.durable, before.durable), each(now.through_file, before.through_file))
    }

    /// Runs until the supply is stopped.
    pub(crate) fn run(&self) {
        let mut rounds = Rounds::new(self);
        loop {
            let period = rounds.period(self, PERIOD_IDLE);
            match self.chain.supply().wait_demand(period) {
                Demand::Stop => return,
                demand => {
                    let waiting = demand == Demand::Waiting;
                    let tried = self.go_round(&mut rounds, waiting, u64::MAX);
                    if waiting && matches!(tried, Some(Ok(false))) {
                        // No slot is free yet, or the log is closed: the demand stands, and is looked at again.
                        std::thread::sleep(PERIOD_BUSY);
                    }
                }
            }
        }
    }

    /// Starts the thread that answers readers in other processes, when the first of them asks. Without it, for want of
    /// a thread, they look for themselves.
    fn listen(&self) -> Option<Listener> {
        let (page, earlier) = self.page.get()?;
        let asked = page.asked() != *earlier;
        asked.then(|| Listener::start(&self.chain, page)).flatten()
    }

    /// One round of what `run` does, for a log without threads.
    #[cfg(feature = "testing")]
    pub(crate) fn round(&self, marks: &mut Marks, waiting: bool) {
        self.look_after(marks);
        // Who waits is told of a failure by the supply.
        let _ = self.supply(waiting, u64::MAX);
        self.retain(true);
    }

    /// Sees which segments are full by now, and which retired ones are free.
    fn look_after(&self, marks: &mut Marks) {
        // The published watermark frees slots; it is walked only when a segment's end was passed.
        let passed = self.chain.claimed() >= marks.complete_end + self.chain.geometry.segment_bytes();
        if (passed || !self.chain.has_slot())
            && let Err(error) = self.chain.advance_published()
        {
            // A header word was overwritten in memory. Nothing behind it can be freed or made durable, so
            // appends would come to a stand without a word.
            self.announcer.tell_failure(&error);
            self.chain.poison(error.clone());
            trace::poisoned(&error);
        }
        let sealed = self.mark(marks);
        if sealed > 0 {
            trace::sealed(sealed, marks.complete_end);
        }
        self.chain.tell_overlooked();
        // A file that cannot be removed now is tried again at the next opening.
        let _ = self.release_held();
    }

    /// Prepares as many segments as are to be ready, but no more than `most`; one at least when somebody waits. False when
    /// there was nothing that it could try.
    fn supply(&self, waiting: bool, mut most: u64) -> Result<bool> {
        let mut first = true;
        while most > 0
            && !self.chain.is_closed()
            && self.chain.has_slot()
            && (self.wants_segment() || (first && waiting))
        {
            most -= 1;
            let Some(attempt) = self.chain.supply().begin_attempt() else { break };
            first = false;
            if let Err(Failure { error, device_failed }) = self.prepare_or_make_room() {
                self.counters.upkeep.prepare_failures.add(1);
                if device_failed {
                    // Before those who wait are told that the attempt failed, so that they are told why for good.
                    self.poison(&error);
                }
                self.chain.attempt_failed(attempt, error.clone());
                trace::prepare_failed(&error);
                return Err(error);
            }
            self.retain(false);
        }
        Ok(!first)
    }

    /// The device failed at a sync of one of the log's own files.
    pub(crate) fn poison(&self, cause: &Error) {
        self.directory.note_poisoned();
        let error = Error::poisoned_by(cause);
        self.announcer.tell_failure(&error);
        self.chain.poison(error);
    }

    fn wants_segment(&self) -> bool {
        let claimed = self.chain.claimed();
        let number = self.chain.geometry.number(claimed);
        let ahead = match self.thrifty_until {
            Some(first) if number <= first => {
                let used = claimed - number * self.chain.geometry.segment_bytes();
                u64::from(used >= self.chain.geometry.segment_bytes() / 2)
            }
            _ => SEGMENTS_AHEAD,
        };
        self.chain.next_segment() <= number + ahead
    }

    /// Marks the segments that are full, and those that are durable to their end. Returns how many became full.
    pub(crate) fn mark(&self, marks: &mut Marks) -> u64 {
        let boot = self.directory.boot().0;
        let complete = marks.floor(self.chain.published().position());
        let durable = marks.floor(self.chain.durability.durable());
        if complete == marks.complete_end && durable == marks.durable_end {
            return 0;
        }
        let now = self.directory.storage().unix_nanos();
        let (from, to) = (marks.complete_end.min(marks.durable_end), complete.max(durable));
        for segment in self.chain.catalog.view().made_between(from, to) {
            let end = segment.end();
            let sealed_now = end > marks.complete_end && end <= complete;
            let durable_now = end > marks.durable_end && end <= durable;
            if sealed_now {
                segment.close_file();
            }
            if sealed_now || durable_now {
                let mark = TailMark { end, durable: end <= durable, boot, sealed_unix_ns: now };
                if segment.store_tail_mark(mark) {
                    self.announcer.tell(|| Event::SegmentSealed {
                        start: Lsn::new(segment.base()),
                        end: Lsn::new(end),
                        path: self.directory.segment_path(segment.base()),
                    });
                }
            }
        }
        // Also those that were retired before they were marked.
        let sealed = (complete - marks.complete_end) / self.chain.geometry.segment_bytes();
        let settled = (durable - marks.durable_end) / self.chain.geometry.segment_bytes();
        self.counters.upkeep.sealed.add(sealed);
        marks.complete_end = complete;
        marks.durable_end = durable;
        // What is marked durable is not written to any more, and can be mapped again when somebody reads it.
        self.chain.catalog.settle(durable.min(complete));
        if self.thrifty_until.is_some() {
            // The ring would keep the last eight mapped.
            self.chain.release_published();
        }
        self.chain.catalog.make_room(sealed.max(settled) as usize * UNMAPPED_FOR_ONE);
        sealed
    }

    /// Takes over segments that were retired: their names are gone from the log already.
    pub(crate) fn discard(&self, shelves: Vec<Arc<Shelf>>) -> Result<()> {
        self.counters.upkeep.retired.add(shelves.iter().map(|shelf| shelf.len()).sum());
        lock(&self.stock).retired.add(shelves);
        self.chain.release_published();
        let outcome = self.release_held();
        self.chain.supply().poke();
        outcome.map_or(Ok(()), Err)
    }

    /// Recycles or deletes the retired segments that nobody holds any more. Returns the first failure.
    fn release_held(&self) -> Option<Error> {
        let mut stock = lock(&self.stock);
        let Stock { spares, next_spare, retired, .. } = &mut *stock;
        let mut failure: Option<Error> = None;
        retired.take_unpinned(|segment| {
            let room = spares.len() < self.spares_max;
            let number = *next_spare;
            *next_spare += 1;
            let base = segment.base();
            match self.directory.recycle(base, segment.into_region(), room.then_some(number)) {
                Ok(Some(spare)) => {
                    spares.push(spare);
                    self.announcer.tell(|| Event::SegmentRecycled { start: Lsn::new(base) });
                }
                Ok(None) => self.announcer.tell(|| Event::SegmentRemoved { start: Lsn::new(base) }),
                Err(error) => {
                    failure.get_or_insert(error);
                }
            }
        });
        self.counters.upkeep.held.set(retired.len());
        failure
    }

    /// At the end: sets the prepared but unused segments aside, from number `first` on, and removes what cannot be
    /// used again.
    pub(crate) fn put_away(&self, first: u64) -> Result<()> {
        let mut stock = lock(&self.stock);
        for spare in std::mem::take(&mut stock.spares) {
            spare.discard(&self.directory)?;
        }
        drop(self.chain.catalog.take_from(first));
        // By the directory: one whose preparation failed at its last step may have its name and no place in the log.
        // The newest first, each durably, so that no gap is left should this be cut short.
        let first_base = first * self.chain.geometry.segment_bytes();
        let unused = self.directory.list()?.segments.into_iter().filter(|base| *base >= first_base);
        for base in unused.rev() {
            let number = stock.next_spare;
            stock.next_spare += 1;
            self.directory.unprepare(base, number)?;
            self.directory.sync()?;
        }
        for segment in stock.retired.take_all() {
            // Whoever still holds it may not have read from it yet; one that cannot be mapped says so to them.
            let _ = segment.body();
            self.directory.recycle(segment.base(), None, None)?;
        }
        Ok(())
    }
}

/// How far the marks in the segments' headers reach.
#[derive(Debug)]
pub(crate) struct Marks {
    segment_bytes: u64,
    complete_end: u64,
    durable_end: u64,
}

impl Marks {
    pub(crate) fn new(tail: u64, segment_bytes: u64) -> Self {
        let floor = tail & !(segment_bytes - 1);
        Self { segment_bytes, complete_end: floor, durable_end: floor }
    }

    fn floor(&self, position: u64) -> u64 {
        position & !(self.segment_bytes - 1)
    }
}
