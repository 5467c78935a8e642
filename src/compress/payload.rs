//! What comes out of an envelope.

use core::ops::Deref;

use super::address::Address;
use super::batch::InnerRecords;

/// The bytes of a record, and where they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'m, 'b> {
    /// In the envelope itself, so in the log's mapping: nothing was copied. From a log they begin at an address divisible
    /// by 8.
    Borrowed(&'m [u8]),
    /// In a buffer into which they were decompressed, until that is used again. They begin at any address.
    Unpacked(&'b [u8]),
}

impl Payload<'_, '_> {
    /// True when nothing was copied.
    #[must_use]
    pub fn is_borrowed(&self) -> bool {
        matches!(self, Self::Borrowed(_))
    }
}

impl Deref for Payload<'_, '_> {
    type Target = [u8];

    #[allow(clippy::match_same_arms, reason = "the lifetimes differ")]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Unpacked(bytes) => bytes,
        }
    }
}

/// What an envelope holds. From [`Packer::unpack`](super::Packer::unpack).
#[derive(Clone, Debug)]
pub enum Contents<'m, 'b> {
    /// One record.
    One(Payload<'m, 'b>),
    /// A batch that was compressed as a whole.
    Batch(InnerRecords<'b>),
}

/// A record that was read: where it stands, and its bytes. From [`Replay`](super::Replay) and
/// [`CompressedTail`](super::CompressedTail).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnpackedRecord<'m, 'b> {
    pub(super) address: Address,
    pub(super) payload: Payload<'m, 'b>,
}

impl<'m, 'b> UnpackedRecord<'m, 'b> {
    /// Where it stands.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// The bytes that were appended.
    #[must_use]
    pub fn payload(&self) -> Payload<'m, 'b> {
        self.payload
    }
}
