//! The command line.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use tidelog::{Checksum, SyncPolicy};

/// What `--help` prints.
pub const USAGE: &str = "\
usage: ingest [OPTION]... [INPUT]...

An INPUT is a file, a directory (its text files, recursively), or - for standard input.
Without one: the *.rs, *.md and *.toml files under the current directory.

  --threads N           appending threads (4)
  --policy P            none | immediate | periodic | grouped (grouped)
  --checksum C          crc32c | crc64 (crc32c)
  --segment-bytes N     size of a new log's segments, a power of two (67108864)
  --dir DIR             where the log lies; it is kept (a temporary directory, removed at the end)
  --repeat N            append the whole input so many times (1)
  --help                print this
";

/// The longest time for which a record stays unsynced under `--policy periodic`.
const PERIODIC_INTERVAL: Duration = Duration::from_millis(10);

/// Threads beyond this are a typing error.
const THREADS_MAX: usize = 1024;

/// What to do.
pub struct Args {
    pub threads: usize,
    pub policy: SyncPolicy,
    pub checksum: Checksum,
    pub segment_bytes: Option<u64>,
    pub directory: Option<PathBuf>,
    pub repeat: u32,
    pub inputs: Vec<PathBuf>,
}

/// What the command line asks for.
pub enum Parsed {
    Run(Args),
    Help,
}

/// Reads the arguments; the error says which one is wrong, and why.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Parsed, String> {
    let mut arguments = arguments;
    let mut args = Args {
        threads: 4,
        policy: SyncPolicy::grouped(),
        checksum: Checksum::Crc32c,
        segment_bytes: None,
        directory: None,
        repeat: 1,
        inputs: Vec::new(),
    };
    let mut options = true;
    while let Some(argument) = arguments.next() {
        let name = match argument.to_str() {
            Some(text) if options && text.starts_with('-') && text != "-" => text.to_owned(),
            _ => {
                args.inputs.push(PathBuf::from(argument));
                continue;
            }
        };
        // Both `--name value` and `--name=value`.
        let (name, inline) = match name.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (name.as_str(), None),
        };
        let mut value = || {
            let value = inline.clone().or_else(|| arguments.next());
            value.ok_or_else(|| format!("{name} needs a value"))
        };
        match name {
            "--" => options = false,
            "--help" | "-h" => return Ok(Parsed::Help),
            "--threads" => {
                args.threads = number(name, &value()?, 1..=THREADS_MAX as u64)? as usize;
            }
            "--policy" => args.policy = policy(&value()?)?,
            "--checksum" => args.checksum = checksum(&value()?)?,
            "--segment-bytes" => args.segment_bytes = Some(number(name, &value()?, 1..=u64::MAX)?),
            "--dir" => args.directory = Some(PathBuf::from(value()?)),
            "--repeat" => args.repeat = number(name, &value()?, 1..=u64::from(u32::MAX))? as u32,
            _ => return Err(format!("there is no option {name}")),
        }
    }
    Ok(Parsed::Run(args))
}

fn number(name: &str, value: &OsStr, range: std::ops::RangeInclusive<u64>) -> Result<u64, String> {
    let number = value.to_str().and_then(|text| text.parse().ok()).filter(|number| range.contains(number));
    number.ok_or_else(|| {
        format!("{name} is {value:?}; give a number from {} to {}", range.start(), range.end())
    })
}

fn policy(value: &OsStr) -> Result<SyncPolicy, String> {
    match value.to_str() {
        Some("none") => Ok(SyncPolicy::None),
        Some("immediate") => Ok(SyncPolicy::Immediate),
        Some("periodic") => Ok(SyncPolicy::periodic(PERIODIC_INTERVAL)),
        Some("grouped") => Ok(SyncPolicy::grouped()),
        _ => Err(format!("--policy is {value:?}; give none, immediate, periodic or grouped")),
    }
}

fn checksum(value: &OsStr) -> Result<Checksum, String> {
    match value.to_str() {
        Some("crc32c") => Ok(Checksum::Crc32c),
        Some("crc64") => Ok(Checksum::Crc64),
        _ => Err(format!("--checksum is {value:?}; give crc32c or crc64")),
    }
}
