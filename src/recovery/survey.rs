//! Finding the end of the log: walks the frames of the segments that are not known to be complete, and
//! collects what they prove. Reads only.

use std::io;
use std::path::PathBuf;

use super::decide::{Finding, Stop, Verdict, decide};
use super::seek::next_frame;
use super::window::Window;
use crate::error::{Error, Result};
use crate::format::frame::{self, Kind, proven_durable};
use crate::format::header::Header;
use crate::format::verify::Verifiers;
use crate::lsn::Lsn;
use crate::segment::scan::{Damage, Found, Frame, Layout, examine};
use crate::storage::{Access, Boot, Directory, File, SharedStorage};

/// A segment that is looked into.
#[derive(Debug)]
pub(super) struct Suspect {
    pub(super) storage: SharedStorage,
    pub(super) path: PathBuf,
    pub(super) header: Header,
}

impl Suspect {
    /// Opens the file; not kept open, as there may be more of them than descriptors.
    pub(super) fn open(&self) -> io::Result<File> {
        self.storage.open(&self.path, Access::Write)
    }

    /// Its frames, to be read.
    pub(super) fn window(&self) -> Window {
        Window::new(&self.storage, self.path.clone(), self.header.identity.segment_bytes)
    }

    pub(super) fn base(&self) -> u64 {
        self.header.identity.base()
    }

    pub(super) fn end(&self) -> u64 {
        self.base() + self.header.identity.segment_bytes
    }

    /// Marked complete by a writer of this boot: its frames are in the page cache, all of them.
    pub(super) fn complete_in(&self, boot: Boot) -> bool {
        self.header.tail_mark.is_some_and(|mark| mark.end == self.end() && mark.boot == boot.0)
    }
}

/// What was found.
#[derive(Debug)]
pub(super) struct Survey {
    /// Where the log ends.
    pub(super) tail: u64,
    pub(super) proven: u64,
    /// Ranges to be turned into padding, each within one segment.
    pub(super) holes: Vec<(u64, u64)>,
    /// Something other than zeros lies behind the tail, for this reason.
    pub(super) torn: Option<Stop>,
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) scanned: u64,
}

/// Walks from `from` on. `proven` is what the headers prove already.
pub(super) fn survey(
    directory: &Directory,
    suspects: &[Suspect],
    from: u64,
    proven: u64,
    same_boot: bool,
    acks_published: bool,
) -> Result<Survey> {
    let boot = directory.boot();
    let mut walk = Walk::new(directory, suspects, from, proven);
    loop {
        let mut stop = walk.run(boot)?;
        let mut at = walk.tail;
        let mut follows = None;
        if stop == Stop::Hole && same_boot {
            match walk.behind_hole()? {
                Behind::Nothing { claims: false } => stop = Stop::Clean,
                Behind::Nothing { claims: true } => {}
                Behind::Frame(next) => follows = Some(next),
                Behind::Bad(place) => {
                    stop = Stop::Bad;
                    at = place;
                }
            }
        }
        if stop == Stop::Bad || (stop == Stop::Hole && !same_boot) {
            follows = walk.search_frames(at + 8)?;
        }
        let finding = Finding {
            stop,
            below_proven: walk.tail < walk.proven,
            same_boot,
            frames_follow: follows.is_some(),
            acks_published,
        };
        match (decide(&finding), follows) {
            (Verdict::Pad, Some(next)) => walk.pad_to(next),
            (Verdict::Pad | Verdict::Keep, _) => return Ok(walk.finish(None)),
            (Verdict::Truncate, _) => return Ok(walk.finish(Some(stop))),
            (Verdict::Corrupt, _) => return Err(walk.corrupt(stop, at)),
        }
    }
}

/// What lies behind a hole, in the boot in which it came to be.
enum Behind {
    Nothing { claims: bool },
    Frame(u64),
    Bad(u64),
}

struct Walk<'a> {
    directory: &'a Directory,
    segments: Vec<(&'a Suspect, Window, Verifiers)>,
    /// The segment whose window is open.
    current: usize,
    /// End of what is kept.
    tail: u64,
    proven: u64,
    holes: Vec<(u64, u64)>,
    records: u64,
    bytes: u64,
    scanned: u64,
    damage: Damage,
    /// Bytes that the search for frames may still checksum by CRC-64, whose field does not tell frames from
    /// other bytes at a glance; hostile bytes could make the search quadratic.
    budget: u64,
}

