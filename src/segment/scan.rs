//! The one scanner: it tells what stands at an offset of a segment. Recovery, readers and the published
//! watermark all use it.
#![allow(unsafe_code, reason = "see the proof at each block; listed in lib.rs")]

use std::io;

use crate::format::checksum::{crc, mask};
use crate::format::frame::{self, Kind, Parsed, SHORT_PADDING_BYTES, frame_bytes};
use crate::format::verify::{Verifier, Verifiers};
use crate::limits::{FRAME_HEADER_BYTES, HEADER_BYTES, claim_max};
use crate::policy::Checksum;
use crate::region::View;
use crate::storage::Body;

/// How far ahead of a frame that is read bytes are asked for. (From 1 to 8 KiB it makes little difference.)
const AHEAD_BYTES: u64 = 2048;

/// Why a frame was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// The header word is none that a writer stores, or tells a length that does not fit.
    Word,
    /// The checksum does not hold.
    Checksum,
    /// A batch lacks a part.
    Batch,
}

impl Damage {
    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Self::Word => "a frame's header word is damaged",
            Self::Checksum => "a frame's checksum does not hold",
            Self::Batch => "a batch is not whole",
        }
    }
}

/// A frame whose checksum holds. Offsets count from the segment's base.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) offset: u64,
    pub(crate) payload_len: u64,
    pub(crate) extra: u64,
}

impl Frame {
    /// Where the next frame begins.
    #[inline]
    pub(crate) const fn next(&self) -> u64 {
        self.offset + frame_bytes(self.payload_len)
    }

    /// The frame at `offset` of the record whose payload was read there.
    #[inline]
    pub(crate) const fn read_at(offset: u64, payload: &[u8]) -> Self {
        Self { kind: Kind::Record, offset, payload_len: payload.len() as u64, extra: 0 }
    }

    /// Where the payload begins.
    #[inline]
    pub(crate) const fn payload_offset(&self) -> u64 {
        self.offset + FRAME_HEADER_BYTES
    }
}

/// What stands at an offset.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    /// The end of the segment.
    End,
    /// Nothing yet.
    Unwritten,
    /// A claim that is not published; `next` is where it ends.
    Claimed { next: u64 },
    /// Padding; `next` is where it ends.
    Padding { next: u64 },
    /// A record that verifies.
    Record(Frame),
    /// Bytes that are no valid frame.
    Bad(Damage),
}

/// Bytes of a segment, from a mapping or from a file. Offsets count from the segment's base.
pub(crate) trait Source {
    fn word(&mut self, offset: u64) -> io::Result<u64>;
    fn bytes(&mut self, offset: u64, len: u64) -> io::Result<&[u8]>;
}

/// What the scanner must know about the segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout<'a> {
    pub(crate) base: u64,
    pub(crate) segment_bytes: u64,
    pub(crate) verifiers: &'a Verifiers,
}

/// Tells what stands at `offset`, and verifies it.
#[inline]
pub(crate) fn examine(source: &mut impl Source, layout: Layout<'_>, offset: u64) -> io::Result<Found> {
    if offset >= layout.segment_bytes {
        return Ok(Found::End);
    }
    let room = layout.segment_bytes - offset;
    let word = source.word(offset)?;
    match frame::parse(word) {
        Parsed::Unwritten => Ok(Found::Unwritten),
        Parsed::Invalid => Ok(Found::Bad(Damage::Word)),
        Parsed::Claimed { bytes } if bytes <= room => Ok(Found::Claimed { next: offset + bytes }),
        Parsed::Padding { bytes } if bytes <= room => {
            let whole = if bytes == SHORT_PADDING_BYTES {
                // Only a claim that straddled a segment's end leaves so little: before the end, or behind it.
                room == SHORT_PADDING_BYTES || offset == 0
            } else {
                let verifier = layout.verifiers.at(layout.base + offset);
                checksum_holds(source, verifier, layout.base, offset, word, 0)?
            };
            Ok(if whole { Found::Padding { next: offset + bytes } } else { Found::Bad(Damage::Checksum) })
        }
        Parsed::Record { kind, payload_len, extra }
            if frame_bytes(payload_len) <= room.min(claim_max(layout.segment_bytes)) =>
        {
            let verifier = layout.verifiers.at(layout.base + offset);
            if checksum_holds(source, verifier, layout.base, offset, word, payload_len)? {
                Ok(Found::Record(Frame { kind, offset, payload_len, extra }))
            } else {
                Ok(Found::Bad(Damage::Checksum))
            }
        }
        Parsed::Claimed { .. } | Parsed::Padding { .. } | Parsed::Record { .. } => {
            Ok(Found::Bad(Damage::Word))
        }
    }
}

