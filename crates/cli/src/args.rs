//! The command line.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::color::{Colors, When};
use crate::exit::EXIT_CODES;
use crate::units::{parse_bytes, parse_time};

/// Looks into a tidelog log: what is in it, whether it is sound, and where it is not.
///
/// Commands that only read take no lock, create no file and change nothing; they may run beside a live writer. Commands that
/// change the log open it as a writer does, and end with code 6 where there is one.
#[derive(Debug, Parser)]
#[command(name = "tidelog", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Global {
    /// The log's directory
    #[arg(short = 'd', long, value_name = "DIR", env = "TIDELOG_DIR", global = true)]
    pub(crate) dir: Option<PathBuf>,
    /// One JSON object, or one on each line, with a schema version
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colours
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    color: When,
}

impl Global {
    pub(crate) fn colors(&self) -> Colors {
        Colors::new(self.color)
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The log at a glance: where it begins and ends, its writer, its segments, its cursors
    Info,
    /// Check headers, checksums, continuity and batches, on all processors
    Verify(Verify),
    /// Print records, oldest first
    Dump(Dump),
    /// Print the payload of the record at an LSN, as it is
    Get {
        /// Its address
        lsn: u64,
    },
    /// Print the last records, and with -f those to come
    Tail(Tail),
    /// Sizes, counts and rates of what is in the log
    Stats {
        /// As a text file for Prometheus' node exporter
        #[arg(long, conflicts_with = "json")]
        prometheus: bool,
    },
    /// Consumers' positions
    Cursor {
        #[command(subcommand)]
        action: Cursor,
    },
    /// Append records: each line of standard input, or each file. Opens the log as a writer
    Append(Append),
    /// Drop the segments that lie wholly before an LSN. Opens the log as a writer; ends with 6 where a cursor holds them
    Retire {
        /// The first record that must stay
        before: u64,
    },
    /// A script that completes this command in a shell
    Completions {
        /// Of this shell
        shell: Shell,
    },
    /// The manual, as roff: the page of `tidelog`, or all pages into a directory
    Man {
        /// Write `tidelog.1`, `tidelog-info.1` and so on here
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// Headers, marks, continuity, and what an opening would scan; not every frame
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only segments that reach this LSN or one above it
    #[arg(long, value_name = "LSN")]
    pub(crate) from: Option<u64>,
    /// Only segments that begin below this LSN
    #[arg(long, value_name = "LSN")]
    pub(crate) to: Option<u64>,
    /// Stop at the first damage, instead of going on behind it
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Threads; by default as many as there are processors
    #[arg(short = 'j', long, value_name = "N")]
    pub(crate) threads: Option<usize>,
}

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
    /// What payloads are
    #[arg(long, value_name = "KIND", default_value = "utf8", value_parser = crate::decode::names())]
    pub(crate) decode: String,
    /// A command that decodes: it is run by the shell for each record, with the payload on its standard input and
    /// TIDELOG_LSN set, and what it prints is shown
    #[arg(long, value_name = "COMMAND", conflicts_with = "decode")]
    pub(crate) decoder: Option<String>,
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

#[derive(Debug, clap::Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    pub(crate) show: Show,
    /// Go on with what is appended, until interrupted
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// The last N records
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, conflicts_with_all = ["from", "cursor"])]
    pub(crate) lines: usize,
    /// From this LSN on
    #[arg(long, value_name = "LSN", conflicts_with = "cursor")]
    pub(crate) from: Option<u64>,
    /// From where this cursor stands; it is not moved
    #[arg(long, value_name = "NAME")]
    pub(crate) cursor: Option<String>,
    /// Only what is durable
    #[arg(long)]
    pub(crate) durable: bool,
    /// With -f: end after N records
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<usize>,
}

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

#[derive(Debug, Subcommand)]
pub(crate) enum Cursor {
    /// All cursors, where they stand, and how far behind the end
    List,
    /// Move a cursor, durably; make it where there is none. Opens the log as a writer
    Set {
        name: String,
        /// Where it is to stand: an LSN, `start` or `end`
        position: String,
        /// Whether it holds back retirement
        #[arg(long, value_name = "YES/NO", value_parser = clap::builder::BoolishValueParser::new())]
        gate: Option<bool>,
    },
    /// Remove a cursor, damaged or not. Opens the log as a writer
    Rm { name: String },
}
