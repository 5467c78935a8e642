//! What tidelog wants to reach, each as a ratio within one run, and whether it did.

use serde::{Deserialize, Serialize};

use crate::log::Promise;
use crate::results::{Report, Row, Section};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Target {
    /// The row of the table of targets.
    pub row: String,
    /// What of it is judged here.
    pub of: String,
    pub measured: String,
    pub wanted: String,
    /// `None` where a part was not measured.
    pub met: Option<bool>,
}

/// How a figure is to lie.
#[derive(Clone, Copy)]
enum Want {
    AtLeast(f64),
    AtMost(f64),
}

impl Want {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}

/// Collects the targets of one report.
struct Judge<'a> {
    report: &'a Report,
    row: String,
    targets: Vec<Target>,
}

const THREADS: [usize; 4] = [1, 2, 4, 8];

pub fn judge(report: &Report) -> Vec<Target> {
    let mut judge = Judge { report, row: String::new(), targets: Vec::new() };
    judge.appends();
    judge.durable();
    judge.reading();
    judge.writes();
    judge.targets
}

impl<'a> Judge<'a> {
    fn row(&mut self, row: &str) {
        self.row = row.into();
    }

    fn appends(&mut self) {
        for (size, of_limit, of_peer) in [("100B", 0.7, 12.0), ("1KiB", 0.8, 6.0)] {
            self.row(&format!("append None, {size}, recycling"));
            for threads in THREADS {
                let name = format!("append/{size}/{threads}t/recycled");
                self.against(&name, "warm", Want::AtLeast(of_limit));
                self.against_best(&name, Promise::Kernel, Want::AtLeast(of_peer));
            }
        }
        self.row("append None, 10 KiB, recycling and fresh");
        for threads in THREADS {
            self.against(&format!("append/10KiB/{threads}t/recycled"), "warm", Want::AtLeast(0.8));
            self.against_best(&format!("append/10KiB/{threads}t/fresh"), Promise::Kernel, Want::AtLeast(3.0));
        }
        for size in ["100B", "1KiB"] {
            self.row(&format!("append None, {size}, fresh"));
            for threads in THREADS {
                let name = format!("append/{size}/{threads}t/fresh");
                self.against(&name, "fresh", Want::AtLeast(1.5));
                self.against(&name, "buffered", Want::AtLeast(1.0));
            }
        }
    }

    fn durable(&mut self) {
        self.row("durable, 1 thread");
        for size in ["100B", "1KiB"] {
            let name = format!("durable/{size}/1t");
            let medians = self.pair(&name, "msync", |row| row.latency().map(|latency| latency.p50 as f64));
            self.judge(
                &name,
                "p50 over a raw msync of one page",
                medians.map(|(mine, raw)| mine / raw),
                Want::AtMost(1.1),
            );
            self.against_best(&name, Promise::Durable, Want::AtLeast(1.1));
        }
        self.row("durable, 4, 16 and 64 threads");
        for (threads, times) in [(4, 1.4), (16, 2.0), (64, 2.0)] {
            self.against_best(&format!("durable/100B/{threads}t"), Promise::Durable, Want::AtLeast(times));
        }
        self.row("durable, 256 threads");
        let rate = |name: &str| self.subject(name).and_then(Row::rate).map(|rate| rate.median);
        let (some, many) = (rate("durable/100B/64t"), rate("durable/100B/256t"));
        let absolute = rate("durable/64B/256t");
        self.judge(
            "durable/100B/256t",
            "over its own rate at 64",
            many.zip(some).map(|(many, some)| many / some),
            Want::AtLeast(1.0),
        );
        self.judge(
            "durable/64B/256t",
            "k/s, absolute",
            absolute.map(|rate| rate / 1e3),
            Want::AtLeast(280.0),
        );
        let latency = self.subject("durable/64B/256t").and_then(Row::latency);
        let tail = latency.map(|latency| latency.p99 as f64 / latency.p50.max(1) as f64);
        self.judge("durable/64B/256t", "p99 over p50", tail, Want::AtMost(4.0));
        self.row("batch 100 x 1 KiB + sync");
        for threads in [1, 4] {
            self.against_best(&format!("batch/100x1KiB/{threads}t"), Promise::Durable, Want::AtLeast(1.3));
        }
    }

    fn reading(&mut self) {
        self.row("replay, verified");
        for size in ["100B", "1KiB"] {
            let name = format!("replay/{size}");
            self.against(&name, "scan", Want::AtLeast(0.9));
            self.against_best(&name, Promise::Process, Want::AtLeast(2.0));
        }
        self.row("open of a clean log");
        for size in ["100B", "1KiB"] {
            let name = format!("open/{size}");
            let took = self.subject(&name).and_then(Row::seconds).map(|seconds| seconds.median * 1e3);
            self.judge(&name, "ms, absolute", took, Want::AtMost(2.0));
        }
    }

    fn writes(&mut self) {
        self.row("device writes of a sync of one small record");
        let each = self.subject("durable/100B/1t").and_then(Row::per_record);
        self.judge("durable/100B/1t", "pages", each.map(|each| each.kib_device / 4.0), Want::AtMost(1.1));
        // A journal commit flushes once more.
        self.judge("durable/100B/1t", "flushes", each.map(|each| each.flushes), Want::AtMost(1.1));
    }

    fn section(&self, name: &str) -> Option<&'a Section> {
        self.report.section(name)
    }

    fn subject(&self, name: &str) -> Option<&'a Row> {
        self.section(name)?.row("tidelog")
    }

    /// A figure of the subject and of another in the same section.
    fn pair(&self, name: &str, other: &str, figure: impl Fn(&Row) -> Option<f64>) -> Option<(f64, f64)> {
        Some((figure(self.subject(name)?)?, figure(self.section(name)?.row(other)?)?))
    }

    fn against(&mut self, name: &str, other: &str, want: Want) {
        let Some(section) = self.section(name) else { return };
        let rates = self.pair(name, other, |row| row.score(&section.work));
        let title = section.row(other).map_or(other, |row| row.name.as_str());
        self.judge(name, title, rates.map(|(mine, others)| mine / others), want);
    }

    /// Against the best of the others that promise at least so much.
    fn against_best(&mut self, name: &str, promise: Promise, want: Want) {
        let Some(section) = self.section(name) else { return };
        let best = section.best_rival(promise, |row| !self.report.failed_to_verify(&row.log));
        let ratio = self
            .subject(name)
            .and_then(|row| row.score(&section.work))
            .zip(best)
            .map(|(mine, best)| mine / best.0);
        let title = best.map_or("the best peer".into(), |best| format!("the best peer, {}", best.1.name));
        self.judge(name, &title, ratio, want);
    }

    fn judge(&mut self, name: &str, of: &str, value: Option<f64>, want: Want) {
        // What was not asked for is not listed; what failed is.
        if self.section(name).is_none() {
            return;
        }
        let wanted = match want {
            Want::AtLeast(bound) => format!(">= {bound}"),
            Want::AtMost(bound) => format!("<= {bound}"),
        };
        self.targets.push(Target {
            row: self.row.clone(),
            of: format!("{name}: {of}"),
            measured: value.map_or("-".into(), |value| format!("{value:.2}")),
            wanted,
            met: value.map(|value| want.holds(value)),
        });
    }
}
