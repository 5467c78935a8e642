//! The segments, read.

use std::collections::BTreeMap;

use super::look::{self, Seen, Sight, identity, last_word};
use super::walk::{self, Walked};
use super::{Loss, sessions};
use crate::error::{Error, Result};
use crate::format::header::{Header, Remains, Session};
use crate::format::verify::Verifiers;
use crate::inspect::Frames;
use crate::limits::SESSIONS_MAX;
use crate::lsn::Lsn;
use crate::storage::Directory;

/// Segments whose frames can be told, by base.
pub(super) type Reads = BTreeMap<u64, Read>;

/// A segment that was read.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) header: Header,
    /// The header is the file's own, and nothing has to be changed in it.
    pub(super) sound: bool,
    pub(super) walked: Walked,
}

/// Reads every segment whose frames can be told, up to `limit`.
pub(super) fn read_all(directory: &Directory, seen: &Seen, limit: Option<u64>) -> Reads {
    let mut reads = Reads::new();
    for (base, sight) in &seen.segments {
        let identity = identity(&seen.meta, *base);
        let frames = |verifiers| {
            let path = directory.segment_path(*base);
            let frames = Frames::new(directory.storage(), path, &identity, verifiers);
            match limit {
                Some(limit) => frames.until(Lsn::new(limit.max(*base))),
                None => frames,
            }
        };
        let read = |header: Header, sound: bool| {
            let verifiers = Verifiers::new(&identity, &header.sessions);
            let walked = walk::walk(&mut frames(verifiers), *base, identity.segment_bytes);
            Read { header, sound, walked }
        };
        let remains = match sight {
            Sight::Sound(header) => {
                let read = read(header.clone(), true);
                // A torn entry has no frames, or it is a damaged one.
                if !header.torn_session || read.walked.error.is_none() || limit.is_some() {
                    reads.insert(*base, read);
                    continue;
                }
                Remains::of(&look::page(directory, *base), &identity)
            }
            Sight::Damaged(remains) => remains.clone(),
            Sight::Stranger => continue,
        };
        let candidates = candidates(seen, *base, &remains.sessions);
        let sessions = sessions::find(&identity, &candidates, frames);
        if !sessions.is_empty() {
            let header = Header {
                identity,
                tail_mark: remains.tail_mark,
                durable_hint: remains.durable_hint,
                created_unix_ns: remains.created_unix_ns,
                sessions,
                torn_session: false,
            };
            reads.insert(*base, read(header, false));
        }
    }
    reads
}

/// What may have written to the segment at `base`: what its own page tells, then the openings of the nearest segments.
fn candidates(seen: &Seen, base: u64, own: &[Session]) -> Vec<Session> {
    let sound = |sight: &Sight| match sight {
        Sight::Sound(header) => Some(header.sessions.clone()),
        Sight::Damaged(_) | Sight::Stranger => None,
    };
    let before = seen.segments.range(..base).rev().find_map(|(_, sight)| sound(sight)).unwrap_or_default();
    let behind = seen.segments.range(base.saturating_add(1)..).find_map(|(_, sight)| sound(sight));
    let mut all: Vec<Session> = Vec::new();
    for session in own.iter().chain(before.iter().rev()).chain(behind.iter().flatten()) {
        if all.len() < SESSIONS_MAX && !all.iter().any(|known| known.nonce == session.nonce) {
            all.push(*session);
        }
    }
    all
}

/// How far the log is known to have been written. No LSN below may be given again.
pub(super) fn reach(directory: &Directory, seen: &Seen, reads: &Reads) -> Result<u64> {
    let mut reach = seen.meta.start.max(seen.meta.proven);
    for (base, sight) in &seen.segments {
        let (mark, hint) = match sight {
            Sight::Sound(header) => (header.tail_mark, header.durable_hint),
            Sight::Damaged(remains) => (remains.tail_mark, remains.durable_hint),
            Sight::Stranger => continue,
        };
        reach = reach.max(mark.map_or(0, |mark| mark.end)).max(hint.unwrap_or(0));
        if let Sight::Sound(header) = sight {
            // The first entry is from when the segment was made ready, and proves nothing.
            let opened = header.sessions.iter().skip(1).map(|session| session.start).max();
            reach = reach.max(opened.unwrap_or(0));
        }
        let read = reads.get(base);
        let (written, rest) =
            read.map_or((0, Some(Loss::Damaged)), |read| (read.walked.written, read.walked.rest));
        if written > 0 {
            reach = reach.max(base.saturating_add(written));
        }
        if matches!(rest, Some(Loss::Damaged | Loss::Unreadable)) {
            let last = last_word(directory, *base, seen.meta.segment_bytes, written);
            let last = last
                .map_err(|error| Error::io("cannot read a segment", &directory.segment_path(*base), error))?;
            if last > written {
                reach = reach.max(base.saturating_add(last));
            }
        }
    }
    Ok(reach.next_multiple_of(8))
}

/// Where the record or the batch at `at` ends.
pub(super) fn frame_end(directory: &Directory, base: u64, read: &Read, at: u64) -> u64 {
    let verifiers = Verifiers::new(&read.header.identity, &read.header.sessions);
    let path = directory.segment_path(base);
    let mut frames = Frames::new(directory.storage(), path, &read.header.identity, verifiers);
    if !matches!(frames.resume_behind(at.saturating_sub(base)), Ok(Some(_))) {
        return at;
    }
    while matches!(frames.next_frame(), Ok(Some(_))) && frames.open_batch().is_some() {}
    frames.position().get()
}
