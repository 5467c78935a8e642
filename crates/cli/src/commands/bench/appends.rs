//! What appends cost: by policy, size and number of threads, each into a log of its own.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use tidelog::{Log, Options, SyncPolicy};

use super::latency::Latency;
use super::place::Place;
use super::plan::{Plan, Work};
use crate::args::Policy;
use crate::exit::Fail;

/// What was measured.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) work: Work,
    pub(super) latency: Latency,
    /// From the first append to the return of the last.
    pub(super) seconds: f64,
}

impl Append {
    pub(super) fn records_per_second(&self) -> f64 {
        self.latency.count() as f64 / self.seconds.max(1e-9)
    }

    /// Of payloads.
    pub(super) fn bytes_per_second(&self) -> f64 {
        self.records_per_second() * self.work.record_bytes as f64
    }
}

pub(super) fn run(place: &Place, plan: &Plan, work: Work) -> Result<Append, Fail> {
    let directory = place.path("log");
    let policy = match work.policy {
        Policy::None => SyncPolicy::None,
        Policy::Periodic => SyncPolicy::periodic(Duration::from_millis(10)),
        Policy::Grouped => SyncPolicy::grouped(),
        Policy::Immediate => SyncPolicy::Immediate,
    };
    // Nothing that is written here has to survive.
    let options = Options::new().allow_unsupported_file_system(true).sync_policy(policy);
    let log = options.segment_bytes(plan.segment_bytes(work)).open(&directory)?;
    let start = Barrier::new(work.threads);
    let parts: Vec<_> = std::thread::scope(|scope| {
        let append = || thread(&log, &start, place, plan, work);
        let threads: Vec<_> = (0..work.threads).map(|_| scope.spawn(append)).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    drop(log);
    let removed = std::fs::remove_dir_all(&directory);
    let mut whole = Latency::new();
    let mut times: Option<(Instant, Instant)> = None;
    for part in parts {
        let (latency, began, ended) = part?;
        whole.add(&latency);
        times = Some(times.map_or((began, ended), |(first, last)| (first.min(began), last.max(ended))));
    }
    place.go_on()?;
    removed.map_err(|error| Fail::io(format!("cannot remove {}", directory.display()), error))?;
    let seconds = times.map_or(0.0, |(first, last)| (last - first).as_secs_f64());
    Ok(Append { work, latency: whole, seconds })
}

fn thread(
    log: &Log,
    start: &Barrier,
    place: &Place,
    plan: &Plan,
    work: Work,
) -> tidelog::Result<(Latency, Instant, Instant)> {
    let payload = vec![0x74; work.record_bytes as usize];
    let mut latency = Latency::new();
    start.wait();
    let began = Instant::now();
    let until = Duration::from_secs_f64(plan.seconds);
    let mut last = began;
    // One look at the clock for each: it ends one append and begins the next.
    for _ in 0..plan.records_of_a_thread(work) {
        log.append(&payload)?;
        let now = Instant::now();
        latency.note(now - last);
        last = now;
        if now - began >= until || place.interrupted() {
            break;
        }
    }
    Ok((latency, began, last))
}
