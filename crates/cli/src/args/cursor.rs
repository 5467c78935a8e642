//! Of `cursor`.

use clap::Subcommand;

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
