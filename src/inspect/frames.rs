//! The frames of a segment, one after the other, whatever they are.

use core::fmt;
use std::io;
use std::path::PathBuf;

use super::Inspector;
use crate::error::{Error, Result};
use crate::format::frame::{Kind, frame_bytes, proven_durable, way_back_bytes};
use crate::format::header::Identity;
use crate::format::verify::Verifiers;
use crate::limits::{HEADER_BYTES, claim_max};
use crate::lsn::Lsn;
use crate::recovery::{Window, next_frame};
use crate::segment::scan::{self, Damage, Found, Layout, Source};
use crate::storage::SharedStorage;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FrameKind {
    /// A record by itself.
    Record,
    /// The first record of a batch.
    BatchFirst,
    /// A record inside a batch.
    BatchMiddle,
    /// The last record of a batch.
    BatchLast,
    /// Nothing to read: an aborted claim, the rest of a segment, a repaired hole.
    Padding,
}

impl FrameKind {
    /// True for all but padding.
    #[must_use]
    pub const fn is_record(self) -> bool {
        !matches!(self, Self::Padding)
    }
}

/// A frame that verifies.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Frame<'a> {
    /// Its address.
    pub lsn: Lsn,
    /// Where it begins in the segment's file.
    pub file_offset: u64,
    /// Bytes from its beginning to that of the next.
    pub frame_bytes: u64,
    /// What it is.
    pub kind: FrameKind,
    /// The record; empty for padding.
    pub payload: &'a [u8],
    /// Everything below this was durable when the frame's place was claimed, as the frame says; zero where it does not say.
    pub proven_durable: Lsn,
}

/// What was met on a walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrameCounts {
    /// Records, those in whole batches included.
    pub records: u64,
    /// Batches that are whole.
    pub batches: u64,
    /// Bytes of the records' payloads.
    pub payload_bytes: u64,
    /// Bytes of padding, headers included.
    pub padding_bytes: u64,
}

impl FrameCounts {
    fn add(&mut self, frame: &Frame<'_>) {
        let len = u64::try_from(frame.payload.len()).unwrap_or_default();
        self.records = self.records.saturating_add(1);
        self.payload_bytes = self.payload_bytes.saturating_add(len);
    }
}

/// Why the frames of a segment end where they do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Stop {
    /// At the end of the segment.
    SegmentEnd,
    /// At the limit that [`Frames::until`] set.
    Limit,
    /// Nothing but zeros follows.
    Unwritten,
    /// A claim that is not published: a live writer is at it, or its writer died. It takes so many bytes.
    Claimed(u64),
    /// Zeros, and behind them something else, at that LSN.
    Hole(Lsn),
    /// Bytes that are no valid frame, or a batch that is not whole. The [`Error`] says what, and where.
    Corrupt(Error),
}

/// Walks over the frames of one segment. From [`Inspector::frames`].
pub struct Frames {
    window: Window,
    verifiers: Verifiers,
    path: PathBuf,
    base: u64,
    segment_bytes: u64,
    /// Offset of the next frame from the base.
    offset: u64,
    limit: u64,
    /// Where the batch began whose frames are next.
    batch: Option<u64>,
    stop: Option<Stop>,
}

impl Inspector {
    /// The frames of the segment that begins at `base`.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt), [`Unsupported`](crate::ErrorKind::Unsupported), [`Io`](crate::ErrorKind::Io):
    /// its header does not read back, and without it no frame can be checked.
    pub fn frames(&self, base: Lsn) -> Result<Frames> {
        let header = self.header(base.get())?;
        let path = self.directory.segment_path(base.get());
        let verifiers = Verifiers::new(&header.identity, &header.sessions);
        Ok(Frames::new(self.directory.storage(), path, &header.identity, verifiers))
    }
}

impl Frames {
    /// The frames of the file at `path`, as those of the segment `identity`, checked by `verifiers`.
    pub(crate) fn new(
        storage: &SharedStorage,
        path: PathBuf,
        identity: &Identity,
        verifiers: Verifiers,
    ) -> Self {
        Self {
            window: Window::new(storage, path.clone(), identity.segment_bytes),
            verifiers,
            path,
            base: identity.base(),
            segment_bytes: identity.segment_bytes,
            offset: 0,
            limit: identity.segment_bytes,
            batch: None,
            stop: None,
        }
    }

    /// Ends the walk before the first frame that begins at or behind `lsn`: beside a live writer, where its log was seen to
    /// be published.
    #[must_use]
    pub fn until(mut self, lsn: Lsn) -> Self {
        self.limit = lsn.get().saturating_sub(self.base).min(self.segment_bytes);
        self
    }

