//! What is to be done, worked out from what there is.

use std::path::PathBuf;

use super::look::{Seen, Sight, identity, last_word, look};
use super::reads::{Read, Reads, frame_end, reach, read_all};
use super::segment::{Correction, paddable};
use super::{Action, Loss, Lost, Plan, Way};
use crate::error::{Error, Result};
use crate::format::header::{Header, Session, TailMark};
use crate::format::meta::Meta;
use crate::inspect::FrameCounts;
use crate::lsn::Lsn;
use crate::policy::Checksum;
use crate::recovery::foresee;
use crate::storage::{Access, Directory};

/// No log loses so many segments in a row and is still worth a repair by padding.
const MISSING_MAX: u64 = 1 << 16;

/// All that carrying out needs.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) way: Way,
    pub(super) meta: Meta,
    /// As it is in force.
    pub(super) meta_before: Meta,
    /// The metadata is written anew.
    pub(super) writes_meta: bool,
    pub(super) meta_lost: bool,
    pub(super) end: u64,
    pub(super) kept: FrameCounts,
    pub(super) lost: Vec<Lost>,
    /// Ascending.
    pub(super) corrections: Vec<Correction>,
    /// Segments that stay as they are, and must be durable.
    pub(super) unchanged: Vec<(u64, Header)>,
    /// Segments that leave the log, newest first: those without a trace of a frame become spares.
    pub(super) leaving: Vec<(u64, Action)>,
    /// Other files that leave it.
    pub(super) removed: Vec<PathBuf>,
    /// The number of the next spare.
    pub(super) spare: u64,
}

impl Draft {
    pub(super) fn new(directory: &Directory, way: Way) -> Result<Self> {
        let seen = look(directory, way == Way::Salvage)?;
        let mut draft = Self {
            way,
            meta: seen.meta,
            meta_before: seen.meta,
            writes_meta: seen.meta_lost,
            meta_lost: seen.meta_lost,
            end: seen.meta.start,
            kept: FrameCounts::default(),
            lost: Vec::new(),
            corrections: Vec::new(),
            unchanged: Vec::new(),
            leaving: Vec::new(),
            removed: Vec::new(),
            spare: seen.spares.last().map_or(0, |number| number.saturating_add(1)),
        };
        match way {
            Way::Tail => {
                let report = foresee(directory)?;
                let sound = report.torn_tail.is_none() && report.holes_skipped == 0;
                draft.settle(directory, &seen, Some(report.end.get()), sound)?;
            }
            Way::To(lsn) => draft.settle(directory, &seen, Some(lsn.get()), true)?,
            Way::Salvage => {
                let sound = foresee(directory)
                    .is_ok_and(|report| report.torn_tail.is_none() && report.holes_skipped == 0);
                let whole = seen.broken_cursors.is_empty() && seen.misnamed.is_empty() && !seen.meta_lost;
                draft.removed = [&seen.misnamed[..], &seen.broken_cursors].concat();
                draft.settle(directory, &seen, None, sound && whole)?;
            }
        }
        Ok(draft)
    }

    pub(super) fn plan(&self, directory: &Directory) -> Plan {
        let mut actions: Vec<(PathBuf, Action)> = Vec::new();
        for correction in &self.corrections {
            let base = correction.base();
            let made = !directory.has_segment(base).unwrap_or(true);
            actions.push((directory.segment_path(base), if made { Action::Make } else { Action::Correct }));
        }
        for (base, action) in self.leaving.iter().rev() {
            actions.push((directory.segment_path(*base), *action));
        }
        actions.extend(self.removed.iter().map(|path| (path.clone(), Action::Remove)));
        if self.writes_meta {
            let path = directory.path().join(crate::format::name::META);
            let made = !directory.storage().has_name(&path).unwrap_or(true);
            actions.push((path, if made { Action::Make } else { Action::Correct }));
        }
        Plan {
            way: self.way,
            directory: directory.path().to_owned(),
            start: Lsn::new(self.meta.start),
            end: Lsn::new(self.end),
            kept: self.kept,
            lost: self.lost.clone(),
            actions,
            quarantine: None,
        }
    }

