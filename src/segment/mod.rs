//! One segment: its place in the log, its mapping, and the protocol inside it.

pub(crate) mod claim;
#[cfg(all(feature = "testing", not(any(tidelog_loom, tidelog_shuttle))))]
pub(crate) mod probe;
pub(crate) mod scan;

use std::sync::OnceLock;

use crate::error::{Error, Result};
use crate::format::header::{self, Identity, TailMark};
use crate::limits::HEADER_BYTES;
use crate::lsn::Lsn;
use crate::primitive::{Arc, Mutex, lock};
use crate::region::Region;
use crate::storage::{Access, Body, Directory, StorageFile};

/// A segment of the log: mapped from the start when it is being written, on first use when it is only read.
#[derive(Debug)]
pub(crate) struct Segment {
    identity: Identity,
    body: OnceLock<Body>,
    directory: Option<Arc<Directory>>,
    /// Who maps the segment or opens its file holds this. The file, once a claim was large enough to be written through
    /// it.
    file: Mutex<Option<SharedFile>>,
}

/// A file that several threads write to. (The standard `Arc`: it orders nothing.)
pub(crate) type SharedFile = std::sync::Arc<dyn StorageFile>;

impl Segment {
    /// A segment that is mapped already.
    pub(crate) fn mapped(identity: Identity, body: Body, directory: Option<Arc<Directory>>) -> Self {
        Self { identity, body: OnceLock::from(body), directory, file: Mutex::new(None) }
    }