#[inline]
fn checksum_holds(
    source: &mut impl Source,
    verifier: Verifier,
    base: u64,
    offset: u64,
    word: u64,
    payload_len: u64,
) -> io::Result<bool> {
    let stored = source.bytes(offset + 8, 8)?;
    let stored = u64::from_le_bytes(stored.try_into().unwrap_or_default());
    let expected = stored ^ mask(verifier.seed, base + offset, word);
    // Half of a CRC-32C's field belongs to the header alone: a search through bytes that are no frames need not
    // touch what they call their payload.
    if verifier.checksum == Checksum::Crc32c && expected >> 32 != 0 {
        return Ok(false);
    }
    Ok(expected == crc(verifier.checksum, source.bytes(offset + 16, payload_len)?))
}

/// Proof that every frame below a position is published, so that no byte below it changes any more.
/// Minted by the frontier's walk and by recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Published(u64);

impl Published {
    /// The caller has seen the published words of all frames below `position`, or made them itself.
    pub(crate) const fn witnessed(position: u64) -> Self {
        Self(position)
    }

    #[inline]
    pub(crate) const fn position(self) -> u64 {
        self.0
    }

    /// The same, or less.
    pub(crate) fn at_most(self, position: u64) -> Self {
        Self(self.0.min(position))
    }
}

/// The frames of a mapped segment, for code that walks from boundary to boundary or stays below the
/// published watermark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapped<'a> {
    body: &'a Body,
    view: View<'a>,
    base: u64,
    segment_bytes: u64,
}

impl<'a> Mapped<'a> {
    /// Reads `segment`, which maps it if need be.
    pub(crate) fn new(segment: &'a super::Segment) -> crate::error::Result<Self> {
        let body = segment.body()?;
        Ok(Self {
            body,
            view: body.region.view(HEADER_BYTES as usize),
            base: segment.base(),
            segment_bytes: segment.identity().segment_bytes,
        })
    }

    /// What stands at `offset`: a frame boundary, or any place below the published watermark.
    #[inline]
    pub(crate) fn examine(&self, offset: u64) -> Found {
        let layout =
            Layout { base: self.base, segment_bytes: self.segment_bytes, verifiers: &self.body.verifiers };
        // Mapped bytes come without I/O errors.
        examine(&mut MappedSource(self.view), layout, offset).unwrap_or(Found::Bad(Damage::Word))
    }

    /// The header word at `offset`, a frame boundary, taken apart but not verified.
    #[inline]
    pub(crate) fn peek(&self, offset: u64) -> Parsed {
        // PUBLISH / ABORT, acquire side: pairs with the release stores in `segment::claim`.
        self.view.load_acquire(offset).map_or(Parsed::Invalid, frame::parse)
    }

    /// Asks for the header at `offset`, wherever that is.
    #[inline]
    pub(crate) fn foresee(&self, offset: u64) {
        self.view.prefetch(offset..offset + 64);
    }

    /// The payload of a frame that `examine` found.
    #[inline]
    pub(crate) fn payload(&self, frame: &Frame) -> &'a [u8] {
        // SAFETY: `examine` found the frame published, and published bytes are never written again while the
        // segment is mapped by anyone (a segment is recycled only when nobody holds it).
        let payload = unsafe { self.view.slice(frame.payload_offset(), frame.payload_len) };
        // `examine` found it in the segment.
        payload.unwrap_or_default()
    }

    /// All that is published of the segment, from its first frame on: headers, payloads and padding.
    #[cfg(feature = "bytes")]
    pub(crate) fn published(&self, end: Published) -> &'a [u8] {
        let len = end.position().saturating_sub(self.base).min(self.segment_bytes);
        // SAFETY: `end` proves that every frame below it was seen published, and published bytes are never written again
        // while the segment is mapped by anyone.
        unsafe { self.view.slice(0, len) }.unwrap_or_default()
    }
}

