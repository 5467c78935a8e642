//! Carrying the decision out: holes become padding, a torn tail becomes zeros, and all that is kept is made
//! durable before the log is used.

use std::io;

use super::survey::{Survey, Suspect};
use crate::error::{Error, Result};
use crate::format::checksum::mask;
use crate::format::frame::{self, Kind, SHORT_PADDING_BYTES};
use crate::format::header::{AT_TAIL_MARK, Header, Identity, PAGE, Session, TAIL_MARK_BYTES, TailMark};
use crate::format::verify::Verifiers;
use crate::limits::HEADER_BYTES;
use crate::storage::{Body, Directory, StorageFile, zero};

/// Zeros are written in the smallest pieces, so that the page cache's folios stay small.
const ZERO_BYTES: usize = 4096;

/// The log after the repair.
pub(super) struct Repaired {
    pub(super) tail: u64,
    pub(super) truncated: u64,
    pub(super) active: Option<(Identity, Body)>,
}

pub(super) fn repair(
    directory: &Directory,
    mut suspects: Vec<Suspect>,
    found: &Survey,
    closed: bool,
    session: &Session,
    spares: &mut Vec<u64>,
) -> Result<Repaired> {
    let failed = |base: u64| {
        let path = directory.segment_path(base);
        move |error| Error::io("cannot repair a segment", &path, error)
    };
    let truncated = drop_later_segments(directory, &mut suspects, found, spares)?;
    let mut repaired = Repaired { tail: found.tail, truncated, active: None };
    for suspect in &suspects {
        let base = suspect.base();
        for (from, to) in found.holes.iter().filter(|(from, _)| (base..suspect.end()).contains(from)) {
            write_padding(suspect, *from, *to).map_err(failed(base))?;
        }
    }
    let active = suspects.pop_if(|last| found.tail < last.end());
    if let Some(active) = &active
        && found.torn.is_some()
    {
        let written_end = zero_tail(active, found.tail).map_err(failed(active.base()))?;
        repaired.truncated += written_end.saturating_sub(found.tail);
    }
    for suspect in suspects.iter().chain(&active).filter(|_| !closed) {
        suspect.open().and_then(|file| file.sync_data()).map_err(failed(suspect.base()))?;
    }
    // Now that they are durable, they can be marked so; the next opening need not look into them.
    for suspect in &suspects {
        let sealed = suspect.header.tail_mark.filter(|mark| mark.end == suspect.end());
        let sealed = sealed.map(|mark| mark.sealed_unix_ns).filter(|at| *at != 0);
        let mark = TailMark {
            end: suspect.end(),
            durable: true,
            boot: directory.boot().0,
            // Its writer may have died before it noted the time: at the latest by now.
            sealed_unix_ns: sealed.unwrap_or_else(|| directory.storage().unix_nanos()),
        };
        let bytes = TailMark::encode(Some(mark), &suspect.header.identity);
        let marked = suspect.open().and_then(|file| file.write_all_at(&bytes, AT_TAIL_MARK as u64));
        marked.map_err(failed(suspect.base()))?;
    }
    if let Some(active) = active {
        let base = active.base();
        let file = active.open().map_err(failed(base))?;
        // A snapshot or a copy that shares its blocks would make of a full disk a signal at some later store.
        if !file.unshare().map_err(failed(base))? {
            rewrite(&active).map_err(failed(base))?;
        }
        match begin_session(&active, &*file, session).map_err(failed(base))? {
            Some(header) => {
                let body = directory.map_for_writing(file, &header)?;
                // The header page alone: a sync of the file would write the pages that were populated ahead.
                body.region.flush(0..HEADER_BYTES as usize).map_err(failed(base))?;
                repaired.active = Some((header.identity, body));
            }
            None => {
                // No room for another opening: the segment ends here.
                write_padding(&active, found.tail, active.end()).map_err(failed(base))?;
                file.sync_data().map_err(failed(base))?;
                repaired.tail = active.end();
            }
        }
    }
    Ok(repaired)
}

