//! Breaks tidelog on purpose, one rule at a time, and checks that the test for the rule notices.
//!
//! `cargo run -p tidelog-mutants -- [--quick] [--list] [NAME..]`: all mutants, a few for each edge, or those whose name
//! contains one of the words. A mutant that does not compile, or whose text is not found exactly once, is an
//! error of the run and not a catch.
//!
//! Building takes longer than the tests, so most mutants are built together and each run chooses one of them (`switch`).
//! Those that cannot be chosen at run time, as they are no code of a function, have a build each.

#![allow(clippy::disallowed_types, reason = "nothing here runs under the model checker")]

mod build;
mod code;
mod group;
mod report;
mod switch;
mod table;
mod tree;

use std::num::NonZero;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use build::{Run, TIME_MAX};
use group::{Group, Job};
use report::{Report, Tally};
use switch::Numbered;
use table::MUTANTS;
use tree::{check_texts, root};

/// With a mutant a test hangs when it takes longer than this and so many times what it takes without one.
const TIME_LEAST: Duration = Duration::from_secs(20);
const TIMES: u32 = 20;

type Outcome<T> = Result<T, String>;

fn main() -> ExitCode {
    let mut quick = false;
    let mut list = false;
    let mut words = Vec::new();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => quick = true,
            "--list" => list = true,
            word if !word.starts_with('-') => words.push(word.to_owned()),
            other => {
                eprintln!("unknown option {other}; use --quick, --list, or words from mutants' names");
                return ExitCode::from(2);
            }
        }
    }
    let wanted = |(_, mutant): &Numbered| {
        (!quick || mutant.quick) && (words.is_empty() || words.iter().any(|word| mutant.name.contains(word)))
    };
    // From 1; 0 is none.
    let mutants: Vec<Numbered> = (1..).zip(MUTANTS).filter(wanted).collect();
    if list {
        for (_, mutant) in &mutants {
            let (target, test) = mutant.test;
            println!("{}\n    {}\n    {} {target}::{test}", mutant.name, mutant.rule, mutant.suite.name);
        }
        return ExitCode::SUCCESS;
    }
    match run_all(&mutants) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// True when every mutant was caught.
fn run_all(mutants: &[Numbered]) -> Outcome<bool> {
    if mutants.is_empty() {
        return Err("no mutant has such a name".into());
    }
    let began = Instant::now();
    check_texts(MUTANTS)?;
    let report = Report::default();
    let (jobs, queue) = channel();
    let queue = Mutex::new(queue);
    let groups = Group::divide(mutants)?;
    // A test that hangs waits most of its time.
    let lanes = 2 * thread::available_parallelism().map_or(1, NonZero::get);
    let outcomes: Vec<Outcome<()>> = thread::scope(|scope| {
        let mut running = Vec::new();
        for group in groups {
            let (jobs, report) = (jobs.clone(), &report);
            running.push(scope.spawn(move || group.build(&jobs, report)));
        }
        // The queue ends when the last group has sent what it has.
        drop(jobs);
        for lane in 0..lanes {
            let (queue, report) = (&queue, &report);
            running.push(scope.spawn(move || {
                run_jobs(lane, queue, report);
                Ok(())
            }));
        }
        let panicked = |_| Err("a thread panicked".to_owned());
        running.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
    });
    outcomes.into_iter().collect::<Outcome<()>>()?;
    let Tally { caught, survived, errors, sound } = report.into_tally();
    println!("{sound} tests pass without a mutant");
    println!(
        "{caught} caught, {} survived, {} errors, {:.0} s",
        survived.len(),
        errors.len(),
        began.elapsed().as_secs_f64()
    );
    for name in survived.iter().chain(&errors) {
        println!("    {name}");
    }
    Ok(survived.is_empty() && errors.is_empty() && caught == mutants.len())
}

/// Runs tests, one at a time, until there are no more.
fn run_jobs(lane: usize, queue: &Mutex<Receiver<Job>>, report: &Report) {
    let log = root().join(format!("target/mutants/lane-{lane}.txt"));
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        let run = Run { suite: job.suite, binary: &job.binary, test: job.test.1, tree: &job.tree };
        let began = Instant::now();
        // A test that fails without a mutant proves nothing with one.
        if !report.note_without_mutant(job.test, run.failure(0, TIME_MAX, &log)) {
            continue;
        }
        let limit = TIME_MAX.min(TIME_LEAST + began.elapsed() * TIMES);
        for (number, mutant) in job.mutants {
            let began = Instant::now();
            report.note(mutant, "", began, run.failure(number, limit, &log));
        }
    }
}
