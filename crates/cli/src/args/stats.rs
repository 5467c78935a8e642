//! Of `stats`.

#[derive(Debug, clap::Args)]
pub(crate) struct Stats {
    /// As a text file for Prometheus' node exporter
    #[arg(long, conflicts_with = "json")]
    pub(crate) prometheus: bool,
    /// Records are envelopes of tidelog::compress, though some do not read as such. Where all do, this need not be said
    #[arg(long)]
    pub(crate) unpack: bool,
    /// Compress a sample of up to 16 MiB, and tell how small it becomes
    #[arg(long)]
    pub(crate) estimate: bool,
}
