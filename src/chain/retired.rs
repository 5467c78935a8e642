//! Segments that left the log, until nobody holds them any more.

use super::list::Shelf;
use crate::primitive::Arc;
use crate::segment::Segment;

/// Retired segments that somebody may still hold: a reader, or the ring.
#[derive(Debug, Default)]
pub(crate) struct Retired {
    shelves: Vec<Arc<Shelf>>,
    held: Vec<Arc<Segment>>,
}

impl Retired {
    pub(crate) fn add(&mut self, shelves: Vec<Arc<Shelf>>) {
        self.shelves.extend(shelves);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.shelves.iter().map(|shelf| shelf.len()).sum::<u64>() + self.held.len() as u64
    }

    /// Takes out the segments that nobody holds, one by one: their bytes may be written over.
    pub(crate) fn take_unpinned(&mut self, mut unpinned: impl FnMut(Segment)) {
        let shelves = core::mem::take(&mut self.shelves);
        let held = core::mem::take(&mut self.held);
        // A shelf that stands in an older list is held with all that is on it.
        let free = shelves.into_iter().filter_map(|shelf| {
            Arc::try_unwrap(shelf).map_err(|shelf| self.shelves.push(shelf)).ok().map(Shelf::into_segments)
        });
        for segment in free.flatten().chain(held) {
            // PIN: the count of the `Arc`. Who lets go releases, and `try_unwrap` acquires, so whatever a reader
            // read there happened before. It cannot be pinned anew: it is in no list any more.
            match Arc::try_unwrap(segment) {
                Ok(segment) => unpinned(segment),
                Err(held) => self.held.push(held),
            }
        }
    }

    /// Takes out all, held or not: their files are removed, and stay readable for who has them mapped.
    pub(crate) fn take_all(&mut self) -> Vec<Arc<Segment>> {
        let mut held = core::mem::take(&mut self.held);
        for shelf in core::mem::take(&mut self.shelves) {
            held.extend(shelf.segments().map(Arc::clone));
        }
        held
    }
}