    /// Works out the segments. `limit` is where the log is to end at the latest; without one it keeps its length, and damage
    /// is padded. `sound` says that an opening finds nothing amiss.
    fn settle(&mut self, directory: &Directory, seen: &Seen, limit: Option<u64>, sound: bool) -> Result<()> {
        let (start, bytes) = (self.meta.start, self.meta.segment_bytes);
        let reads = read_all(directory, seen, limit);
        self.end = match limit {
            None => reach(directory, seen, &reads)?,
            Some(limit) => {
                self.check(directory, seen, &reads, limit)?;
                // Where the limit lies in a batch, that ends before it; where it lies in a record, behind.
                let inside = reads.range(..limit.max(1)).next_back();
                inside.map_or(start, |(base, read)| base.saturating_add(read.walked.written))
            }
        };
        // A segment that is full stays the newest one; an empty log has its first.
        let newest = floor(self.end.saturating_sub(1).max(start), bytes);
        let there = seen.segments.keys().next_back().map_or(start, |base| base.saturating_add(bytes));
        if newest.saturating_sub(there) > bytes.saturating_mul(MISSING_MAX) {
            let what = format!(
                "the log is said to have reached LSN {}, but its segments end at LSN {there}",
                self.end
            );
            let path = directory.path().join(crate::format::name::META);
            return Err(Error::corrupt(what, &path, 0, None));
        }
        let mut troubled = !sound || self.meta.proven > self.end;
        let mut base = start;
        let opening = opening(seen);
        while base <= newest {
            let (read, sight) = (reads.get(&base), seen.segments.get(&base));
            troubled |= self.segment(directory, base, base == newest, read, sight, opening);
            base = base.saturating_add(bytes);
        }
        let mut beyond = self.behind(directory, seen, newest);
        if limit.is_some() {
            let from = self.end.saturating_sub(newest);
            let last = last_word(directory, newest, bytes, from);
            beyond = beyond.max(last.map_or(0, |last| newest.saturating_add(last)));
            let marks = reads.values().filter_map(|read| read.header.tail_mark).map(|mark| mark.end).max();
            beyond = beyond.max(marks.unwrap_or(0)).max(self.meta.proven);
            troubled |= beyond > self.end;
        }
        if !troubled {
            self.corrections.clear();
            self.unchanged.clear();
            self.leaving.clear();
            return Ok(());
        }
        if limit.is_some() && beyond > self.end {
            self.lost.push(Lost { from: Lsn::new(self.end), to: Lsn::new(beyond), why: Loss::Cut });
        }
        // It would say that records are gone.
        if self.meta.proven > self.end {
            self.meta.proven = self.end;
            self.writes_meta = true;
        }
        Ok(())
    }

    /// Refuses what a way that keeps all below its limit cannot mend.
    fn check(&self, directory: &Directory, seen: &Seen, reads: &Reads, limit: u64) -> Result<()> {
        let (start, bytes) = (self.meta.start, self.meta.segment_bytes);
        if limit < start {
            return Err(Error::retired(Lsn::new(limit), Lsn::new(start)));
        }
        let there = seen.segments.keys().next_back().map_or(start, |base| base.saturating_add(bytes));
        let mut base = start;
        while base < limit.min(there) {
            match (seen.segments.get(&base), reads.get(&base)) {
                (Some(Sight::Sound(_)), Some(read)) => {
                    let end = bytes.min(limit.saturating_sub(base));
                    let bad = |(_, _, loss): &(u64, u64, Loss)| *loss != Loss::Unwritten;
                    if read.walked.gaps(end).iter().any(bad)
                        && let Some(error) = &read.walked.error
                    {
                        return Err(error.clone());
                    }
                }
                // Why its header does not read back.
                (Some(_), _) => {
                    let file = directory.open_segment(base, Access::Read)?;
                    directory.read_header(&*file, &identity(&self.meta, base))?;
                }
                (None, _) => {
                    let path = directory.segment_path(base);
                    return Err(Error::corrupt(
                        "a segment's file is missing",
                        &path,
                        0,
                        Some(Lsn::new(base)),
                    ));
                }
            }
            base = base.saturating_add(bytes);
        }
        let reached = reads.iter().map(|(base, read)| base.saturating_add(read.walked.reached)).max();
        let reached = reached.unwrap_or(start);
        if limit > reached && self.way != Way::Tail {
            return Err(Error::not_written(Lsn::new(limit), Lsn::new(reached)));
        }
        Ok(())
    }

