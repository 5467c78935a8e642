//! A segment's file on its way: under a temporary name, filled from its beginning to its end.

use std::path::PathBuf;

use super::Rebuild;
use crate::error::{Error, Result};
use crate::format::bytes::put;
use crate::format::header::{
    AT_DURABLE_HINT, AT_TAIL_MARK, Header, Identity, Session, TailMark, durable_hint,
};
use crate::format::name;
use crate::limits::{FRAME_ALIGN, HEADER_BYTES};
use crate::storage::{Access, File, zero};

/// So many bytes go to the file at once.
const BUFFER_BYTES: usize = 1 << 20;

/// The size of the writes that reserve room where the file system does it in no other way.
const ZERO_FILL: usize = 64 << 10;

/// Padding up to this is written as zeros with what is around it.
const ZEROS_MAX: u64 = 4096;

#[derive(Debug)]
pub(super) struct Unfinished {
    identity: Identity,
    file: File,
    path: PathBuf,
    /// Where the buffer belongs in the file.
    at: u64,
    buffer: Vec<u8>,
}

impl Unfinished {
    pub(super) fn base(&self) -> u64 {
        self.identity.base()
    }

    /// Adds a frame, with zeros up to the next multiple of eight.
    pub(super) fn put(&mut self, word: &[u8], checksum: &[u8], payload: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(word);
        self.buffer.extend_from_slice(checksum);
        if payload.len() >= BUFFER_BYTES {
            self.flush()?;
            self.write(payload)?;
        } else {
            self.buffer.extend_from_slice(payload);
        }
        let align = usize::try_from(FRAME_ALIGN).unwrap_or(1);
        let tail = payload.len().next_multiple_of(align).saturating_sub(payload.len());
        self.buffer.resize(self.buffer.len().saturating_add(tail), 0);
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    /// Leaves zeros.
    pub(super) fn skip(&mut self, bytes: u64) -> Result<()> {
        if bytes <= ZEROS_MAX {
            let bytes = usize::try_from(bytes).unwrap_or_default();
            self.buffer.resize(self.buffer.len().saturating_add(bytes), 0);
            return Ok(());
        }
        self.flush()?;
        // The file reads as zeros there.
        self.at = self.at.saturating_add(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let buffer = core::mem::take(&mut self.buffer);
        let written = self.write(&buffer);
        self.buffer = buffer;
        self.buffer.clear();
        written
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all_at(bytes, self.at);
        written.map_err(|error| Error::io("cannot write a segment", &self.path, error))?;
        self.at = self.at.saturating_add(u64::try_from(bytes.len()).unwrap_or_default());
        Ok(())
    }

    /// Writes the header page with its marks, and makes all of it durable. The marks may say so at once: no part of the log
    /// counts before its metadata is there.
    fn complete(mut self, session: &Session, end: u64, now: u64) -> Result<u64> {
        self.flush()?;
        let base = self.base();
        let is_full = end == base.saturating_add(self.identity.segment_bytes);
        let mark = TailMark {
            end,
            durable: true,
            boot: session.boot,
            sealed_unix_ns: if is_full { now } else { 0 },
        };
        let session = Session { start: base, ..*session };
        let mut page = Header::encode_new(&self.identity, &session, now);
        put(page.as_mut_slice(), AT_TAIL_MARK, &TailMark::encode(Some(mark), &self.identity));
        put(page.as_mut_slice(), AT_DURABLE_HINT, &durable_hint(&self.identity, end).to_le_bytes());
        let written = self.file.write_all_at(page.as_slice(), 0).and_then(|()| self.file.sync_all());
        written.map_err(|error| Error::io("cannot write a segment", &self.path, error))?;
        Ok(base)
    }
}

impl Rebuild {
    /// A segment's file has this name until all are complete.
    pub(super) fn temporary(&self, base: u64) -> PathBuf {
        self.directory.path().join(format!("{}{}", name::segment(base), name::TEMPORARY))
    }

    /// Begins the segment that `base` is the first LSN of.
    pub(super) fn begin(&self, base: u64) -> Result<Unfinished> {
        let path = self.temporary(base);
        let identity = self.identity(base);
        let length = HEADER_BYTES.saturating_add(identity.segment_bytes);
        let file = self.directory.storage().open(&path, Access::Replace);
        let file = file.and_then(|file| {
            let reserved = file.allocate(length).and_then(|reserved| match reserved {
                true => Ok(()),
                false => zero(&*file, HEADER_BYTES, length, ZERO_FILL),
            });
            // What was allocated in part would keep the very room that is missing.
            reserved.inspect_err(|_| drop(self.directory.storage().remove(&path)))?;
            Ok(file)
        });
        let file = file.map_err(|error| Error::io("cannot make a segment", &path, error))?;
        Ok(Unfinished { identity, file, path, at: HEADER_BYTES, buffer: Vec::new() })
    }

    /// Ends the segment that is being written, where the position is.
    pub(super) fn seal(&mut self) -> Result<()> {
        let Some(segment) = self.current.take() else { return Ok(()) };
        // Noted first, so that its file goes if the rest fails.
        self.complete.push(segment.base());
        let now = self.directory.storage().unix_nanos();
        segment.complete(&self.session, self.position, now)?;
        Ok(())
    }
}
