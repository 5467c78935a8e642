//! A log that is read, record by record and batch by batch.

use std::path::Path;

use indicatif::ProgressBar;
use tidelog::inspect::{FrameKind, Frames, SegmentInfo, Stop};
use tidelog::{Checksum, CursorInfo, LastClose, Lsn, RecoveryReport};

use crate::commands::{gone, structure_problems};
use crate::exit::{Fail, Outcome};
use crate::problem::Problem;
use crate::view::View;

/// What is written together.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit<'a> {
    Record(u64, &'a [u8]),
    /// The records of a batch, with their LSNs.
    Batch(&'a [(u64, Vec<u8>)]),
}

impl<'a> Unit<'a> {
    pub(super) fn lsn(self) -> u64 {
        match self {
            Self::Record(lsn, _) => lsn,
            Self::Batch(records) => records.first().map_or(0, |(lsn, _)| *lsn),
        }
    }

    pub(super) fn payloads(self) -> Vec<&'a [u8]> {
        match self {
            Self::Record(_, payload) => vec![payload],
            Self::Batch(records) => records.iter().map(|(_, payload)| payload.as_slice()).collect(),
        }
    }

    pub(super) fn lsns(self) -> Vec<u64> {
        match self {
            Self::Record(lsn, _) => vec![lsn],
            Self::Batch(records) => records.iter().map(|(lsn, _)| *lsn).collect(),
        }
    }
}

/// Where a unit goes.
pub(super) type Take<'a> = dyn FnMut(Unit<'_>) -> Result<(), Fail> + 'a;

/// How a source was read.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// Where what was taken ends.
    pub(super) end: u64,
    /// What was passed over.
    pub(super) problems: Vec<Problem>,
}

#[derive(Debug)]
pub(super) struct Source {
    view: View,
    /// From 1, in the order in which they were named.
    pub(super) number: usize,
    skip_damage: bool,
    /// What is wrong with it, by its headers.
    problems: Vec<Problem>,
}

impl Source {
    /// Refuses a log that is damaged, as far as that is seen without reading it all.
    pub(super) fn open(directory: &Path, number: usize, skip_damage: bool) -> Result<Self, Fail> {
        let view = View::open(directory)?;
        let mut problems = structure_problems(&view);
        // What recovery cuts away was promised to nobody; it is told, and is no damage.
        problems.retain(|problem| problem.outcome != Outcome::TornTail);
        if let Some(problem) = problems.iter().max_by_key(|problem| problem.outcome)
            && (!skip_damage || problem.outcome == Outcome::Version)
        {
            return Err(refused(problem));
        }
        Ok(Self { view, number, skip_damage, problems })
    }

    pub(super) fn directory(&self) -> &Path {
        self.view.inspector.directory()
    }

    pub(super) fn schema(&self) -> u64 {
        self.view.inspector.meta().schema
    }

    pub(super) fn segment_bytes(&self) -> u64 {
        self.view.inspector.meta().segment_bytes
    }

    pub(super) fn start(&self) -> Lsn {
        self.view.start()
    }

    pub(super) fn end(&self) -> u64 {
        self.view.end.get()
    }

    /// An opening would find it as `close` leaves a log.
    pub(super) fn was_closed(&self) -> bool {
        let clean =
            |report: &RecoveryReport| report.last_close == LastClose::Clean && report.torn_tail.is_none();
        matches!(&self.view.foreseen, Some(Ok(report)) if clean(report))
    }

    /// So much of a log there is.
    pub(super) fn bytes(&self) -> u64 {
        self.view.end.get().saturating_sub(self.start().get())
    }

    pub(super) fn is_live(&self) -> bool {
        self.view.is_live()
    }

    /// Segments with records in them, and the bytes of their files.
    pub(super) fn files(&self) -> (u64, u64) {
        self.view.written().fold((0, 0), |(count, bytes), segment| (count + 1, bytes + segment.file_bytes))
    }

    /// How many bytes an opening would cut away.
    pub(super) fn torn_bytes(&self) -> Option<u64> {
        let report = self.view.foreseen.as_ref()?.as_ref().ok()?;
        report.torn_tail.is_some().then_some(report.truncated_bytes)
    }

