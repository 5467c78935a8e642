//! Of `bench`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::Picture;
use crate::units::parse_bytes;

#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    #[command(flatten)]
    pub(crate) picture: Picture,
    /// Measure on the file system of this directory, in a directory of its own that is removed at the end. By default where
    /// the log's directory lies, or else where the command runs
    #[arg(long = "in", value_name = "DIR")]
    pub(crate) place: Option<PathBuf>,
    /// How long each part measures; by default 1, or less where all of them would take more than half a minute
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) seconds: Option<f64>,
    /// Appending threads: 1, 2, 4 and so on up to so many; by default up to the processors
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub(crate) threads: Option<u16>,
    /// Sizes of records
    #[arg(long, value_name = "BYTES", value_delimiter = ',', default_value = "100,1KiB", value_parser = parse_bytes)]
    pub(crate) record_bytes: Vec<u64>,
    /// Sync policies
    #[arg(
        long,
        value_name = "POLICY",
        value_delimiter = ',',
        default_value = "none,periodic,grouped,immediate"
    )]
    pub(crate) policy: Vec<Policy>,
    /// Write at most so much in all; each part gets the same share, and ends early when it has used that
    #[arg(long, value_name = "BYTES", default_value = "4GiB", value_parser = parse_bytes)]
    pub(crate) limit_bytes: u64,
}

/// When appends return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Policy {
    /// When the record is published
    None,
    /// When the record is published; a thread syncs every 10 ms
    Periodic,
    /// When it is durable; who comes while a sync runs shares the next one
    Grouped,
    /// When it is durable, by a sync that begins at once
    Immediate,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.01..=600.0).contains(seconds));
    seconds.ok_or_else(|| format!("{text:?} is no number of seconds from 0.01 to 600"))
}
