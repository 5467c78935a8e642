//! Records that are read by their address, and held as long as one likes.

use core::fmt;
use core::ops::Range;
use std::sync::Arc;

use super::address::Address;
use super::fault::Fault;
use super::packer::Packer;
use super::payload::{Contents, Payload};
use crate::{PinnedRecord, Result};

/// A record that was read by its address. From [`CompressedLog::read`](super::CompressedLog::read).
#[derive(Clone)]
pub struct KeptRecord {
    address: Address,
    bytes: Bytes,
}

#[derive(Clone)]
enum Bytes {
    /// In the mapping, before the trailer.
    Pinned(PinnedRecord, usize),
    /// Decompressed; the records of one batch share it.
    Owned(Arc<[u8]>, Range<usize>),
}

impl KeptRecord {
    /// Where it stands.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// The bytes that were appended.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Pinned(record, bytes) => record.payload().get(..*bytes).unwrap_or_default(),
            Bytes::Owned(unpacked, range) => unpacked.get(range.clone()).unwrap_or_default(),
        }
    }

    /// True when nothing was copied, and the record keeps its segment mapped; false when it was decompressed.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        matches!(self.bytes, Bytes::Pinned(..))
    }

    /// All that a record of the log holds.
    pub(super) fn all(packer: &Packer, record: PinnedRecord) -> Result<Vec<Self>> {
        let lsn = record.lsn();
        let mut buffer = Vec::new();
        let contents = packer.open(record.payload(), &mut buffer).map_err(|fault| fault.at(Some(lsn)))?;
        let kept = match contents {
            Contents::One(Payload::Borrowed(bytes)) => {
                let bytes = bytes.len();
                vec![Self { address: lsn.into(), bytes: Bytes::Pinned(record, bytes) }]
            }
            Contents::One(Payload::Unpacked(bytes)) => {
                let bytes: Arc<[u8]> = bytes.into();
                let range = 0..bytes.len();
                vec![Self { address: lsn.into(), bytes: Bytes::Owned(bytes, range) }]
            }
            Contents::Batch(mut inner) => {
                let head = inner.len().saturating_mul(4).saturating_add(4);
                let total = head.saturating_add(inner.payload_bytes_left());
                let mut ranges = Vec::with_capacity(inner.len());
                while inner.len() > 0 {
                    let begin = total.saturating_sub(inner.payload_bytes_left());
                    if inner.next().is_none() {
                        break;
                    }
                    ranges.push(begin..total.saturating_sub(inner.payload_bytes_left()));
                }
                let bytes: Arc<[u8]> = buffer.get(..total).unwrap_or_default().into();
                let numbered = (0_u32..).zip(ranges);
                numbered
                    .map(|(index, range)| Self {
                        address: Address::new(lsn, index),
                        bytes: Bytes::Owned(Arc::clone(&bytes), range),
                    })
                    .collect()
            }
        };
        Ok(kept)
    }

    /// One of what a record of the log holds.
    pub(super) fn one(packer: &Packer, record: PinnedRecord, index: u32) -> Result<Self> {
        let lsn = record.lsn();
        let mut buffer = Vec::new();
        let contents = packer.open(record.payload(), &mut buffer).map_err(|fault| fault.at(Some(lsn)))?;
        let count = match &contents {
            Contents::One(_) => 1,
            Contents::Batch(inner) => u32::try_from(inner.len()).unwrap_or(u32::MAX),
        };
        if index >= count {
            return Err(Fault::NoIndex { asked: index, count }.at(Some(lsn)));
        }
        let address = Address::new(lsn, index);
        let bytes: Arc<[u8]> = match contents {
            Contents::One(Payload::Borrowed(bytes)) => {
                let bytes = bytes.len();
                return Ok(Self { address, bytes: Bytes::Pinned(record, bytes) });
            }
            Contents::One(Payload::Unpacked(bytes)) => bytes.into(),
            Contents::Batch(mut inner) => {
                let at = usize::try_from(index).unwrap_or(usize::MAX);
                inner.nth(at).unwrap_or_default().into()
            }
        };
        let range = 0..bytes.len();
        Ok(Self { address, bytes: Bytes::Owned(bytes, range) })
    }
}

impl AsRef<[u8]> for KeptRecord {
    fn as_ref(&self) -> &[u8] {
        self.payload()
    }
}

impl fmt::Debug for KeptRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptRecord")
            .field("address", &self.address)
            .field("bytes", &self.payload().len())
            .field("is_pinned", &self.is_pinned())
            .finish()
    }
}
