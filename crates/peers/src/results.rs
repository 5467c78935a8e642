//! What was measured, round by round, and what follows from it.

use serde::{Deserialize, Serialize};

use crate::log::Promise;
use crate::logs::Role;
use crate::machine::Machine;
use crate::stats::{Latency, Spread, median};
use crate::targets::Target;
use crate::work::{Kind, Measured, Outcome, PerRecord, Work};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    pub machine: Machine,
    pub rounds: usize,
    pub seconds: f64,
    pub verified: Vec<Verified>,
    pub sections: Vec<Section>,
    pub targets: Vec<Target>,
}

/// Whether a log gives back what was appended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verified {
    pub log: String,
    pub outcome: Outcome,
}

/// One piece of work, and all logs at it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Section {
    pub work: Work,
    pub name: String,
    /// Seconds that all its rounds took, with opening, warming and closing.
    pub took: f64,
    pub rows: Vec<Row>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    pub log: String,
    pub name: String,
    pub role: Role,
    pub verifies: bool,
    pub rounds: Vec<Measured>,
    /// What was counted in a round that is not timed.
    pub observed: Option<Measured>,
    /// Why there is nothing: it cannot, or it failed.
    pub unable: Option<String>,
    pub failed: Option<String>,
}

impl Row {
    pub fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Measured(measured) => self.rounds.push(measured),
            Outcome::Unable(why) => self.unable = Some(why),
            Outcome::Failed(why) => self.failed = Some(why),
        }
    }

    pub fn observe(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Measured(measured) => self.observed = Some(measured),
            Outcome::Unable(_) => {}
            Outcome::Failed(why) => self.failed = Some(why),
        }
    }

    pub fn over(&self) -> bool {
        self.unable.is_some() || self.failed.is_some()
    }

    pub fn promise(&self) -> Option<Promise> {
        self.rounds.first()?.promise
    }

    /// Records a second.
    pub fn rate(&self) -> Option<Spread> {
        self.failed.is_none().then_some(())?;
        Spread::of(self.rounds.iter().map(|round| round.records as f64 / round.seconds.max(1e-9)))
    }

    /// Seconds of a round.
    pub fn seconds(&self) -> Option<Spread> {
        self.failed.is_none().then_some(())?;
        Spread::of(self.rounds.iter().map(|round| round.seconds))
    }

    /// How good it is, more being better: the rate, or how often a second it could be opened.
    pub fn score(&self, work: &Work) -> Option<f64> {
        match work.kind {
            Kind::Open => self.seconds().map(|seconds| 1.0 / seconds.median.max(1e-9)),
            _ => self.rate().map(|rate| rate.median),
        }
    }

    /// Medians of the rounds; the greatest of the maxima.
    pub fn latency(&self) -> Option<Latency> {
        let all: Vec<Latency> =
            self.rounds.iter().chain(&self.observed).filter_map(|round| round.latency).collect();
        let of = |part: fn(&Latency) -> u64| median(all.iter().map(|latency| part(latency) as f64)) as u64;
        Some(Latency {
            p50: of(|latency| latency.p50),
            p99: of(|latency| latency.p99),
            p999: of(|latency| latency.p999),
            max: all.iter().map(|latency| latency.max).max()?,
        })
    }

    pub fn per_record(&self) -> Option<PerRecord> {
        let all: Vec<PerRecord> = self.rounds.iter().filter_map(|round| round.per_record).collect();
        all.first()?;
        let of = |part: fn(&PerRecord) -> f64| median(all.iter().map(part));
        Some(PerRecord {
            faults: of(|each| each.faults),
            kib_caused: of(|each| each.kib_caused),
            kib_device: of(|each| each.kib_device),
            flushes: of(|each| each.flushes),
        })
    }
}

impl Section {
    pub fn row(&self, log: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.log == log)
    }

    /// The best of the others that promise at least so much at return, and its score; limits are no rivals.
    pub fn best_rival(&self, promise: Promise, counts: impl Fn(&Row) -> bool) -> Option<(f64, &Row)> {
        let rivals =
            self.rows.iter().filter(|row| matches!(row.role, Role::Peer | Role::Baseline) && counts(row));
        // What reads promises nothing.
        let equal = rivals.filter(|row| self.work.reads() || row.promise() >= Some(promise));
        equal.filter_map(|row| Some((row.score(&self.work)?, row))).max_by(|a, b| a.0.total_cmp(&b.0))
    }
}

/// Whether a comparison with `other` is one of equals.
pub fn promises_as_much(other: &Row, row: &Row) -> bool {
    other.promise() >= row.promise()
}

impl Report {
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    pub fn failed_to_verify(&self, log: &str) -> bool {
        self.verified
            .iter()
            .any(|verified| verified.log == log && matches!(verified.outcome, Outcome::Failed(_)))
    }
}
