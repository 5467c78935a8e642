//! The figures as text, as JSON and as a page.

use std::fmt::Write;

use serde_json::{Value, json};

use super::Measured;
use super::latency::{Axis, Latency, short};
use crate::commands::info::table;
use crate::decode::escaped;
use crate::picture::page;
use crate::picture::svg::{escape, wrapped};
use crate::units::bytes;

/// Columns for each decade of a terminal's histogram.
const PARTS: usize = 3;

/// `12.3 k`, to three digits.
pub(super) fn count(value: f64) -> String {
    let (value, unit) = match value {
        0.0..999.5 => (value, ""),
        999.5..999_500.0 => (value / 1e3, " k"),
        _ => (value / 1e6, " M"),
    };
    let digits = match value {
        0.0..9.995 => 2,
        9.995..99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$}{unit}")
}

/// The counts as blocks; on a log scale, so that the few slow ones are seen beside the many.
fn blocks(latency: &Latency, axis: Axis) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let spread = latency.spread(axis, PARTS);
    let most = spread.iter().copied().max().unwrap_or(1);
    let block = |count: u64| match count {
        0 => ' ',
        count => BLOCKS[(height(count, most) * 7.0).round() as usize],
    };
    spread.into_iter().map(block).collect::<String>().trim_end().to_owned()
}

/// How high a bar for this count is, from above 0 to 1.
pub(super) fn height(count: u64, most: u64) -> f64 {
    ((count + 1) as f64).ln() / ((most + 1) as f64).ln()
}

