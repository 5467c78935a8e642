//! The log cut into cells, and how much of each is what.

use std::time::SystemTime;

use tidelog::Lsn;
use tidelog::inspect::SegmentInfo;

use super::super::info::state_word;

/// What bytes of the log are. Of those in one cell the first that is there shows, in the order of [`Kind::URGENT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Record,
    Batch,
    /// Written to, and not looked at (`--quick`).
    Written,
    Padding,
    Unwritten,
    Retired,
    /// Claims that are not published.
    Unpublished,
    /// Behind the end of the log; the next opening cuts it away.
    Torn,
    Missing,
    Damaged,
}

const KINDS: usize = 10;

impl Kind {
    pub(super) const ALL: [Self; KINDS] = [
        Self::Record,
        Self::Batch,
        Self::Written,
        Self::Padding,
        Self::Unwritten,
        Self::Retired,
        Self::Unpublished,
        Self::Torn,
        Self::Missing,
        Self::Damaged,
    ];
    /// These show however little of a cell they are.
    const URGENT: [Self; 4] = [Self::Damaged, Self::Missing, Self::Torn, Self::Unpublished];

    /// As people and programs read it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Record => "records",
            Self::Batch => "batches",
            Self::Written => "written",
            Self::Padding => "padding",
            Self::Unwritten => "unwritten",
            Self::Retired => "retired",
            Self::Unpublished => "unpublished",
            Self::Torn => "torn",
            Self::Missing => "missing",
            Self::Damaged => "damaged",
        }
    }
}

/// Bytes, by what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share([u64; KINDS]);

impl Share {
    pub(super) fn of(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (mine, more) in self.0.iter_mut().zip(other.0) {
            *mine = mine.saturating_add(more);
        }
    }

    pub(super) fn total(&self) -> u64 {
        // Names of files may tell of ranges that lie over one another, as far as numbers go.
        self.0.iter().fold(0, |all, bytes| all.saturating_add(*bytes))
    }

    /// What it shows as.
    pub(super) fn shows(&self) -> Kind {
        let urgent = Kind::URGENT.into_iter().find(|kind| self.of(*kind) > 0);
        urgent.unwrap_or_else(|| self.most())
    }

    /// What most of it is, but for what is drawn over it.
    pub(super) fn most(&self) -> Kind {
        let calm = Kind::ALL
            .into_iter()
            .filter(|kind| !Kind::URGENT.contains(kind) || self.of(*kind) == self.total());
        // The first of equals.
        calm.rev().max_by_key(|kind| self.of(*kind)).unwrap_or(Kind::Unwritten)
    }

    /// Frames, of whatever kind, for how full a segment is.
    pub(super) fn filled(&self) -> u64 {
        let empty = [Kind::Unwritten, Kind::Missing, Kind::Torn].map(|kind| self.of(kind));
        empty.into_iter().fold(self.total(), u64::saturating_sub)
    }
}

/// A segment, or segments in a row that are missing: a place in the picture.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// Of its first segment.
    pub(super) number: u64,
    /// How many there are: one, but for those that are missing.
    pub(super) segments: u64,
    pub(super) base: u64,
    pub(super) end: u64,
    /// `None`: there is no file.
    pub(super) segment: Option<SegmentInfo>,
    /// Equal parts of it.
    pub(super) cells: Vec<Share>,
}

impl Slot {
    pub(super) fn new(number: u64, base: Lsn, end: Lsn, segment: Option<SegmentInfo>) -> Self {
        Self { number, segments: 1, base: base.get(), end: end.get(), segment, cells: Vec::new() }
    }

    pub(super) fn state(&self) -> &'static str {
        self.segment.as_ref().map_or("missing", |segment| state_word(segment.state))
    }

    /// The number of its last segment.
    pub(super) fn last(&self) -> u64 {
        self.number + self.segments.saturating_sub(1)
    }

    /// When it was sealed, or else made, and which of the two.
    pub(super) fn since(&self) -> Option<(&'static str, SystemTime)> {
        let header = self.segment.as_ref()?.header.as_ref().ok()?;
        let sealed = header.tail_mark.and_then(|mark| mark.sealed).map(|at| ("sealed", at));
        sealed.or(header.created.map(|at| ("made", at)))
    }

    pub(super) fn share(&self) -> Share {
        let mut all = Share::default();
        self.cells.iter().for_each(|cell| all.add(cell));
        all
    }

    /// Where the part begins, as an LSN; the number of parts is its end.
    pub(super) fn part(&self, part: usize) -> u64 {
        let bytes = u128::from(self.end - self.base) * part as u128 / self.cells.len().max(1) as u128;
        self.base + bytes as u64
    }

    /// Adds a range of the log to what the cells hold of it.
    pub(super) fn put(&mut self, from: u64, to: u64, kind: Kind) {
        let (from, to) = (from.max(self.base), to.min(self.end));
        if from >= to || self.cells.is_empty() {
            return;
        }
        let span = u128::from(self.end - self.base);
        let mut part = (u128::from(from - self.base) * self.cells.len() as u128 / span) as usize;
        let mut at = from;
        while at < to && part < self.cells.len() {
            let next = self.part(part + 1).min(to);
            self.cells[part].0[kind as usize] += next.saturating_sub(at);
            at = at.max(next);
            part += 1;
        }
    }

    /// What is left of each cell is this.
    pub(super) fn rest(&mut self, kind: Kind) {
        for part in 0..self.cells.len() {
            let bytes = self.part(part + 1) - self.part(part);
            let known = self.cells[part].total();
            self.cells[part].0[kind as usize] += bytes.saturating_sub(known);
        }
    }
}
