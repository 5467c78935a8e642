//! A log of envelopes, read from another process.

use super::address::Address;
use super::follow::CompressedTail;
use super::kept::KeptRecord;
use super::packer::Packer;
use super::replay::Replay;
use crate::{LogReader, Lsn, Result, Snapshot, Tail};

/// A [`LogReader`] of a log whose records are envelopes.
///
/// ```
/// # use tidelog::compress::{CompressedLog, CompressedReader, Compression, Packer};
/// # let dir = tempfile::tempdir()?;
/// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
/// # let log = CompressedLog::new(log, Packer::new(Compression::None));
/// let lsn = log.append(b"from there")?;
/// let reader = CompressedReader::new(tidelog::LogReader::open(dir.path())?, Packer::new(Compression::None));
/// assert_eq!(reader.read(lsn)?.payload(), b"from there");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CompressedReader {
    reader: LogReader,
    packer: Packer,
}

impl CompressedReader {
    /// Reads through `reader`; how `packer` packs does not matter, its maximum and its dictionaries do.
    #[must_use]
    pub fn new(reader: LogReader, packer: Packer) -> Self {
        Self { reader, packer }
    }

    /// The reader below.
    #[must_use]
    pub fn reader(&self) -> &LogReader {
        &self.reader
    }

    /// As [`CompressedLog::read`](super::CompressedLog::read).
    ///
    /// # Errors
    /// The same.
    pub fn read(&self, address: impl Into<Address>) -> Result<KeptRecord> {
        let address = address.into();
        KeptRecord::one(&self.packer, self.reader.read(address.lsn())?, address.index())
    }

    /// As [`CompressedLog::read_all`](super::CompressedLog::read_all).
    ///
    /// # Errors
    /// The same.
    pub fn read_all(&self, lsn: Lsn) -> Result<Vec<KeptRecord>> {
        KeptRecord::all(&self.packer, self.reader.read(lsn)?)
    }

    /// The records of a snapshot.
    #[must_use]
    pub fn replay<'s>(&self, snapshot: &'s Snapshot) -> Replay<'s> {
        Replay::new(&self.packer, snapshot.iter())
    }

    /// The records that a tail of this reader gives.
    #[must_use]
    pub fn follow(&self, tail: Tail) -> CompressedTail {
        CompressedTail::new(&self.packer, tail)
    }
}