    /// Where the next frame begins, or would.
    #[must_use]
    pub fn position(&self) -> Lsn {
        Lsn::new(self.base.saturating_add(self.offset))
    }

    /// The first record of the batch that the last frame belongs to, as long as its last one was not met. Where the walk has
    /// ended, that batch is not whole.
    #[must_use]
    pub fn open_batch(&self) -> Option<Lsn> {
        self.batch.map(|offset| Lsn::new(self.base.saturating_add(offset)))
    }

    /// Why the walk ended; `None` as long as it goes on.
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        self.stop.as_ref()
    }

    /// The next frame; `None` at the end, for which [`stop`](Self::stop) has the reason.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io): the file cannot be read there. Another call tries again.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>> {
        if self.stop.is_some() {
            return Ok(None);
        }
        if self.offset >= self.limit {
            let whole = self.offset >= self.segment_bytes;
            return self.end(if whole { Stop::SegmentEnd } else { Stop::Limit });
        }
        let layout =
            Layout { base: self.base, segment_bytes: self.segment_bytes, verifiers: &self.verifiers };
        let found = scan::examine(&mut self.window, layout, self.offset);
        match found.map_err(|error| self.unreadable(error))? {
            Found::Record(frame) if self.belongs(&frame) => self.record(frame).map(Some),
            Found::Record(_) => self.corrupt(Damage::Batch),
            Found::Padding { next } if self.batch.is_none() => Ok(Some(self.padding(next))),
            Found::Padding { .. } => self.corrupt(Damage::Batch),
            Found::End => self.end(Stop::SegmentEnd),
            Found::Claimed { next } => self.end(Stop::Claimed(next.saturating_sub(self.offset))),
            Found::Bad(damage) => self.corrupt(damage),
            Found::Unwritten => {
                let next = self.window.next_nonzero(self.offset).map_err(|error| self.unreadable(error))?;
                let stop =
                    next.map_or(Stop::Unwritten, |at| Stop::Hole(Lsn::new(self.base.saturating_add(at))));
                self.end(stop)
            }
        }
    }

    /// Goes over all frames up to where the walk ends, and adds them up: the same as [`next_frame`](Self::next_frame) again and
    /// again, and faster. A batch counts when it is whole.
    ///
    /// # Errors
    /// As [`next_frame`](Self::next_frame). What was seen before is counted.
    pub fn count(&mut self, counts: &mut FrameCounts) -> Result<()> {
        // Of the batch that is not at its end.
        let mut batch = FrameCounts::default();
        loop {
            if self.batch.is_none() {
                self.count_buffered(counts);
            }
            let Some(frame) = self.next_frame()? else { return Ok(()) };
            match frame.kind {
                FrameKind::Padding => {
                    counts.padding_bytes = counts.padding_bytes.saturating_add(frame.frame_bytes);
                }
                kind => {
                    batch.add(&frame);
                    if matches!(kind, FrameKind::Record | FrameKind::BatchLast) {
                        let whole = core::mem::take(&mut batch);
                        counts.records = counts.records.saturating_add(whole.records);
                        counts.payload_bytes = counts.payload_bytes.saturating_add(whole.payload_bytes);
                        counts.batches =
                            counts.batches.saturating_add(u64::from(kind == FrameKind::BatchLast));
                    }
                }
            }
        }
    }

    /// Counts records by themselves that lie in what was read already, as far as one opening wrote them.
    fn count_buffered(&mut self, counts: &mut FrameCounts) {
        let lsn = self.base.saturating_add(self.offset);
        let (verifier, until) = self.verifiers.from(lsn);
        let room = self.limit.min(until.saturating_sub(self.base)).saturating_sub(self.offset);
        let bytes = self.window.buffered(self.offset);
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        let mut rest = bytes.get(..room).unwrap_or_default();
        let largest = claim_max(self.segment_bytes);
        let (mut at, mut records, mut payload_bytes) = (0_u64, 0_u64, 0_u64);
        while let Some(payload) = scan::record_in(rest, lsn.wrapping_add(at), largest, verifier) {
            // A slice's length fits.
            let len = u64::try_from(payload.len()).unwrap_or_default();
            let bytes = frame_bytes(len);
            records = records.wrapping_add(1);
            payload_bytes = payload_bytes.wrapping_add(len);
            at = at.wrapping_add(bytes);
            rest = usize::try_from(bytes).ok().and_then(|bytes| rest.get(bytes..)).unwrap_or_default();
        }
        self.offset = self.offset.saturating_add(at);
        counts.records = counts.records.saturating_add(records);
        counts.payload_bytes = counts.payload_bytes.saturating_add(payload_bytes);
    }

    /// Goes on behind damage or a hole, at the next record whose checksum holds. The LSN of that record, or `None` where there
    /// is none in the segment below the limit.
    ///
    /// A valid frame may lie inside damaged bytes by intention: a record that holds a copy of a segment. The seed of the
    /// checksum excludes that for copies from another place.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io).
    pub fn resume(&mut self) -> Result<Option<Lsn>> {
        // So much work as to read the segment many times over; bytes made to cost more get none.
        let mut budget = self.segment_bytes.saturating_mul(64);
        let mut spend = |bytes| {
            let left = budget.checked_sub(bytes);
            budget = left.unwrap_or_default();
            left.is_some()
        };
        let layout =
            Layout { base: self.base, segment_bytes: self.segment_bytes, verifiers: &self.verifiers };
        let mut from = self.offset.saturating_add(8);
        loop {
            let found = next_frame(&mut self.window, layout, from, &mut spend);
            let Some(frame) =
                found.map_err(|error| self.unreadable(error))?.filter(|frame| frame.offset < self.limit)
            else {
                return Ok(None);
            };
            // The rest of a batch whose beginning is lost was lost with it.
            if matches!(frame.kind, Kind::Record | Kind::BatchFirst) {
                self.offset = frame.offset;
                self.batch = None;
                self.stop = None;
                return Ok(Some(self.position()));
            }
            from = frame.next();
        }
    }

    /// As [`resume`](Self::resume), at or behind the place `offset` of the segment.
    pub(crate) fn resume_behind(&mut self, offset: u64) -> Result<Option<Lsn>> {
        self.offset = offset.saturating_sub(8);
        self.batch = None;
        self.resume()
    }

    fn belongs(&self, frame: &scan::Frame) -> bool {
        match (frame.kind, self.batch) {
            (Kind::Record | Kind::BatchFirst, None) => true,
            (Kind::BatchMiddle | Kind::BatchLast, Some(first)) => {
                Some(way_back_bytes(frame.extra)) == frame.offset.checked_sub(first)
            }
            _ => false,
        }
    }

    fn record(&mut self, frame: scan::Frame) -> Result<Frame<'_>> {
        let (kind, batch) = match frame.kind {
            Kind::BatchFirst => (FrameKind::BatchFirst, Some(frame.offset)),
            Kind::BatchMiddle => (FrameKind::BatchMiddle, self.batch),
            Kind::BatchLast => (FrameKind::BatchLast, None),
            _ => (FrameKind::Record, None),
        };
        self.batch = batch;
        self.offset = frame.next();
        let lsn = self.base.saturating_add(frame.offset);
        let tells = matches!(kind, FrameKind::Record | FrameKind::BatchFirst);
        let proven = if tells { proven_durable(lsn, frame.extra) } else { 0 };
        let payload = self.window.bytes(frame.payload_offset(), frame.payload_len);
        Ok(Frame {
            lsn: Lsn::new(lsn),
            file_offset: HEADER_BYTES.saturating_add(frame.offset),
            frame_bytes: frame.next().saturating_sub(frame.offset),
            kind,
            payload: payload.map_err(|error| Error::io("cannot read a segment", &self.path, error))?,
            proven_durable: Lsn::new(proven),
        })
    }

    fn padding(&mut self, next: u64) -> Frame<'_> {
        let offset = core::mem::replace(&mut self.offset, next);
        Frame {
            lsn: Lsn::new(self.base.saturating_add(offset)),
            file_offset: HEADER_BYTES.saturating_add(offset),
            frame_bytes: next.saturating_sub(offset),
            kind: FrameKind::Padding,
            payload: &[],
            proven_durable: Lsn::ZERO,
        }
    }

    fn end(&mut self, stop: Stop) -> Result<Option<Frame<'_>>> {
        // A batch is published from its end to its beginning, so all of it is there or none.
        let torn = self.batch.is_some() && !matches!(stop, Stop::Limit);
        self.stop = Some(if torn { Stop::Corrupt(self.damaged(Damage::Batch)) } else { stop });
        Ok(None)
    }

    fn corrupt(&mut self, damage: Damage) -> Result<Option<Frame<'_>>> {
        self.stop = Some(Stop::Corrupt(self.damaged(damage)));
        Ok(None)
    }

    fn damaged(&self, damage: Damage) -> Error {
        let offset = HEADER_BYTES.saturating_add(self.offset);
        Error::corrupt(damage.describe(), &self.path, offset, Some(self.position()))
    }

    fn unreadable(&self, error: io::Error) -> Error {
        Error::io("cannot read a segment", &self.path, error)
    }
}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frames").field("position", &self.position()).field("stop", &self.stop).finish()
    }
}
