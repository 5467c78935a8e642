//! What every log in the comparison must be able to do. One implementation per file in `logs/`.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// What an append that returned has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// The process's memory: a kill loses it.
    Process,
    /// The kernel: it survives a kill, a power cut may lose it.
    Kernel,
    /// Stable storage.
    Durable,
}

/// How a log is opened for one piece of work.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// False: appends wait for nothing. True: an append returns when it is durable (or the strongest the log has; see
    /// `promise`).
    pub durable: bool,
    /// Drop old segments as the log grows, keeping about 4 segments, in the cheapest way the log has.
    pub recycle: bool,
    /// Wanted size of a segment, where the log lets one choose.
    pub segment_bytes: u64,
    /// Appending threads that will run; where a log must know.
    pub threads: usize,
    /// The longest payload that will come.
    pub record_bytes: usize,
    /// No more payload than this will come in all.
    pub bytes_max: u64,
}

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A log under test. Generic code calls it, so no call is dynamic.
pub trait Log: Sync + Sized + 'static {
    /// Name and version, as shown: "okaywal 0.3.1".
    const NAME: &'static str;
    /// What an append has reached when it returns, opened so; `None` where the log cannot work so.
    fn promise(setup: &Setup) -> Option<Promise>;
    fn open(place: &Path, setup: &Setup) -> Result<Self, Failure>;
    /// Appends from any thread; waits as `setup` said.
    fn append(&self, payload: &[u8]) -> Result<(), Failure>;
    /// Appends all as one and waits as `setup` said; `Ok(false)` where the log has no batches.
    fn append_batch(&self, payloads: &[&[u8]]) -> Result<bool, Failure>;
    /// Called now and then by one thread when `setup.recycle`.
    fn drop_old(&self) -> Result<(), Failure> {
        Ok(())
    }
    /// Everything is handed to the kernel at least, and the log closed, so that it can be opened again.
    fn close(self) -> Result<(), Failure>;
    /// Opens what is there as its user would after a clean exit and reads all records in order; calls `each` for every
    /// payload. Returns false where it cannot.
    fn replay(place: &Path, setup: &Setup, each: &mut dyn FnMut(&[u8])) -> Result<bool, Failure>;
    /// While `feed` runs on another thread and appends, follows the log and calls `each` for every payload, until
    /// `each` says false. `Ok(false)` where the log cannot be followed.
    fn follow(&self, feed: &(dyn Fn() + Sync), each: &mut dyn FnMut(&[u8]) -> bool) -> Result<bool, Failure> {
        let _ = (feed, each);
        Ok(false)
    }
    /// True where `replay` verifies checksums.
    const VERIFIES: bool;
}