    /// That of the newest opening.
    pub(super) fn checksum(&self) -> Checksum {
        let mut headers = self.view.written().rev().filter_map(|segment| segment.header.as_ref().ok());
        let last = headers.next().and_then(|header| header.openings.last());
        last.map_or_else(Checksum::default, |opening| opening.checksum)
    }

    pub(super) fn cursors(&self) -> Result<Vec<CursorInfo>, Fail> {
        Ok(self.view.inspector.cursors(self.view.end)?)
    }

    /// Gives every record below the end that was seen at first, oldest first. Beside a writer it ends before the first claim
    /// that is not published.
    pub(super) fn read(&self, bar: &ProgressBar, take: &mut Take<'_>) -> Result<Read, Fail> {
        let mut read = Read { end: self.view.end.get(), problems: self.problems.clone() };
        let segments = self.view.written().filter(|segment| segment.header.is_ok());
        for segment in segments {
            let from = read.problems.len();
            let ended = self.read_segment(segment, bar, &mut read, take)?;
            if read.problems.len() > from && self.is_live() && self.view.was_retired(segment.base) {
                read.problems.truncate(from);
            } else if let Some(problem) = read.problems.get(from)
                && !self.skip_damage
            {
                return Err(refused(problem));
            }
            if let Some(end) = ended {
                read.end = end;
                break;
            }
        }
        Ok(read)
    }

    /// Where the log ends, if it does here.
    fn read_segment(
        &self,
        segment: &SegmentInfo,
        bar: &ProgressBar,
        read: &mut Read,
        take: &mut Take<'_>,
    ) -> Result<Option<u64>, Fail> {
        let mut frames = match self.view.inspector.frames(segment.base) {
            Ok(frames) => frames.until(self.view.end),
            Err(error) => {
                let problem = Problem::from(&error).at(segment.base.get(), Some(segment.end.get()));
                read.problems.push(problem);
                return Ok(None);
            }
        };
        loop {
            let failed = read_frames(&mut frames, bar, take)?;
            let at = frames.position();
            let problem = match (failed, frames.stop()) {
                (Some(error), _) => Problem::from(&error),
                (None, Some(Stop::SegmentEnd | Stop::Limit)) | (None, None) => return Ok(None),
                (None, Some(Stop::Corrupt(error))) => Problem::from(error),
                (None, Some(stop)) if let Some(gone) = gone(&self.view, segment, stop, at) => gone,
                (None, Some(_)) if self.is_live() => return Ok(Some(at.get())),
                // A claim that never returned: the next opening makes padding of it.
                (None, Some(_)) => {
                    if frames.resume()?.is_none() {
                        return Ok(None);
                    }
                    continue;
                }
            };
            let first = frames.open_batch().unwrap_or(at);
            if !self.skip_damage {
                read.problems.push(problem.at(first.get(), None));
                return Ok(None);
            }
            let behind = frames.resume().ok().flatten();
            let lost_to = behind.unwrap_or_else(|| segment.end.min(self.view.end.max(at)));
            read.problems.push(problem.at(first.get(), Some(lost_to.get())));
            if behind.is_none() {
                return Ok(None);
            }
        }
    }
}

/// The frames up to the next stop. An error of reading is given back, as what lies behind may read.
fn read_frames(
    frames: &mut Frames,
    bar: &ProgressBar,
    take: &mut Take<'_>,
) -> Result<Option<tidelog::Error>, Fail> {
    let mut batch: Vec<(u64, Vec<u8>)> = Vec::new();
    loop {
        let frame = match frames.next_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(None),
            Err(error) => return Ok(Some(error)),
        };
        bar.inc(frame.frame_bytes);
        match frame.kind {
            FrameKind::Padding => {}
            FrameKind::Record => take(Unit::Record(frame.lsn.get(), frame.payload))?,
            FrameKind::BatchLast => {
                batch.push((frame.lsn.get(), frame.payload.to_vec()));
                take(Unit::Batch(&batch))?;
                batch.clear();
            }
            _ => batch.push((frame.lsn.get(), frame.payload.to_vec())),
        }
    }
}

fn refused(problem: &Problem) -> Fail {
    let what = match problem.outcome {
        Outcome::Version | Outcome::Io => problem.message.clone(),
        _ => format!(
            "{}; nothing was written: repair the log first (`tidelog repair`), or take what is left with --skip-damage",
            problem.message
        ),
    };
    Fail::Refused(problem.outcome, what)
}
