//! The segments at one moment: a list in shelves, which it shares with the lists before and after it, so that changing
//! it costs little however long the log is. A segment that is only read is made when somebody asks for it.

use core::ops::Range;
use std::sync::OnceLock;

use crate::error::ErrorKind;
use crate::format::header::Identity;
use crate::primitive::{Arc, own};
use crate::segment::Segment;
use crate::storage::Directory;

/// Segments on a shelf. (Two under loom, so that small models change shelves.)
const SHELF: u64 = if cfg!(tidelog_loom) { 2 } else { 256 };

/// How segments are made that nobody has asked for yet.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) log_id: [u8; 16],
    pub(crate) directory: Arc<Directory>,
}

/// The segments at one moment, oldest first, without a gap. Holding it pins them all: none is unmapped or recycled.
#[derive(Clone, Debug)]
pub(crate) struct List {
    /// Numbers of the segments.
    numbers: Range<u64>,
    shift: u32,
    /// Where unmade segments come from; nowhere in a model.
    origin: Option<Arc<Origin>>,
    /// From the one with the first segment to the one with the last.
    shelves: Vec<Arc<Shelf>>,
}

/// Some neighbouring segments of a log.
#[derive(Debug)]
pub(crate) struct Shelf {
    /// Numbers of the segments that stand here.
    numbers: Range<u64>,
    shift: u32,
    origin: Option<Arc<Origin>>,
    /// By number modulo `SHELF`.
    slots: Box<[OnceLock<Arc<Segment>>]>,
}

impl Shelf {
    fn empty(at: u64, shift: u32, origin: Option<Arc<Origin>>) -> Self {
        let slots = (0..SHELF).map(|_| OnceLock::new()).collect();
        Self { numbers: at..at, shift, origin, slots }
    }

    #[inline]
    fn slot(&self, number: u64) -> Option<&OnceLock<Arc<Segment>>> {
        self.slots.get((number % SHELF) as usize)
    }

    fn slot_mut(&mut self, number: u64) -> Option<&mut OnceLock<Arc<Segment>>> {
        self.slots.get_mut((number % SHELF) as usize)
    }

    /// A segment that stands here, made if need be.
    #[inline]
    fn at(&self, number: u64) -> Option<&Arc<Segment>> {
        let slot = self.slot(number)?;
        match slot.get() {
            Some(segment) => Some(segment),
            None => self.make(slot, number),
        }
    }

    #[cold]
    fn make<'a>(&self, slot: &'a OnceLock<Arc<Segment>>, number: u64) -> Option<&'a Arc<Segment>> {
        let origin = self.origin.as_ref()?;
        let identity = Identity { log_id: origin.log_id, number, segment_bytes: 1 << self.shift };
        Some(slot.get_or_init(|| Arc::new(Segment::unmapped(identity, Arc::clone(&origin.directory)))))
    }

    /// A shelf with a part of these segments. There is one `Segment` for each number, or a pin on one would not be
    /// seen on the other: so all are made that will stand on both.
    fn part(&self, numbers: Range<u64>) -> Self {
        let mut part = Self::empty(numbers.start, self.shift, self.origin.clone());
        for number in numbers.clone() {
            if let (Some(slot), Some(segment)) = (part.slot_mut(number), self.at(number)) {
                *slot = OnceLock::from(Arc::clone(segment));
            }
        }
        part.numbers = numbers;
        part
    }

    /// Takes some of the segments away.
    fn split_off(&mut self, numbers: Range<u64>) -> Self {
        let mut part = Self::empty(numbers.start, self.shift, self.origin.clone());
        for number in numbers.clone() {
            if let (Some(to), Some(from)) = (part.slot_mut(number), self.slot_mut(number)) {
                core::mem::swap(to, from);
            }
        }
        part.numbers = numbers;
        part
    }

    pub(crate) fn len(&self) -> u64 {
        self.numbers.end - self.numbers.start
    }

    /// The segments that stand here, for who has the shelf to himself; one that nobody asked for is made.
    pub(crate) fn into_segments(mut self) -> impl Iterator<Item = Arc<Segment>> {
        self.numbers.clone().filter_map(move |number| {
            self.at(number)?;
            self.slot_mut(number)?.take()
        })
    }

    /// The segments that stand here, those made that nobody asked for.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &Arc<Segment>> {
        self.numbers.clone().filter_map(|number| self.at(number))
    }

    /// The segments that somebody asked for.
    fn made(&self) -> impl Iterator<Item = &Arc<Segment>> {
        self.numbers.clone().filter_map(|number| self.slot(number)?.get())
    }

    /// Maps what is held, of all segments or of those that somebody has. False when no more can be mapped.
    fn map_held(&self, all: bool) -> bool {
        // Whoever reads one that could not be mapped is told.
        let map = |segment: &Arc<Segment>| !matches!(segment.body(), Err(error) if error.kind() == ErrorKind::TooManyMappings);
        if all {
            self.segments().all(map)
        } else {
            self.made().filter(|segment| Arc::strong_count(segment) > 1).all(map)
        }
    }
}

