//! Carrying the decision out: holes become padding, a torn tail becomes zeros, and all that is kept is made
//! durable before the log is used.

use std::io;
use std::os::unix::fs::FileExt;

use super::survey::{Suspect, Survey};
use super::window::Window;
use crate::error::{Error, Result};
use crate::format::checksum::mask;
use crate::format::frame::{self, Kind, SHORT_PADDING_BYTES};
use crate::format::header::{
    AT_TAIL_MARK, Header, Identity, PAGE, Session, TAIL_MARK_BYTES, TailMark,
};
use crate::limits::HEADER_BYTES;
use crate::segment::{Body, Verifiers};
use crate::storage::{Directory, zero};

/// Zeros are written in the smallest pieces, so that the page cache's folios stay small.
const ZERO_BYTES: usize = 4096;

/// The log after the repair.
pub(super) struct Repaired {
    pub(super) tail: u64,
    pub(super) truncated: u64,
    /// Bases of the complete segments among the suspects.
    pub(super) sealed: Vec<u64>,
    pub(super) active: Option<(Identity, Body)>,
}

pub(super) fn repair(
    directory: &Directory,
    mut suspects: Vec<Suspect>,
    found: &Survey,
    session: &Session,
    next_spare: &mut u64,
) -> Result<Repaired> {
    let failed = |base: u64| {
        let path = directory.segment_path(base);
        move |error| Error::io("cannot repair a segment", &path, error)
    };
    let truncated = drop_later_segments(directory, &mut suspects, found, next_spare)?;
    let mut repaired = Repaired { tail: found.tail, truncated, sealed: Vec::new(), active: None };
    for suspect in &suspects {
        let base = suspect.base();
        for (from, to) in found.holes.iter().filter(|(from, _)| (base..suspect.end()).contains(from)) {
            write_padding(suspect, *from, *to).map_err(failed(base))?;
        }
    }
    let active = suspects.pop_if(|last| found.tail < last.end());
    if let Some(active) = &active {
        if found.torn.is_some() {
            let written_end = zero_tail(active, found.tail).map_err(failed(active.base()))?;
            repaired.truncated += written_end.saturating_sub(found.tail);
        }
    }
    for suspect in suspects.iter().chain(&active) {
        suspect.file.sync_data().map_err(failed(suspect.base()))?;
    }
    // Now that they are durable, they can be marked so; the next opening need not look into them.
    for suspect in &suspects {
        let mark = TailMark { end: suspect.end(), durable: true, boot: directory.boot().0 };
        let bytes = TailMark::encode(Some(mark), &suspect.header.identity);
        suspect.file.write_all_at(&bytes, AT_TAIL_MARK as u64).map_err(failed(suspect.base()))?;
        repaired.sealed.push(suspect.base());
    }
    if let Some(active) = active {
        let base = active.base();
        match begin_session(&active, session).map_err(failed(base))? {
            Some(header) => {
                let body = directory.map_for_writing(active.file, &header)?;
                repaired.active = Some((header.identity, body));
            }
            None => {
                // No room for another opening: the segment ends here.
                write_padding(&active, found.tail, active.end()).map_err(failed(base))?;
                active.file.sync_data().map_err(failed(base))?;
                repaired.tail = active.end();
                repaired.sealed.push(base);
            }
        }
    }
    Ok(repaired)
}

/// Removes the segments that begin behind the tail: empty ones are kept as spares. The newest go first, and
/// all go before anything of the torn tail is changed, so that being cut short changes no later decision.
/// Returns how many written bytes went with them.
fn drop_later_segments(
    directory: &Directory,
    suspects: &mut Vec<Suspect>,
    found: &Survey,
    next_spare: &mut u64,
) -> Result<u64> {
    let mut truncated = 0;
    while let Some(suspect) = suspects.pop_if(|last| last.base() > 0 && last.base() >= found.tail) {
        // The segment that begins right at the tail is the one to go on with, if it is empty.
        let written = match found.torn {
            None => 0,
            Some(_) => last_nonzero(&suspect, 0).map_err(|error| {
                Error::io("cannot read a segment", &directory.segment_path(suspect.base()), error)
            })?,
        };
        if suspect.base() == found.tail && written == 0 {
            suspects.push(suspect);
            break;
        }
        if written == 0 {
            directory.unprepare(suspect.base(), *next_spare)?;
            *next_spare += 1;
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
fn last_nonzero(suspect: &Suspect, from: u64) -> io::Result<u64> {
    let mut window = Window::new(&suspect.file, suspect.header.identity.segment_bytes);
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
    let mut to = end;
    while to > tail {
        let from = (to - 1).saturating_sub((to - 1 - base) % ZERO_BYTES as u64).max(tail);
        zero(&suspect.file, HEADER_BYTES + (from - base), HEADER_BYTES + (to - base), ZERO_BYTES)?;
        to = from;
    }
    Ok(end)
}

/// Turns a range into one padding frame.
fn write_padding(suspect: &Suspect, from: u64, to: u64) -> io::Result<()> {
    let bytes = to - from;
    let word = frame::word(Kind::Padding, bytes, 0);
    let at = HEADER_BYTES + (from - suspect.base());
    if bytes > SHORT_PADDING_BYTES {
        let verifiers = Verifiers::new(&suspect.header.identity, &suspect.header.sessions);
        let checksum = mask(verifiers.at(from).seed, from, word);
        suspect.file.write_all_at(&checksum.to_le_bytes(), at + 8)?;
    }
    suspect.file.write_all_at(&word.to_le_bytes(), at)
}

/// Records this opening in the segment's header and takes the mark of the last closing away, durably, before
/// anything is appended. `None` when the table is full.
fn begin_session(active: &Suspect, session: &Session) -> io::Result<Option<Header>> {
    let mut header = active.header.clone();
    // An opening that wrote nothing gives its entry up, unless it is the segment's first.
    if header.sessions.len() > 1 && header.sessions.last().is_some_and(|last| last.start == session.start) {
        header.sessions.pop();
    }
    let Some((offset, bytes)) = header.session_slot(session) else { return Ok(None) };
    active.file.write_all_at(&bytes, offset as u64)?;
    active.file.write_all_at(&[0; TAIL_MARK_BYTES], AT_TAIL_MARK as u64)?;
    active.file.sync_data()?;
    header.sessions.push(*session);
    Ok(Some(header))
}

/// Writes a segment again from what reads back, and syncs it: after a failed sync the kernel takes the pages
/// for clean, so another sync alone would do nothing.
pub(super) fn rewrite(suspect: &Suspect) -> io::Result<()> {
    let length = HEADER_BYTES + suspect.header.identity.segment_bytes;
    let mut page = [0; PAGE];
    let mut at = 0;
    while at < length {
        suspect.file.read_exact_at(&mut page, at)?;
        suspect.file.write_all_at(&page, at)?;
        at += PAGE as u64;
    }
    suspect.file.sync_all()
}
