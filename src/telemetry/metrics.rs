//! What is told to the `metrics` facade: one table, and how its values get there.

use std::path::Path;
use std::time::{Duration, Instant};

use metrics::{Label, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::primitive::{Mutex, lock};
use crate::reentry::shielded;
use crate::stats::{Histogram, Stats};

/// The keeper reports so often. It looks for work between 10 and 1,000 times as often.
const PERIOD: Duration = Duration::from_secs(1);

/// The label of each value: the log's directory, as several logs may be open.
const LABEL: &str = "log";

const NANOSECOND: f64 = 1e-9;

/// One line of the table.
struct Metric {
    name: &'static str,
    unit: Unit,
    description: &'static str,
    value: Value,
}

/// What kind it is, and where its value comes from.
enum Value {
    Counter(fn(&Stats) -> u64),
    Gauge(fn(&Stats) -> u64),
    /// With what a value is multiplied to be in the unit.
    Histogram(fn(&Stats) -> &Histogram, f64),
}

const fn count(
    name: &'static str,
    unit: Unit,
    value: fn(&Stats) -> u64,
    description: &'static str,
) -> Metric {
    Metric { name, unit, description, value: Value::Counter(value) }
}

const fn level(
    name: &'static str,
    unit: Unit,
    value: fn(&Stats) -> u64,
    description: &'static str,
) -> Metric {
    Metric { name, unit, description, value: Value::Gauge(value) }
}

const fn times(name: &'static str, value: fn(&Stats) -> &Histogram, description: &'static str) -> Metric {
    Metric { name, unit: Unit::Seconds, description, value: Value::Histogram(value, NANOSECOND) }
}

/// Everything that is reported. `docs/METRICS.md` is held to it by a test.
#[rustfmt::skip]
static TABLE: [Metric; 24] = [
    count("tidelog_records_published_total", Unit::Count, |s| s.records_published, "Records that were appended and published"),
    count("tidelog_payload_bytes_published_total", Unit::Bytes, |s| s.payload_bytes_published, "Bytes of their payloads"),
    count("tidelog_reads_total", Unit::Count, |s| s.reads, "Records asked for by their LSN"),
    count("tidelog_snapshots_total", Unit::Count, |s| s.snapshots, "Snapshots taken"),
    count("tidelog_tails_total", Unit::Count, |s| s.tails, "Tails begun"),
    count("tidelog_syncs_total", Unit::Count, |s| s.syncs, "Syncs carried out"),
    count("tidelog_sync_failures_total", Unit::Count, |s| s.sync_failures, "Syncs that failed; one ends the log"),
    times("tidelog_sync_seconds", |s| &s.sync_latency, "Time that each sync took"),
    Metric { name: "tidelog_sync_records", unit: Unit::Count, description: "Records that each sync made durable", value: Value::Histogram(|s| &s.records_per_sync, 1.0) },
    count("tidelog_segments_prepared_total", Unit::Count, |s| s.segments_prepared, "Segments made ready"),
    count("tidelog_segments_recycled_total", Unit::Count, |s| s.segments_recycled, "Of these, from files of retired segments or spares"),
    times("tidelog_prepare_seconds", |s| &s.prepare_latency, "Time that it took to make each segment ready"),
    count("tidelog_prepare_failures_total", Unit::Count, |s| s.prepare_failures, "Attempts to make a segment ready that failed"),
    times("tidelog_segment_wait_seconds", |s| &s.segment_waits, "Time that appends waited because no segment was ready"),
    count("tidelog_segments_sealed_total", Unit::Count, |s| s.segments_sealed, "Segments that were sealed: rolls"),
    count("tidelog_segments_retired_total", Unit::Count, |s| s.segments_retired, "Segments that were retired"),
    level("tidelog_segments_held", Unit::Count, |s| s.segments_held, "Retired segments that somebody still reads"),
    times("tidelog_retire_seconds", |s| &s.retire_latency, "Time of each retirement that dropped segments"),
    count("tidelog_corruption_events_total", Unit::Count, |s| s.corruption_events, "How often damage was met; the same damage counts each time"),
    level("tidelog_start_lsn", Unit::Bytes, |s| s.watermarks.start.get(), "The oldest LSN that can be read"),
    level("tidelog_durable_lsn", Unit::Bytes, |s| s.watermarks.durable.get(), "Everything below is on stable storage"),
    level("tidelog_published_lsn", Unit::Bytes, |s| s.watermarks.published.get(), "Everything below can be read"),
    level("tidelog_claimed_lsn", Unit::Bytes, |s| s.watermarks.claimed.get(), "Where the next record goes"),
    level("tidelog_unsynced_bytes", Unit::Bytes, |s| s.watermarks.published.get().saturating_sub(s.watermarks.durable.get()), "Published and not durable: what a power cut would take"),
];

/// What one log has reported.
#[derive(Debug)]
pub(super) struct Reports {
    label: Label,
    sent: Mutex<Sent>,
}

#[derive(Debug)]
struct Sent {
    last: Instant,
    /// What the histograms had then: of those a recorder wants the values that came since.
    stats: Stats,
}

impl Reports {
    pub(super) fn new(directory: &Path) -> Self {
        let label = Label::new(LABEL, directory.display().to_string());
        let sent = Sent { last: Instant::now(), stats: Stats::default() };
        Self { label, sent: Mutex::new(sent) }
    }

    pub(super) fn are_due(&self) -> bool {
        lock(&self.sent).last.elapsed() >= PERIOD
    }

    /// Tells the recorder of this thread, or else that of the process.
    pub(super) fn send(&self, stats: &Stats) {
        let before = {
            let mut sent = lock(&self.sent);
            sent.last = Instant::now();
            core::mem::replace(&mut sent.stats, stats.clone())
        };
        // A recorder is a stranger's code. It runs without a lock.
        shielded(|| {
            for metric in &TABLE {
                metric.describe();
                metric.send(&self.label, stats, &before);
            }
        });
    }
}

impl Metric {
    fn describe(&self) {
        let Self { name, unit, description, ref value } = *self;
        match value {
            Value::Counter(_) => describe_counter!(name, unit, description),
            Value::Gauge(_) => describe_gauge!(name, unit, description),
            Value::Histogram(..) => describe_histogram!(name, unit, description),
        }
    }

    fn send(&self, label: &Label, stats: &Stats, before: &Stats) {
        let labels = [label.clone()];
        match self.value {
            Value::Counter(value) => counter!(self.name, labels.iter()).absolute(value(stats)),
            Value::Gauge(value) => gauge!(self.name, labels.iter()).set(value(stats) as f64),
            Value::Histogram(value, scale) => {
                let histogram = histogram!(self.name, labels.iter());
                for (values, count) in value(stats).since(value(before)).buckets() {
                    let count = usize::try_from(count).unwrap_or(usize::MAX);
                    histogram.record_many(*values.end() as f64 * scale, count);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of `docs/METRICS.md`.
    fn row(metric: &Metric) -> String {
        let Metric { name, unit, description, value } = metric;
        let kind = match value {
            Value::Counter(_) => "counter",
            Value::Gauge(_) => "gauge",
            Value::Histogram(..) => "histogram",
        };
        format!("| `{name}` | {kind} | {} | {description} |", unit.as_str())
    }

    #[test]
    fn the_document_has_the_table() {
        let document = include_str!("../../docs/METRICS.md");
        let documented: Vec<&str> = document.lines().filter(|line| line.starts_with("| `")).collect();
        let table: Vec<String> = TABLE.iter().map(row).collect();
        assert!(documented == table, "docs/METRICS.md should have:\n{}", table.join("\n"));
    }

    #[test]
    fn names_tell_kind_and_unit() {
        for Metric { name, unit, value, .. } in &TABLE {
            let rest = name.strip_prefix("tidelog_").unwrap();
            assert!(rest.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'), "{name}");
            assert_eq!(rest.ends_with("_total"), matches!(value, Value::Counter(_)), "{name}");
            let in_seconds = matches!(value, Value::Histogram(_, scale) if *scale == NANOSECOND);
            assert_eq!(
                (rest.ends_with("_seconds"), *unit == Unit::Seconds),
                (in_seconds, in_seconds),
                "{name}"
            );
            let same = TABLE.iter().filter(|other| other.name == *name).count();
            assert_eq!(same, 1, "{name}");
        }
    }
}
