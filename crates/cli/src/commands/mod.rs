//! The commands.

mod append;
mod bench;
mod convert;
mod cursor;
mod dump;
mod export;
mod follow;
mod import;
mod info;
mod map;
mod merge;
mod pages;
mod printer;
mod repair;
mod stats;
mod top;
mod verify;
mod walk;

pub(crate) use self::info::structure_problems;
pub(crate) use self::walk::gone;

use crate::args::{Args, Command};
use crate::exit::{Fail, Outcome};
use crate::out::Out;
use crate::view::{View, directory};

/// Runs the command that was given.
pub(crate) fn run(args: &Args) -> Result<Outcome, Fail> {
    let mut out = Out::new();
    let outcome = match &args.command {
        Command::Completions { shell } => pages::completions(*shell, &mut out),
        Command::Man { out: folder } => pages::manual(folder.as_deref(), &mut out),
        Command::Bench(options) => bench::run(options, &args.global, &mut out),
        Command::Merge(merge) => merge::run(merge, &args.global, &mut out),
        Command::Convert(convert) => convert::run(convert, &args.global, &mut out),
        command => {
            let directory = &*directory(&args.global)?;
            match command {
                Command::Info { count } => info::run(&View::open(directory)?, *count, &args.global, &mut out),
                Command::Verify(verify) => {
                    verify::run(&View::open(directory)?, verify, &args.global, &mut out)
                }
                Command::Dump(dump) => dump::run(&View::open(directory)?, dump, &args.global, &mut out),
                Command::Get { lsn } => dump::get(&View::open(directory)?, *lsn, &args.global, &mut out),
                Command::Tail(tail) => follow::run(directory, tail, &args.global, &mut out),
                Command::Stats(stats) => stats::run(&View::open(directory)?, stats, &args.global, &mut out),
                Command::Map(options) => map::run(&View::open(directory)?, options, &args.global, &mut out),
                Command::Top(options) => top::run(directory, options, &args.global, &mut out),
                Command::Cursor { action } => cursor::run(directory, action, &args.global, &mut out),
                Command::Append(options) => append::run(directory, options, &args.global, &mut out),
                Command::Export(options) => {
                    export::run(&View::open(directory)?, options, &args.global, &mut out)
                }
                Command::Import(options) => import::run(directory, options, &args.global, &mut out),
                Command::Retire { before } => append::retire(directory, *before, &args.global, &mut out),
                Command::Repair(options) => repair::run(directory, options, &args.global, &mut out),
                // Above.
                Command::Completions { .. }
                | Command::Man { .. }
                | Command::Bench(_)
                | Command::Merge(_)
                | Command::Convert(_) => Ok(Outcome::Clean),
            }
        }
    }?;
    out.flush()?;
    Ok(outcome)
}
