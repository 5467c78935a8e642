//! A histogram with fixed buckets: sixteen to each doubling, so that what it tells is at most 1/16 too large.

use core::ops::RangeInclusive;
use core::time::Duration;
use std::sync::OnceLock;

use crate::primitive::{Ordering, Tally};

/// A doubling has 2 to this many buckets.
const SHARE_BITS: u32 = 4;
const SHARE: u64 = 1 << SHARE_BITS;
/// Values from here on count as the largest one below: in nanoseconds 18 minutes.
const VALUE_BITS: u32 = 40;
const BUCKETS: usize = ((VALUE_BITS - SHARE_BITS + 1) as usize) << SHARE_BITS;

/// The bucket of a value.
fn bucket(value: u64) -> usize {
    let value = value.min((1 << VALUE_BITS) - 1);
    // Below `SHARE` each value has a bucket of its own.
    let shift = (u64::BITS - 1 - SHARE_BITS).saturating_sub(value.leading_zeros());
    (u64::from(shift) * SHARE + (value >> shift)) as usize
}

/// The values of a bucket.
fn values(bucket: usize) -> RangeInclusive<u64> {
    let bucket = bucket as u64;
    let shift = (bucket / SHARE).saturating_sub(1);
    let first = bucket - shift * SHARE;
    (first << shift)..=((first + 1) << shift) - 1
}

/// How a quantity was distributed: times in nanoseconds, or counts. From [`Log::stats`](crate::Log::stats).
///
/// Values are sorted into buckets, sixteen to each doubling: a quantile is at most 1/16 above what it was, and never
/// below. [`count`](Self::count), [`sum`](Self::sum) and [`max`](Self::max) are exact. (From 2^40 on, which is 18
/// minutes in nanoseconds, values share one bucket.)
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
/// let before = log.stats();
/// for n in 0..100_u32 {
///     log.append(&n.to_le_bytes())?;
/// }
/// let syncs = log.stats().sync_latency.since(&before.sync_latency);
/// assert_eq!(syncs.count(), 100);
/// println!("half of them took at most {:?}", syncs.quantile_time(0.5));
/// assert!(syncs.quantile(0.5) <= syncs.quantile(0.99) && syncs.quantile(0.99) <= syncs.max());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// By bucket; none behind the last that has any.
    counts: Vec<u64>,
    sum: u64,
    max: u64,
}

impl Histogram {
    /// How many values there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// True when there were none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The sum of the values.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The largest value; zero when there was none.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The mean of the values; zero when there was none.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.sum as f64 / self.count().max(1) as f64
    }

    /// A value that this share of all did not exceed: `quantile(0.99)` is the 99th percentile. Shares below zero or
    /// above one count as those; zero when there was no value.
    #[must_use]
    pub fn quantile(&self, share: f64) -> u64 {
        let count = self.count();
        let rank = ((share.clamp(0.0, 1.0) * count as f64).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0;
        let found = self.counts.iter().position(|in_bucket| {
            seen += in_bucket;
            seen >= rank
        });
        found.map_or(0, |bucket| (*values(bucket).end()).min(self.max))
    }

    /// [`quantile`](Self::quantile) of times.
    #[must_use]
    pub fn quantile_time(&self, share: f64) -> Duration {
        Duration::from_nanos(self.quantile(share))
    }

    /// The buckets that have values, in ascending order: which values they are for, and how many there were.
    pub fn buckets(&self) -> impl Iterator<Item = (RangeInclusive<u64>, u64)> + '_ {
        let with_values = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        with_values.map(|(bucket, count)| (values(bucket), *count))
    }

    /// What came between an earlier reading of the same histogram and this one. The maximum is that of this one, or the
    /// end of its last bucket.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = earlier.counts.iter().copied().chain(core::iter::repeat(0));
        let differences = self.counts.iter().zip(before).map(|(now, before)| now.saturating_sub(before));
        let sum = self.sum.saturating_sub(earlier.sum);
        Self::trimmed(differences.collect(), sum, self.max)
    }

    fn trimmed(mut counts: Vec<u64>, sum: u64, max: u64) -> Self {
        let used = counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        counts.truncate(used);
        let max = used.checked_sub(1).map_or(0, |last| {
            // What does not fit the last bucket is in it all the same.
            if last + 1 < BUCKETS { max.min(*values(last).end()) } else { max }
        });
        Self { counts, sum, max }
    }
}

