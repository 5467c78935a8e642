//! Counts the instructions of tidelog's operations, and compares them with those of an earlier commit.
//!
//! `cargo run --release -p tidelog-guard -- [--base REVISION] [--limit PERCENT] [--features LIST]`
//!
//! Both trees are built with the same flags and run under callgrind, one thread counted, so that the figures do not
//! depend on what else the machine does. Each is run twice, to show what they are worth. The base is the commit before
//! the tree that stands here: `HEAD` when something is not committed, else the one before it. It fails when an
//! operation takes over 5 percent more instructions than at the base, unless `crates/guard/accepted.txt` allows them.
//! With `--base HEAD --features metrics,tracing` it tells what optional features cost.
//!
//! valgrind is taken from the system, or fetched with `apt-get` and unpacked into `target/guard`. Where it cannot be had
//! the guard says so and passes; with `TIDELOG_NO_SKIP=1` it fails.

mod accepted;
mod callgrind;
mod compare;
mod tree;

use std::path::Path;
use std::process::ExitCode;

use crate::accepted::Accepted;
use crate::callgrind::{Callgrind, Counts};
use crate::tree::Tree;

/// How much an operation may grow without being noticed.
const LIMIT_PERCENT: f64 = 5.0;

/// Why the guard did not come to a verdict.
enum Failure {
    /// What it needs is not there.
    Skipped(String),
    Failed(String),
}

impl From<String> for Failure {
    fn from(error: String) -> Self {
        Self::Failed(error)
    }
}

struct Arguments {
    base: Option<String>,
    limit_percent: f64,
    /// With which the tree that stands here is built.
    features: String,
}

impl Arguments {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Self { base: None, limit_percent: LIMIT_PERCENT, features: String::new() };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--base" => parsed.base = Some(value()?),
                "--limit" => {
                    parsed.limit_percent =
                        value()?.parse().map_err(|_| "--limit needs a number".to_owned())?;
                }
                "--features" => parsed.features = value()?,
                _ => {
                    return Err(format!(
                        "unknown option {argument}; use --base REVISION, --limit PERCENT, --features LIST"
                    ));
                }
            }
        }
        Ok(parsed)
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("guard: {error}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Failure::Skipped(why))
            if std::env::var_os("TIDELOG_NO_SKIP").is_none_or(|value| value != "1") =>
        {
            println!("guard: SKIPPED: {why}");
            ExitCode::SUCCESS
        }
        Err(Failure::Skipped(why)) => {
            eprintln!("guard: cannot run, and TIDELOG_NO_SKIP=1: {why}");
            ExitCode::FAILURE
        }
        Err(Failure::Failed(why)) => {
            eprintln!("guard: {why}");
            ExitCode::FAILURE
        }
    }
}

/// True when nothing grew that may not.
fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let root = tree::root()?;
    let home = root.join("target/guard");
    let accepted = Accepted::read(&root.join("crates/guard/accepted.txt"))?;
    let callgrind = Callgrind::find(&home).map_err(Failure::Skipped)?;
    let revision = tree::base(&root, arguments.base.as_deref()).map_err(Failure::Skipped)?;
    let base = Tree::of_commit(&root, &home, &revision)?;
    let here = Tree::standing(&root, &arguments.features);
    println!("guard: against {}", tree::describe(&root, &revision)?);
    let base_program = base.build(&root, &home).map_err(|error| {
        Failure::Skipped(format!("the operations cannot be built against {revision}: {error}"))
    })?;
    let here_program = here.build(&root, &home)?;
    let count = |program: &Path| callgrind.count(program, &home);
    // In turns, so that whatever changes with time changes for both.
    let runs: Vec<(Counts, Counts)> =
        (0..2).map(|_| Ok((count(&base_program)?, count(&here_program)?))).collect::<Result<_, String>>()?;
    let (before, after): (Vec<_>, Vec<_>) = runs.into_iter().unzip();
    let rows = compare::rows(&before, &after)?;
    Ok(compare::report(&rows, &accepted, arguments.limit_percent))
}
