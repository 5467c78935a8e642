//! The segments of the log, for readers: an immutable list that is replaced as a whole.

use std::sync::PoisonError;

use crate::primitive::{Arc, RwLock};
use crate::segment::Segment;

/// The segments at one moment, oldest first, without a gap. Holding it pins them all: none is unmapped or
/// recycled.
pub(crate) type View = Arc<Vec<Arc<Segment>>>;

/// The current list.
#[derive(Debug)]
pub(crate) struct Catalog {
    list: RwLock<View>,
}

impl Catalog {
    pub(crate) fn new(segments: Vec<Arc<Segment>>) -> Self {
        Self { list: RwLock::new(Arc::new(segments)) }
    }

    pub(crate) fn view(&self) -> View {
        Arc::clone(&self.list.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a segment at the end.
    pub(crate) fn push(&self, segment: Arc<Segment>) {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        let mut segments = Vec::with_capacity(list.len() + 1);
        segments.extend(list.iter().map(Arc::clone));
        segments.push(segment);
        *list = Arc::new(segments);
    }

    /// Replaces the list.
    pub(crate) fn replace(&self, segments: Vec<Arc<Segment>>) {
        *self.list.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(segments);
    }

    /// Takes the segments below `number` out and returns them. Who holds an older view keeps them.
    pub(crate) fn take_before(&self, number: u64) -> Vec<Arc<Segment>> {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        let (gone, left): (Vec<_>, Vec<_>) =
            list.iter().map(Arc::clone).partition(|segment| segment.number() < number);
        *list = Arc::new(left);
        gone
    }

    /// Takes the segments from `number` on out and returns them.
    pub(crate) fn take_from(&self, number: u64) -> Vec<Arc<Segment>> {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        let (left, gone): (Vec<_>, Vec<_>) =
            list.iter().map(Arc::clone).partition(|segment| segment.number() < number);
        *list = Arc::new(left);
        gone
    }

    /// Maps the segments that somebody holds: from now on another writer may delete their files.
    pub(crate) fn map_held(&self) {
        let view = self.view();
        // Besides the catalog's own and this one.
        let view_held = Arc::strong_count(&view) > 2;
        for segment in view.iter().filter(|segment| view_held || Arc::strong_count(segment) > 1) {
            // Whoever reads one that could not be mapped is told.
            let _ = segment.body();
        }
    }

    /// The segment with this number, if it is there.
    pub(crate) fn find(&self, number: u64) -> Option<Arc<Segment>> {
        find(&self.list.read().unwrap_or_else(PoisonError::into_inner), number).map(Arc::clone)
    }

    /// The segment that `position` lies in, if it is there.
    pub(crate) fn find_at(&self, position: u64) -> Option<Arc<Segment>> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        let number = position / list.first()?.identity().segment_bytes;
        find(&list, number).map(Arc::clone)
    }

    /// The first LSN that is left; zero for a log without segments.
    pub(crate) fn start(&self) -> u64 {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        list.first().map_or(0, |segment| segment.base())
    }
}

/// The segment with this number in a list without gaps.
pub(crate) fn find(segments: &[Arc<Segment>], number: u64) -> Option<&Arc<Segment>> {
    let first = segments.first()?.number();
    segments.get(usize::try_from(number.checked_sub(first)?).ok()?)
}
