//! Iterating a snapshot, packed batches taken apart.

use core::fmt;

use super::address::Address;
use super::batch::InnerRecords;
use super::packer::Packer;
use super::payload::{Contents, Payload, UnpackedRecord};
use crate::{Lsn, Records, Result};

/// A buffer that is used again and again, and how much of the batch in it is to be given yet.
#[derive(Default)]
pub(super) struct Shelf {
    buffer: Vec<u8>,
    batch: Option<Rest>,
}

#[derive(Clone, Copy)]
struct Rest {
    lsn: Lsn,
    index: u32,
    /// Where the next length, and the next payload, stand in the buffer.
    at_length: usize,
    at_payload: usize,
    left: usize,
}

impl Shelf {
    pub(super) fn has_more(&self) -> bool {
        self.batch.is_some()
    }

    /// The next record of the batch that was opened.
    pub(super) fn take<'m>(&mut self) -> Option<UnpackedRecord<'m, '_>> {
        let rest = self.batch.take()?;
        let length = self.buffer.get(rest.at_length..)?.first_chunk()?;
        let end = rest.at_payload.checked_add(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        let left = rest.left.checked_sub(1)?;
        if left > 0 {
            let (index, at_length) = (rest.index.checked_add(1)?, rest.at_length.checked_add(4)?);
            self.batch = Some(Rest { lsn: rest.lsn, index, at_length, at_payload: end, left });
        }
        let payload = Payload::Unpacked(self.buffer.get(rest.at_payload..end)?);
        Some(UnpackedRecord { address: Address::new(rest.lsn, rest.index), payload })
    }

    /// Opens a record of the log; the first record that it holds.
    pub(super) fn open<'m>(
        &mut self,
        packer: &Packer,
        lsn: Lsn,
        envelope: &'m [u8],
    ) -> Result<Option<UnpackedRecord<'m, '_>>> {
        self.batch = None;
        match packer.open(envelope, &mut self.buffer).map_err(|fault| fault.at(Some(lsn)))? {
            Contents::One(Payload::Borrowed(bytes)) => {
                let payload = Payload::Borrowed(bytes);
                Ok(Some(UnpackedRecord { address: lsn.into(), payload }))
            }
            Contents::One(Payload::Unpacked(bytes)) => {
                let bytes = bytes.len();
                let payload = Payload::Unpacked(self.buffer.get(..bytes).unwrap_or_default());
                Ok(Some(UnpackedRecord { address: lsn.into(), payload }))
            }
            Contents::Batch(inner) => {
                self.batch = Some(Rest::of(lsn, &inner));
                Ok(self.take())
            }
        }
    }
}

impl Rest {
    fn of(lsn: Lsn, inner: &InnerRecords<'_>) -> Self {
        let left = inner.len();
        let at_payload = left.saturating_mul(4).saturating_add(4);
        Self { lsn, index: 0, at_length: 4, at_payload, left }
    }
}

/// The records of a snapshot, in their order. It lends: a record that was decompressed lies in a buffer until the next
/// call; a raw one in the mapping, as long as the snapshot.
///
/// ```
/// # use tidelog::compress::{CompressedLog, Compression, Packer, Payload};
/// # let dir = tempfile::tempdir()?;
/// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
/// let log = CompressedLog::new(log, Packer::new(Compression::None));
/// log.append(b"raw")?;
/// log.log().append(b"no envelope")?;
/// log.append(b"behind it")?;
///
/// let snapshot = log.log().snapshot();
/// let mut replay = log.replay(&snapshot);
/// let mut kept: Vec<&[u8]> = Vec::new();
/// loop {
///     match replay.next() {
///         Ok(Some(record)) => match record.payload() {
///             Payload::Borrowed(bytes) => kept.push(bytes), // it outlives the next call
///             Payload::Unpacked(bytes) => println!("{} bytes", bytes.len()),
///         },
///         Ok(None) => break,
///         Err(error) => println!("{error}"), // it goes on behind it
///     }
/// }
/// assert_eq!(kept, [&b"raw"[..], b"behind it"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Replay<'s> {
    packer: Packer,
    records: Records<'s>,
    shelf: Shelf,
}

impl<'s> Replay<'s> {
    pub(super) fn new(packer: &Packer, records: Records<'s>) -> Self {
        Self { packer: packer.clone(), records, shelf: Shelf::default() }
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// As [`Packer::unpack`], with the LSN: the next call goes on behind that record. And those of
    /// [`Records`](crate::Records), behind which there is nothing.
    #[allow(clippy::should_implement_trait, reason = "it lends, which Iterator cannot")]
    pub fn next(&mut self) -> Result<Option<UnpackedRecord<'s, '_>>> {
        if self.shelf.has_more() {
            return Ok(self.shelf.take());
        }
        match self.records.next().transpose()? {
            Some(record) => self.shelf.open(&self.packer, record.lsn(), record.payload()),
            None => Ok(None),
        }
    }
}

impl fmt::Debug for Replay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").field("records", &self.records).finish_non_exhaustive()
    }
}
