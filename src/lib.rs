#![doc = include_str!("../README.md")]

// The modules that may say `unsafe`, by leave in the file or at its `mod` line: format::crc, region::mapped (and
// region::shadow, its stand-in under the model checker), region::words, segment::claim, segment::scan, chain::ring. The architecture
// test holds it.

mod append;
mod chain;
mod codec;
#[cfg(any(feature = "lz4", feature = "zstd"))]
pub mod compress;
mod crew;
mod cursors;
mod error;
mod event;
mod format;
pub mod future;
pub mod inspect;
mod keeper;
pub mod kv;
mod limits;
mod listener;
mod log;
mod log_reader;
mod lsn;
mod options;
mod partitions;
mod policy;
mod primitive;
pub mod rebuild;
mod record;
mod recovery;
mod reentry;
#[allow(unsafe_code, reason = "raw access to mapped memory lives here; see the proofs in the module")]
mod region;
pub mod repair;
mod retention;
mod segment;
mod signal;
#[cfg(all(feature = "testing", not(any(tidelog_loom, tidelog_shuttle))))]
mod sim;
mod snapshot;
mod stats;
mod storage;
mod syncer;
mod tail;
mod telemetry;
#[cfg_attr(not(feature = "tracing"), path = "trace_off.rs")]
mod trace;
mod typed;
mod watcher;

pub use crate::append::BatchLsns;
#[cfg(feature = "zerocopy")]
pub use crate::codec::Fixed;
#[cfg(feature = "rkyv")]
pub use crate::codec::Rkyv;
#[cfg(feature = "postcard")]
pub use crate::codec::{Borrowing, Postcard, PostcardBorrowed};
pub use crate::codec::{Codec, CodecError};
pub use crate::cursors::{CursorInfo, CursorState};
pub use crate::error::{Error, ErrorKind, Result};
pub use crate::event::{Event, Events};
pub use crate::log::{Cursor, Log};
pub use crate::log_reader::LogReader;
pub use crate::lsn::Lsn;
pub use crate::options::Options;
pub use crate::partitions::{PartitionOptions, Partitions};
pub use crate::policy::{Checksum, SyncPolicy};
pub use crate::record::{PinnedRecord, Record};
pub use crate::recovery::{LastClose, RecoveryReport, TornTail};
pub use crate::retention::RetentionPolicy;
#[cfg(feature = "bytes")]
pub use crate::snapshot::RecordBytes;
pub use crate::snapshot::{PinnedRecords, Records, SegmentSnapshot, Snapshot};
pub use crate::stats::{Histogram, Stats, Watermarks};
pub use crate::tail::{Tail, TailRecords};
pub use crate::typed::{Typed, TypedLog, TypedPinned, TypedReader, TypedRecords, TypedSnapshot, TypedTail};
pub use crate::watcher::Watcher;

/// A simulated disk, for tests of this crate and of what is built on it.
#[cfg(all(feature = "testing", not(any(tidelog_loom, tidelog_shuttle))))]
pub mod testing {
    pub use crate::segment::probe::{Probe, Standing};
    pub use crate::sim::{Cut, Disk, Fault, Operation, Pick, Possibilities};
}

#[cfg(all(feature = "testing", any(tidelog_loom, tidelog_shuttle)))]
compile_error!("a model checker has its own memory; build it without the feature `testing`");

/// What the model checkers in `loom-tests` and `shuttle-tests` drive: the production protocol itself.
#[cfg(any(tidelog_loom, tidelog_shuttle))]
#[allow(missing_docs)]
pub mod model;
