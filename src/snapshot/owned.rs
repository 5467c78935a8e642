//! Records that outlive their snapshot.

use core::fmt;

use super::{Records, Snapshot};
use crate::error::Result;
use crate::record::PinnedRecord;
use crate::segment::scan::Frame;

#[cfg(feature = "bytes")]
use crate::{lsn::Lsn, record::SharedBytes};

impl<'a> Records<'a> {
    /// The same records, each as a [`PinnedRecord`]: to be kept, or sent to another thread, beyond the snapshot's life.
    /// It costs one reference count of the record's segment each.
    ///
    /// For many records of one segment, [`SegmentSnapshot::pin`](super::SegmentSnapshot::pin) does with one count for all.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// # log.append_batch(&["a", "b", "c"])?;
    /// let kept = log.snapshot().iter().pinned().collect::<tidelog::Result<Vec<_>>>()?;
    /// drop(log);
    /// assert_eq!(kept[1].payload(), b"b");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn pinned(self) -> PinnedRecords<'a> {
        PinnedRecords { records: self }
    }

    /// The same records, with their payloads as [`Bytes`](bytes::Bytes), without a copy: slices of one `Bytes` for each
    /// segment, so that each costs one reference count. With the feature `bytes`.
    ///
    /// They stay what they are as long as they live: after the segment was retired, and after the log was closed.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// # log.append_batch(&["a", "b", "c"])?;
    /// use bytes::Bytes;
    ///
    /// let snapshot = log.snapshot();
    /// let payloads = snapshot.iter().bytes().map(|item| item.map(|(_lsn, bytes)| bytes));
    /// let payloads: Vec<Bytes> = payloads.collect::<tidelog::Result<_>>()?;
    /// drop(snapshot);
    /// log.close()?;
    /// drop(log);
    /// assert_eq!(payloads, ["a", "b", "c"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "bytes")]
    #[must_use]
    pub fn bytes(self) -> RecordBytes<'a> {
        RecordBytes { records: self, shared: None }
    }
}

/// Records that pin their segments, oldest first. From [`Records::pinned`].
#[derive(Clone)]
pub struct PinnedRecords<'a> {
    records: Records<'a>,
}

impl Iterator for PinnedRecords<'_> {
    type Item = Result<PinnedRecord>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let record = match self.records.next()? {
            Ok(record) => record,
            Err(error) => return Some(Err(error)),
        };
        // It was read from there.
        let (_, segment) = self.records.current.as_ref()?;
        let frame = Frame::read_at(record.lsn().get() - segment.base(), record.payload());
        Some(Ok(PinnedRecord::new(record.lsn().get(), frame, (*segment).clone())))
    }
}

impl core::iter::FusedIterator for PinnedRecords<'_> {}

impl fmt::Debug for PinnedRecords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PinnedRecords").field(&self.records).finish()
    }
}

/// LSNs and payloads, oldest first, as `Bytes` that keep their segment. From [`Records::bytes`].
#[cfg(feature = "bytes")]
#[derive(Clone)]
pub struct RecordBytes<'a> {
    records: Records<'a>,
    /// Of the segment that was read from last.
    shared: Option<SharedBytes>,
}

#[cfg(feature = "bytes")]
impl Iterator for RecordBytes<'_> {
    type Item = Result<(Lsn, bytes::Bytes)>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let record = match self.records.next()? {
            Ok(record) => record,
            Err(error) => return Some(Err(error)),
        };
        if let Some(bytes) = self.shared.as_ref().and_then(|shared| shared.record(&record)) {
            return Some(Ok((record.lsn(), bytes)));
        }
        let (_, segment) = self.records.current.as_ref()?;
        let shared = self.shared.insert(SharedBytes::new(segment, self.records.snapshot.end));
        Some(Ok((record.lsn(), shared.record(&record)?)))
    }
}

#[cfg(feature = "bytes")]
impl core::iter::FusedIterator for RecordBytes<'_> {}

#[cfg(feature = "bytes")]
impl fmt::Debug for RecordBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RecordBytes").field(&self.records).finish()
    }
}

impl super::SegmentSnapshot<'_> {
    /// This part as a snapshot of its own, which pins this one segment and no other: one reference count for all records
    /// in it. Whoever is given it, on any thread, verifies and reads them there.
    ///
    /// Outside of its range it gives [`Retired`](crate::ErrorKind::Retired) and
    /// [`NotWritten`](crate::ErrorKind::NotWritten).
    ///
    /// # Errors
    /// The segment is mapped, if it was not: [`Io`](crate::ErrorKind::Io),
    /// [`TooManyMappings`](crate::ErrorKind::TooManyMappings), [`Corrupt`](crate::ErrorKind::Corrupt); and, of a
    /// [`LogReader`](crate::LogReader), [`Retired`](crate::ErrorKind::Retired).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// # for n in 0..5_000_u32 { log.append_nowait(&n.to_le_bytes())?; }
    /// let (sender, receiver) = std::sync::mpsc::channel();
    /// let reader = std::thread::spawn(move || {
    ///     receiver.iter().map(|part: tidelog::Snapshot| part.iter().count()).sum::<usize>()
    /// });
    /// for part in log.snapshot().segments() {
    ///     sender.send(part.pin()?)?;
    /// }
    /// drop(sender);
    /// assert_eq!(reader.join().unwrap(), 5_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pin(&self) -> Result<Snapshot> {
        self.snapshot.part(self.start, self.end)
    }
}
