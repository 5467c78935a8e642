//! From an LSN to what stands there: one record by its LSN, and whether a frame begins at one.

use super::{Chain, List};
use crate::error::{Error, Result};
use crate::format::frame::{Parsed, SHORT_PADDING_BYTES};
use crate::lsn::Lsn;
use crate::primitive::{Arc, Patience};
use crate::record::PinnedRecord;
use crate::segment::Segment;
use crate::segment::scan::{Damage, Found, Frame, Mapped};

/// The segment of a list that `lsn` lies in.
#[inline]
pub(crate) fn segment_at(segments: &List, lsn: u64) -> Result<&Arc<Segment>> {
    segments.find_at(lsn).ok_or_else(|| not_in(segments, lsn))
}

#[cold]
fn not_in(segments: &List, lsn: u64) -> Error {
    match segments.last() {
        Some(last) if lsn >= last.end() => last.missing_after(lsn),
        _ => Error::retired(Lsn::new(lsn), Lsn::new(segments.start())),
    }
}

/// The first frame boundary at or after `lsn`, which lies below the published watermark. Where the frame at
/// `lsn` verifies that is `lsn` itself; else the segment's header words tell.
pub(crate) fn next_boundary(segments: &List, lsn: u64) -> Result<u64> {
    boundary_in(segment_at(segments, lsn)?, lsn)
}

fn boundary_in(segment: &Segment, lsn: u64) -> Result<u64> {
    let mapped = Mapped::new(segment)?;
    let offset = lsn - segment.base();
    if lsn.is_multiple_of(8) {
        match mapped.examine(offset) {
            Found::Record(_) => return Ok(lsn),
            // (The shortest padding has no checksum, and may as well be the end of a payload.)
            Found::Padding { next } if next - offset > SHORT_PADDING_BYTES => return Ok(lsn),
            _ => {}
        }
    }
    let mut at = 0;
    while at < offset {
        let bytes = mapped.peek(at).bytes().unwrap_or(0);
        if bytes == 0 || bytes > segment.identity().segment_bytes - at {
            return Err(segment.corrupt(segment.base() + at, Damage::Word.describe()));
        }
        at += bytes;
    }
    Ok(segment.base() + at)
}

/// Reads the record at `lsn`, which lies below the published watermark.
pub(crate) fn read_published(catalog: &super::Catalog, lsn: u64) -> Result<PinnedRecord> {
    match catalog.find_at(lsn) {
        Some(segment) => read_in(segment, lsn),
        // Retired, or without a file: readers in other processes take the list as far as it has no gap.
        None => Err(not_in(&catalog.view(), lsn)),
    }
}

/// Reads the record at `lsn` in its segment: a boundary, or any place below the published watermark.
#[inline]
fn read_in(segment: Arc<Segment>, lsn: u64) -> Result<PinnedRecord> {
    let frame = frame_in(&segment, lsn)?;
    Ok(PinnedRecord::new(lsn, frame, segment))
}

/// The frame of the record at `lsn` in its segment: a boundary, or any place below the published watermark.
#[inline]
pub(crate) fn frame_in(segment: &Segment, lsn: u64) -> Result<Frame> {
    if lsn.is_multiple_of(8)
        && let Found::Record(frame) = Mapped::new(segment)?.examine(lsn - segment.base())
    {
        return Ok(frame);
    }
    Err(no_record(segment, lsn))
}

/// Why there is none that verifies.
#[cold]
fn no_record(segment: &Segment, lsn: u64) -> Error {
    let found = match Mapped::new(segment) {
        Ok(mapped) if lsn.is_multiple_of(8) => mapped.examine(lsn - segment.base()),
        Ok(_) => Found::End,
        Err(error) => return error,
    };
    match found {
        Found::Padding { .. } | Found::End => Error::not_a_record(Lsn::new(lsn)),
        // Inside a record, or a damaged record: the boundaries before it tell which. (Only damage can be a record now
        // that was none before.)
        Found::Unwritten | Found::Claimed { .. } | Found::Bad(_) | Found::Record(_) => {
            match boundary_in(segment, lsn) {
                Ok(boundary) if boundary == lsn => segment.corrupt(lsn, Damage::Checksum.describe()),
                Ok(_) => Error::not_a_record(Lsn::new(lsn)),
                Err(error) => error,
            }
        }
    }
}

