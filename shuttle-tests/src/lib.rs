//! Random schedules of scenarios that are too large for the model checker in `loom-tests`: seven threads and more on the
//! production protocol, and a log that rolls several times.
//!
//! ```sh
//! RUSTFLAGS="--cfg tidelog_shuttle" cargo test -p tidelog-shuttle-tests --profile model --target-dir target/shuttle
//! ```
//!
//! Half of the schedules are uniformly random; half are by PCT with 2 to 4 changes of priority, which finds what takes
//! few switches at the right places. `TIDELOG_SCHEDULES` sets how many there are of each scenario, and `TIDELOG_SEED`
//! what they begin with.
//!
//! A failure prints its schedule. This runs that one again, and nothing else:
//!
//! ```sh
//! TIDELOG_SCHEDULE=STRING RUSTFLAGS="--cfg tidelog_shuttle" \
//!     cargo test -p tidelog-shuttle-tests --profile model --target-dir target/shuttle -- --exact SCENARIO
//! ```
//!
//! shuttle takes every atomic access as sequentially consistent, and sees no unordered access to a payload: what the
//! orderings must be is shown by `loom-tests`. Here are lost or doubled records, broken promises and
//! lost wake-ups, in states that two or three threads do not reach. A thread that nobody wakes is reported as a deadlock,
//! or, where others look for progress meanwhile, as too many steps.
#![cfg(tidelog_shuttle)]
#![allow(
    clippy::disallowed_types,
    reason = "what outlives a schedule, or is no part of the log, is not scheduled"
)]

mod actors;
mod ledger;

pub use actors::{Keeper, Writer, follow, follow_durable, look, sync_often};
pub use ledger::{Ledger, Record};

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use shuttle::rand::RngCore;
use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};
use tidelog::model::Model;

/// Schedules of each scenario, unless `TIDELOG_SCHEDULES` says otherwise.
const SCHEDULES: usize = 24_000;

/// With fewer schedules than this, a scenario need not have met everything that it is for.
const SCHEDULES_TELLING: usize = 1_000;

/// What the schedules of a scenario met, counted: a scenario that never gets where it is to go shows nothing.
#[derive(Clone, Debug)]
pub struct Met(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Met {
    fn new(expected: &[&'static str]) -> Self {
        Self(Arc::new(Mutex::new(expected.iter().map(|what| (*what, 0)).collect())))
    }

    /// Counts one of the things that were announced.
    pub fn count(&self, what: &'static str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.get_mut(what).expect("it was announced") += 1;
    }

    fn all(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Runs `scenario` in many schedules. `expected` is what it is to meet.
pub fn check(expected: &[&'static str], scenario: impl Fn(&Met) + Send + Sync + 'static) {
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    let met = Met::new(expected);
    let run = {
        let met = met.clone();
        Arc::new(move || scenario(&met))
    };
    if let Ok(schedule) = std::env::var("TIDELOG_SCHEDULE") {
        run_all(ReplayScheduler::new_from_encoded(schedule.trim()), &run);
        return;
    }
    let schedules = number("TIDELOG_SCHEDULES").map_or(SCHEDULES, |count| count as usize);
    let seed = Seed(number("TIDELOG_SEED").unwrap_or_else(random));
    let began = Instant::now();
    let mut count = run_all(RandomScheduler::new_from_seed(seed.0, schedules / 2), &run);
    for depth in 3..=5 {
        count += run_all(PctScheduler::new_from_seed(seed.0 + depth, depth as usize, schedules / 6), &run);
    }
    let time = began.elapsed().as_secs_f64();
    let counts = met.all();
    let list: Vec<_> = counts.iter().map(|(what, times)| format!("{what} {times}")).collect();
    // Past the harness, which keeps to itself what a test that passes prints.
    let line = format!("{name}: {count} schedules in {time:.1} s, {:.0} per second", count as f64 / time);
    let _ = writeln!(std::io::stderr(), "{line}; {}", list.join(", "));
    let missed: Vec<_> = counts.iter().filter(|(_, times)| **times == 0).map(|(what, _)| *what).collect();
    assert!(schedules < SCHEDULES_TELLING || missed.is_empty(), "no schedule met {missed:?}");
}

fn run_all(scheduler: impl Scheduler + 'static, scenario: &Arc<impl Fn() + Send + Sync + 'static>) -> usize {
    let mut config = Config::new();
    config.silence_warnings = true;
    config.stack_size = 1 << 17;
    // Far above what the longest schedule takes, so that only a thread that waits for ever gets there.
    config.max_steps = MaxSteps::FailAfter(200_000);
    let scenario = Arc::clone(scenario);
    Runner::new(scheduler, config).run(move || scenario())
}

/// Printed when the schedules that began with it fail.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "TIDELOG_SEED={}; TIDELOG_SCHEDULE, set to the schedule above, runs that alone",
                self.0
            );
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}: {text} is no number")))
}

fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0) >> 1
}

/// A number below `bound`, chosen anew in each schedule.
#[must_use]
pub fn pick(bound: u64) -> u64 {
    shuttle::rand::thread_rng().next_u64() % bound
}

/// True in half of all schedules.
#[must_use]
pub fn coin() -> bool {
    pick(2) == 0
}

/// Runs `body` in a thread of its own, on the same log.
pub fn spawn<T: Send + 'static>(
    model: &Model,
    body: impl FnOnce(&Model) -> T + Send + 'static,
) -> shuttle::thread::JoinHandle<T> {
    let model = model.clone();
    shuttle::thread::spawn(move || body(&model))
}