/// The number of the next spare.
pub(super) fn number_behind(spares: &[u64]) -> u64 {
    spares.last().map_or(0, |number| number + 1)
}

/// Removes the segments that begin behind the tail: empty ones are kept as spares. The newest go first, and
/// all go before anything of the torn tail is changed, so that being cut short changes no later decision.
/// Returns how many written bytes went with them.
fn drop_later_segments(
    directory: &Directory,
    suspects: &mut Vec<Suspect>,
    found: &Survey,
    spares: &mut Vec<u64>,
) -> Result<u64> {
    let mut truncated = 0;
    while let Some(suspect) = suspects.pop_if(|last| last.base() > found.tail) {
        let written = match found.torn {
            None => 0,
            Some(_) => last_nonzero(&suspect, 0).map_err(|error| {
                Error::io("cannot read a segment", &directory.segment_path(suspect.base()), error)
            })?,
        };
        if written == 0 {
            let number = number_behind(spares);
            if directory.unprepare(suspect.base(), number)? {
                spares.push(number);
            }
        } else {
            truncated += written;
            directory.remove(&directory.segment_path(suspect.base()))?;
        }
        // One by one, so that a power cut leaves no gap with frames behind it.
        directory.sync()?;
    }
    Ok(truncated)
}

/// Offset behind the last word that is not zero, at or after `from`; zero where there is none.
pub(super) fn last_nonzero(suspect: &Suspect, from: u64) -> io::Result<u64> {
    let mut window = suspect.window();
    let mut at = from;
    let mut last = 0;
    while let Some(offset) = window.next_nonzero(at)? {
        last = offset + 8;
        at = last;
    }
    Ok(last)
}

/// Zeros what lies behind the tail, the last page first: as long as anything is left of it, the next recovery
/// decides as this one did. Returns where the written bytes ended.
fn zero_tail(suspect: &Suspect, tail: u64) -> io::Result<u64> {
    let base = suspect.base();
    let end = base + last_nonzero(suspect, tail - base)?;
    let file = suspect.open()?;
    for (from, to) in pages_backwards(tail - base, end - base) {
        zero(&*file, HEADER_BYTES + from, HEADER_BYTES + to, ZERO_BYTES)?;
    }
    Ok(end)
}

/// The range from `from` to `to` in pieces that no page's boundary cuts, the last piece first.
fn pages_backwards(from: u64, mut to: u64) -> impl Iterator<Item = (u64, u64)> {
    core::iter::from_fn(move || {
        let end = to;
        to = end.next_multiple_of(ZERO_BYTES as u64).saturating_sub(ZERO_BYTES as u64).max(from);
        (from < end).then_some((to, end))
    })
}

/// Turns a range into one padding frame.
fn write_padding(suspect: &Suspect, from: u64, to: u64) -> io::Result<()> {
    let verifiers = Verifiers::new(&suspect.header.identity, &suspect.header.sessions);
    let at = HEADER_BYTES + (from - suspect.base());
    let file = suspect.open()?;
    for (offset, word) in padding_stores(verifiers.at(from).seed, from, to - from) {
        file.write_all_at(&word.to_le_bytes(), at + offset)?;
    }
    Ok(())
}

/// The words of a padding frame and where they go, in the order in which they are stored: cut short anywhere,
/// they leave a claim that never returned, which the next recovery pads as this one does. (The checksum on its
/// own, under a word that is still zero, would pass for a damaged frame.)
fn padding_stores(seed: u64, lsn: u64, bytes: u64) -> impl Iterator<Item = (u64, u64)> {
    let word = frame::word(Kind::Padding, bytes, 0);
    let checksum = (bytes > SHORT_PADDING_BYTES).then(|| (8, mask(seed, lsn, word)));
    [(0, frame::word(Kind::Claimed, bytes, 0))].into_iter().chain(checksum).chain([(0, word)])
}

