//! Noticing that somebody else cut a segment's file under its mapping. A sync of a range that was cut away succeeds,
//! and what was stored there is gone, so whoever tells that bytes are durable looks here first.

use std::io;

use super::{Body, Directory};

impl Directory {
    /// How much of a segment's file must go on to be allocated: its length, where all of it is. Zero where it is not
    /// (the file system compresses, for example): then the blocks tell nothing.
    pub(super) fn owed(&self, base: u64, length: u64) -> u64 {
        let found = self.storage().extent(&self.segment_path(base));
        found.map_or(0, |found| if found.allocated < length { 0 } else { length })
    }

    /// An error when the segment's file is not there, is shorter than it was, or has lost blocks: it was cut and
    /// made longer again, or a hole was punched into it.
    pub(crate) fn see_whole(&self, base: u64, body: &Body) -> io::Result<()> {
        let found = self.storage().extent(&self.segment_path(base))?;
        let lacks = if found.len < body.region.len() as u64 {
            "another process made the segment's file shorter"
        } else if found.allocated < body.owed {
            "another process took blocks out of the segment's file"
        } else {
            return Ok(());
        };
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, lacks))
    }
}
