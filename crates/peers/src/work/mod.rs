//! What is measured: pieces of work, by name, and how each is carried out on one log.

mod drive;
mod filled;
mod follow;
mod run;
mod verify;

use serde::{Deserialize, Serialize};

use crate::log::Setup;

pub use run::{Job, Measured, Outcome, Pass, PerRecord, run};

/// Records in a batch.
pub const BATCH: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Appends that wait for nothing.
    Append {
        /// Old segments are dropped as the log grows.
        recycle: bool,
    },
    /// Appends that return when the record is durable.
    Durable,
    /// Batches that are durable when they return.
    Batch,
    /// Everything is read, from opening to the last record.
    Replay,
    /// A log that was closed is opened.
    Open,
    /// One thread appends, another follows.
    Follow,
    /// What is appended is read again and compared; not timed.
    Verify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    pub kind: Kind,
    pub record_bytes: usize,
    pub threads: usize,
}

/// What every log is asked to use; tidelog's default.
const SEGMENT_BYTES: u64 = 64 << 20;

impl Work {
    pub const fn new(kind: Kind, record_bytes: usize, threads: usize) -> Self {
        Self { kind, record_bytes, threads }
    }

    /// As one names it with `--only`: "append/100B/1t/recycled".
    pub fn name(&self) -> String {
        let bytes = size(self.record_bytes);
        let threads = self.threads;
        match self.kind {
            Kind::Append { recycle: true } => format!("append/{bytes}/{threads}t/recycled"),
            Kind::Append { recycle: false } => format!("append/{bytes}/{threads}t/fresh"),
            Kind::Durable => format!("durable/{bytes}/{threads}t"),
            Kind::Batch => format!("batch/{BATCH}x{bytes}/{threads}t"),
            Kind::Replay => format!("replay/{bytes}"),
            Kind::Open => format!("open/{bytes}"),
            Kind::Follow => format!("follow/{bytes}"),
            Kind::Verify => "verify".into(),
        }
    }

    pub fn setup(&self, bytes_max: u64) -> Setup {
        Setup {
            durable: self.waits(),
            recycle: matches!(self.kind, Kind::Append { recycle: true } | Kind::Durable | Kind::Batch),
            segment_bytes: SEGMENT_BYTES,
            threads: self.threads,
            record_bytes: self.record_bytes,
            bytes_max,
        }
    }

    /// Whether an append waits for the device.
    pub fn waits(&self) -> bool {
        matches!(self.kind, Kind::Durable | Kind::Batch)
    }

    /// Whether it reads a log that was written before.
    pub fn reads(&self) -> bool {
        matches!(self.kind, Kind::Replay | Kind::Open)
    }

    /// Records that one call appends.
    pub fn records_a_call(&self) -> u64 {
        if self.kind == Kind::Batch { BATCH as u64 } else { 1 }
    }
}

/// A number of bytes as people write it.
pub fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes}B"),
        1024..1_048_576 => format!("{}KiB", bytes >> 10),
        _ => format!("{}MiB", bytes >> 20),
    }
}
