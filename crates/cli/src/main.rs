//! The tool of tidelog on the command line.

mod args;
mod color;
mod commands;
mod decode;
mod exit;
mod file;
mod out;
mod parallel;
mod picture;
mod port;
mod problem;
mod progress;
mod rewrite;
mod select;
mod units;
mod unpack;
mod view;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Args;
use crate::exit::{Fail, Outcome};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are answers, and go to standard output; neither may fail because its reader has gone.
            let _ = error.print();
            return if error.use_stderr() { Outcome::Usage.into() } else { Outcome::Clean.into() };
        }
    };
    match commands::run(&args) {
        Ok(outcome) => outcome.into(),
        Err(Fail::ReaderGone) => Outcome::Clean.into(),
        Err(fail) => {
            args.global.colors().complain(&fail.to_string());
            fail.outcome().into()
        }
    }
}