impl Clone for Shelf {
    fn clone(&self) -> Self {
        self.part(self.numbers.clone())
    }
}

impl List {
    /// The segments with these numbers, each 2 to the `shift` bytes.
    pub(crate) fn new(numbers: Range<u64>, shift: u32, origin: Option<Origin>) -> Self {
        let origin = origin.map(Arc::new);
        let mut list = Self { numbers: numbers.start..numbers.start, shift, origin, shelves: Vec::new() };
        while list.numbers.end < numbers.end {
            let from = list.numbers.end;
            let to = (from - from % SHELF + SHELF).min(numbers.end);
            let mut shelf = Shelf::empty(from, shift, list.origin.clone());
            shelf.numbers.end = to;
            list.shelves.push(Arc::new(shelf));
            list.numbers.end = to;
        }
        list
    }

    /// One segment alone.
    pub(crate) fn of(segment: Arc<Segment>) -> Self {
        let number = segment.number();
        let shift = segment.identity().segment_bytes.trailing_zeros();
        let mut list = Self::new(number..number, shift, None);
        list.push(segment);
        list
    }

    pub(crate) fn numbers(&self) -> Range<u64> {
        self.numbers.clone()
    }

    /// The first LSN; where the first segment will begin when there is none.
    pub(crate) fn start(&self) -> u64 {
        self.numbers.start << self.shift
    }

    /// Where the last segment ends.
    pub(crate) fn end(&self) -> u64 {
        self.numbers.end << self.shift
    }

    /// The base and the end of each segment that begins below `end`.
    pub(crate) fn ranges_below(&self, end: u64) -> impl DoubleEndedIterator<Item = (u64, u64)> + use<> {
        let last = self.numbers.end.min(end.div_ceil(1 << self.shift));
        let shift = self.shift;
        (self.numbers.start..last).map(move |number| (number << shift, (number + 1) << shift))
    }

    #[inline]
    fn shelf_index(&self, number: u64) -> usize {
        (number / SHELF - self.numbers.start / SHELF) as usize
    }

    /// The segment with this number, if it is there.
    #[inline]
    pub(crate) fn find(&self, number: u64) -> Option<&Arc<Segment>> {
        if !self.numbers.contains(&number) {
            return None;
        }
        self.shelves.get(self.shelf_index(number))?.at(number)
    }

    /// The segment that `position` lies in, if it is there.
    #[inline]
    pub(crate) fn find_at(&self, position: u64) -> Option<&Arc<Segment>> {
        self.find(position >> self.shift)
    }

