//! Compressed records and batches. With the feature `lz4` or `zstd`.
//!
//! Each record of the log is then an *envelope*: a payload, raw or compressed, and behind it a trailer that says which
//! (`docs/FORMAT.md` has its bytes). As the trailer stands at the end, a raw payload begins where the log's does: at an
//! address divisible by 8, in the mapping, and is read without a copy. What is compressed is unpacked into a buffer that the
//! reader uses again. [`Payload`] says which of the two it was.
//!
//! * [`CompressedLog`] and [`CompressedReader`] stand in front of a [`Log`](crate::Log) and a
//!   [`LogReader`](crate::LogReader).
//! * [`Packer`] makes and opens envelopes without a log.
//! * A batch is compressed as a whole and becomes *one* record of the log. Its inner records share its LSN; an [`Address`]
//!   tells them apart by their index. Iterating gives inner records and ordinary ones alike.
//! * What does not save an eighth is stored raw.
//! * [`Dictionary`] (feature `zstd`) makes single small records worth compressing.
//!
//! It costs the appending thread 0.2 to 3 µs a record of some 200 bytes, where a plain append takes 20 to 40 ns; batches are
//! both the smallest and the cheapest. `docs/BENCHMARKS.md` has figures.
//!
//! ```
//! # #[cfg(feature = "lz4")] {
//! use tidelog::compress::{CompressedLog, Compression, Packer};
//!
//! # let dir = tempfile::tempdir()?;
//! # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
//! let log = CompressedLog::new(log, Packer::new(Compression::Lz4));
//! let lines: Vec<String> = (0..100).map(|n| format!("{{\"user\":{n},\"event\":\"login\"}}")).collect();
//! log.append_batch(&lines)?; // one record of the log, atomic as any
//! log.append(b"too short to compress, so raw")?;
//!
//! let snapshot = log.log().snapshot();
//! let mut replay = log.replay(&snapshot);
//! let mut seen = 0;
//! while let Some(record) = replay.next()? {
//!     seen += 1;
//!     println!("{}: {} bytes", record.address(), record.payload().len());
//! }
//! assert_eq!(seen, 101);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

mod address;
mod batch;
mod codec;
mod context;
#[cfg(feature = "zstd")]
mod dictionary;
mod envelope;
mod fault;
mod follow;
mod kept;
mod log;
mod packer;
mod payload;
mod reader;
mod replay;
mod trailer;

pub use self::address::{Address, BatchAddresses};
pub use self::batch::InnerRecords;
pub use self::codec::Compression;
#[cfg(feature = "zstd")]
pub use self::dictionary::Dictionary;
pub use self::envelope::{Codec, EnvelopeInfo};
pub use self::follow::CompressedTail;
pub use self::kept::KeptRecord;
pub use self::log::CompressedLog;
pub use self::packer::Packer;
pub use self::payload::{Contents, Payload, UnpackedRecord};
pub use self::reader::CompressedReader;
pub use self::replay::Replay;
