//! Of `verify`.

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