    /// All segments, oldest first.
    #[cfg(any(test, tidelog_loom, tidelog_shuttle))]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Segment>> {
        self.numbers().filter_map(|number| self.find(number))
    }

    /// How many segments of the log's directory are mapped, in the log or out of it.
    pub(crate) fn mapped(&self) -> usize {
        self.origin.as_ref().map_or(0, |origin| origin.directory.mapped())
    }

    /// The segments between two positions that somebody asked for.
    pub(crate) fn made_between(&self, from: u64, to: u64) -> impl Iterator<Item = &Arc<Segment>> {
        let first = (from >> self.shift).max(self.numbers.start);
        let last = to.div_ceil(1 << self.shift).min(self.numbers.end);
        (first..last).filter_map(|number| self.shelves.get(self.shelf_index(number))?.slot(number)?.get())
    }

    /// The last segment.
    pub(crate) fn last(&self) -> Option<&Arc<Segment>> {
        self.find(self.numbers.end.checked_sub(1)?)
    }

    /// Adds a segment at the end; to an empty list any.
    pub(crate) fn push(&mut self, segment: Arc<Segment>) {
        let number = segment.number();
        if self.numbers.is_empty() {
            self.numbers = number..number;
            self.shelves.clear();
        }
        debug_assert_eq!(number, self.numbers.end, "a gap in the list");
        if self.shelf_index(number) == self.shelves.len() {
            self.shelves.push(Arc::new(Shelf::empty(number, self.shift, self.origin.clone())));
        }
        if let Some(shelf) = self.shelves.last_mut() {
            let shelf = own(shelf);
            shelf.numbers.end = number + 1;
            if let Some(slot) = shelf.slot_mut(number) {
                *slot = OnceLock::from(segment);
            }
            self.numbers.end = number + 1;
        }
    }

    /// Adds a segment at the end that is made when somebody asks for it.
    pub(crate) fn push_unmade(&mut self) {
        let number = self.numbers.end;
        if self.shelf_index(number) == self.shelves.len() {
            self.shelves.push(Arc::new(Shelf::empty(number, self.shift, self.origin.clone())));
        }
        if let Some(shelf) = self.shelves.last_mut() {
            own(shelf).numbers.end = number + 1;
            self.numbers.end = number + 1;
        }
    }

    /// Forgets what is known of a segment; it is made anew when somebody asks for it. Who has it keeps it.
    pub(crate) fn renew(&mut self, number: u64) {
        let index = self.shelf_index(number);
        if let Some(slot) = self.shelves.get_mut(index).and_then(|shelf| own(shelf).slot_mut(number)) {
            drop(slot.take());
        }
    }

    /// Takes the segments below `number` out. Who holds an older list keeps them.
    pub(crate) fn take_before(&mut self, number: u64) -> Vec<Arc<Shelf>> {
        let number = number.clamp(self.numbers.start, self.numbers.end);
        let whole = self.shelves.iter().take_while(|shelf| shelf.numbers.end <= number).count();
        let mut taken: Vec<_> = self.shelves.drain(..whole).collect();
        if let Some(shelf) = self.shelves.first_mut().filter(|shelf| shelf.numbers.start < number) {
            let shelf = own(shelf);
            taken.push(Arc::new(shelf.split_off(shelf.numbers.start..number)));
            shelf.numbers.start = number;
        }
        self.numbers.start = number;
        taken
    }

    /// Takes the segments from `number` on out. Who holds an older list keeps them.
    pub(crate) fn take_from(&mut self, number: u64) -> Vec<Arc<Shelf>> {
        let number = number.clamp(self.numbers.start, self.numbers.end);
        let left = self.shelves.iter().take_while(|shelf| shelf.numbers.start < number).count();
        let mut taken = self.shelves.split_off(left);
        if let Some(shelf) = self.shelves.last_mut().filter(|shelf| shelf.numbers.end > number) {
            let shelf = own(shelf);
            taken.push(Arc::new(shelf.split_off(number..shelf.numbers.end)));
            shelf.numbers.end = number;
        }
        self.numbers.end = number;
        taken
    }

    /// Maps the segments that somebody holds; all of them when `all`.
    pub(crate) fn map_held(&self, all: bool) {
        for shelf in &self.shelves {
            // A shelf that is shared is held by an older list.
            if !shelf.map_held(all || Arc::strong_count(shelf) > 1) {
                return;
            }
        }
    }

    /// Takes out of the list up to `most` segments that nobody holds and that `may_go`, so that they are unmapped when
    /// they are dropped; whoever asks for one later gets it made anew. Looks at no more than `looks` places, from
    /// number `from` on, and returns where it stopped.
    pub(crate) fn take_idle(
        &mut self,
        from: u64,
        looks: u64,
        most: usize,
        may_go: impl Fn(&Segment) -> bool,
    ) -> (Vec<Segment>, u64) {
        let mut idle = Vec::new();
        let mut number = if self.numbers.contains(&from) { from } else { self.numbers.start };
        for _ in 0..looks.min(self.numbers.end - self.numbers.start) {
            let index = self.shelf_index(number);
            // PIN, as in `Retired`: no count but the list's own is left, on no way to the segment.
            let shelf = self.shelves.get_mut(index).and_then(Arc::get_mut);
            if let Some(slot) = shelf.and_then(|shelf| shelf.slot_mut(number))
                && slot.get().is_some_and(|segment| segment.mapped_body().is_some() && may_go(segment))
                && let Some(segment) = slot.take()
            {
                match Arc::try_unwrap(segment) {
                    Ok(segment) => idle.push(segment),
                    Err(held) => *slot = OnceLock::from(held),
                }
            }
            number = if number + 1 < self.numbers.end { number + 1 } else { self.numbers.start };
            if idle.len() >= most {
                break;
            }
        }
        (idle, number)
    }
}

#[cfg(test)]
mod tests;
