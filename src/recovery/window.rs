//! A segment file read with `pread`: an unreadable block is an error here, where through a mapping it would
//! be a signal.

use std::io;
use std::path::PathBuf;

use crate::limits::HEADER_BYTES;
use crate::segment::scan::Source;
use crate::storage::{Access, File, SharedStorage};

/// Bytes read at a time.
const READ_BYTES: u64 = 1 << 20;

/// A sliding window over a segment's frames. Offsets count from the segment's base.
#[derive(Debug)]
pub(crate) struct Window {
    storage: SharedStorage,
    path: PathBuf,
    /// Opened when it is first read, so that many segments do not need as many descriptors.
    file: Option<File>,
    segment_bytes: u64,
    buffer: Vec<u8>,
    start: u64,
}

impl Window {
    pub(crate) fn new(storage: &SharedStorage, path: PathBuf, segment_bytes: u64) -> Self {
        Self {
            storage: SharedStorage::clone(storage),
            path,
            file: None,
            segment_bytes,
            buffer: Vec::new(),
            start: 0,
        }
    }

    /// Gives file and memory back; reading on opens the file again.
    pub(crate) fn close(&mut self) {
        self.file = None;
        self.buffer = Vec::new();
    }

    fn read(&mut self, offset: u64, len: u64) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(self.storage.open(&self.path, Access::Read)?),
        };
        self.buffer.resize(len as usize, 0);
        self.start = offset;
        file.read_exact_at(&mut self.buffer, HEADER_BYTES + offset)
    }

    /// What is there already from `offset` on; nothing where that was not read yet.
    pub(crate) fn buffered(&self, offset: u64) -> &[u8] {
        let at = offset.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.buffer.get(at..)).unwrap_or_default()
    }

    /// Where the next word that is not zero begins, at or after `from`, a multiple of eight.
    pub(crate) fn next_nonzero(&mut self, from: u64) -> io::Result<Option<u64>> {
        let mut at = from;
        while at < self.segment_bytes {
            let len = (self.segment_bytes - at).min(READ_BYTES);
            let chunk = self.bytes(at, len)?;
            for block in chunk.chunks(4096) {
                // Without an early exit, so that it runs at the speed of memory.
                if block.iter().fold(0, |bits, byte| bits | byte) != 0 {
                    let index = block.iter().position(|byte| *byte != 0).unwrap_or_default();
                    return Ok(Some((at + index as u64) & !7));
                }
                at += block.len() as u64;
            }
        }
        Ok(None)
    }
}

impl Source for Window {
    fn word(&mut self, offset: u64) -> io::Result<u64> {
        let bytes = self.bytes(offset, 8)?;
        Ok(u64::from_le_bytes(bytes.try_into().unwrap_or_default()))
    }

    fn bytes(&mut self, offset: u64, len: u64) -> io::Result<&[u8]> {
        let inside = offset >= self.start && offset + len <= self.start + self.buffer.len() as u64;
        if !inside {
            if len > self.segment_bytes.saturating_sub(offset) {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let wanted = len.max(READ_BYTES).min(self.segment_bytes - offset);
            if let Err(error) = self.read(offset, wanted) {
                self.buffer.clear();
                return Err(error);
            }
        }
        let at = (offset - self.start) as usize;
        Ok(&self.buffer[at..at + len as usize])
    }
}

#[cfg(test)]
mod tests;
