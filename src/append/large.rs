//! Large claims under the policies that wait, written through the file and not through its mapping.
//!
//! Each sync has the kernel protect the pages that it writes, so a store through the mapping faults once for each page
//! and sync, and a sync goes through the mapping for each folio. A write through the file does neither: the page
//! cache is the same, so readers find the bytes in the mapping. The words by which claims are announced and published
//! are stored through the mapping as always, so nothing else changes: to the protocol the bytes of a payload are bytes,
//! whoever copies them. Where the file cannot be written to, for whatever reason, the mapping is.

use std::cell::Cell;
use std::io;

use super::{Appended, Chain, Claimed, measure};
use crate::error::Result;
use crate::format::checksum::{crc, mask};
use crate::format::frame::{self, Kind, frame_bytes};
use crate::limits::FRAME_HEADER_BYTES;
use crate::segment::SharedFile;

/// Frames are put together here until they are so many bytes; larger payloads are written as they are.
const TOGETHER_BYTES: usize = 64 << 10;

thread_local! {
    /// Kept by each thread that appends large batches.
    static TOGETHER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Appends a copy of a payload that is too large, or large enough to be written through the file.
#[inline(never)]
pub(super) fn append<'a>(
    chain: &'a Chain,
    payload: &[u8],
    claim: impl FnOnce(&'a Chain, u64) -> Result<Claimed<'a>>,
) -> Result<Appended> {
    let bytes = measure(chain, payload.len())?;
    let crc = crc(chain.verifier.checksum, payload);
    let mut claimed = claim(chain, bytes)?;
    let lsn = claimed.lsn();
    if !write_payload(chain, &claimed, payload) {
        claimed.copy_payload(0, payload);
    }
    claimed.publish(payload.len() as u64, crc);
    Ok(Appended { lsn, end: lsn + bytes })
}

/// The file of a claim's segment.
fn file_of(chain: &Chain, claimed: &Claimed<'_>) -> Option<SharedFile> {
    chain.catalog.find_at(claimed.lsn())?.file()
}

/// False when it was not, or not wholly, written.
fn write_payload(chain: &Chain, claimed: &Claimed<'_>, payload: &[u8]) -> bool {
    let at = claimed.place().file_offset as u64 + FRAME_HEADER_BYTES;
    let written = file_of(chain, claimed).is_some_and(|file| file.write_all_at(payload, at).is_ok());
    if written {
        chain.note_through_file(payload.len() as u64);
    }
    written
}

/// Writes a batch, from its first record's payload on. False when it was not, or not wholly, written: then a record may
/// have changed its length, too.
pub(super) fn write_batch<T: AsRef<[u8]>>(
    chain: &Chain,
    claimed: &Claimed<'_>,
    first: &[u8],
    rest: &[T],
) -> bool {
    let Some(file) = file_of(chain, claimed) else { return false };
    let bytes = claimed.place().bytes;
    // Taken out meanwhile: `as_ref` is the caller's code, and might append. A thread that is ending has none any more.
    let mut together = TOGETHER.try_with(Cell::take).unwrap_or_default();
    together.clear();
    let at = claimed.place().file_offset as u64 + FRAME_HEADER_BYTES;
    let mut writer = Writer { file, at, together };
    let written = write_frames(&mut writer, chain, claimed, first, rest);
    let together = writer.together;
    let _ = TOGETHER.try_with(|kept| kept.set(together));
    let written = matches!(written, Ok(end) if end == bytes);
    if written {
        chain.note_through_file(bytes);
    }
    written
}

/// Returns where the last frame ends in the claim.
fn write_frames<T: AsRef<[u8]>>(
    writer: &mut Writer,
    chain: &Chain,
    claimed: &Claimed<'_>,
    first: &[u8],
    rest: &[T],
) -> io::Result<u64> {
    let place = claimed.place();
    writer.put_payload(first)?;
    let mut at = frame_bytes(first.len() as u64);
    for (index, record) in rest.iter().enumerate() {
        let payload = record.as_ref();
        let next = at.saturating_add(frame_bytes(payload.len() as u64));
        if next > place.bytes {
            return Ok(next);
        }
        let kind = if index + 1 == rest.len() { Kind::BatchLast } else { Kind::BatchMiddle };
        let word = frame::word(kind, payload.len() as u64, frame::way_back(at));
        let checksum = crc(chain.verifier.checksum, payload) ^ mask(place.seed, place.lsn + at, word);
        writer.put(&word.to_le_bytes())?;
        writer.put(&checksum.to_le_bytes())?;
        writer.put_payload(payload)?;
        at = next;
    }
    writer.flush()?;
    Ok(at)
}

/// Writes bytes one after another.
struct Writer {
    file: SharedFile,
    /// Where what is together goes in the file.
    at: u64,
    together: Vec<u8>,
}

impl Writer {
    /// With what fills the frame up.
    fn put_payload(&mut self, payload: &[u8]) -> io::Result<()> {
        self.put(payload)?;
        let filling = frame_bytes(payload.len() as u64) - FRAME_HEADER_BYTES - payload.len() as u64;
        self.put(&[0; 8][..filling as usize])
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.together.len() + bytes.len() > TOGETHER_BYTES {
            self.flush()?;
        }
        if bytes.len() >= TOGETHER_BYTES {
            self.file.write_all_at(bytes, self.at)?;
            self.at += bytes.len() as u64;
        } else {
            self.together.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.together, self.at)?;
        self.at += self.together.len() as u64;
        self.together.clear();
        Ok(())
    }
}
