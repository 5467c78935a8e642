//! Of `tail`.

use super::Show;

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