impl<'a> Walk<'a> {
    fn new(directory: &'a Directory, suspects: &'a [Suspect], from: u64, proven: u64) -> Self {
        let open = |suspect: &'a Suspect| {
            let identity = &suspect.header.identity;
            (suspect, suspect.window(), Verifiers::new(identity, &suspect.header.sessions))
        };
        let total: u64 = suspects.iter().map(|suspect| suspect.header.identity.segment_bytes).sum();
        Self {
            directory,
            segments: suspects.iter().map(open).collect(),
            current: 0,
            tail: from,
            proven,
            holes: Vec::new(),
            records: 0,
            bytes: 0,
            scanned: 0,
            damage: Damage::Word,
            budget: total.saturating_mul(64),
        }
    }

    /// The segment that `position` lies in.
    fn index(&self, position: u64) -> Option<usize> {
        self.segments.iter().position(|(suspect, ..)| suspect.base() <= position && position < suspect.end())
    }

    fn look(&mut self, index: usize, position: u64) -> Result<Found> {
        self.enter(index);
        let (suspect, window, verifiers) = &mut self.segments[index];
        let base = suspect.base();
        let layout = Layout { base, segment_bytes: suspect.header.identity.segment_bytes, verifiers };
        examine(window, layout, position - base).map_err(|error| unreadable(self.directory, base, error))
    }

    /// Goes on to a segment: the window of the one before is closed.
    fn enter(&mut self, index: usize) {
        if self.current != index {
            self.segments[self.current].1.close();
            self.current = index;
        }
    }

    /// Steps over valid frames until something else stands at `tail`.
    fn run(&mut self, boot: Boot) -> Result<Stop> {
        loop {
            let Some(index) = self.index(self.tail) else {
                // The segments end here: there is no gap in what `sort_out` gave.
                return Ok(Stop::Clean);
            };
            let suspect = self.segments[index].0;
            let (base, end) = (suspect.base(), suspect.end());
            if self.tail == base && suspect.complete_in(boot) {
                self.tail = end;
                continue;
            }
            self.scanned += 1;
            while self.tail < end {
                match self.look(index, self.tail)? {
                    Found::Record(frame) => {
                        let Some(next) = self.accept(index, frame)? else {
                            self.damage = Damage::Batch;
                            return Ok(Stop::Bad);
                        };
                        self.tail = next;
                    }
                    Found::Padding { next } => self.tail = base + next,
                    Found::End => self.tail = end,
                    Found::Unwritten => {
                        return Ok(if self.zeros_to_the_end(index)? { Stop::Clean } else { Stop::Hole });
                    }
                    Found::Claimed { .. } => return Ok(Stop::Hole),
                    Found::Bad(damage) => {
                        self.damage = damage;
                        return Ok(Stop::Bad);
                    }
                }
            }
        }
    }

    /// Takes a record in, or a batch as a whole; `None` when the batch lacks a part.
    fn accept(&mut self, index: usize, first: Frame) -> Result<Option<u64>> {
        let base = self.segments[index].0.base();
        let mut records = 1;
        let mut bytes = first.payload_len;
        let mut next = first.next();
        match first.kind {
            Kind::BatchMiddle | Kind::BatchLast => return Ok(None),
            Kind::BatchFirst => loop {
                let Found::Record(frame) = self.look(index, base + next)? else { return Ok(None) };
                let belongs = matches!(frame.kind, Kind::BatchMiddle | Kind::BatchLast)
                    && frame::way_back_bytes(frame.extra) == frame.offset - first.offset;
                if !belongs {
                    return Ok(None);
                }
                records += 1;
                bytes += frame.payload_len;
                next = frame.next();
                if frame.kind == Kind::BatchLast {
                    break;
                }
            },
            _ => {}
        }
        self.prove(base, &first);
        self.records += records;
        self.bytes += bytes;
        Ok(Some(base + next))
    }

    fn prove(&mut self, base: u64, frame: &Frame) {
        if matches!(frame.kind, Kind::Record | Kind::BatchFirst) {
            self.proven = self.proven.max(proven_durable(base + frame.offset, frame.extra));
        }
    }

    /// True when nothing but zeros lies behind the tail, in its segment and in all later ones.
    fn zeros_to_the_end(&mut self, index: usize) -> Result<bool> {
        let tail = self.tail;
        for later in index..self.segments.len() {
            self.enter(later);
            let (suspect, window, _) = &mut self.segments[later];
            let from = tail.saturating_sub(suspect.base());
            let found = window.next_nonzero(from);
            if found.map_err(|error| unreadable(self.directory, suspect.base(), error))?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// In the boot of the last writer: steps over zeros and unpublished claims. A claim's first store is its
    /// header word, so the first word that is not zero is a header.
    fn behind_hole(&mut self) -> Result<Behind> {
        let mut at = self.tail;
        let mut claims = false;
        while let Some(index) = self.index(at) {
            let base = self.segments[index].0.base();
            match self.look(index, at)? {
                Found::Unwritten => {
                    let (suspect, window, _) = &mut self.segments[index];
                    let found = window.next_nonzero(at - base);
                    let found = found.map_err(|error| unreadable(self.directory, base, error))?;
                    at = found.map_or(suspect.end(), |offset| base + offset);
                }
                Found::Claimed { next } => {
                    claims = true;
                    at = base + next;
                }
                Found::End => at = self.segments[index].0.end(),
                Found::Record(_) | Found::Padding { .. } => return Ok(Behind::Frame(at)),
                Found::Bad(damage) => {
                    self.damage = damage;
                    return Ok(Behind::Bad(at));
                }
            }
        }
        Ok(Behind::Nothing { claims })
    }

    /// Searches all bytes from `from` on for valid frames, and takes in what they prove. Returns the first.
    fn search_frames(&mut self, from: u64) -> Result<Option<u64>> {
        let mut first = None;
        for index in 0..self.segments.len() {
            self.enter(index);
            let mut at = from.saturating_sub(self.segments[index].0.base());
            while let Some(frame) = self.seek(index, at)? {
                let base = self.segments[index].0.base();
                self.prove(base, &frame);
                first.get_or_insert(base + frame.offset);
                at = frame.next();
            }
            if self.proven == u64::MAX {
                return Ok(first);
            }
        }
        Ok(first)
    }

    /// The next valid frame of a segment. Without budget left there is no telling what was promised, so it counts as
    /// promised.
    fn seek(&mut self, index: usize, from: u64) -> Result<Option<Frame>> {
        let (suspect, window, verifiers) = &mut self.segments[index];
        let base = suspect.base();
        let layout = Layout { base, segment_bytes: suspect.header.identity.segment_bytes, verifiers };
        let (budget, proven) = (&mut self.budget, &mut self.proven);
        let mut spend = |bytes: u64| match budget.checked_sub(bytes) {
            Some(left) => {
                *budget = left;
                true
            }
            None => {
                *proven = u64::MAX;
                false
            }
        };
        let found = next_frame(window, layout, from, &mut spend);
        found.map_err(|error| unreadable(self.directory, base, error))
    }

    /// The hole between the tail and `next` never returned to anybody.
    fn pad_to(&mut self, next: u64) {
        while self.tail < next {
            let end = self.index(self.tail).map_or(next, |index| self.segments[index].0.end().min(next));
            self.holes.push((self.tail, end));
            self.tail = end;
        }
    }

    fn finish(self, torn: Option<Stop>) -> Survey {
        Survey {
            tail: self.tail,
            proven: self.proven.min(self.tail),
            holes: self.holes,
            torn,
            records: self.records,
            bytes: self.bytes,
            scanned: self.scanned,
        }
    }

    fn corrupt(&self, stop: Stop, at: u64) -> Error {
        let Some(index) = self.index(at) else {
            let path = self.directory.segment_path(at);
            return Error::corrupt(
                format!(
                    "the segment's file is missing, and the log is proven durable to LSN {}",
                    self.proven
                ),
                &path,
                0,
                Some(Lsn::new(at)),
            );
        };
        let base = self.segments[index].0.base();
        let what = match stop {
            Stop::Bad => self.damage.describe(),
            Stop::Clean | Stop::Hole => "a record is gone",
        };
        let why = if self.proven == u64::MAX {
            "and the bytes behind it do not tell whether it was promised".to_owned()
        } else if self.tail < self.proven {
            format!("though the log is proven durable to LSN {}", self.proven)
        } else {
            "and records that were acknowledged follow it".to_owned()
        };
        Error::corrupt(
            format!("{what}, {why}"),
            &self.directory.segment_path(base),
            crate::limits::HEADER_BYTES + (at - base),
            Some(Lsn::new(at)),
        )
    }
}

pub(super) fn unreadable(directory: &Directory, base: u64, error: io::Error) -> Error {
    Error::io("cannot read a segment", &directory.segment_path(base), error)
}
