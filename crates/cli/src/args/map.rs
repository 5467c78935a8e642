//! Of `map`.

use std::path::PathBuf;

use clap::ValueEnum;

#[derive(Debug, clap::Args)]
pub(crate) struct Map {
    #[command(flatten)]
    pub(crate) picture: Picture,
    /// Headers and marks alone: what is written is not read, so it is neither told apart nor checked
    #[arg(long)]
    pub(crate) quick: bool,
    /// Columns of the picture at a terminal; by default COLUMNS, or as wide as that is
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(40..=1000))]
    pub(crate) width: Option<u16>,
    /// Rows for each segment, at a terminal and as long as no two segments share a row
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) rows: u16,
    /// Threads; by default as many as there are processors
    #[arg(short = 'j', long, value_name = "N")]
    pub(crate) threads: Option<usize>,
}

/// What is drawn, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Picture {
    /// How
    #[arg(short, long, value_name = "FORMAT", default_value = "text", conflicts_with = "json")]
    pub(crate) output: Drawing,
    /// Write to this file, which must not exist, in place of standard output
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub(crate) out: Option<PathBuf>,
}

/// How something is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Drawing {
    /// With letters and blocks, for a terminal
    Text,
    /// One picture
    Svg,
    /// One page with the picture and its figures; it needs nothing else, and no script
    Html,
}