/// Frames of a segment that one opening wrote, for who reads them in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    view: View<'a>,
    base: u64,
    /// The largest frame.
    largest: u64,
    verifier: Verifier,
}

impl<'a> Run<'a> {
    /// From the segment's beginning on, as far as those of the opening go that wrote the one at `lsn`, but not past
    /// `end`.
    pub(crate) fn new(mapped: &Mapped<'a>, lsn: u64, end: u64) -> Self {
        let Mapped { body, view, base, segment_bytes } = *mapped;
        let (verifier, until) = body.verifiers.from(lsn);
        let view = view.up_to(end.min(until).saturating_sub(base).min(segment_bytes));
        Self { view, base, largest: claim_max(segment_bytes), verifier }
    }

    /// Asks for what will be read when the frame at `offset` has been.
    #[inline(always)]
    fn foresee(&self, offset: u64, bytes: u64) {
        self.view.prefetch(offset + AHEAD_BYTES..offset + AHEAD_BYTES + bytes);
    }

    /// The payload of the record at `lsn`, and where the next frame begins. `None` where no record verifies, or there is
    /// none, or the run is over: `examine` tells.
    ///
    /// `lsn` is a frame boundary below the published watermark, if it lies in the run.
    #[inline(always)]
    pub(crate) fn record(&self, lsn: u64) -> Option<(&'a [u8], u64)> {
        let offset = lsn.wrapping_sub(self.base);
        // PUBLISH, acquire side: pairs with the release store in `segment::claim`.
        let word = self.view.load_acquire(offset)?;
        let Parsed::Record { payload_len, .. } = frame::parse(word) else { return None };
        let bytes = frame_bytes(payload_len);
        if bytes > self.largest {
            return None;
        }
        // SAFETY: the frame is published by the word that was acquired, and published bytes are never written again
        // while the segment is mapped by anyone.
        let whole = unsafe { self.view.slice(offset, bytes) }?;
        self.foresee(offset, bytes);
        Some((verified(self.verifier, lsn, word, whole, payload_len)?, lsn + bytes))
    }
}

/// The payload of the frame at `lsn`, if it verifies. `whole` begins with its word.
#[inline(always)]
fn verified(verifier: Verifier, lsn: u64, word: u64, whole: &[u8], payload_len: u64) -> Option<&[u8]> {
    let (stored, payload) = whole.get(8..16 + payload_len as usize)?.split_first_chunk()?;
    let expected = crc(verifier.checksum, payload) ^ mask(verifier.seed, lsn, word);
    (u64::from_le_bytes(*stored) == expected).then_some(payload)
}

/// As [`Run::record`], for bytes that were read from a file: the payload of the record at the beginning of `bytes`, whose LSN
/// is `lsn`, if it is a record by itself, takes at most `largest` bytes, and verifies. `examine` tells of everything else.
#[inline(always)]
pub(crate) fn record_in(bytes: &[u8], lsn: u64, largest: u64, verifier: Verifier) -> Option<&[u8]> {
    let word = u64::from_le_bytes(*bytes.first_chunk()?);
    let Parsed::Record { kind: Kind::Record, payload_len, .. } = frame::parse(word) else { return None };
    if frame_bytes(payload_len) > largest {
        return None;
    }
    verified(verifier, lsn, word, bytes, payload_len)
}

struct MappedSource<'a>(View<'a>);

impl Source for MappedSource<'_> {
    #[inline]
    fn word(&mut self, offset: u64) -> io::Result<u64> {
        // PUBLISH / ABORT, acquire side: pairs with the release stores in `segment::claim`.
        self.0.load_acquire(offset).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    #[inline]
    fn bytes(&mut self, offset: u64, len: u64) -> io::Result<&[u8]> {
        // SAFETY: `examine` asks only for bytes of a frame whose published word it has just acquired, and
        // published bytes are never written again while the segment is mapped by anyone.
        unsafe { self.0.slice(offset, len) }.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
mod tests;
