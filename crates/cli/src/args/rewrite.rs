//! Of `merge` and `convert`.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::units::parse_bytes;

#[derive(Debug, clap::Args)]
pub(crate) struct Merge {
    /// More logs, each of which goes behind the one before; the log of --dir is the first
    #[arg(value_name = "SOURCE_DIR")]
    pub(crate) sources: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) rewrite: Rewrite,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Convert {
    #[command(flatten)]
    pub(crate) rewrite: Rewrite,
    /// The checksum of the new log's frames; without this that of the newest opening
    #[arg(long, value_name = "NAME")]
    pub(crate) checksum: Option<Checksum>,
    /// Make envelopes of `tidelog::compress` of the payloads, by `lz4`, `zstd` or `zstd:LEVEL`; `none` unpacks envelopes
    #[arg(long, value_name = "HOW")]
    pub(crate) compress: Option<String>,
    /// The version of the format. There is one: 1
    #[arg(long, value_name = "N", default_value_t = tidelog::inspect::FORMAT_VERSION)]
    pub(crate) format_version: u32,
}

/// What both take.
#[derive(Debug, clap::Args)]
pub(crate) struct Rewrite {
    /// Where the new log goes: a directory that is missing or empty
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Bytes of log in each segment, a power of two from 64KiB to 1GiB; without this as in the sources (the largest)
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pub(crate) segment_bytes: Option<u64>,
    /// Whether records keep their LSNs. They do unless there are several sources, or payloads are packed or unpacked
    #[arg(long, value_name = "HOW")]
    pub(crate) lsns: Option<Lsns>,
    /// Write a line `source,old,new` for each record to this file, which must not be there. Sources are numbered from 1
    #[arg(long, value_name = "FILE")]
    pub(crate) map: Option<PathBuf>,
    /// Take what is left of a damaged source, and tell what is lost; ends with the code of the damage
    #[arg(long)]
    pub(crate) skip_damage: bool,
    /// Do not read the new log back at the end
    #[arg(long)]
    pub(crate) no_verify: bool,
}

/// Which LSNs records get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lsns {
    /// Those that they had
    Keep,
    /// New ones, without gaps, from 0 on
    Map,
}

/// Checksums of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Checksum {
    Crc32c,
    Crc64,
}

impl From<Checksum> for tidelog::Checksum {
    fn from(checksum: Checksum) -> Self {
        match checksum {
            Checksum::Crc32c => Self::Crc32c,
            Checksum::Crc64 => Self::Crc64,
        }
    }
}