    /// A segment that is mapped when it is first read.
    pub(crate) fn unmapped(identity: Identity, directory: Arc<Directory>) -> Self {
        Self { identity, body: OnceLock::new(), directory: Some(directory), file: Mutex::new(None) }
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Its place in the log: the LSN range is `number * segment_bytes` and so many bytes on.
    #[inline]
    pub(crate) fn number(&self) -> u64 {
        self.identity.number
    }

    /// The first LSN.
    #[inline]
    pub(crate) fn base(&self) -> u64 {
        self.identity.base()
    }

    /// The first LSN of the next segment.
    #[inline]
    pub(crate) fn end(&self) -> u64 {
        self.identity.base() + self.identity.segment_bytes
    }

    /// Where `lsn` lies in the file.
    #[inline]
    pub(crate) fn file_offset(&self, lsn: u64) -> usize {
        (lsn - self.base() + HEADER_BYTES) as usize
    }

    /// The mapping; maps the file if that was not done yet.
    #[inline]
    pub(crate) fn body(&self) -> Result<&Body> {
        match self.body.get() {
            Some(body) => Ok(body),
            None => self.open_body(),
        }
    }

    /// The mapping, if there is one already.
    #[inline]
    pub(crate) fn mapped_body(&self) -> Option<&Body> {
        self.body.get()
    }

    /// A record at `lsn` is about to be read.
    #[inline]
    pub(crate) fn prefetch(&self, lsn: u64) {
        if let Some(body) = self.body.get() {
            body.region.prefetch(self.file_offset(lsn));
        }
    }

    /// True where it is mapped to be written to.
    pub(crate) fn is_writable(&self) -> bool {
        self.mapped_body().is_some_and(|body| body.region.is_writable())
    }

    /// The file, to write to. `None` where it cannot be opened now.
    pub(crate) fn file(&self) -> Option<SharedFile> {
        let directory = self.directory.as_ref()?;
        let mut file = lock(&self.file);
        if file.is_none() {
            let path = directory.segment_path(self.base());
            *file = directory.storage().open(&path, Access::Write).ok().map(SharedFile::from);
        }
        file.clone()
    }

    /// Every claim in it has ended: the file is not written to any more.
    pub(crate) fn close_file(&self) {
        let file = lock(&self.file).take();
        drop(file);
    }

    /// What it was written through; none if it was only read.
    pub(crate) fn into_region(self) -> Option<Region> {
        self.body.into_inner().map(|body| body.region).filter(Region::is_writable)
    }

    #[cold]
    fn open_body(&self) -> Result<&Body> {
        let _one_at_a_time = lock(&self.file);
        if let Some(body) = self.body.get() {
            return Ok(body);
        }
        let directory = self.directory.as_ref().ok_or_else(Error::closed)?;
        let body = directory.map_for_reading(&self.identity)?;
        Ok(self.body.get_or_init(|| body))
    }

    /// An error when another process cut the file of this segment, which is being written: what was stored there may
    /// be gone, whatever a sync says.
    pub(crate) fn see_whole(&self) -> Result<()> {
        let (Some(directory), Some(body)) = (&self.directory, self.body.get()) else { return Ok(()) };
        if !body.region.is_writable() {
            return Ok(());
        }
        directory
            .see_whole(self.base(), body)
            .map_err(|error| Error::poisoned(&directory.segment_path(self.base()), error))
    }

    /// Records in the header how far the segment is written; the kernel writes it back with time. A mark that is made
    /// again keeps the time that the first one noted. True when it is the first one there that notes a time.
    pub(crate) fn store_tail_mark(&self, mark: TailMark) -> bool {
        let Some(body) = self.body.get().filter(|body| body.region.is_writable()) else { return false };
        let noted = self.tail_mark().filter(|noted| noted.end == mark.end && noted.sealed_unix_ns != 0);
        let kept = noted.map_or(mark, |noted| TailMark { sealed_unix_ns: noted.sealed_unix_ns, ..mark });
        let bytes = TailMark::encode(Some(kept), &self.identity);
        for (index, chunk) in bytes.chunks_exact(8).enumerate() {
            let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
            body.region.store_relaxed(header::AT_TAIL_MARK + index * 8, word);
        }
        noted.is_none() && mark.sealed_unix_ns != 0
    }

    /// The tail mark in the header of a segment that is mapped.
    pub(crate) fn tail_mark(&self) -> Option<TailMark> {
        let header = self.body.get()?.region.view(header::AT_TAIL_MARK);
        let mut bytes = [0; header::TAIL_MARK_BYTES];
        for (index, chunk) in bytes.chunks_exact_mut(8).enumerate() {
            chunk.copy_from_slice(&header.load_acquire(index as u64 * 8)?.to_le_bytes());
        }
        TailMark::decode(&bytes, &self.identity)
    }

    /// Stores the durable watermark in the header, as evidence for the next opening. It is a store to the page
    /// cache, nothing more: after the death of the process it is exact, after a power cut a lower bound.
    pub(crate) fn store_durable_hint(&self, durable: u64) {
        if let Some(body) = self.body.get().filter(|body| body.region.is_writable()) {
            let hint = header::durable_hint(&self.identity, durable);
            body.region.store_relaxed(header::AT_DURABLE_HINT, hint);
        }
    }

    /// The error for an LSN behind this segment, which lies below the end of the log but has no file.
    #[cold]
    pub(crate) fn missing_after(&self, lsn: u64) -> Error {
        let base = lsn - lsn % self.identity.segment_bytes;
        let Some(directory) = &self.directory else { return Error::closed() };
        let start = match directory.read_meta() {
            Ok(Some(meta)) if base < meta.start => {
                return Error::retired(Lsn::new(lsn), Lsn::new(meta.start));
            }
            Ok(Some(meta)) => meta.start,
            _ => 0,
        };
        directory.note_corruption();
        // The first without a file is why those behind it were not found.
        let mut missing = self.end().max(start);
        while missing < base && directory.has_segment(missing).unwrap_or(false) {
            missing += self.identity.segment_bytes;
        }
        let path = directory.segment_path(missing);
        Error::corrupt("the segment's file is missing", &path, 0, Some(Lsn::new(missing)))
    }

    /// The error for a damaged frame at `lsn`.
    #[cold]
    pub(crate) fn corrupt(&self, lsn: u64, what: &str) -> Error {
        let directory = self.directory.as_ref();
        if let Some(directory) = directory {
            directory.note_corruption();
        }
        let name = crate::format::name::segment(self.base());
        let path = directory.map_or_else(|| name.clone().into(), |directory| directory.path().join(&name));
        Error::corrupt(what, &path, self.file_offset(lsn) as u64, Some(Lsn::new(lsn)))
    }
}
