//! Counters of a running log.

mod histogram;

use core::time::Duration;

use crossbeam_utils::CachePadded;

pub use self::histogram::Histogram;

pub(crate) use self::histogram::Distribution;
use crate::lsn::Lsn;
use crate::primitive::{Ordering, Tally};

/// How far a log is: `start <= durable <= published <= claimed`, except that `start` passes `durable` when
/// records are retired that were never synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Watermarks {
    /// The first LSN that is left.
    pub start: Lsn,
    /// Everything below is on stable storage.
    pub durable: Lsn,
    /// Everything below can be read.
    pub published: Lsn,
    /// Everything below is taken; where the next record goes.
    pub claimed: Lsn,
}

impl Watermarks {
    pub(crate) const fn new(start: Lsn, durable: Lsn, published: Lsn, claimed: Lsn) -> Self {
        Self { start, durable, published, claimed }
    }
}

/// What a log has done since it was opened, and how far it is. From [`Log::stats`](crate::Log::stats).
///
/// Appending does not pay for it: what was appended is counted by whoever looks how far the log is published, and the
/// rest by the threads that sync, prepare and retire. The counts may be behind by what is under way, and are read one
/// after another, not at one moment. What a snapshot's iterators read is not counted: that takes a
/// few nanoseconds a record, and a count that threads share would be as much again.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
/// log.append(b"one")?;
/// let stats = log.stats();
/// println!("{} syncs, {:?} each", stats.syncs, stats.sync_time / stats.syncs.max(1) as u32);
/// println!("the slowest of a hundred took {:?}", stats.sync_latency.quantile_time(0.99));
/// assert_eq!((stats.records_published, stats.payload_bytes_published), (1, 3));
/// assert_eq!(stats.watermarks.durable, stats.watermarks.published);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// How far the log is; [`Watermarks::start`] is the oldest LSN that can be read.
    pub watermarks: Watermarks,
    /// Records that were appended and published.
    pub records_published: u64,
    /// Bytes of their payloads. (With headers and padding it is what `watermarks.published` has moved by.)
    pub payload_bytes_published: u64,
    /// Calls of [`Log::read`](crate::Log::read).
    pub reads: u64,
    /// Calls of [`Log::snapshot`](crate::Log::snapshot).
    pub snapshots: u64,
    /// Calls of [`Log::tail`](crate::Log::tail) that gave one.
    pub tails: u64,
    /// Syncs carried out.
    pub syncs: u64,
    /// Time spent in them, in total.
    pub sync_time: Duration,
    /// The time that each took, in nanoseconds.
    pub sync_latency: Histogram,
    /// Records that each made durable; about, as some may count to the sync before theirs.
    pub records_per_sync: Histogram,
    /// Syncs that failed. One ends the log, so it is zero or, should several fail at once, little more than one.
    pub sync_failures: u64,
    /// Segments made ready.
    pub segments_prepared: u64,
    /// Of these, from files of retired segments or spares.
    pub segments_recycled: u64,
    /// The time that it took to make each ready, in nanoseconds.
    pub prepare_latency: Histogram,
    /// Attempts to make a segment ready that failed, for want of room for example.
    pub prepare_failures: u64,
    /// The time that appends waited because no segment was ready, in nanoseconds; its
    /// [`count`](Histogram::count) is how many had to wait.
    pub segment_waits: Histogram,
    /// Segments that were sealed, which is the number of rolls.
    pub segments_sealed: u64,
    /// Segments that were retired.
    pub segments_retired: u64,
    /// Of these, those that snapshots, tails or records still held when the background looked last: their room is not free.
    pub segments_held: u64,
    /// The time of each [`Log::retire_before`](crate::Log::retire_before) that dropped segments, in nanoseconds.
    pub retire_latency: Histogram,
    /// How often a reader, a sync or the background met damage in a segment. The same damage counts each time.
    pub corruption_events: u64,
}

/// What the parts of a log count. Each group is written by threads of one kind, and has cache lines of its own.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) syncs: CachePadded<SyncCounters>,
    pub(crate) upkeep: CachePadded<UpkeepCounters>,
    pub(crate) reads: CachePadded<Counter>,
    pub(crate) snapshots: Counter,
    pub(crate) tails: Counter,
}

/// By whoever leads a sync.
#[derive(Debug, Default)]
pub(crate) struct SyncCounters {
    latency: Distribution,
    records: Distribution,
    /// Records that the syncs before made durable.
    records_before: Tally,
    pub(crate) failures: Counter,
}

/// By the keeper, and who retires.
#[derive(Debug, Default)]
pub(crate) struct UpkeepCounters {
    pub(crate) prepared: Distribution,
    pub(crate) recycled: Counter,
    pub(crate) prepare_failures: Counter,
    pub(crate) sealed: Counter,
    pub(crate) retired: Counter,
    pub(crate) held: Gauge,
    pub(crate) retirements: Distribution,
}

/// A number that only grows; readers see some recent value.
#[derive(Debug, Default)]
pub(crate) struct Counter(Tally);

impl Counter {
    #[inline]
    pub(crate) fn add(&self, count: u64) {
        // Relaxed: a count, it orders nothing.
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that is set anew.
#[derive(Debug, Default)]
pub(crate) struct Gauge(Tally);

impl Gauge {
    pub(crate) fn set(&self, value: u64) {
        // Relaxed, as in `Counter`.
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    /// A sync was carried out; by then `records` were published.
    pub(crate) fn note_sync(&self, took: Duration, records: u64) {
        self.syncs.latency.note_time(took);
        // One sync at a time; who leads the next has the lock after this.
        let before = self.syncs.records_before.swap(records, Ordering::Relaxed);
        self.syncs.records.note(records.saturating_sub(before));
    }

    /// How many syncs there were.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.latency.read().count()
    }

    /// What was counted here; the rest is for others to tell.
    pub(crate) fn read(&self) -> Stats {
        let SyncCounters { latency, records, failures, .. } = &*self.syncs;
        let upkeep = &*self.upkeep;
        let (sync_latency, prepare_latency) = (latency.read(), upkeep.prepared.read());
        Stats {
            reads: self.reads.get(),
            snapshots: self.snapshots.get(),
            tails: self.tails.get(),
            syncs: sync_latency.count(),
            sync_time: Duration::from_nanos(sync_latency.sum()),
            sync_latency,
            records_per_sync: records.read(),
            sync_failures: failures.get(),
            segments_prepared: prepare_latency.count(),
            prepare_latency,
            segments_recycled: upkeep.recycled.get(),
            prepare_failures: upkeep.prepare_failures.get(),
            segments_sealed: upkeep.sealed.get(),
            segments_retired: upkeep.retired.get(),
            segments_held: upkeep.held.get(),
            retire_latency: upkeep.retirements.read(),
            ..Stats::default()
        }
    }
}
