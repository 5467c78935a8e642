//! Appends every line of real files to a log from several threads, closes it, opens it again, and checks that
//! every line is there exactly once, with the right content and in the order of its thread.
//!
//! ```text
//! cargo run --release --example ingest -- --help
//! cargo run --release --example ingest                                  # the sources under this directory
//! cargo run --release --example ingest -- --policy periodic /var/log    # a directory, recursively
//! journalctl | cargo run --release --example ingest -- -                # standard input
//! ```
//!
//! It exits with 0 when everything was found again, with 1 when anything failed, and with 2 on a wrong argument.

mod args;
mod ingest;
mod latency;
mod sources;

use std::process::ExitCode;

use args::{Args, Parsed};

fn main() -> ExitCode {
    let args = match args::parse(std::env::args_os().skip(1)) {
        Ok(Parsed::Run(args)) => args,
        Ok(Parsed::Help) => {
            print!("{}", args::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(what) => {
            eprintln!("ingest: {what}\n\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("ingest: {what}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    let input = sources::read(&args.inputs)?;
    println!(
        "input: {} lines, {} bytes from {} sources{}",
        input.lines.len(),
        input.bytes(),
        input.sources.len(),
        if input.skipped > 0 { format!(" ({} binary files skipped)", input.skipped) } else { String::new() }
    );
    // Dropped at the end of this function, which removes it.
    let temporary = if args.directory.is_none() { Some(temporary_directory()?) } else { None };
    let directory = args.directory.as_deref().or_else(|| temporary.as_ref().map(tempfile::TempDir::path));
    let directory = directory.ok_or("no directory for the log")?;
    ingest::run(args, &input, directory)
}

/// Beside the build where there is one: the system's directory for temporary files may be in memory, where a
/// sync costs nothing and tells nothing.
fn temporary_directory() -> Result<tempfile::TempDir, String> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("tidelog-ingest-");
    let made = if std::path::Path::new("target").is_dir() {
        builder.tempdir_in("target")
    } else {
        builder.tempdir()
    };
    made.map_err(|error| format!("cannot create a temporary directory: {error}"))
}
