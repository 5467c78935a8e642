//! Of `export` and `import`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{Select, Sync};
use crate::units::parse_bytes;

#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) select: Select,
    /// How
    #[arg(short, long, value_name = "FORMAT", default_value = "jsonl")]
    pub(crate) format: PortFormat,
    /// Write to this file, which must not be there yet; it has its name when it is whole and synced
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// What to read; standard input where none is named
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// What it is; where this is not given, its first byte tells
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) format: Option<PortFormat>,
    /// It is no export: take this column of its CSV, or this field of its JSON objects, as payloads. What is no text is taken
    /// as JSON
    #[arg(long, value_name = "NAME")]
    pub(crate) field: Option<String>,
    /// Take what is there of an export that is cut off. Of a batch that is not whole nothing is taken
    #[arg(long)]
    pub(crate) partial: bool,
    /// Leave out the first N records: those that an earlier run has appended
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) skip: u64,
    /// Write each record's old and new LSN to this file, which must not be there yet, as CSV
    #[arg(long, value_name = "FILE", conflicts_with = "field")]
    pub(crate) map: Option<PathBuf>,
    /// When to make it durable
    #[arg(long, value_name = "WHEN", default_value = "end")]
    pub(crate) sync: Sync,
    /// Make the log where there is none
    #[arg(long)]
    pub(crate) create: bool,
    /// With --create: bytes of log in each segment, a power of two from 64KiB to 1GiB; by default as many as the exported log
    /// has
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, requires = "create")]
    pub(crate) segment_bytes: Option<u64>,
    /// Over each record; by default CRC-32C
    #[arg(long, value_name = "KIND")]
    pub(crate) checksum: Option<Checksum>,
}

/// How records are carried from log to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PortFormat {
    /// JSON Lines, with a header, and the counts at the end
    Jsonl,
    /// Binary: each record behind its length, with a checksum
    Lengths,
    /// Comma-separated values after RFC 4180; a cut between two rows goes unnoticed
    Csv,
}

/// Checksums of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Checksum {
    Crc32c,
    Crc64,
}
