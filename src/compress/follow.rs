//! Following a log, packed batches taken apart.

use core::fmt;
use std::time::Duration;

use super::packer::Packer;
use super::payload::UnpackedRecord;
use super::replay::Shelf;
use crate::{Result, Tail};

/// Follows a log as a [`Tail`] does, and gives the records inside its records. A record lives until the next call.
///
/// ```
/// # use tidelog::compress::{CompressedLog, Compression, Packer};
/// # let dir = tempfile::tempdir()?;
/// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
/// let log = CompressedLog::new(log, Packer::new(Compression::None));
/// let mut tail = log.follow(log.log().tail(tidelog::Lsn::ZERO)?);
/// assert!(tail.try_next()?.is_none());
/// log.append(b"news")?;
/// assert_eq!(*tail.next()?.unwrap().payload(), b"news"[..]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct CompressedTail {
    packer: Packer,
    tail: Tail,
    shelf: Shelf,
}

impl CompressedTail {
    pub(super) fn new(packer: &Packer, tail: Tail) -> Self {
        Self { packer: packer.clone(), tail, shelf: Shelf::default() }
    }

    /// The next record if it is there.
    ///
    /// # Errors
    /// As [`Tail::try_next`]; and as [`Packer::unpack`], with the LSN: the next call goes on behind that record.
    pub fn try_next(&mut self) -> Result<Option<UnpackedRecord<'_, '_>>> {
        if self.shelf.has_more() {
            return Ok(self.shelf.take());
        }
        match self.tail.try_next()? {
            Some(record) => self.shelf.open(&self.packer, record.lsn(), record.payload()),
            None => Ok(None),
        }
    }

    /// The next record; waits for it. `None` when the log has ended.
    ///
    /// # Errors
    /// As [`try_next`](Self::try_next) and [`Tail::next`].
    #[allow(clippy::should_implement_trait, reason = "it lends, which Iterator cannot")]
    pub fn next(&mut self) -> Result<Option<UnpackedRecord<'_, '_>>> {
        if self.shelf.has_more() {
            return Ok(self.shelf.take());
        }
        match self.tail.next()? {
            Some(record) => self.shelf.open(&self.packer, record.lsn(), record.payload()),
            None => Ok(None),
        }
    }

    /// The next record; waits for it for at most `timeout`.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<UnpackedRecord<'_, '_>>> {
        if self.shelf.has_more() {
            return Ok(self.shelf.take());
        }
        match self.tail.next_timeout(timeout)? {
            Some(record) => self.shelf.open(&self.packer, record.lsn(), record.payload()),
            None => Ok(None),
        }
    }
}

impl fmt::Debug for CompressedTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompressedTail").field("tail", &self.tail).finish_non_exhaustive()
    }
}
