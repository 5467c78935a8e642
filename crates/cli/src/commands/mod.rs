//! The commands.

mod append;
mod convert;
mod cursor;
mod dump;
mod follow;
mod info;
mod merge;
mod pages;
mod stats;
mod verify;

pub(crate) use self::info::structure_problems;
pub(crate) use self::verify::is_lost;

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
                Command::Stats { prometheus } => {
                    stats::run(&View::open(directory)?, *prometheus, &args.global, &mut out)
                }
                Command::Cursor { action } => cursor::run(directory, action, &args.global, &mut out),
                Command::Append(options) => append::run(directory, options, &args.global, &mut out),
                Command::Retire { before } => append::retire(directory, *before, &args.global, &mut out),
                // Above.
                Command::Completions { .. }
                | Command::Man { .. }
                | Command::Merge(_)
                | Command::Convert(_) => Ok(Outcome::Clean),
            }
        }
    }?;
    out.flush()?;
    Ok(outcome)
}
