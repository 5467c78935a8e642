//! Over the frames of a log from segment to segment, and over what is damaged.

use tidelog::Lsn;
use tidelog::inspect::{Frame, SegmentInfo, SegmentState, Stop};

use crate::args::{Global, Select};
use crate::color::Colors;
use crate::exit::{Fail, Outcome};
use crate::problem::Problem;
use crate::view::View;

/// What is met on the way.
pub(super) enum Seen<'a> {
    /// Any frame of the segment, whether it was asked for or not.
    Frame(&'a Frame<'a>),
    /// Damage. A batch whose last record was not met before is not whole.
    Damage,
}

/// A walk; what is wrong on the way is told on standard error.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    view: &'a View,
    select: &'a Select,
    colors: Colors,
    /// From the newest segment on.
    backwards: bool,
    /// Ranges without files, that are to be told when they are passed.
    gaps: Vec<(u64, u64)>,
    pub(super) outcome: Outcome,
    /// The ranges that were asked for and in which no record could be read.
    pub(super) lost: Vec<(u64, u64)>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(view: &'a View, select: &'a Select, backwards: bool, global: &Global) -> Self {
        let mut walk = Self {
            view,
            select,
            colors: global.colors(),
            backwards,
            gaps: Vec::new(),
            outcome: Outcome::Clean,
            lost: Vec::new(),
        };
        walk.gaps = view.gaps().into_iter().filter(|(from, to)| walk.is_meant(*from, *to)).collect();
        walk
    }

    /// The segments that may hold what was asked for, in the order of the walk.
    pub(super) fn segments(&self) -> Vec<&'a SegmentInfo> {
        let mut all: Vec<_> = self.view.written().filter(|segment| self.select.may_lie_in(segment)).collect();
        if self.backwards {
            all.reverse();
        }
        all
    }

    fn is_meant(&self, from: u64, to: u64) -> bool {
        self.select.from.is_none_or(|wanted| to > wanted) && self.select.to.is_none_or(|wanted| from < wanted)
    }

    /// Shows a segment's frames to `show`, as long as it wants them; what is damaged is told, and stepped over.
    pub(super) fn segment(
        &mut self,
        segment: &SegmentInfo,
        show: &mut dyn FnMut(Seen<'_>) -> Result<bool, Fail>,
    ) -> Result<(), Fail> {
        let (base, view) = (segment.base, self.view);
        self.pass(base.get(), segment.end.get());
        let mut frames = match view.inspector.frames(base) {
            Ok(frames) => frames.until(self.limit(segment)),
            Err(_) if view.was_retired(base) => return Ok(()),
            Err(error) => {
                self.tell(&Problem::from(&error));
                if view.has_place(segment) {
                    self.lose(base.get(), segment.end.min(view.end.max(base)).get());
                }
                return Ok(());
            }
        };
        loop {
            let failed = loop {
                match frames.next_frame() {
                    Ok(Some(frame)) if show(Seen::Frame(&frame))? => {}
                    Ok(Some(_)) => return Ok(()),
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            };
            let at = frames.position();
            let problem = match (failed, frames.stop()) {
                (Some(error), _) => Some(Problem::from(&error)),
                (None, Some(Stop::Corrupt(error))) => Some(Problem::from(error)),
                (None, Some(stop)) => gone(view, segment, stop, at),
                (None, None) => None,
            };
            let Some(problem) = problem else {
                let goes_on = matches!(frames.stop(), Some(Stop::Hole(_) | Stop::Claimed(_)));
                if goes_on && !view.is_live() && frames.resume()?.is_some() {
                    continue;
                }
                return Ok(());
            };
            if view.was_retired(base) {
                return Ok(());
            }
            // All of a batch is lost with one of its records.
            let from = frames.open_batch().unwrap_or(at);
            // Where nothing can be read, nothing can be found either.
            let behind = frames.resume().ok().flatten();
            let to = behind.unwrap_or(segment.end.min(view.end.max(at)));
            show(Seen::Damage)?;
            if self.is_meant(from.get(), to.get()) {
                self.tell(&problem);
                self.lose(from.get(), to.get());
            }
            if behind.is_none() {
                return Ok(());
            }
        }
    }

    /// Tells of the gaps that lie before a segment on the way.
    fn pass(&mut self, base: u64, end: u64) {
        let backwards = self.backwards;
        let gaps = std::mem::take(&mut self.gaps);
        let (passed, left): (Vec<_>, Vec<_>) =
            gaps.into_iter().partition(|(from, to)| if backwards { *from >= end } else { *to <= base });
        self.gaps = left;
        // A writer retires from the beginning on, and may have done so between the look at the metadata and that at the files.
        let retired = |to: u64| self.view.is_live() && self.view.was_retired(Lsn::new(to.saturating_sub(1)));
        for (from, to) in passed.into_iter().filter(|(_, to)| !retired(*to)).collect::<Vec<_>>() {
            self.tell(&gap(self.view, from, to));
            self.lose(from, to);
        }
    }

    /// To be called where the walk has come to its end, and not only as far as something was wanted.
    pub(super) fn end(&mut self) {
        let (base, end) = if self.backwards { (u64::MAX, 0) } else { (u64::MAX, u64::MAX) };
        self.pass(base, end);
    }

    fn lose(&mut self, from: u64, to: u64) {
        self.colors.remark(&format!("lost: LSN {from} to {to}"));
        self.lost.push((from, to));
    }

    fn tell(&mut self, problem: &Problem) {
        self.colors.remark(&problem.message);
        self.outcome = self.outcome.max(problem.outcome);
    }

    /// Where an opening would end the log; elsewhere the frames tell.
    fn limit(&self, segment: &SegmentInfo) -> Lsn {
        match &self.view.foreseen {
            Some(Ok(report)) => report.end,
            _ => segment.end,
        }
    }
}

/// A range without files.
pub(super) fn gap(view: &View, from: u64, to: u64) -> Problem {
    let mut path = view.inspector.directory().join(format!("{from:020}.seg"));
    let mut what = "a segment's file is missing".to_owned();
    let segments = (to - from).div_ceil(view.inspector.meta().segment_bytes);
    if segments > 1 {
        what = format!("the files of {segments} segments are missing");
    }
    if !from.is_multiple_of(view.inspector.meta().segment_bytes) {
        path = view.inspector.directory().to_owned();
    }
    let what = format!(
        "{what}: LSN {from} to {to}; nothing was changed: restore from a backup or a replica, or salvage the rest (tidelog::repair) [{}]",
        path.display()
    );
    Problem { path: Some(path), ..Problem::new(Outcome::Gap, what).at(from, Some(to)) }
}

/// A place that is empty though the log is known to be written there, so that it has lost its record.
pub(crate) fn gone(view: &View, segment: &SegmentInfo, stop: &Stop, at: Lsn) -> Option<Problem> {
    let what = match stop {
        Stop::Claimed(_) => "an unpublished claim stands",
        Stop::Hole(_) | Stop::Unwritten => "zeros stand",
        _ => return None,
    };
    let header = segment.header.as_ref().ok();
    let mark = header.and_then(|header| header.tail_mark);
    let marked = mark.filter(|mark| mark.durable || mark.this_boot).map(|mark| mark.end);
    let hint = header.and_then(|header| header.durable_hint);
    let foreseen = match &view.foreseen {
        Some(Ok(report)) => Some(report.proven_durable),
        _ => None,
    };
    let is_written = marked.max(hint).max(foreseen).is_some_and(|known| at < known)
        || (segment.state == SegmentState::Sealed && at < segment.end);
    is_written.then(|| {
        let path = segment.path.display();
        let what =
            format!("a record is gone: {what} at LSN {at}, though the log was written beyond it [{path}]");
        Problem::new(Outcome::Corrupt, what).at(at.get(), None)
    })
}
