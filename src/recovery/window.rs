//! A segment file read with `pread`: an unreadable block is an error here, where through a mapping it would
//! be a signal.

use std::io;
use std::path::PathBuf;

use crate::limits::HEADER_BYTES;
use crate::segment::scan::Source;
use crate::storage::{Access, File, SharedStorage};

/// Bytes read at a time.
const READ_BYTES: u64 = 1 << 20;

/// What a device gives or does not give as a whole.
const BLOCK_BYTES: u64 = 4096;

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
    /// Below this offset nothing is read but what was asked for: reading ahead met a block that the device does not give, or
    /// the end of a file that is too short, and what lies before that is good.
    careful_until: u64,
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
            careful_until: 0,
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
            let ahead = if at < self.careful_until { BLOCK_BYTES - at % BLOCK_BYTES } else { READ_BYTES };
            let len = (self.segment_bytes - at).min(ahead);
            if let Err(error) = self.bytes(at, len) {
                if ahead == READ_BYTES && at < self.careful_until {
                    // Again, block by block.
                    continue;
                }
                return Err(error);
            }
            // (What was read stays there.)
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
            let ahead = if offset < self.careful_until { len } else { len.max(READ_BYTES) };
            let wanted = ahead.min(self.segment_bytes - offset);
            let mut done = self.read(offset, wanted);
            if done.is_err() {
                self.careful_until = self.careful_until.max(offset + wanted);
                if len < wanted {
                    done = self.read(offset, len);
                }
            }
            if let Err(error) = done {
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
