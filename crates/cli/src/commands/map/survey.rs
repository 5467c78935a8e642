//! What is drawn: the log cut into cells, and how much of each is what.

use std::time::SystemTime;

use tidelog::Lsn;
use tidelog::inspect::{Frame, FrameKind, Frames, MissingSegments, SegmentInfo, SegmentState};

use super::super::info::{durable, state_word, structure_problems};
use super::super::verify::{self, Tally};
use crate::args::{Global, Map};
use crate::exit::{Fail, Outcome};
use crate::problem::Problem;
use crate::progress;
use crate::view::View;

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

pub(super) const KINDS: usize = 10;

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
            *mine += more;
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.0.iter().sum()
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
        self.total() - self.of(Kind::Unwritten) - self.of(Kind::Missing) - self.of(Kind::Torn)
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
    fn new(number: u64, base: Lsn, end: Lsn, segment: Option<SegmentInfo>) -> Self {
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
    fn put(&mut self, from: u64, to: u64, kind: Kind) {
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
    fn rest(&mut self, kind: Kind) {
        for part in 0..self.cells.len() {
            let bytes = self.part(part + 1) - self.part(part);
            let known = self.cells[part].total();
            self.cells[part].0[kind as usize] += bytes.saturating_sub(known);
        }
    }
}

/// A place in the log that has a name.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    /// Short, for the picture.
    pub(super) flag: String,
    pub(super) name: String,
    pub(super) lsn: u64,
    /// A cursor's: how far it is behind, and whether it gates.
    pub(super) lag: Option<(u64, bool)>,
}

/// The picture's contents.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) directory: String,
    pub(super) quick: bool,
    pub(super) writer: Option<u32>,
    pub(super) segment_bytes: u64,
    pub(super) spares: usize,
    pub(super) slots: Vec<Slot>,
    pub(super) total: Share,
    pub(super) records: u64,
    pub(super) batches: u64,
    pub(super) marks: Vec<Mark>,
    /// Cursors whose files cannot be read, with why.
    pub(super) broken_cursors: Vec<(String, String)>,
    pub(super) unpublished: Vec<(u64, u64)>,
    /// Behind the end.
    pub(super) torn: Option<(u64, u64)>,
    pub(super) problems: Vec<Problem>,
    pub(super) outcome: Outcome,
}

/// A missing run of at most so many segments is drawn segment by segment.
const MISSING_DRAWN: u64 = 8;

/// What a segment's frames came to.
#[derive(Debug, Default)]
struct Part {
    index: usize,
    cells: Vec<Share>,
    records: u64,
    batches: u64,
    furthest: u64,
    tally: Tally,
}

impl Survey {
    /// Reads the log; `cells` says in how many parts a segment is drawn where there are so many of them.
    pub(super) fn new(
        view: &View,
        options: &Map,
        global: &Global,
        cells: impl FnOnce(usize) -> usize,
    ) -> Result<Self, Fail> {
        let mut slots = slots(view);
        let parts = cells(slots.len()).max(1);
        for slot in &mut slots {
            slot.cells = vec![Share::default(); parts];
        }
        let meta = view.inspector.meta();
        let mut survey = Self {
            directory: view.inspector.directory().display().to_string(),
            quick: options.quick,
            writer: view.lock.holder,
            segment_bytes: meta.segment_bytes,
            spares: view.files.spares,
            slots,
            total: Share::default(),
            records: 0,
            batches: 0,
            marks: Vec::new(),
            broken_cursors: Vec::new(),
            unpublished: Vec::new(),
            torn: None,
            problems: structure_problems(view),
            outcome: Outcome::Clean,
        };
        let mut end = view.end.get();
        for part in survey.read(view, options, global) {
            end = end.max(part.furthest);
            survey.records += part.records;
            survey.batches += part.batches;
            survey.slots[part.index].cells = part.cells;
            survey.problems.extend(part.tally.problems);
            survey.unpublished.extend(part.tally.unpublished);
        }
        survey.unpublished.sort_unstable();
        survey.problems = verify::without_repeats(std::mem::take(&mut survey.problems));
        survey.outcome =
            survey.problems.iter().map(|problem| problem.outcome).max().unwrap_or(Outcome::Clean);
        survey.finish(view, end);
        survey.mark(view, end)?;
        Ok(survey)
    }

