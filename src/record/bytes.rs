//! Payloads as `bytes::Bytes`: slices of one `Bytes` that owns a share of the segment.

use bytes::Bytes;

use super::{PinnedRecord, Record};
use crate::primitive::Arc;
use crate::segment::Segment;
use crate::segment::scan::{Mapped, Published};

/// The published part of a segment. Slices of it keep the segment mapped, and its file from being used again.
#[derive(Clone, Debug)]
pub(crate) struct SharedBytes {
    bytes: Bytes,
    base: u64,
}

struct Owner {
    segment: Arc<Segment>,
    end: Published,
}

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        // It is mapped, as it was read from.
        Mapped::new(&self.segment).map_or(&[], |mapped| mapped.published(self.end))
    }
}

impl SharedBytes {
    /// A segment that was read from, as far as it is published.
    pub(crate) fn new(segment: &Arc<Segment>, end: Published) -> Self {
        let base = segment.base();
        Self { bytes: Bytes::from_owner(Owner { segment: Arc::clone(segment), end }), base }
    }

    /// The payload of a record, if it lies here.
    #[inline]
    pub(crate) fn record(&self, record: &Record<'_>) -> Option<Bytes> {
        let offset = record.lsn().get().checked_sub(self.base)? + crate::limits::FRAME_HEADER_BYTES;
        let (begin, payload) = (usize::try_from(offset).ok()?, record.payload());
        let end = begin.checked_add(payload.len())?;
        (end <= self.bytes.len()).then(|| self.bytes.slice(begin..end))
    }
}

impl PinnedRecord {
    /// The payload, which keeps its segment mapped as the record did. With the feature `bytes`.
    ///
    /// It takes an allocation; for many records [`Records::bytes`](crate::Records::bytes) takes one for each segment.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// let lsn = log.append(b"a request")?;
    /// let bytes = log.read(lsn)?.into_bytes();
    /// drop(log);
    /// assert_eq!(bytes.slice(2..), "request");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl From<PinnedRecord> for Bytes {
    fn from(record: PinnedRecord) -> Self {
        record.into_bytes()
    }
}
