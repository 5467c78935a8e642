//! Medians, and a histogram of latencies.

use serde::{Deserialize, Serialize};

/// Buckets for each power of two: values are told apart to about 3 %.
const PARTS: u64 = 32;

/// Counts nanoseconds in buckets whose width grows with the value.
#[derive(Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    max: u64,
}

impl Histogram {
    pub fn new() -> Self {
        Self { counts: vec![0; (64 * PARTS) as usize], max: 0 }
    }

    pub fn record(&mut self, nanos: u64) {
        self.counts[bucket(nanos)] += 1;
        self.max = self.max.max(nanos);
    }

    pub fn add(&mut self, other: &Self) {
        for (mine, more) in self.counts.iter_mut().zip(&other.counts) {
            *mine += more;
        }
        self.max = self.max.max(other.max);
    }

    pub fn latency(&self) -> Option<Latency> {
        let total: u64 = self.counts.iter().sum();
        (total > 0).then(|| Latency {
            p50: self.quantile(total, 0.5),
            p99: self.quantile(total, 0.99),
            p999: self.quantile(total, 0.999),
            max: self.max,
        })
    }

    fn quantile(&self, total: u64, part: f64) -> u64 {
        let wanted = ((total as f64 * part).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return middle(index as u64).min(self.max);
            }
        }
        self.max
    }
}

fn bucket(value: u64) -> usize {
    if value < PARTS {
        return value as usize;
    }
    let power = u64::from(value.ilog2());
    let part = (value >> (power - PARTS.ilog2() as u64)) - PARTS;
    ((power - PARTS.ilog2() as u64 + 1) * PARTS + part) as usize
}

/// The value in the middle of a bucket.
fn middle(bucket: u64) -> u64 {
    if bucket < PARTS {
        return bucket;
    }
    let shift = bucket / PARTS - 1;
    let low = (PARTS + bucket % PARTS) << shift;
    low + (1 << shift) / 2
}

/// Nanoseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Latency {
    pub p50: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
}

/// The middle, and how far the rounds were apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 };
        Some(Self { median, min, max })
    }
}

/// The median, or zero of nothing.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    Spread::of(values).map_or(0.0, |spread| spread.median)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_near_the_middle_of_its_bucket() {
        for value in (0..100_000).chain([1 << 40, (1 << 40) + 12_345, u64::MAX >> 1]) {
            let near = middle(bucket(value) as u64);
            assert!(near.abs_diff(value) <= value / 32 + 1, "{value} is told as {near}");
        }
        assert!(bucket(u64::MAX) < (64 * PARTS) as usize);
    }

    #[test]
    fn quantiles_of_a_ramp() {
        let mut histogram = Histogram::new();
        (1..=1000).for_each(|value| histogram.record(value * 100));
        let latency = histogram.latency().unwrap();
        assert!(latency.p50.abs_diff(50_000) < 2_000, "{latency:?}");
        assert!(latency.p99.abs_diff(99_000) < 4_000, "{latency:?}");
        assert_eq!(latency.max, 100_000);
    }

    #[test]
    fn medians() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(median([1.0, 2.0]), 1.5);
        assert_eq!(Spread::of([]), None);
    }
}