    fn read(&self, view: &View, options: &Map, global: &Global) -> Vec<Part> {
        if options.quick {
            return Vec::new();
        }
        let wanted: Vec<&SegmentInfo> = view.written().filter(|segment| segment.header.is_ok()).collect();
        let bytes = wanted.iter().map(|segment| segment.end.get() - segment.base.get()).sum();
        let bar = progress::bar(bytes, !global.json);
        let parts = verify::on_threads(wanted, options.threads, |segment| {
            let part = self.read_segment(view, segment);
            bar.inc(segment.end.get() - segment.base.get());
            (part, false)
        });
        bar.finish_and_clear();
        parts.into_iter().flatten().collect()
    }

    fn read_segment(&self, view: &View, segment: &SegmentInfo) -> Option<Part> {
        let index = self.slots.binary_search_by_key(&segment.base.get(), |slot| slot.base).ok()?;
        let mut slot = self.slots[index].clone();
        let mut part = Part { index, ..Part::default() };
        match view.inspector.frames(segment.base) {
            Ok(frames) => {
                let frames = frames.until(verify::limit(view, segment));
                let mut tally = Tally::default();
                verify::walk(view, segment, frames, false, &mut tally, &mut |frames| {
                    fill(frames, &mut slot, &mut part)
                });
                part.tally = tally;
            }
            Err(error) => {
                let problem = Problem::from(&error).at(segment.base.get(), Some(segment.end.get()));
                part.tally.problems.push(problem);
            }
        }
        if !part.tally.problems.is_empty() && view.is_live() && view.was_retired(segment.base) {
            part.tally = Tally::default();
            slot.rest(Kind::Retired);
        }
        part.cells = slot.cells;
        Some(part)
    }

    /// What no frame says: what is behind the frames, and what is wrong.
    fn finish(&mut self, view: &View, end: u64) {
        let torn = view.foreseen.iter().flatten().find(|report| report.torn_tail.is_some());
        self.torn =
            torn.map(|report| (report.end.get(), report.end.get().saturating_add(report.truncated_bytes)));
        let lost = self.problems.iter().filter(|problem| problem.outcome != Outcome::TornTail);
        let lost: Vec<(u64, u64)> =
            lost.filter_map(|problem| Some((problem.lsn?, problem.lost_to?))).collect();
        for slot in &mut self.slots {
            if slot.segment.is_some() {
                lost.iter().for_each(|(from, to)| slot.put(*from, *to, Kind::Damaged));
            }
            for (from, to) in &self.unpublished {
                slot.put(*from, *to, Kind::Unpublished);
            }
            if let Some((from, to)) = self.torn {
                slot.put(from, to, Kind::Torn);
            }
            match slot.segment.as_ref().map(|segment| segment.state) {
                None => slot.rest(Kind::Missing),
                Some(SegmentState::Retired) => slot.rest(Kind::Retired),
                Some(SegmentState::Damaged) => slot.rest(Kind::Damaged),
                Some(SegmentState::Sealed | SegmentState::Filled | SegmentState::Active) if self.quick => {
                    let written = end.clamp(slot.base, slot.end);
                    slot.put(slot.base, written, Kind::Written);
                    slot.rest(Kind::Unwritten);
                }
                Some(_) => slot.rest(Kind::Unwritten),
            }
            self.total.add(&slot.share());
        }
    }

