//! The same work on tidelog, on other logs, on baselines and on the limits of the machine; see README.md.

mod args;
mod child;
mod counters;
mod log;
mod logs;
mod machine;
mod plan;
mod results;
mod runner;
mod stats;
mod svg;
mod table;
mod targets;
mod work;

use std::process::ExitCode;

use args::Command;

fn main() -> ExitCode {
    let command = match Command::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(problem) => {
            eprintln!("tidelog-peers: {problem}\ntry tidelog-peers --help");
            return ExitCode::from(2);
        }
    };
    let outcome = match command {
        Command::Help => {
            print!("{}", args::HELP);
            Ok(())
        }
        Command::List => {
            args::list();
            Ok(())
        }
        Command::Child(job) => child::main(&job),
        Command::Run(run) => runner::main(&run),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("tidelog-peers: {failure}");
            ExitCode::FAILURE
        }
    }
}
