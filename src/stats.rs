//! Counters of a running log.

use core::time::Duration;

use crate::primitive::{AtomicU64, Ordering};

/// What a log has done since it was opened, and how far it is. From [`Log::stats`](crate::Log::stats).
///
/// The counters are kept by the background and the syncing threads; appending does not pay for them. They count from
/// the opening of the log on, and may be behind by what is under way.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
/// log.append(b"one")?;
/// let stats = log.stats();
/// println!("{} syncs, {:?} each", stats.syncs, stats.sync_time / stats.syncs.max(1) as u32);
/// assert_eq!(stats.records_published, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Syncs carried out.
    pub syncs: u64,
    /// Time spent in them, in total.
    pub sync_time: Duration,
    /// Segments made ready.
    pub segments_prepared: u64,
    /// Of these, from files of retired segments or spares.
    pub segments_recycled: u64,
    /// Segments that were sealed, which is the number of rolls.
    pub segments_sealed: u64,
    /// Segments that were retired.
    pub segments_retired: u64,
    /// Attempts to make a segment ready that failed, for want of room for example.
    pub prepare_failures: u64,
    /// Records published, as far as a sync, a snapshot or a roll has looked.
    pub records_published: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    syncs: Counter,
    sync_nanos: Counter,
    pub(crate) prepared: Counter,
    pub(crate) recycled: Counter,
    pub(crate) sealed: Counter,
    pub(crate) retired: Counter,
    pub(crate) prepare_failures: Counter,
}

/// A number that only grows; readers see some recent value.
#[derive(Debug)]
pub(crate) struct Counter(AtomicU64);

impl Default for Counter {
    fn default() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        // Relaxed: a count, it orders nothing.
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(crate) fn note_sync(&self, took: Duration) {
        self.syncs.add(1);
        self.sync_nanos.add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.get()
    }

    pub(crate) fn snapshot(&self, records_published: u64) -> Stats {
        Stats {
            syncs: self.syncs.get(),
            sync_time: Duration::from_nanos(self.sync_nanos.get()),
            segments_prepared: self.prepared.get(),
            segments_recycled: self.recycled.get(),
            segments_sealed: self.sealed.get(),
            segments_retired: self.retired.get(),
            prepare_failures: self.prepare_failures.get(),
            records_published,
        }
    }
}
