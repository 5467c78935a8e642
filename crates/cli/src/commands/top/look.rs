//! One look at a log that may be growing, by its files alone.

use std::path::Path;
use std::time::{Duration, Instant};

use tidelog::inspect::{Files, FrameCounts, Inspector, SegmentInfo, SegmentState, Stop};
use tidelog::{CursorInfo, Error, ErrorKind, Lsn};

use super::super::info::marked_durable;
use crate::exit::Fail;

/// Records are counted in so many bytes at a look; what is beyond is estimated from them.
const COUNTED_MAX: u64 = 64 << 20;
/// A writer may retire under our hands, so often at most.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(20);

/// What there was to see.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) at: Instant,
    pub(super) log_id: [u8; 16],
    pub(super) segment_bytes: u64,
    /// The process that has it open.
    pub(super) writer: Option<u32>,
    /// Counts the openings of the log.
    opening: u32,
    pub(super) start: u64,
    pub(super) durable: u64,
    /// Where the first record is missing that is not published.
    pub(super) end: u64,
    /// Segments that were ever made, ever sealed and ever retired.
    pub(super) made: u64,
    pub(super) sealed: u64,
    pub(super) retired: u64,
    pub(super) segments: usize,
    pub(super) spares: usize,
    pub(super) cursors: Vec<CursorInfo>,
    /// Since the look before. `None` where that was no look at the same log.
    pub(super) records: Option<Records>,
    /// What else happened since then.
    pub(super) notes: Vec<String>,
}

/// How many came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Records {
    pub(super) count: u64,
    /// Some of them by their bytes alone.
    pub(super) estimated: bool,
}

/// How far a walk came.
#[derive(Debug, Default)]
struct Walked {
    end: u64,
    counts: FrameCounts,
    /// There was more than may be counted.
    more: bool,
    damaged: Option<u64>,
}

impl Look {
    /// Looks, and counts what came since `before`.
    pub(super) fn new(directory: &Path, before: Option<&Self>) -> Result<Self, Fail> {
        let mut tries = 0;
        loop {
            tries += 1;
            let (error, base) = match Self::try_new(directory, before) {
                Ok(look) => return Ok(look),
                Err(failed) => failed,
            };
            let there = directory.join("log.meta").exists();
            if !there && before.is_some() && tries < TRIES {
                // It is being removed, or another one put in its place.
                std::thread::sleep(PAUSE);
                continue;
            }
            if !there && before.is_some() {
                return Err(Fail::NotFound(format!("the log in {} is gone", directory.display())));
            }
            let start = Inspector::open(directory).map(|now| now.meta().start);
            if tries == TRIES || !start.is_ok_and(|start| start > base) {
                return Err(error.into());
            }
        }
    }

    /// The error comes with the segment that it was met in.
    fn try_new(directory: &Path, before: Option<&Self>) -> Result<Self, (Error, Lsn)> {
        let nowhere = |error| (error, Lsn::new(u64::MAX));
        let inspector = Inspector::open(directory).map_err(nowhere)?;
        let lock = inspector.lock().map_err(nowhere)?;
        let files = inspector.files().map_err(nowhere)?;
        let meta = inspector.meta();
        let openings = files.segments.iter().filter_map(|segment| segment.header.as_ref().ok());
        let opening = openings.flat_map(|header| &header.openings).map(|opening| opening.number).max();
        let mut look = Self {
            at: Instant::now(),
            log_id: meta.log_id,
            segment_bytes: meta.segment_bytes,
            writer: lock.holder,
            opening: opening.unwrap_or_default(),
            start: meta.start.get(),
            durable: marked_durable(&inspector, &files),
            end: meta.start.get(),
            made: files.segments.iter().map(|segment| segment.number + 1).max().unwrap_or_default(),
            sealed: sealed(&files),
            retired: meta.start.get() / meta.segment_bytes.max(1),
            segments: files.segments.len(),
            spares: files.spares,
            cursors: Vec::new(),
            records: None,
            notes: Vec::new(),
        };
        look.compare(before);
        look.walk(&inspector, &files, before)?;
        look.durable = look.durable.min(look.end);
        look.cursors = inspector.cursors(Lsn::new(look.end)).map_err(nowhere)?;
        Ok(look)
    }