impl Measured {
    /// What the figures are about, line by line: a name, and what there is to say.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let segments: Vec<u64> = self.plan.works.iter().map(|work| self.plan.segment_bytes(*work)).collect();
        let (least, most) =
            (segments.iter().min().copied().unwrap_or(0), segments.iter().max().copied().unwrap_or(0));
        let segments =
            if least == most { bytes(least) } else { format!("{} to {}", bytes(least), bytes(most)) };
        vec![
            ("measured in", self.directory.clone()),
            ("disk", self.machine.disk()),
            ("machine", self.machine.host()),
            (
                "each part",
                format!(
                    "{} s or {}, whichever comes first; logs of fresh segments of {segments}",
                    self.plan.seconds,
                    bytes(self.plan.part_bytes)
                ),
            ),
        ]
    }

    pub(super) fn remarks(&self) -> String {
        "none and periodic return before the disk has seen anything: they show the memory, the page cache and the making \
         of segments. Periodic syncs every 10 ms. A look at the clock is in each time."
            .to_owned()
    }

    pub(super) fn text(&self) -> String {
        let axis = self.axis();
        let mut text = String::new();
        for (name, fact) in self.facts() {
            let _ = writeln!(text, "{name:<12} {}", escaped(fact.as_bytes()));
        }
        let from =
            format!("FROM {} TO {}", short(10_u64.pow(axis.from)), short(10_u64.saturating_pow(axis.to)));
        let mut syncs = table(&["SYNC OF 4 KiB", "COUNT", "P50", "P90", "P99", "P99.9", "MAX", &from], 1..7);
        for sync in &self.syncs {
            let mut row = vec![sync.name.to_owned(), count(sync.latency.count() as f64)];
            row.extend(quantiles(&sync.latency));
            row.push(blocks(&sync.latency, axis));
            syncs.add_row(row);
        }
        let columns =
            ["APPEND", "BYTES", "THREADS", "RECORDS/S", "MiB/S", "P50", "P99", "P99.9", "MAX", &from];
        let mut appends = table(&columns, 1..9);
        for append in &self.appends {
            let mut row = vec![
                append.work.policy_word().to_owned(),
                append.work.record_bytes.to_string(),
                append.work.threads.to_string(),
                count(append.records_per_second()),
                mebibytes(append.bytes_per_second()),
            ];
            row.extend(
                quantiles(&append.latency)
                    .into_iter()
                    .enumerate()
                    .filter(|(n, _)| *n != 1)
                    .map(|(_, text)| text),
            );
            row.push(blocks(&append.latency, axis));
            appends.add_row(row);
        }
        for table in [syncs, appends] {
            let _ = writeln!(text);
            // A histogram ends where it ends.
            table.to_string().lines().for_each(|line| text += &format!("{}\n", line.trim_end()));
        }
        let _ = writeln!(text);
        for line in wrapped(&format!("Bars are counts, on a log scale. {}", self.remarks()), 100) {
            let _ = writeln!(text, "{line}");
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "command": "bench",
            "directory": self.directory,
            "machine": self.machine.json(),
            "seconds": self.plan.seconds,
            "part_bytes_max": self.plan.part_bytes,
            "syncs": self.syncs.iter().map(|sync| json!({
                "name": sync.name,
                "bytes": 4096,
                "seconds": sync.seconds,
                "latency": sync.latency.json(),
            })).collect::<Vec<_>>(),
            "appends": self.appends.iter().map(|append| json!({
                "policy": append.work.policy_word(),
                "record_bytes": append.work.record_bytes,
                "threads": append.work.threads,
                "segment_bytes": self.plan.segment_bytes(append.work),
                "seconds": append.seconds,
                "records_per_second": append.records_per_second(),
                "bytes_per_second": append.bytes_per_second(),
                "latency": append.latency.json(),
            })).collect::<Vec<_>>(),
        })
    }

    pub(super) fn page(&self, picture: &str) -> String {
        let facts: Vec<Vec<String>> =
            self.facts().into_iter().map(|(name, fact)| vec![name.to_owned(), fact]).collect();
        let mut rest = page::table("What the figures belong to", &["", ""], &facts);
        let sync = |sync: &super::Sync| {
            let mut row = vec![sync.name.to_owned(), sync.latency.count().to_string()];
            row.extend(quantiles(&sync.latency));
            row
        };
        rest += &page::table(
            "Syncs of 4 KiB",
            &["sync", ">count", ">p50", ">p90", ">p99", ">p99.9", ">max"],
            &self.syncs.iter().map(sync).collect::<Vec<_>>(),
        );
        let append = |append: &super::Append| {
            let mut row = vec![
                append.work.policy_word().to_owned(),
                append.work.record_bytes.to_string(),
                append.work.threads.to_string(),
                count(append.records_per_second()),
                mebibytes(append.bytes_per_second()),
            ];
            row.extend(quantiles(&append.latency));
            row
        };
        let columns = [
            "policy",
            ">bytes",
            ">threads",
            ">records/s",
            ">MiB/s",
            ">p50",
            ">p90",
            ">p99",
            ">p99.9",
            ">max",
        ];
        rest += &page::table("Appends", &columns, &self.appends.iter().map(append).collect::<Vec<_>>());
        rest += &format!("<p>{}</p>\n", escape(&self.remarks()));
        page::page("tidelog bench", picture, &rest)
    }

    /// For a picture: the disk and the machine.
    pub(super) fn about(&self) -> String {
        format!("{}; {}", self.machine.disk(), self.machine.host())
    }
}

fn mebibytes(bytes_per_second: f64) -> String {
    let value = bytes_per_second / f64::from(1 << 20);
    if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

/// The 50th, 90th, 99th and 99.9th percentile, and the maximum.
fn quantiles(latency: &Latency) -> [String; 5] {
    [
        latency.quantile(0.5),
        latency.quantile(0.9),
        latency.quantile(0.99),
        latency.quantile(0.999),
        latency.max(),
    ]
    .map(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_short() {
        let texts = [0.0, 7.126, 999.4, 12_345.0, 999_600.0, 3_456_789.0].map(count);
        assert_eq!(texts, ["0.00", "7.13", "999", "12.3 k", "1.00 M", "3.46 M"]);
        assert_eq!((height(0, 9), height(9, 9)), (0.0, 1.0));
    }
}
