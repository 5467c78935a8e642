//! Of `repair`.

/// Make a damaged log usable again. Tells what would be done and lost; changes nothing without --apply.
///
/// Without --to and --salvage it does what the next opening would do: cut away what was promised to nobody, and pad claims
/// that never returned. A log that is damaged otherwise it refuses, and tells what the other two ways would keep.
///
/// With --apply, originals of all files that change are kept in a directory quarantine-N inside the log's own. A run that is
/// cut short has lost nothing; the same command takes it to its end.
#[derive(Debug, clap::Args)]
pub(crate) struct Repair {
    /// The log as it was: it ends before the first record at or behind this LSN. LSNs behind it will be given to other
    /// records, so consumers that have read further must be reset
    #[arg(long, value_name = "LSN", conflicts_with = "salvage")]
    pub(crate) to: Option<u64>,
    /// Keep all that still verifies, at its LSN; the rest becomes padding. No LSN is given again
    #[arg(long)]
    pub(crate) salvage: bool,
    /// Do it. Refused, with exit code 6, where a writer has the log open
    #[arg(long)]
    pub(crate) apply: bool,
}
