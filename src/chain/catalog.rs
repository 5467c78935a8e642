//! The segments of the log, for readers: a list that is replaced as a whole where somebody holds it, and changed in
//! place where nobody does.

use std::sync::PoisonError;

use super::list::{List, Shelf};
use crate::limits::MAPPED_IDLE_MAX;
use crate::primitive::{Arc, RwLock, RwLockWriteGuard, own};
use crate::segment::Segment;

/// The segments at one moment. Holding it pins them all.
pub(crate) type View = Arc<List>;

/// Places of the list that are looked at for each segment that is mapped beyond the bound.
const LOOKS: u64 = 4096;
/// Segments that are unmapped for each one that is mapped beyond the bound: more than one, so that the bound is reached
/// again, and few, so that no reader pays for many.
pub(crate) const UNMAPPED_FOR_ONE: usize = 2;

/// The current list.
#[derive(Debug)]
pub(crate) struct Catalog {
    state: RwLock<State>,
    /// How many segments stay mapped although nobody holds them.
    idle_max: usize,
}

#[derive(Debug)]
struct State {
    list: View,
    /// Below this, segments are marked durable: nobody will store to them, or need to sync them.
    settled: u64,
    /// Number of the segment where the next look for idle ones begins.
    hand: u64,
}

impl Catalog {
    pub(crate) fn new(list: List) -> Self {
        let state = RwLock::new(State { list: Arc::new(list), settled: 0, hand: 0 });
        Self { state, idle_max: MAPPED_IDLE_MAX }
    }

    /// Keeps no more than so many segments mapped that nobody holds.
    pub(crate) fn keep_mapped(&mut self, idle_max: usize) {
        self.idle_max = idle_max;
    }

    /// What `look` finds in the current list, which is not pinned by that.
    #[inline]
    fn with<T>(&self, look: impl FnOnce(&List) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner).list)
    }

    fn changing(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn view(&self) -> View {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner).list)
    }

    /// Adds a segment at the end.
    pub(crate) fn push(&self, segment: Arc<Segment>) {
        own(&mut self.changing().list).push(segment);
    }

    /// Replaces the list. The old one is dropped after the lock was given up, as that may unmap much.
    pub(crate) fn replace(&self, list: List) {
        let old = core::mem::replace(&mut self.changing().list, Arc::new(list));
        drop(old);
    }

    /// Takes the segments below `number` out and returns them. Who holds an older view keeps them.
    pub(crate) fn take_before(&self, number: u64) -> Vec<Arc<Shelf>> {
        own(&mut self.changing().list).take_before(number)
    }

    /// Takes the segments from `number` on out and returns them.
    pub(crate) fn take_from(&self, number: u64) -> Vec<Arc<Shelf>> {
        own(&mut self.changing().list).take_from(number)
    }

    /// Maps the segments that somebody holds: from now on another writer may delete their files.
    pub(crate) fn map_held(&self) {
        let view = self.view();
        // Besides the catalog's own and this one.
        let all = Arc::strong_count(&view) > 2;
        view.map_held(all);
    }

    /// The segment with this number, if it is there.
    pub(crate) fn find(&self, number: u64) -> Option<Arc<Segment>> {
        self.with(|list| list.find(number).map(Arc::clone))
    }

    /// The segment that `position` lies in, if it is there; what stands there is about to be read. It will be mapped, so
    /// another one may have to go.
    #[inline]
    pub(crate) fn find_at(&self, position: u64) -> Option<Arc<Segment>> {
        let segment = self.with(|list| {
            let segment = list.find_at(position)?;
            // Before counting, which lets no later load begin.
            segment.prefetch(position);
            Some(Arc::clone(segment))
        })?;
        if segment.mapped_body().is_none() {
            self.make_room(UNMAPPED_FOR_ONE);
        }
        Some(segment)
    }

    /// The segment that `position` lies in, or the first one when that has been retired.
    pub(crate) fn find_from(&self, position: u64) -> Option<Arc<Segment>> {
        self.with(|list| list.find_at(position.max(list.start())).map(Arc::clone))
    }

    /// The first LSN that is left; where the first segment will begin while there is none.
    pub(crate) fn start(&self) -> u64 {
        self.with(List::start)
    }

    /// Everything below `end` is marked durable.
    pub(crate) fn settle(&self, end: u64) {
        self.changing().settled = end;
    }

    /// Unmaps up to `most` segments that nobody holds, when more are mapped than need be.
    #[cold]
    pub(crate) fn make_room(&self, most: usize) {
        let beyond = self.with(List::mapped).saturating_sub(self.idle_max);
        if beyond > 0 {
            // Unmapping takes its time: after the lock was given up.
            drop(self.take_idle(LOOKS, most.min(beyond)));
        }
    }

    /// Takes the mapping of up to `most` segments that nobody holds.
    pub(crate) fn take_idle(&self, looks: u64, most: usize) -> Vec<Segment> {
        let mut state = self.changing();
        let State { list, settled, hand } = &mut *state;
        // PIN: who holds an older list may be reading in any of its segments.
        let Some(list) = Arc::get_mut(list) else { return Vec::new() };
        let settled = |segment: &Segment| segment.end() <= *settled || !segment.is_writable();
        let (idle, stopped) = list.take_idle(*hand, looks, most, settled);
        *hand = stopped;
        idle
    }
}
