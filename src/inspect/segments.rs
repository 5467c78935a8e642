//! The segments, by their files, headers and marks.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Inspector;
use crate::error::{Error, Result};
use crate::format::header::{Header, Identity, Session};
use crate::lsn::Lsn;
use crate::policy::Checksum;
use crate::recovery::Window;
use crate::segment::scan::Source;
use crate::storage::{Access, Boot, SharedStorage};

/// The files of a log.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Files {
    /// The segments that have a file, oldest first.
    pub segments: Vec<SegmentInfo>,
    /// Ranges of the log, between its start and its newest segment, without a file.
    pub missing: Vec<MissingSegments>,
    /// Files that will become segments.
    pub spares: usize,
    /// What interrupted operations left; the writer's next opening removes it.
    pub temporaries: Vec<PathBuf>,
}

/// Segments in a row without files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingSegments {
    /// The first LSN.
    pub start: Lsn,
    /// The first LSN behind them.
    pub end: Lsn,
}

/// What a segment is to the log, by its header, its marks, and the first word of its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SegmentState {
    /// The log begins behind it; the file has yet to be removed.
    Retired,
    /// Written to its end, and marked so.
    Sealed,
    /// It has frames, and others with frames follow it, but it is not marked: its writer died before the mark, or is about
    /// to make it.
    Filled,
    /// The log ends in it.
    Active,
    /// Ready to be written to; it has no frames.
    Prepared,
    /// Its header does not read back; [`SegmentInfo::header`] says why.
    Damaged,
}

/// A segment's file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SegmentInfo {
    /// Its number in the log, from 0.
    pub number: u64,
    /// Its first LSN.
    pub base: Lsn,
    /// The first LSN behind it.
    pub end: Lsn,
    /// Its file.
    pub path: PathBuf,
    /// What it is to the log.
    pub state: SegmentState,
    /// Length of the file in bytes; zero where it cannot be told.
    pub file_bytes: u64,
    /// Bytes that the file system keeps for it; zero where it cannot be told.
    pub allocated_bytes: u64,
    /// What its header says, or why that does not read back.
    pub header: Result<SegmentHeader>,
}

/// What a segment's header says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentHeader {
    /// When the file was made, by the system's clock.
    pub created: Option<SystemTime>,
    /// How far it is known to be written.
    pub tail_mark: Option<TailMark>,
    /// How far the writer noted the log as durable.
    pub durable_hint: Option<Lsn>,
    /// Those who wrote to it, or could have, oldest first.
    pub openings: Vec<Opening>,
    /// A further entry of the table of openings is damaged: it was torn, unless frames belong to it.
    pub torn_opening: bool,
}

/// "Every frame below is written."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TailMark {
    /// Where that ends.
    pub end: Lsn,
    /// It was durable when the mark was made.
    pub durable: bool,
    /// The mark was made since this machine started; one that is not durable counts only then.
    pub this_boot: bool,
    /// When the segment was sealed, by the system's clock.
    pub sealed: Option<SystemTime>,
}

/// An opening of the log by a writer, as a segment notes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opening {
    /// Counts the openings of the log, from 1.
    pub number: u32,
    /// The first LSN of this opening in the segment.
    pub start: Lsn,
    /// When it was, by the system's clock.
    pub opened: Option<SystemTime>,
    /// The checksum of its frames.
    pub checksum: Checksum,
    /// Appends returned only when they were durable.
    pub acks_durable: bool,
    /// It was since this machine started.
    pub this_boot: bool,
}

/// A time of the header; zero is none.
fn time(unix_ns: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_nanos(unix_ns)).filter(|_| unix_ns != 0)
}

impl SegmentHeader {
    fn new(header: &Header, boot: Boot) -> Self {
        let opening = |session: &Session| Opening {
            number: session.number,
            start: Lsn::new(session.start),
            opened: time(session.opened_unix_ns),
            checksum: session.checksum,
            acks_durable: session.acks_durable,
            this_boot: session.boot == boot.0,
        };
        Self {
            created: time(header.created_unix_ns),
            tail_mark: header.tail_mark.map(|mark| TailMark {
                end: Lsn::new(mark.end),
                durable: mark.durable,
                this_boot: mark.boot == boot.0,
                sealed: time(mark.sealed_unix_ns),
            }),
            durable_hint: header.durable_hint.map(Lsn::new),
            openings: header.sessions.iter().map(opening).collect(),
            torn_opening: header.torn_session,
        }
    }
}

