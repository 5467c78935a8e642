//! Of `dump`, and of what prints records as it does.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::ValueEnum;

use crate::decode::Decode;
use crate::units::parse_time;

/// Which records, and how to print them.
#[derive(Debug, clap::Args)]
pub(crate) struct Dump {
    #[command(flatten)]
    pub(crate) select: Select,
    #[command(flatten)]
    pub(crate) show: Show,
    /// Only the last N of what is selected
    #[arg(long, value_name = "N", conflicts_with = "limit")]
    pub(crate) tail: Option<usize>,
    /// Newest first
    #[arg(short, long)]
    pub(crate) reverse: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Select {
    /// From this LSN on
    #[arg(long, value_name = "LSN")]
    pub(crate) from: Option<u64>,
    /// Before this LSN
    #[arg(long, value_name = "LSN")]
    pub(crate) to: Option<u64>,
    /// From segments that were still written to after this time (RFC 3339, or 2h for two hours ago). Records have no time of
    /// their own: a segment's is from when it was made to when it was sealed, so there may be older records too
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) since: Option<SystemTime>,
    /// From segments that were made before this time; there may be later records too
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) until: Option<SystemTime>,
    /// At most N
    #[arg(short = 'n', long = "limit", value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Only payloads that match this regular expression, over bytes
    #[arg(short, long, value_name = "REGEX")]
    pub(crate) grep: Option<regex::bytes::Regex>,
    /// Only payloads that begin so
    #[arg(long, value_name = "TEXT")]
    pub(crate) prefix: Option<String>,
    /// Only key-value records whose key begins so
    #[arg(long, value_name = "TEXT")]
    pub(crate) key_prefix: Option<String>,
    /// Only frames of this kind
    #[arg(short = 't', long = "type", value_name = "KIND", default_value = "records")]
    pub(crate) kind: Kind,
}

/// Kinds of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// All records, in batches or not
    Records,
    /// Records that are not in a batch
    Single,
    /// Records in batches
    Batch,
    /// What is no record: aborted claims, ends of segments
    Padding,
    All,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// How
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
    /// What payloads are: utf8, json, kv (records of tidelog::kv), hex, base64, or postcard:SCHEMA. A schema is a type:
    /// `{id:u64,name:string,tags:[string],at:option<i64>,kind:enum{Put,Delete(u64)}}`
    #[arg(long, value_name = "KIND", default_value = "utf8", value_parser = crate::decode::parse)]
    pub(crate) decode: Decode,
    /// A command that decodes: it is run by the shell for each record, with the payload on its standard input and
    /// TIDELOG_LSN set, and what it prints is shown
    #[arg(long, value_name = "COMMAND", conflicts_with = "decode")]
    pub(crate) decoder: Option<String>,
    #[command(flatten)]
    pub(crate) unpack: Unpack,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Unpack {
    /// Records are envelopes of tidelog::compress: show what is in them. --grep and the like look at that, too
    #[arg(long)]
    pub(crate) unpack: bool,
    /// With --unpack: a dictionary that records were compressed with; may be given again
    #[arg(long, value_name = "FILE", requires = "unpack")]
    pub(crate) dictionary: Vec<PathBuf>,
}

/// How records are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// LSN, bytes, kind and payload, with what cannot be printed escaped
    Text,
    /// JSON Lines; --json is the same
    Json,
    /// LSN and the bytes in hexadecimal, sixteen to a line
    Hex,
    /// The payloads, one after the other, with nothing between
    Raw,
    /// Comma-separated values after RFC 4180, with a header
    Csv,
}
