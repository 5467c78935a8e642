//! What reading gives: a record borrowed from the mapping, or one that pins it.

#[cfg(feature = "bytes")]
mod bytes;

use core::fmt;

#[cfg(feature = "bytes")]
pub(crate) use self::bytes::SharedBytes;

use crate::lsn::Lsn;
use crate::primitive::Arc;
use crate::segment::Segment;
use crate::segment::scan::{Frame, Mapped};

/// A record that was read: its LSN and its verified payload, borrowed from the mapping. It costs no copy and no
/// reference count. It lives as long as the [`Snapshot`](crate::Snapshot), or until the next call of its
/// [`Tail`](crate::Tail).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    lsn: Lsn,
    payload: &'a [u8],
}

impl<'a> Record<'a> {
    pub(crate) fn new(lsn: u64, payload: &'a [u8]) -> Self {
        Self { lsn: Lsn::new(lsn), payload }
    }

    /// Where the record stands in the log.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// The bytes that were appended. They begin at an address divisible by 8.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

impl AsRef<[u8]> for Record<'_> {
    fn as_ref(&self) -> &[u8] {
        self.payload
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("lsn", &self.lsn).field("bytes", &self.payload.len()).finish()
    }
}

/// A record that keeps its segment mapped, so that it can be held as long as one likes, and sent to other threads. From
/// [`Log::read`](crate::Log::read) and [`Records::pinned`](crate::Records::pinned).
///
/// Making, cloning and dropping one changes the reference count of its segment. What it costs to hold one is the whole
/// segment: it stays mapped, it counts to the mappings that a process can have, and once it was retired its room is not free,
/// nor is its file recycled, until the last that holds it is dropped
/// ([`Stats::segments_held`](crate::Stats::segments_held) tells how many are held so). It may outlive the log.
#[derive(Clone)]
pub struct PinnedRecord {
    lsn: Lsn,
    frame: Frame,
    segment: Arc<Segment>,
}

impl PinnedRecord {
    /// The record of `frame`, which was found in `segment`.
    pub(crate) fn new(lsn: u64, frame: Frame, segment: Arc<Segment>) -> Self {
        Self { lsn: Lsn::new(lsn), frame, segment }
    }

    /// Where the record stands in the log.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// The bytes that were appended. They begin at an address divisible by 8.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        // The segment was mapped to find the record and stays mapped while it is held.
        Mapped::new(&self.segment).map_or(&[], |mapped| mapped.payload(&self.frame))
    }
}

impl AsRef<[u8]> for PinnedRecord {
    fn as_ref(&self) -> &[u8] {
        self.payload()
    }
}

impl fmt::Debug for PinnedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinnedRecord")
            .field("lsn", &self.lsn)
            .field("bytes", &self.frame.payload_len)
            .finish()
    }
}