/// The histogram while it is being filled, by any thread. Relaxed all through: counts for people, which order nothing.
#[derive(Debug, Default)]
pub(crate) struct Distribution {
    /// Made for the first value: many a log that is opened never has one.
    counts: OnceLock<Box<[Tally]>>,
    sum: Tally,
    max: Tally,
}

impl Distribution {
    pub(crate) fn note(&self, value: u64) {
        let counts = self.counts.get_or_init(|| (0..BUCKETS).map(|_| Tally::new(0)).collect());
        self.sum.fetch_add(value, Ordering::Relaxed);
        self.max.fetch_max(value, Ordering::Relaxed);
        if let Some(count) = counts.get(bucket(value)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn note_time(&self, time: Duration) {
        self.note(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn read(&self) -> Histogram {
        let counts = self.counts.get().map_or_else(Vec::new, |counts| {
            counts.iter().map(|count| count.load(Ordering::Relaxed)).collect()
        });
        let (sum, max) = (self.sum.load(Ordering::Relaxed), self.max.load(Ordering::Relaxed));
        Histogram::trimmed(counts, sum, max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(noted: &[u64]) -> Histogram {
        let distribution = Distribution::default();
        noted.iter().for_each(|value| distribution.note(*value));
        distribution.read()
    }

    #[test]
    fn buckets_cover_every_value_once() {
        let mut next = 0;
        for bucket_number in 0..BUCKETS {
            let values = values(bucket_number);
            assert_eq!(*values.start(), next, "bucket {bucket_number}");
            assert_eq!((bucket(*values.start()), bucket(*values.end())), (bucket_number, bucket_number));
            let width = values.end() - values.start() + 1;
            assert!(width == 1 || width * SHARE <= *values.start(), "bucket {bucket_number} is too wide");
            next = values.end() + 1;
        }
        assert_eq!(next, 1 << VALUE_BITS);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_never_below_and_little_above() {
        let noted: Vec<u64> = (1..=1000).map(|n| n * n * 7919).collect();
        let histogram = of(&noted);
        assert_eq!((histogram.count(), histogram.sum()), (1000, noted.iter().sum()));
        assert_eq!(histogram.max(), 1000 * 1000 * 7919);
        for (share, true_value) in
            [(0.0, noted[0]), (0.001, noted[0]), (0.5, noted[499]), (0.99, noted[989]), (1.0, noted[999])]
        {
            let told = histogram.quantile(share);
            assert!(told >= true_value && told <= true_value + true_value / 16, "{share}: {told}");
        }
        assert_eq!(histogram.quantile(7.0), histogram.max());
        assert_eq!(histogram.quantile(f64::NAN), histogram.quantile(0.0));
        let in_buckets: u64 = histogram.buckets().map(|(_, count)| count).sum();
        assert_eq!(in_buckets, 1000);
    }

    #[test]
    fn nothing_is_zero_and_the_largest_value_is_kept() {
        let empty = of(&[]);
        assert!(empty.is_empty() && empty == Histogram::default());
        assert_eq!((empty.quantile(0.5), empty.max(), empty.mean()), (0, 0, 0.0));
        let large = of(&[3, u64::MAX]);
        assert_eq!((large.max(), large.quantile(0.4), large.count()), (u64::MAX, 3, 2));
        assert_eq!(of(&[0]).count(), 1);
    }

    #[test]
    fn a_difference_has_what_came_between() {
        let distribution = Distribution::default();
        [5, 900_000].iter().for_each(|value| distribution.note(*value));
        let before = distribution.read();
        [7, 7, 40].iter().for_each(|value| distribution.note(*value));
        let between = distribution.read().since(&before);
        assert_eq!((between.count(), between.sum()), (3, 54));
        assert_eq!(between.buckets().collect::<Vec<_>>(), [(7..=7, 2), (40..=41, 1)]);
        assert_eq!(between.max(), 41);
        let none = before.since(&before);
        assert!(none.is_empty() && none.max() == 0);
    }
}
