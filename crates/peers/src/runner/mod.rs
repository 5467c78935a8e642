//! Runs every log at every piece of work, in rounds: what disturbs the machine for a while disturbs all.

mod reading;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::args::Run;
use crate::child;
use crate::log::Failure;
use crate::logs::{Entry, Role};
use crate::machine::Machine;
use crate::plan::Plan;
use crate::results::{Report, Row, Section, Verified};
use crate::svg;
use crate::table;
use crate::targets;
use crate::work::{Job, Kind, Outcome, Pass, Work};

/// For a child to open, warm up, measure and close.
const LIMIT_SECONDS: f64 = 30.0;
const FILL_LIMIT_SECONDS: f64 = 90.0;

/// A directory of this run's own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(parent: &Path) -> Result<Self, Failure> {
        let path = parent.join(format!("tidelog-peers-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What runs that were interrupted left behind.
fn clear_leftovers(parent: &Path) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix("tidelog-peers-")?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

struct Runner<'a> {
    run: &'a Run,
    plan: Plan,
    scratch: Scratch,
    began: Instant,
}

pub fn main(run: &Run) -> Result<(), Failure> {
    let began = Instant::now();
    let mut plan = Plan::new(run.depth);
    plan.rounds = run.rounds.unwrap_or(plan.rounds);
    plan.works.retain(|work| run.wants(&work.name()));
    if let Some(seconds) = run.seconds {
        plan.seconds = seconds;
        plan.fresh_seconds = plan.fresh_seconds.max(seconds);
    }
    plan.observe &= run.observe;
    // Now, not after ten minutes.
    if let Some(path) = &run.json {
        std::fs::write(path, "").map_err(|error| at(path, error))?;
    }
    if let Some(directory) = &run.svg {
        std::fs::create_dir_all(directory).map_err(|error| at(directory, error))?;
    }
    clear_leftovers(&run.directory);
    let scratch = Scratch::new(&run.directory)?;
    let machine = Machine::look(&scratch.0);
    let runner = Runner { run, plan, scratch, began };
    let mut report = Report {
        machine,
        rounds: runner.plan.rounds,
        seconds: runner.plan.seconds,
        verified: Vec::new(),
        sections: Vec::new(),
        targets: Vec::new(),
    };
    table::head(&report);
    if !run.unverified {
        report.verified = runner.verify();
        table::verified(&report);
    }
    for works in runner.plan.groups() {
        let started = Instant::now();
        let mut sections =
            if works[0].reads() { runner.read(&works) } else { vec![runner.append(&works[0])] };
        for section in &mut sections {
            section.took = started.elapsed().as_secs_f64() / works.len() as f64;
            table::section(&report, section);
        }
        report.sections.append(&mut sections);
    }
    runner.status("");
    report.targets = targets::judge(&report);
    table::targets(&report);
    if let Some(path) = &run.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?).map_err(|error| at(path, error))?;
    }
    if let Some(directory) = &run.svg {
        svg::write(directory, &report).map_err(|error| at(directory, error))?;
    }
    println!("took {:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}

impl Runner<'_> {
    fn verify(&self) -> Vec<Verified> {
        let work = Work::new(Kind::Verify, 0, 1);
        let entries = self.run.logs.iter().filter(|entry| (entry.takes)(&work));
        let verified = entries.map(|entry| {
            let outcome = self.child(entry, &work, Pass::Timed, None, LIMIT_SECONDS);
            Verified { log: entry.key.into(), outcome }
        });
        verified.collect()
    }

    fn append(&self, work: &Work) -> Section {
        let entries: Vec<&Entry> =
            self.run.logs.iter().copied().filter(|entry| (entry.takes)(work)).collect();
        let mut rows: Vec<Row> = entries.iter().map(|entry| row(entry)).collect();
        for round in 0..self.plan.rounds {
            for turn in 0..entries.len() {
                // Another one begins each round.
                let at = (turn + round) % entries.len();
                if !rows[at].over() && !self.is_far_behind(work, &rows, at) {
                    rows[at].add(self.child(entries[at], work, Pass::Timed, None, LIMIT_SECONDS));
                }
            }
        }
        if self.plan.observe && work.kind != Kind::Follow {
            let observed = |row: &Row| !row.over() && (self.plan.peers_in_full || row.role != Role::Peer);
            for (entry, row) in entries.iter().zip(&mut rows).filter(|(_, row)| observed(row)) {
                row.observe(self.child(entry, work, Pass::Observed, None, LIMIT_SECONDS));
            }
        }
        Section { work: *work, name: work.name(), took: 0.0, rows }
    }

    /// Another log that does not reach a tenth of the subject's speed needs no second round, unless the run is thorough.
    fn is_far_behind(&self, work: &Work, rows: &[Row], at: usize) -> bool {
        let subject = rows.iter().find(|row| row.role == Role::Subject).and_then(|row| row.score(work));
        let far = |score: f64| subject.is_some_and(|subject| score * 10.0 < subject);
        !self.plan.peers_in_full && rows[at].role == Role::Peer && rows[at].score(work).is_some_and(far)
    }

    fn child(&self, entry: &Entry, work: &Work, pass: Pass, filled: Option<u64>, limit: f64) -> Outcome {
        self.status(&format!("{} {}", work.name(), entry.key));
        let place = self.place(entry, work);
        let fresh = work.kind == Kind::Append { recycle: false };
        let seconds = if fresh { self.plan.fresh_seconds } else { self.plan.seconds };
        let bytes = match work.kind {
            _ if work.reads() => self.plan.fill_bytes(self.run.depth, work),
            _ if fresh => self.plan.fresh_bytes,
            Kind::Follow => self.plan.fresh_bytes / 4,
            _ => u64::MAX / 4,
        };
        let job = Job {
            log: entry.key.into(),
            work: *work,
            pass,
            place: place.join("log"),
            answer: place.join("answer"),
            seconds,
            bytes,
            filled,
            limit_seconds: limit + 10.0 * seconds,
        };
        if let Err(error) = std::fs::create_dir_all(&job.place) {
            return Outcome::Failed(format!("cannot make {}: {error}", job.place.display()));
        }
        // What the log before this one has left to be written would be written in this one's time.
        rustix::fs::sync();
        let outcome = child::run(&job);
        if !work.reads() {
            self.clear(entry, work);
        }
        outcome
    }

    fn place(&self, entry: &Entry, work: &Work) -> PathBuf {
        let name =
            if work.reads() { format!("read-{}", work.record_bytes) } else { work.name().replace('/', "-") };
        self.scratch.0.join(format!("{name}-{}", entry.key))
    }

    fn clear(&self, entry: &Entry, work: &Work) {
        let _ = std::fs::remove_dir_all(self.place(entry, work));
    }

    /// What is under way, in place, where somebody looks on.
    fn status(&self, text: &str) {
        let mut out = std::io::stderr();
        if out.is_terminal() {
            let seconds = self.began.elapsed().as_secs();
            let text = if text.is_empty() { String::new() } else { format!("{seconds} s: {text}") };
            let _ = write!(out, "\r\x1b[K{text}");
            let _ = out.flush();
        }
    }
}

fn at(path: &Path, error: std::io::Error) -> Failure {
    format!("cannot write {}: {error}", path.display()).into()
}

fn row(entry: &Entry) -> Row {
    Row {
        log: entry.key.into(),
        name: entry.name.into(),
        role: entry.role,
        verifies: entry.verifies,
        rounds: Vec::new(),
        observed: None,
        unable: None,
        failed: None,
    }
}
