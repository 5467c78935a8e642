//! Of `append`.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::units::parse_bytes;

#[derive(Debug, clap::Args)]
pub(crate) struct Append {
    /// Each of these is one record
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// All of standard input is one record, instead of each line
    #[arg(long, conflicts_with = "files")]
    pub(crate) whole: bool,
    /// When to make it durable
    #[arg(long, value_name = "WHEN", default_value = "end")]
    pub(crate) sync: Sync,
    /// Make the log where there is none
    #[arg(long)]
    pub(crate) create: bool,
    /// With --create: bytes of log in each segment, a power of two from 64KiB to 1GiB
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, requires = "create")]
    pub(crate) segment_bytes: Option<u64>,
}

/// When appended records are made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sync {
    /// Once, at the end
    End,
    /// After each record
    Each,
    /// When the kernel likes
    Never,
}
