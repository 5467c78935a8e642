//! The command line: what all commands take, and the commands. What belongs to one stands in a file of its own.

mod append;
mod bench;
mod cursor;
mod map;
mod port;
mod records;
mod repair;
mod rewrite;
mod stats;
mod tail;
mod top;
mod verify;

pub(crate) use self::append::{Append, Sync};
pub(crate) use self::bench::{Bench, Policy};
pub(crate) use self::cursor::Cursor;
pub(crate) use self::map::{Drawing, Map, Picture};
pub(crate) use self::port::{Checksum, Export, Import, PortFormat};
pub(crate) use self::records::{Dump, Format, Kind, Select, Show, Unpack};
pub(crate) use self::repair::Repair;
pub(crate) use self::rewrite::{Convert, Lsns, Merge, Rewrite};
pub(crate) use self::stats::Stats;
pub(crate) use self::tail::Tail;
pub(crate) use self::top::Top;
pub(crate) use self::verify::Verify;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::color::{Colors, When};
use crate::exit::EXIT_CODES;

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
    /// The directory is a root of partitions, and this one's log is meant
    #[arg(long, value_name = "ID", global = true)]
    pub(crate) partition: Option<u64>,
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
    Info {
        /// Count the records of each segment, too: reads all of the log
        #[arg(long)]
        count: bool,
    },
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
    Stats(Stats),
    /// A picture of the log: what is where, how full, how old, and what is damaged
    Map(Map),
    /// What a running writer does, again and again: rates, watermarks, cursors
    Top(Top),
    /// Measure what syncs and appends cost on this disk and this machine, in a directory of its own
    Bench(Bench),
    /// Consumers' positions
    Cursor {
        #[command(subcommand)]
        action: Cursor,
    },
    /// Append records: each line of standard input, or each file. Opens the log as a writer
    Append(Append),
    /// Write records to a file or standard output, so that `import` makes the same records of them, batches as batches
    Export(Export),
    /// Append what `export` wrote, or a column of a table. Opens the log as a writer
    Import(Import),
    /// Drop the segments that lie wholly before an LSN. Opens the log as a writer; ends with 6 where a cursor holds them
    Retire {
        /// The first record that must stay
        before: u64,
    },
    Repair(Repair),
    /// Write a new log with the records of one or several, without padding or in segments of another size. The sources are only
    /// read
    Merge(Merge),
    /// Write a new log with the same records, with another checksum or compressed. The source is only read
    Convert(Convert),
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
