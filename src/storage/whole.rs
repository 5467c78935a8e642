//! Noticing that somebody else cut a segment's file under its mapping. A sync of a range that was cut away succeeds,
//! and what was stored there is gone, so whoever tells that bytes are durable looks here first.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;

use super::{Body, Directory};

/// The unit of `st_blocks`.
const BLOCK_BYTES: u64 = 512;

/// How many blocks the file must go on to have: those of its length, where it has them all. Zero where it has not
/// (the file system compresses, for example): then they tell nothing.
pub(super) fn blocks_owed(file: &File, length: u64) -> u64 {
    let owed = length / BLOCK_BYTES;
    file.metadata().map_or(0, |metadata| if metadata.blocks() < owed { 0 } else { owed })
}

impl Directory {
    /// An error when the segment's file is not there, is shorter than it was, or has lost blocks: it was cut and
    /// made longer again, or a hole was punched into it.
    pub(crate) fn see_whole(&self, base: u64, body: &Body) -> io::Result<()> {
        let found = std::fs::metadata(self.segment_path(base))?;
        match lacks(&found, body) {
            None => Ok(()),
            Some(what) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, what)),
        }
    }
}

fn lacks(found: &Metadata, body: &Body) -> Option<&'static str> {
    if found.len() < body.region.len() as u64 {
        return Some("another process made the segment's file shorter");
    }
    (found.blocks() < body.blocks_owed).then_some("another process took blocks out of the segment's file")
}
