//! Crashes and fails tidelog below real file systems.
//!
//! ext4, xfs and btrfs lie on a loop device, and that on a disk of our own (a FUSE file), which records every write
//! and FLUSH and can make them fail.
//!
//! * `crash [--fs NAME] [--states N] [--seed N] [--long]`: crash states between the FLUSHes, mounted and recovered;
//! * `errors [--fs NAME] [--seed N]`: writes, FLUSHes and reads that fail;
//! * `replay FOLDER`: a failing state that `crash` has kept, once more.
//!
//! Needs root, FUSE, loop devices and the `mkfs` of each file system. Where something is missing it says so and
//! succeeds; with `TIDELOG_NO_SKIP=1` it fails.
#![allow(clippy::disallowed_types, reason = "nothing here runs under the model checker")]

mod check;
mod child;
mod crash;
mod disk;
mod errors;
mod explore;
mod fs;
mod image;
mod mark;
mod payload;
mod record;
mod replay;
mod system;
mod writer;

use std::path::Path;
use std::process::{Command, ExitCode};

use crate::crash::Effort;
use crate::fs::Fs;
use crate::system::{BootId, Context, Outcome, Scratch};

const USAGE: &str = "crash [--fs ext4|xfs|btrfs] [--states N] [--seed N] [--long]
errors [--fs ext4|xfs|btrfs] [--seed N]
replay FOLDER";

/// Set in the process that does the work: the pid of the one that cleans up after it.
const SUPERVISOR: &str = "TIDELOG_BLOCKS_SUPERVISOR";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|role| role == "writer") {
        return end(writer::main(&arguments[1..]).map(|()| true));
    }
    match std::env::var(SUPERVISOR).ok().and_then(|pid| pid.parse().ok()) {
        Some(supervisor) => end(work(&arguments, supervisor)),
        None => end(supervise(&arguments)),
    }
}

fn end(outcome: Outcome<bool>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

enum Task {
    Crash(Effort),
    Errors { file_systems: Vec<Fs>, seed: u64 },
    Replay(String),
}

impl Task {
    fn file_systems(&self) -> Vec<Fs> {
        match self {
            Self::Crash(effort) => effort.states.iter().map(|(fs, _)| *fs).collect(),
            Self::Errors { file_systems, .. } => file_systems.clone(),
            Self::Replay(_) => Vec::new(),
        }
    }
}

fn parse(arguments: &[String]) -> Outcome<Task> {
    let (mut fs, mut states, mut seed, mut long) = (None, None, None, false);
    let mut words = arguments.iter();
    let task = words.next().ok_or(USAGE)?;
    if task == "replay" {
        return words.next().map(|folder| Task::Replay(folder.clone())).ok_or_else(|| USAGE.to_owned());
    }
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(USAGE);
        match word.as_str() {
            "--fs" => fs = Some(Fs::from_name(value()?).ok_or(USAGE)?),
            "--states" => states = Some(value()?.parse().context("--states")?),
            "--seed" => seed = Some(value()?.parse().context("--seed")?),
            "--long" => long = true,
            _ => return Err(USAGE.to_owned()),
        }
    }
    let file_systems: Vec<Fs> =
        Fs::ALL.into_iter().filter(|known| fs.is_none_or(|fs| fs == *known)).collect();
    let seed =
        seed.or_else(|| std::env::var("TIDELOG_SEED").ok()?.parse().ok()).unwrap_or_else(system::random_seed);
    match task.as_str() {
        "crash" => {
            let quick = |fs| if fs == Fs::Ext4 { 2_200 } else { 350 };
            let thorough = |fs| if fs == Fs::Ext4 { 100_000 } else { 20_000 };
            let states_of = |fs| states.unwrap_or(if long { thorough(fs) } else { quick(fs) });
            let states: Vec<(Fs, u64)> = file_systems.into_iter().map(|fs| (fs, states_of(fs))).collect();
            let (randoms, states_per_round) = if long { (16, 20_000) } else { (3, 3_000) };
            Ok(Task::Crash(Effort { seed, states, randoms, states_per_round }))
        }
        "errors" => Ok(Task::Errors { file_systems, seed }),
        _ => Err(USAGE.to_owned()),
    }
}

/// Runs the work in a process of its own, and cleans up whatever becomes of that.
fn supervise(arguments: &[String]) -> Outcome<bool> {
    let task = parse(arguments)?;
    let programs: Vec<&str> = task.file_systems().into_iter().flat_map(Fs::programs).copied().collect();
    if let Some(missing) = system::missing_means(&[&["losetup"], &programs[..]].concat()) {
        println!("SKIPPED: {missing}");
        return Ok(std::env::var("TIDELOG_NO_SKIP").as_deref() != Ok("1"));
    }
    system::sweep();
    let status = Command::new(std::env::current_exe().context("own program")?)
        .args(arguments)
        .env(SUPERVISOR, std::process::id().to_string())
        .status()
        .context("cannot start")?;
    if status.code().is_none() {
        println!("FAILED: the process in which logs are recovered ended with {status}");
    }
    system::sweep();
    Ok(status.success())
}

fn work(arguments: &[String], supervisor: u32) -> Outcome<bool> {
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).context("prctl")?;
    let task = parse(arguments)?;
    system::enter_private_namespace()?;
    let scratch = Scratch::new(supervisor)?;
    let boot = BootId::take_over(&scratch)?;
    match task {
        Task::Crash(effort) => crash::crash(&effort, &scratch, &boot),
        Task::Errors { file_systems, seed } => errors::errors(&file_systems, seed, &scratch, &boot),
        Task::Replay(folder) => {
            boot.set(crash::BOOT_OF_STATES)?;
            replay::replay(Path::new(&folder), &scratch).map(|()| true)
        }
    }
}
