//! `cargo run --release -p tidelog-explorer -- [--states N] [--seed S] [--runs N] [--threads N]`

#![allow(clippy::disallowed_types, reason = "not the protocol of the log")]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tidelog_explorer::explore::{Failure, explore};
use tidelog_explorer::figures::Figures;

struct Arguments {
    states: u64,
    seed: u64,
    runs: u64,
    threads: usize,
}

fn arguments() -> Result<Arguments, String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs() << 20);
    let mut parsed = Arguments { states: 10_000_000, seed, runs: u64::MAX, threads };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} wants a number"))?;
        let number = value.replace('_', "").parse().map_err(|error| format!("{word} {value}: {error}"))?;
        match word.as_str() {
            "--states" => parsed.states = number,
            "--seed" => parsed.seed = number,
            "--runs" => parsed.runs = number,
            "--threads" => parsed.threads = number as usize,
            _ => return Err(format!("there is no option {word}; options: --states --seed --runs --threads")),
        }
    }
    Ok(parsed)
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    println!("seed {}", arguments.seed);
    let began = Instant::now();
    let next = AtomicU64::new(0);
    let states = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let total = Mutex::new(Figures::default());
    let failures: Mutex<Vec<Failure>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) && states.load(Ordering::Relaxed) < arguments.states {
                    let run = next.fetch_add(1, Ordering::Relaxed);
                    if run >= arguments.runs {
                        break;
                    }
                    let mut figures = Figures::default();
                    if let Err(failure) = explore(arguments.seed.wrapping_add(run), &mut figures) {
                        stop.store(true, Ordering::Relaxed);
                        failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(failure);
                    }
                    states.fetch_add(figures.states(), Ordering::Relaxed);
                    total.lock().unwrap_or_else(std::sync::PoisonError::into_inner).add(&figures);
                }
            });
        }
    });
    let figures = total.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let seconds = began.elapsed().as_secs_f64();
    print!("{figures}");
    println!(
        "{} states in {seconds:.0} s, {:.0} a second",
        figures.states(),
        figures.states() as f64 / seconds
    );
    let failures = failures.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    for failure in &failures {
        println!("FAILED: {}", failure.what);
        println!("    again: cargo run --release -p tidelog-explorer -- --seed {} --runs 1", failure.seed);
    }
    let asleep = figures.asleep();
    if failures.is_empty() && figures.states() >= 1_000_000 && !asleep.is_empty() {
        println!("FAILED: this never happened: {asleep:?}");
        return ExitCode::FAILURE;
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