    /// Works out one segment; true where there is something wrong with it.
    fn segment(
        &mut self,
        directory: &Directory,
        base: u64,
        newest: bool,
        read: Option<&Read>,
        sight: Option<&Sight>,
        opening: u32,
    ) -> bool {
        let identity = identity(&self.meta, base);
        let end = self.end.min(base.saturating_add(identity.segment_bytes));
        let Some(read) = read else {
            let why = if matches!(sight, Some(Sight::Damaged(_))) { Loss::Damaged } else { Loss::Missing };
            self.lost.push(Lost { from: Lsn::new(base), to: Lsn::new(end), why });
            let header = Header {
                identity,
                tail_mark: None,
                durable_hint: None,
                created_unix_ns: directory.storage().unix_nanos(),
                sessions: vec![Session { number: opening, ..fresh_session(directory, base) }],
                torn_session: false,
            };
            let pads = if base < end { vec![(base, end)] } else { Vec::new() };
            self.correct(directory, header, false, pads, end);
            return true;
        };
        self.count(&read.walked.counts);
        let absolute =
            |(from, to, loss): (u64, u64, Loss)| (base.saturating_add(from), base.saturating_add(to), loss);
        let gaps: Vec<_> = read.walked.gaps(end.saturating_sub(base)).into_iter().map(absolute).collect();
        let ranges: Vec<(u64, u64)> = gaps.iter().map(|(from, to, _)| (*from, *to)).collect();
        let pads = paddable(&ranges, (base, base.saturating_add(identity.segment_bytes)), |at| {
            frame_end(directory, base, read, at)
        });
        let known = |(from, to): &(u64, u64)| {
            let why = gaps.iter().find(|(start, end, _)| start < to && from < end).map(|(.., why)| *why);
            Lost { from: Lsn::new(*from), to: Lsn::new(*to), why: why.unwrap_or(Loss::Damaged) }
        };
        self.lost.extend(pads.iter().map(known));
        let mark = read.header.tail_mark;
        // (A torn entry of the table puts the mark in doubt.)
        let closed = mark.is_some_and(|mark| mark.durable && mark.end == end)
            && !read.header.torn_session
            && read.walked.rest.is_none();
        let right = read.sound && pads.is_empty() && matches!(sight, Some(Sight::Sound(_)));
        if right && (!newest || closed) {
            self.unchanged.push((base, read.header.clone()));
            return false;
        }
        let trouble = !right || read.walked.rest.is_some();
        self.correct(directory, read.header.clone(), true, pads, end);
        trouble
    }

    fn correct(
        &mut self,
        directory: &Directory,
        mut header: Header,
        has_source: bool,
        pads: Vec<(u64, u64)>,
        end: u64,
    ) {
        let full = header.identity.base().saturating_add(header.identity.segment_bytes);
        let sealed = header.tail_mark.filter(|mark| mark.end == full).map(|mark| mark.sealed_unix_ns);
        header.tail_mark = Some(TailMark {
            end,
            durable: true,
            boot: directory.boot().0,
            sealed_unix_ns: match sealed {
                _ if end < full => 0,
                Some(at) if at != 0 => at,
                _ => directory.storage().unix_nanos(),
            },
        });
        header.durable_hint = None;
        header.torn_session = false;
        // What an opening wrote behind the end is gone, but its number is not to be given again.
        for session in &mut header.sessions {
            session.start = session.start.min(end);
        }
        self.corrections.push(Correction { header, has_source, pads, end });
    }

    fn count(&mut self, counts: &FrameCounts) {
        self.kept.records = self.kept.records.saturating_add(counts.records);
        self.kept.batches = self.kept.batches.saturating_add(counts.batches);
        self.kept.payload_bytes = self.kept.payload_bytes.saturating_add(counts.payload_bytes);
        self.kept.padding_bytes = self.kept.padding_bytes.saturating_add(counts.padding_bytes);
    }

    /// The segments behind the new newest one. Gives how far they were written to.
    fn behind(&mut self, directory: &Directory, seen: &Seen, newest: u64) -> u64 {
        let mut beyond = 0;
        for (base, sight) in seen.segments.iter().rev().filter(|(base, _)| **base > newest) {
            let last = last_word(directory, *base, self.meta.segment_bytes, 0);
            let action = match (sight, last) {
                (Sight::Sound(_), Ok(0)) => Action::Recycle,
                (_, last) => {
                    let last = last.unwrap_or(self.meta.segment_bytes);
                    if last > 0 {
                        beyond = beyond.max(base.saturating_add(last));
                    }
                    Action::Remove
                }
            };
            self.leaving.push((*base, action));
        }
        beyond
    }
}

fn floor(lsn: u64, segment_bytes: u64) -> u64 {
    lsn.saturating_sub(lsn.checked_rem(segment_bytes).unwrap_or_default())
}

/// The number of the last opening.
fn opening(seen: &Seen) -> u32 {
    let sessions = seen.segments.values().flat_map(|sight| match sight {
        Sight::Sound(header) => &header.sessions[..],
        Sight::Damaged(remains) => &remains.sessions[..],
        Sight::Stranger => &[],
    });
    sessions.map(|session| session.number).max().unwrap_or_default()
}

/// An opening of which nobody has seen anything, for a segment without frames.
fn fresh_session(directory: &Directory, base: u64) -> Session {
    let storage = directory.storage();
    Session {
        start: base,
        number: 0,
        checksum: Checksum::Crc32c,
        acks_durable: false,
        nonce: storage.random(),
        boot: directory.boot().0,
        opened_unix_ns: storage.unix_nanos(),
    }
}
