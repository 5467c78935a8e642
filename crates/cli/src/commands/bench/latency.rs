//! How long something took, again and again: sixteen classes to each doubling, so what is told is at most 1/16 too much.

use std::time::Duration;

use serde_json::{Value, json};

const SHARE_BITS: u32 = 4;
const SHARE: u64 = 1 << SHARE_BITS;
/// Longer times, which is 18 minutes, count as so long.
const VALUE_BITS: u32 = 40;
const CLASSES: usize = ((VALUE_BITS - SHARE_BITS + 1) as usize) << SHARE_BITS;

/// Times in nanoseconds.
#[derive(Clone, Debug)]
pub(super) struct Latency {
    counts: Box<[u64]>,
    sum: u64,
    max: u64,
}

fn class(nanos: u64) -> usize {
    let nanos = nanos.min((1 << VALUE_BITS) - 1);
    // Below `SHARE` each value has a class of its own.
    let shift = (u64::BITS - 1 - SHARE_BITS).saturating_sub(nanos.leading_zeros());
    (u64::from(shift) * SHARE + (nanos >> shift)) as usize
}

/// The first value of a class; that of the next one is its end.
fn first(class: usize) -> u64 {
    let class = class as u64;
    let shift = (class / SHARE).saturating_sub(1);
    (class - shift * SHARE) << shift
}

impl Latency {
    pub(super) fn new() -> Self {
        Self { counts: vec![0; CLASSES].into(), sum: 0, max: 0 }
    }

    pub(super) fn note(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.counts[class(nanos)] += 1;
        self.sum = self.sum.saturating_add(nanos);
        self.max = self.max.max(nanos);
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (mine, more) in self.counts.iter_mut().zip(&other.counts) {
            *mine += more;
        }
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub(super) fn max(&self) -> u64 {
        self.max
    }

    pub(super) fn mean(&self) -> u64 {
        self.sum / self.count().max(1)
    }

    /// What this share of all did not exceed.
    pub(super) fn quantile(&self, share: f64) -> u64 {
        let count = self.count();
        let rank = ((share * count as f64).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0;
        let found = self.counts.iter().position(|in_class| {
            seen += in_class;
            seen >= rank
        });
        found.map_or(0, |class| (first(class + 1) - 1).min(self.max))
    }

    /// The classes that have any: from, to, how many.
    pub(super) fn classes(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        let there = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        there.map(|(class, count)| (first(class), first(class + 1), *count))
    }

    /// The counts on an axis of decades from `10^from` nanoseconds on, so many parts to each.
    pub(super) fn spread(&self, axis: Axis, parts: usize) -> Vec<u64> {
        let mut spread = vec![0; axis.decades() * parts];
        for (from, to, count) in self.classes() {
            let middle = from.midpoint(to).max(1) as f64;
            let part = ((middle.log10() - f64::from(axis.from)) * parts as f64).max(0.0) as usize;
            let part = part.min(spread.len() - 1);
            spread[part] += count;
        }
        spread
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "count": self.count(),
            "mean_ns": self.mean(),
            "p50_ns": self.quantile(0.5),
            "p90_ns": self.quantile(0.9),
            "p99_ns": self.quantile(0.99),
            "p999_ns": self.quantile(0.999),
            "max_ns": self.max,
            "histogram": self.classes()
                .map(|(from, to, count)| json!({"from_ns": from, "to_ns": to, "count": count})).collect::<Vec<_>>(),
        })
    }
}

/// Powers of ten of nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    pub(super) from: u32,
    pub(super) to: u32,
}

impl Axis {
    /// One on which all of these find room.
    pub(super) fn over<'a>(all: impl Iterator<Item = &'a Latency> + Clone) -> Self {
        let least =
            all.clone().filter_map(|latency| latency.classes().next()).map(|(from, ..)| from.max(1)).min();
        let most = all.map(Latency::max).max().unwrap_or(1).max(1);
        let from = least.unwrap_or(1).ilog10();
        Self { from, to: (most.ilog10() + 1).max(from + 1) }
    }

    pub(super) fn decades(self) -> usize {
        (self.to - self.from) as usize
    }
}

/// A time as people read it, to three digits.
pub(super) fn short(nanos: u64) -> String {
    let (value, unit) = match nanos {
        0..1_000 => return format!("{nanos} ns"),
        1_000..1_000_000 => (nanos as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (nanos as f64 / 1e6, "ms"),
        _ => (nanos as f64 / 1e9, "s"),
    };
    match value {
        0.0..9.995 => format!("{value:.2} {unit}"),
        9.995..99.95 => format!("{value:.1} {unit}"),
        _ => format!("{value:.0} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_has_one_class_and_quantiles_are_little_above() {
        for number in 0..CLASSES - 1 {
            let (from, to) = (first(number), first(number + 1));
            assert!(from < to && class(from) == number && class(to - 1) == number, "{number}");
        }
        assert_eq!(class(u64::MAX), CLASSES - 1);
        let mut latency = Latency::new();
        (1..=1000_u64).for_each(|n| latency.note(Duration::from_nanos(n * 1000)));
        for (share, exact) in [(0.001, 1000), (0.5, 500_000), (0.99, 990_000), (1.0, 1_000_000)] {
            let told = latency.quantile(share);
            assert!((exact..=exact + exact / 16).contains(&told), "{share}: {told}");
        }
        assert_eq!((latency.count(), latency.mean(), latency.max()), (1000, 500_500, 1_000_000));
        let mut twice = latency.clone();
        twice.add(&latency);
        assert_eq!((twice.count(), twice.quantile(0.5)), (2000, latency.quantile(0.5)));
        assert_eq!(Latency::new().quantile(0.5), 0);
    }

    #[test]
    fn an_axis_loses_no_count() {
        let mut latency = Latency::new();
        for nanos in [0, 1, 9, 10, 99, 1000, 54_321, u64::MAX] {
            latency.note(Duration::from_nanos(nanos));
        }
        let axis = Axis::over([&latency].into_iter());
        assert_eq!(latency.spread(axis, 3).iter().sum::<u64>(), latency.count());
        assert_eq!(Axis::over(std::iter::empty()).decades(), 1);
        let mut one = Latency::new();
        one.note(Duration::from_nanos(150));
        assert_eq!(Axis::over([&one].into_iter()), Axis { from: 2, to: 3 });
        assert_eq!(one.spread(Axis { from: 2, to: 3 }, 10)[1], 1);
    }

    #[test]
    fn times_are_short() {
        let texts = [0, 999, 1000, 9_999, 12_345, 999_900, 1_234_567, 61_000_000_000].map(short);
        assert_eq!(
            texts,
            ["0 ns", "999 ns", "1.00 µs", "10.0 µs", "12.3 µs", "1000 µs", "1.23 ms", "61.0 s"]
        );
    }
}