/// Records this opening in the segment's header and takes the mark of the last closing away; the caller makes
/// that durable before anything is appended. `None` when the table is full.
fn begin_session(active: &Suspect, file: &dyn StorageFile, session: &Session) -> io::Result<Option<Header>> {
    let mut header = active.header.clone();
    // An opening that wrote nothing gives its entry up, unless it is the segment's first.
    if header.sessions.len() > 1 && header.sessions.last().is_some_and(|last| last.start == session.start) {
        header.sessions.pop();
    }
    let Some((offset, bytes)) = header.session_slot(session) else { return Ok(None) };
    if header.torn_session {
        // What is no entry goes, or it would put later openings in doubt for ever.
        file.write_all_at(&vec![0; PAGE - offset], offset as u64)?;
        header.torn_session = false;
    }
    file.write_all_at(&bytes, offset as u64)?;
    file.write_all_at(&[0; TAIL_MARK_BYTES], AT_TAIL_MARK as u64)?;
    header.sessions.push(*session);
    Ok(Some(header))
}

/// Writes a segment again from what reads back, and syncs it: after a failed sync the kernel takes the pages
/// for clean, so another sync alone would do nothing.
pub(super) fn rewrite(suspect: &Suspect) -> io::Result<()> {
    let length = HEADER_BYTES + suspect.header.identity.segment_bytes;
    let file = suspect.open()?;
    let mut page = [0; PAGE];
    let mut at = 0;
    while at < length {
        file.read_exact_at(&mut page, at)?;
        file.write_all_at(&page, at)?;
        at += PAGE as u64;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::bytes::{put, u64_at};
    use crate::policy::Checksum;
    use crate::segment::scan::{Found, Layout, Source, examine};

    struct Bytes(Vec<u8>);

    impl Source for Bytes {
        fn word(&mut self, offset: u64) -> io::Result<u64> {
            Ok(u64_at(&self.0, offset as usize))
        }

        fn bytes(&mut self, offset: u64, len: u64) -> io::Result<&[u8]> {
            Ok(&self.0[offset as usize..(offset + len) as usize])
        }
    }

    #[test]
    fn pages_come_the_last_first() {
        let pages = |from, to| pages_backwards(from, to).collect::<Vec<_>>();
        assert_eq!(pages(0, 8), [(0, 8)]);
        assert_eq!(pages(4088, 4104), [(4096, 4104), (4088, 4096)]);
        assert_eq!(pages(100, 12288), [(8192, 12288), (4096, 8192), (100, 4096)]);
        assert_eq!(pages(4096, 8200), [(8192, 8200), (4096, 8192)]);
        for nothing in [(0, 0), (8, 8), (4096, 4096), (4096, 0)] {
            assert_eq!(pages(nothing.0, nothing.1), []);
        }
    }

    #[test]
    fn padding_that_is_cut_short_is_still_a_hole() {
        let identity = Identity { log_id: [1; 16], number: 1, segment_bytes: 65536 };
        let session = Session {
            start: 65536,
            number: 1,
            checksum: Checksum::Crc32c,
            acks_durable: false,
            nonce: 5,
            boot: [0; 16],
            opened_unix_ns: 0,
        };
        let verifiers = Verifiers::new(&identity, &[session]);
        let layout =
            Layout { base: identity.base(), segment_bytes: identity.segment_bytes, verifiers: &verifiers };
        for (offset, bytes) in [(0, 8), (64, 16), (64, 4096), (65528, 8)] {
            let lsn = identity.base() + offset;
            let mut image = Bytes(vec![0; 65536]);
            let stores: Vec<_> = padding_stores(verifiers.at(lsn).seed, lsn, bytes).collect();
            assert!(stores.iter().all(|(at, _)| at + 8 <= bytes), "{stores:?} of {bytes} bytes");
            for (index, (at, word)) in stores.iter().enumerate() {
                put(&mut image.0, (offset + at) as usize, &word.to_le_bytes());
                let found = examine(&mut image, layout, offset).unwrap();
                let next = match found {
                    Found::Padding { next } if index + 1 == stores.len() => next,
                    Found::Claimed { next } if index + 1 < stores.len() => next,
                    other => panic!("{other:?} after store {index} of {bytes} bytes at {offset}"),
                };
                assert_eq!(next, offset + bytes);
            }
        }
    }
}