    fn mark(&mut self, view: &View, end: u64) -> Result<(), Fail> {
        let plain = |flag: &str, name: &str, lsn| Mark {
            flag: flag.to_owned(),
            name: name.to_owned(),
            lsn,
            lag: None,
        };
        self.marks.push(plain("S", "start", view.start().get()));
        self.marks.push(plain("D", "durable", durable(view).min(end)));
        self.marks.push(plain("E", "end", end));
        let mut number = 0;
        for cursor in view.inspector.cursors(Lsn::new(end))? {
            let name = crate::decode::escaped(cursor.name.as_bytes());
            match cursor.state {
                Ok(state) => {
                    number += 1;
                    let (lsn, lag) = (state.position.get(), Some((state.lag_bytes, state.gate)));
                    self.marks.push(Mark { flag: number.to_string(), name, lsn, lag });
                }
                Err(error) => self.broken_cursors.push((name, error.to_string())),
            }
        }
        Ok(())
    }

    pub(super) fn lsn_of(&self, flag: &str) -> u64 {
        self.marks.iter().find(|mark| mark.flag == flag).map_or(0, |mark| mark.lsn)
    }

    /// The slot that an LSN lies in. The log may end where no further segment begins: that is in the last one.
    pub(super) fn place(&self, lsn: u64) -> Option<usize> {
        let inside = self.slots.iter().position(|slot| (slot.base..slot.end).contains(&lsn));
        inside.or_else(|| self.slots.iter().rposition(|slot| slot.end == lsn))
    }

    /// How many segments there are in each state.
    pub(super) fn states(&self) -> Vec<(&'static str, u64)> {
        let mut states: Vec<(&'static str, u64)> = Vec::new();
        for slot in &self.slots {
            match states.iter_mut().find(|(state, _)| *state == slot.state()) {
                Some((_, count)) => *count += slot.segments,
                None => states.push((slot.state(), slot.segments)),
            }
        }
        states
    }
}

/// Adds the frames to the cells, up to where they end. Those of a batch count when it is whole.
fn fill(frames: &mut Frames, slot: &mut Slot, part: &mut Part) -> tidelog::Result<()> {
    let mut batch: Vec<(u64, u64)> = Vec::new();
    while let Some(Frame { lsn, frame_bytes, kind, .. }) = frames.next_frame()? {
        let (from, to) = (lsn.get(), lsn.get().saturating_add(frame_bytes));
        part.furthest = part.furthest.max(to);
        match kind {
            FrameKind::Padding => slot.put(from, to, Kind::Padding),
            FrameKind::Record => {
                part.records += 1;
                slot.put(from, to, Kind::Record);
            }
            _ => batch.push((from, to)),
        }
        if kind == FrameKind::BatchLast {
            part.records += batch.len() as u64;
            part.batches += 1;
            for (from, to) in batch.drain(..) {
                slot.put(from, to, Kind::Batch);
            }
        }
    }
    Ok(())
}

/// The segments and what is missing between them, in the order of the log.
fn slots(view: &View) -> Vec<Slot> {
    let mut slots: Vec<Slot> = Vec::new();
    for segment in &view.files.segments {
        slots.push(Slot::new(segment.number, segment.base, segment.end, Some(segment.clone())));
    }
    let segment_bytes = view.inspector.meta().segment_bytes.max(1);
    let gone = |gap: &&MissingSegments| !view.is_live() || !view.was_retired(gap.start);
    for gap in view.files.missing.iter().filter(gone) {
        let bytes = gap.end.get().saturating_sub(gap.start.get());
        let step = if bytes / segment_bytes <= MISSING_DRAWN { segment_bytes } else { bytes };
        let mut base = gap.start.get();
        while base < gap.end.get() {
            let end = base.saturating_add(step).min(gap.end.get());
            let mut slot = Slot::new(base / segment_bytes, Lsn::new(base), Lsn::new(end), None);
            slot.segments = (end - base) / segment_bytes;
            slots.push(slot);
            base = end;
        }
    }
    slots.sort_by_key(|slot| slot.base);
    slots
}
