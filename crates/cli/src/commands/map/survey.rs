//! Reads what is drawn, segment by segment.

use std::ops::ControlFlow;

use tidelog::Lsn;
use tidelog::inspect::{Frame, FrameKind, Frames, MissingSegments, SegmentInfo, SegmentState};

use super::super::info::{durable, structure_problems};
use super::super::verify::{self, Tally};
use super::cells::{Kind, Share, Slot};
use crate::args::{Global, Map};
use crate::exit::{Fail, Outcome};
use crate::parallel;
use crate::problem::Problem;
use crate::progress;
use crate::view::View;

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
        let parts = parallel::each(wanted, parallel::threads(options.threads), |segment| {
            let part = self.read_segment(view, segment);
            bar.inc(segment.end.get() - segment.base.get());
            ControlFlow::Continue(part)
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
        for slot in &mut self.slots {
            let lost: Vec<_> =
                lost(&self.problems, slot.segment.as_ref()).map(|(from, to, _)| (from, to)).collect();
            for (from, to) in lost {
                slot.put(from, to, Kind::Damaged);
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

/// What is lost of a segment, and why. By its file where one is named: a file whose name fits no place in the log lies over
/// another's range.
pub(super) fn lost<'a>(
    problems: &'a [Problem],
    segment: Option<&'a SegmentInfo>,
) -> impl Iterator<Item = (u64, u64, &'a str)> {
    let of = move |(from, to, problem): &(u64, u64, &Problem)| {
        problem.outcome != Outcome::TornTail
            && segment.is_some_and(|own| {
                let meets = *from < own.end.get() && *to > own.base.get();
                meets && problem.path.as_ref().is_none_or(|path| *path == own.path)
            })
    };
    let ranges = problems.iter().filter_map(|problem| Some((problem.lsn?, problem.lost_to?, problem)));
    ranges.filter(of).map(|(from, to, problem)| (from, to, problem.message.as_str()))
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
