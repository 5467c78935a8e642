//! Over the frames of a log from segment to segment, and over what is damaged.

use tidelog::Lsn;
use tidelog::inspect::{Frame, SegmentInfo, Stop};

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
    pub(super) outcome: Outcome,
    /// The ranges that were asked for and in which no record could be read, in their order.
    pub(super) lost: Vec<(u64, u64)>,
}

impl<'a> Walk<'a> {
    /// Tells of the segments that should be there and are not.
    pub(super) fn new(view: &'a View, select: &'a Select, global: &Global) -> Self {
        let mut walk =
            Self { view, select, colors: global.colors(), outcome: Outcome::Clean, lost: Vec::new() };
        for gap in &view.files.missing {
            let (from, to) = (gap.start.get(), gap.end.get());
            if walk.is_meant(from, to) {
                walk.colors.remark(&format!("segments are missing: LSN {from} to {to}"));
                walk.lost.push((from, to));
                walk.outcome = walk.outcome.max(Outcome::Gap);
            }
        }
        walk
    }

    pub(super) fn segments(&self) -> Vec<&'a SegmentInfo> {
        self.view.written().filter(|segment| self.select.may_lie_in(segment)).collect()
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
        let mut frames = match view.inspector.frames(base) {
            Ok(frames) => frames.until(self.limit(segment)),
            Err(_) if view.was_retired(base) => return Ok(()),
            Err(error) => {
                self.tell(&Problem::from(&error));
                self.lost.push((base.get(), segment.end.get()));
                return Ok(());
            }
        };
        loop {
            while let Some(frame) = frames.next_frame()? {
                if !show(Seen::Frame(&frame))? {
                    return Ok(());
                }
            }
            match frames.stop() {
                Some(Stop::Corrupt(error)) => {
                    let (problem, at) = (Problem::from(error), frames.position());
                    if view.was_retired(base) {
                        return Ok(());
                    }
                    // All of a batch is lost with one of its records.
                    let from = frames.open_batch().unwrap_or(at);
                    let behind = frames.resume()?;
                    let to = behind.unwrap_or(segment.end);
                    show(Seen::Damage)?;
                    if self.is_meant(from.get(), to.get()) {
                        self.tell(&problem);
                        self.colors.remark(&format!("lost: LSN {from} to {to}"));
                        self.lost.push((from.get(), to.get()));
                    }
                    if behind.is_none() {
                        return Ok(());
                    }
                }
                Some(Stop::Hole(_) | Stop::Claimed(_)) if !view.is_live() => {
                    if frames.resume()?.is_none() {
                        return Ok(());
                    }
                }
                _ => return Ok(()),
            }
        }
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