/// Reads the record at `lsn` of a live log, also when an earlier claim is not published yet.
pub(crate) fn read_live(chain: &Chain, lsn: u64) -> Result<PinnedRecord> {
    if lsn < chain.published().position() || lsn < chain.advance_published()?.position() {
        return read_published(&chain.catalog, lsn);
    }
    if !walk_to(chain, lsn)? {
        return Err(Error::not_a_record(Lsn::new(lsn)));
    }
    let end = Lsn::new(chain.published().position());
    let segment = chain.catalog.find_at(lsn).ok_or_else(|| Error::not_written(Lsn::new(lsn), end))?;
    match Mapped::new(&segment)?.peek(lsn - segment.base()) {
        // The claim that begins here has not returned.
        Parsed::Unwritten | Parsed::Claimed { .. } => Err(Error::not_written(Lsn::new(lsn), end)),
        Parsed::Record { .. } | Parsed::Padding { .. } | Parsed::Invalid => read_in(segment, lsn),
    }
}

impl super::Watch {
    /// Reads the record at `lsn`, at or beyond the published watermark: an earlier claim may still be open. Only
    /// header words are looked at on the way.
    pub(crate) fn read_beyond(&self, lsn: u64, published: u64) -> Result<PinnedRecord> {
        let mut at = published;
        loop {
            let not_written = || Error::not_written(Lsn::new(lsn), Lsn::new(at));
            let segment = self.find_at(at)?.ok_or_else(not_written)?;
            if at == lsn {
                return match Mapped::new(&segment)?.peek(at - segment.base()) {
                    Parsed::Unwritten | Parsed::Claimed { .. } => Err(not_written()),
                    _ => read_in(segment, lsn),
                };
            }
            let word = Mapped::new(&segment)?.peek(at - segment.base());
            at += match word.bytes() {
                Some(bytes) => bytes,
                None if word == Parsed::Unwritten => return Err(not_written()),
                None => return Err(segment.corrupt(at, Damage::Word.describe())),
            };
            if at > lsn {
                return Err(Error::not_a_record(Lsn::new(lsn)));
            }
        }
    }
}

/// Walks from the published watermark over claims that are still being written, to see whether a frame begins
/// at `lsn`. It only ever looks at header words, so it never reads what a writer is writing.
fn walk_to(chain: &Chain, lsn: u64) -> Result<bool> {
    let mut patience = Patience::new();
    let mut at = chain.published().position();
    while at < lsn {
        if lsn >= chain.written_end() {
            return Err(Error::not_written(Lsn::new(lsn), Lsn::new(chain.written_end())));
        }
        let Some(segment) = chain.catalog.find_at(at) else {
            return Err(Error::retired(Lsn::new(lsn), Lsn::new(chain.catalog.start())));
        };
        let word = Mapped::new(&segment)?.peek(at - segment.base());
        at += match word.bytes() {
            Some(bytes) => bytes,
            // Claimed a moment ago: its writer is about to store the word that tells its length.
            None if word == Parsed::Unwritten => {
                patience.pause();
                continue;
            }
            None => return Err(segment.corrupt(at, Damage::Word.describe())),
        };
    }
    if lsn >= chain.written_end() {
        return Err(Error::not_written(Lsn::new(lsn), Lsn::new(chain.written_end())));
    }
    Ok(at == lsn)
}

/// Checks that iteration can begin at `lsn`: a frame begins there, or the log ends there.
pub(crate) fn check_boundary(chain: &Chain, lsn: u64) -> Result<()> {
    let start = chain.catalog.start();
    if lsn < start {
        return Err(Error::retired(Lsn::new(lsn), Lsn::new(start)));
    }
    let published = chain.advance_published()?.position();
    if lsn == published {
        return Ok(());
    }
    if lsn < published {
        let boundary = next_boundary(&chain.catalog.view(), lsn)?;
        return if boundary == lsn { Ok(()) } else { Err(Error::not_a_record(Lsn::new(lsn))) };
    }
    if lsn == chain.claimed() {
        return Ok(());
    }
    if walk_to(chain, lsn)? { Ok(()) } else { Err(Error::not_a_record(Lsn::new(lsn))) }
}
