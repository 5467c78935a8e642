//! The command line.

use std::path::PathBuf;

use crate::logs::{self, Entry};
use crate::plan::{Depth, Plan};

pub const HELP: &str = "\
tidelog-peers: the same work on tidelog, other logs, baselines and the limits of the machine

usage: tidelog-peers [OPTION]...

  --quick             a first impression, under a minute
                      (without either: under ten minutes)
  --thorough          longer and more rounds; an hour
  --only NAME,...     only the work whose name has this in it: append, durable/100B, 10KiB/8t, replay ...
  --logs KEY,...      only these logs
  --dir DIRECTORY     logs are written below it; by default beside this program. Not one in memory.
  --rounds N          how often each log does each piece of work
  --seconds S         how long it appends in a round
  --json FILE         all figures
  --svg DIRECTORY     pictures
  --no-verify         do not read back first what each log is given
  --no-counts         no round for system calls and latencies of appends
  --list              names of the work and the logs
  --help
";

pub enum Command {
    Run(Run),
    List,
    Help,
    /// Internal: one job, for a process of its own.
    Child(String),
}

pub struct Run {
    pub depth: Depth,
    pub only: Vec<String>,
    pub logs: Vec<&'static Entry>,
    pub directory: PathBuf,
    pub rounds: Option<usize>,
    pub seconds: Option<f64>,
    pub json: Option<PathBuf>,
    pub svg: Option<PathBuf>,
    pub unverified: bool,
    pub observe: bool,
}

impl Run {
    pub fn wants(&self, work: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| work.contains(part.as_str()))
    }
}

impl Command {
    pub fn parse(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = args.peekable();
        let mut run = Run {
            depth: Depth::Usual,
            only: Vec::new(),
            logs: logs::ALL.iter().collect(),
            directory: beside_the_program(),
            rounds: None,
            seconds: None,
            json: None,
            svg: None,
            unverified: false,
            observe: true,
        };
        while let Some(option) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{option} needs a value"));
            match option.as_str() {
                "--quick" => run.depth = Depth::Quick,
                "--thorough" => run.depth = Depth::Thorough,
                "--only" => run.only = parts(&value()?),
                "--logs" => run.logs = chosen(&value()?)?,
                "--dir" => run.directory = value()?.into(),
                "--rounds" => run.rounds = Some(number(&option, &value()?, 1..=1000)?),
                "--seconds" => run.seconds = Some(seconds(&value()?)?),
                "--json" => run.json = Some(value()?.into()),
                "--svg" => run.svg = Some(value()?.into()),
                "--no-verify" => run.unverified = true,
                "--no-counts" => run.observe = false,
                "--list" => return Ok(Self::List),
                "--help" | "-h" => return Ok(Self::Help),
                "--child" => return Ok(Self::Child(value()?)),
                _ => return Err(format!("there is no option {option}")),
            }
        }
        if !Plan::new(run.depth).works.iter().any(|work| run.wants(&work.name())) {
            return Err(format!("no work has {} in its name; see --list", run.only.join(" or ")));
        }
        Ok(Self::Run(run))
    }
}

fn parts(text: &str) -> Vec<String> {
    text.split(',').filter(|part| !part.is_empty()).map(String::from).collect()
}

fn chosen(text: &str) -> Result<Vec<&'static Entry>, String> {
    let find = |key: String| {
        logs::find(&key).ok_or_else(|| {
            let keys: Vec<&str> = logs::ALL.iter().map(|entry| entry.key).collect();
            format!("there is no log {key}; there are {}", keys.join(", "))
        })
    };
    parts(text).into_iter().map(find).collect()
}

fn number(option: &str, text: &str, range: std::ops::RangeInclusive<usize>) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        format!("{option} takes a number from {} to {}, not {text}", range.start(), range.end())
    })
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.01..=60.0).contains(seconds));
    seconds.ok_or_else(|| format!("--seconds takes a number from 0.01 to 60, not {text}"))
}

/// On the file system of the build, which is rarely in memory.
fn beside_the_program() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program.parent().map_or_else(|| ".".into(), PathBuf::from)
}

pub fn list() {
    let (quick, usual) = (Plan::new(Depth::Quick).works, Plan::new(Depth::Usual).works);
    println!("work (*: without --thorough; **: with --quick too):");
    for work in Plan::new(Depth::Thorough).works {
        let mark = match (quick.contains(&work), usual.contains(&work)) {
            (true, _) => "**",
            (false, true) => "*",
            _ => "",
        };
        println!("  {:<26} {mark}", work.name());
    }
    println!("logs:");
    for entry in logs::ALL {
        println!("  {:<14} {}, {}", entry.key, entry.name, entry.role.as_str());
    }
}