    /// What can be told from the last look.
    fn compare(&mut self, before: Option<&Self>) {
        let Some(before) = before else { return };
        let mut note = |text: String| self.notes.push(text);
        if before.log_id != self.log_id {
            note("another log stands here now".to_owned());
        }
        match (before.writer, self.writer) {
            (Some(old), Some(new)) if old != new => note(format!("pid {new} has it open, after pid {old}")),
            (None, Some(new)) => note(format!("pid {new} has opened it")),
            (Some(old), None) => note(format!("pid {old} has closed it, or died")),
            _ if before.opening != self.opening => note("it was opened again".to_owned()),
            _ => {}
        }
        if self.start > before.end {
            note(format!("all up to LSN {} was retired since the last look", self.start));
        }
    }

    /// True where positions go on from those of the last look: an opening may have cut a tail away.
    pub(super) fn continues(&self, before: &Self) -> bool {
        before.log_id == self.log_id && before.opening == self.opening && before.end <= self.end
    }

    fn walk(
        &mut self,
        inspector: &Inspector,
        files: &Files,
        before: Option<&Self>,
    ) -> Result<(), (Error, Lsn)> {
        let written = |segment: &&SegmentInfo| {
            matches!(segment.state, SegmentState::Active | SegmentState::Filled | SegmentState::Sealed)
        };
        let Some(newest) = files.segments.iter().rev().find(written) else { return Ok(()) };
        let same = before.filter(|before| before.log_id == self.log_id && before.opening == self.opening);
        let from = same.map(|before| before.end).filter(|end| *end >= self.start && *end <= newest.end.get());
        let mut counted = Walked { more: true, ..Walked::default() };
        if let Some(from) = from {
            let segments = files.segments.iter().filter(written).filter(|segment| segment.end.get() > from);
            counted = match count(inspector, segments, from) {
                Ok(counted) => counted,
                // Retired meanwhile: the end is looked for where the log ends.
                Err((error, _)) if error.kind() != ErrorKind::Io => counted,
                Err(error) => return Err(error),
            };
        }
        self.end = counted.end;
        if counted.more {
            // From the last frame's end that is marked in the newest segment.
            let marked = self.durable.clamp(newest.base.get(), newest.end.get());
            let rest = Walked { end: marked, ..Walked::default() };
            let rest = go(inspector, newest, u64::MAX, rest).map_err(|error| (error, newest.base))?;
            self.end = rest.end;
            counted.damaged = counted.damaged.or(rest.damaged);
        }
        if let Some(at) = counted.damaged {
            self.notes.push(format!("damage at LSN {at}; verify tells more"));
        }
        if let Some(from) = same.map(|before| before.end) {
            let grown = self.end.saturating_sub(from);
            let walked = counted.end.saturating_sub(from);
            let records = counted.counts.records;
            let (count, estimated) = match (counted.more, walked) {
                (false, _) => (records, false),
                // Nothing of it was counted.
                (true, 0) => return Ok(()),
                (true, walked) => ((records as f64 * grown as f64 / walked as f64) as u64, true),
            };
            self.records = Some(Records { count, estimated });
        }
        Ok(())
    }
}

/// Segments are sealed one after the other.
fn sealed(files: &Files) -> u64 {
    let newest = files.segments.iter().rev().find(|segment| segment.state == SegmentState::Sealed);
    newest.map_or(0, |segment| segment.number + 1)
}

/// Counts from `from` on, as much as may be.
fn count<'a>(
    inspector: &Inspector,
    segments: impl Iterator<Item = &'a SegmentInfo>,
    from: u64,
) -> Result<Walked, (Error, Lsn)> {
    let limit = from.saturating_add(COUNTED_MAX);
    let mut walked = Walked { end: from, ..Walked::default() };
    for segment in segments {
        // What is missing between was lost, or retired.
        walked.end = walked.end.max(segment.base.get());
        if walked.end >= limit {
            walked.more = true;
            break;
        }
        walked = go(inspector, segment, limit, walked).map_err(|error| (error, segment.base))?;
        if walked.more || walked.end < segment.end.get() {
            break;
        }
    }
    Ok(walked)
}

/// Goes on in one segment, behind damage too.
fn go(
    inspector: &Inspector,
    segment: &SegmentInfo,
    limit: u64,
    mut walked: Walked,
) -> tidelog::Result<Walked> {
    let mut frames = inspector.frames(segment.base)?.since(Lsn::new(walked.end)).until(Lsn::new(limit));
    loop {
        frames.count(&mut walked.counts)?;
        walked.end = frames.position().get();
        match frames.stop() {
            Some(Stop::Limit) => walked.more = true,
            // Behind damage the log may go on. (Behind a hole there is nothing that is published in order.)
            Some(Stop::Corrupt(_)) => {
                let at = walked.end;
                if frames.resume()?.is_some() {
                    walked.damaged = walked.damaged.or(Some(at));
                    continue;
                }
            }
            _ => {}
        }
        return Ok(walked);
    }
}