impl Inspector {
    /// The log's files, and what their headers say. Reads one page of each segment, and the first word behind it.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) where the directory cannot be listed; what is wrong with one segment stands with it.
    pub fn files(&self) -> Result<Files> {
        let listing = self.directory.list()?;
        let mut segments: Vec<SegmentInfo> =
            listing.segments.iter().filter_map(|base| self.segment(*base)).collect();
        let mut end_seen = false;
        for segment in segments.iter_mut().rev() {
            segment.state = self.state(segment, &mut end_seen);
        }
        let missing = self.missing(&segments);
        Ok(Files { segments, missing, spares: listing.spares.len(), temporaries: listing.temporaries })
    }

    /// `None` for one that a live writer retired meanwhile.
    fn segment(&self, base: u64) -> Option<SegmentInfo> {
        let path = self.directory.segment_path(base);
        let header = self.header(base);
        let extent = self.directory.storage().extent(&path).ok();
        if extent.is_none() && header.is_err() && !self.directory.has_segment(base).unwrap_or(true) {
            return None;
        }
        Some(SegmentInfo {
            number: base.checked_div(self.meta.segment_bytes).unwrap_or_default(),
            base: Lsn::new(base),
            end: Lsn::new(base.saturating_add(self.meta.segment_bytes)),
            path,
            state: SegmentState::Damaged,
            file_bytes: extent.map_or(0, |extent| extent.len),
            allocated_bytes: extent.map_or(0, |extent| extent.allocated),
            header: header.map(|header| SegmentHeader::new(&header, self.directory.boot())),
        })
    }

    pub(super) fn header(&self, base: u64) -> Result<Header> {
        let segment_bytes = self.meta.segment_bytes;
        let number = base.checked_div(segment_bytes).unwrap_or_default();
        let identity = Identity { log_id: self.meta.log_id, number, segment_bytes };
        if identity.base() != base {
            let path = self.directory.segment_path(base);
            return Err(Error::corrupt("the segment's name fits no place in the log", &path, 0, None));
        }
        let file = self.directory.open_segment(base, Access::Read)?;
        self.directory.read_header(&*file, &identity)
    }

    /// Told from the newest segment backwards: the first with frames is the active one.
    fn state(&self, segment: &SegmentInfo, end_seen: &mut bool) -> SegmentState {
        if segment.base.get() < self.meta.start {
            return SegmentState::Retired;
        }
        let Ok(header) = &segment.header else { return SegmentState::Damaged };
        if header.tail_mark.is_some_and(|mark| mark.end == segment.end) {
            *end_seen = true;
            return SegmentState::Sealed;
        }
        if *end_seen {
            return SegmentState::Filled;
        }
        let storage = SharedStorage::clone(self.directory.storage());
        let first = Window::new(&storage, segment.path.clone(), 8).word(0);
        // The first segment of a log may have no frames yet.
        if first.is_ok_and(|word| word == 0) && segment.base.get() > self.meta.start {
            return SegmentState::Prepared;
        }
        *end_seen = true;
        SegmentState::Active
    }

    fn missing(&self, segments: &[SegmentInfo]) -> Vec<MissingSegments> {
        let (start, segment_bytes) = (self.meta.start, self.meta.segment_bytes);
        let mut missing = Vec::new();
        let mut next = start;
        let bases = segments.iter().map(|segment| segment.base.get());
        for base in bases.filter(|base| *base >= start && base.is_multiple_of(segment_bytes)) {
            if base > next {
                missing.push(MissingSegments { start: Lsn::new(next), end: Lsn::new(base) });
            }
            next = base.saturating_add(segment_bytes);
        }
        missing
    }
}
