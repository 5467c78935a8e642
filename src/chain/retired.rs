//! Segments that left the log, until nobody holds them any more.

use crate::primitive::Arc;
use crate::segment::Segment;

/// Retired segments that somebody may still hold: a reader, or the ring.
#[derive(Debug, Default)]
pub(crate) struct Retired {
    held: Vec<Arc<Segment>>,
}

impl Retired {
    pub(crate) fn add(&mut self, segments: Vec<Arc<Segment>>) {
        self.held.extend(segments);
    }

    /// Takes out the segments that nobody holds: their bytes may be written over.
    pub(crate) fn take_unpinned(&mut self) -> Vec<Segment> {
        let mut unpinned = Vec::new();
        for segment in core::mem::take(&mut self.held) {
            // PIN: the count of the `Arc`. Who lets go releases, and `try_unwrap` acquires, so whatever a reader
            // read there happened before. It cannot be pinned anew: it is in no list any more.
            match Arc::try_unwrap(segment) {
                Ok(segment) => unpinned.push(segment),
                Err(held) => self.held.push(held),
            }
        }
        unpinned
    }

    /// Takes out all, held or not: their files are removed, and stay readable for who has them mapped.
    pub(crate) fn take_all(&mut self) -> Vec<Arc<Segment>> {
        core::mem::take(&mut self.held)
    }
}
