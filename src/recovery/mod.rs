//! Opening what an earlier writer left: lock, sync, scan, decide, repair, sync. Nothing is mapped before the
//! decision, and nothing is written where the decision is that promised bytes are damaged.

mod decide;
mod repair;
mod report;
mod seek;
mod survey;
mod window;

use std::time::Instant;

pub use self::report::{LastClose, RecoveryReport, TornTail};
pub(crate) use self::seek::next_frame;
pub(crate) use self::window::Window;

use self::decide::Stop;
use self::survey::{Survey, Suspect, survey};
use crate::error::{Error, Result};
use crate::format::header::{Identity, Session};
use crate::format::meta::Meta;
use crate::limits::SEGMENTS_AHEAD;
use crate::lsn::Lsn;
use crate::options::Options;
use crate::primitive::Arc;
use crate::segment::Segment;
use crate::segment::scan::Source;
use crate::storage::{Access, Directory, Listing, SharedStorage, Spare};

/// An opened log, ready to be put to work.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) meta: Meta,
    /// This opening, as new segments record it.
    pub(crate) session: Session,
    pub(crate) tail: u64,
    /// The segment that `tail` lies in, mapped for writing.
    pub(crate) active: Option<Arc<Segment>>,
    pub(crate) spares: Vec<Spare>,
    pub(crate) next_spare: u64,
    /// Names of cursors that are there.
    pub(crate) cursors: Vec<String>,
    pub(crate) report: RecoveryReport,
    /// There was no log: the metadata is to be written once the first segment stands.
    pub(crate) created: bool,
}

/// Opens the log in a locked directory.
pub(crate) fn recover(directory: &Arc<Directory>, options: &Options) -> Result<Recovered> {
    let began = Instant::now();
    let listing = directory.list()?;
    let Some(meta) = directory.read_meta()? else {
        return create(directory, &listing, options, began);
    };
    options.check_schema(meta.schema, directory.path())?;
    if let Some(bytes) = options.segment_bytes
        && bytes != meta.segment_bytes
    {
        return Err(Error::invalid_option(format!(
            "the log in {} has segments of {} bytes, not {bytes}; open it without segment_bytes, or with that size",
            directory.path().display(),
            meta.segment_bytes
        )));
    }
    let (known, suspects) = sort_out(directory, &listing, &meta, Access::Write)?;
    let left = weigh(directory, &known, &suspects, &meta)?;
    let Left { last, closed, .. } = left;
    // What a closed log holds is durable; another sync would only write the pages that were populated ahead.
    let rewritten = if closed { 0 } else { sync_suspects(directory, &suspects)? };
    if !closed {
        // A writer that was killed may not have come to make durable the names that it gave, and the way to them.
        directory.sync_names()?;
    }
    let found = find(directory, &known, &suspects, &meta, &left)?;

    // From here on the log's directory is changed.
    if !closed {
        // Nor what it wrote to the metadata.
        directory.settle_meta(&meta).map_err(|failure| failure.error)?;
    }
    remove_leftovers(directory, &listing, &meta)?;
    let mut spares = listing.spares;
    let session = Session {
        start: found.tail,
        number: last.number.wrapping_add(1),
        checksum: options.checksum,
        acks_durable: options.sync_policy.acknowledges_durable(),
        nonce: directory.storage().random(),
        boot: directory.boot().0,
        opened_unix_ns: directory.storage().unix_nanos(),
    };
    let repaired = repair::repair(directory, suspects, &found, closed, &session, &mut spares)?;
    if directory.found_poisoned() {
        directory.note_healed()?;
    }

    // Those before the active one need no look before somebody reads them.
    let sealed = repaired.tail / meta.segment_bytes - meta.start / meta.segment_bytes;
    let active = repaired
        .active
        .map(|(identity, body)| Arc::new(Segment::mapped(identity, body, Some(Arc::clone(directory)))));
    let report = RecoveryReport {
        end: Lsn::new(repaired.tail),
        segments: sealed + u64::from(active.is_some()),
        truncated_bytes: repaired.truncated,
        segments_rewritten: rewritten,
        ..report(&meta, &left, &found, began)
    };
    Ok(Recovered {
        meta,
        session,
        tail: repaired.tail,
        active,
        spares: open_spares(directory, &spares, &meta, options)?,
        next_spare: repair::number_behind(&spares),
        cursors: listing.cursors,
        report,
        created: false,
    })
}

/// What the headers tell of how the log was left.
struct Left {
    /// The newest opening.
    last: Session,
    same_boot: bool,
    /// It was closed: nothing was written behind `marked`.
    closed: bool,
    /// The highest durable mark.
    marked: u64,
    /// Everything below was durable, by the headers alone.
    proven: u64,
    torn_session: bool,
}

fn weigh(directory: &Directory, known: &Known, suspects: &[Suspect], meta: &Meta) -> Result<Left> {
    let last =
        suspects.iter().flat_map(|suspect| &suspect.header.sessions).max_by_key(|session| session.number);
    let last = *last.ok_or_else(|| missing(directory, meta.start))?;
    let same_boot = last.boot == directory.boot().0;

    let marked = suspects.iter().filter_map(|suspect| suspect.header.tail_mark);
    let marked = marked.filter(|mark| mark.durable).map(|mark| mark.end).max().unwrap_or(known.end);
    let hinted = suspects.iter().filter_map(|suspect| suspect.header.durable_hint).max().unwrap_or(0);
    // An opening makes durable what it found before it is recorded. (The first entry of a segment is from when
    // the segment was made ready: its start proves nothing.)
    let opened = suspects.iter().flat_map(|suspect| suspect.header.sessions.iter().skip(1));
    let opened = opened.map(|session| session.start).max().unwrap_or(0);
    let newest = suspects.last().map_or(known.end, Suspect::base);
    // A durable mark in the newest segment is that of a log that was closed: nothing was written behind it. A torn entry
    // of the session table puts that in doubt.
    let torn_session = suspects.iter().any(|suspect| suspect.header.torn_session);
    let marked_last = suspects.last().filter(|last| last.header.tail_mark.is_some_and(|mark| mark.durable));
    let closed = match marked_last {
        Some(last) if marked >= newest.max(opened) && !torn_session => is_last_word(directory, last, marked)?,
        _ => false,
    };
    let proven = marked.max(hinted).max(opened).max(meta.proven);
    Ok(Left { last, same_boot, closed, marked, proven, torn_session })
}

/// Where the log ends, and what lies behind it. Reads only.
fn find(
    directory: &Directory,
    known: &Known,
    suspects: &[Suspect],
    meta: &Meta,
    left: &Left,
) -> Result<Survey> {
    let Left { last, same_boot, closed, marked, proven, torn_session } = *left;
    if closed && marked < meta.proven {
        // The newest segments are gone, and with them every trace of their records but this.
        return Err(missing(directory, marked.next_multiple_of(meta.segment_bytes)));
    }
    let found = if closed {
        Survey {
            tail: marked,
            proven: marked,
            holes: Vec::new(),
            torn: None,
            records: 0,
            bytes: 0,
            scanned: 0,
        }
    } else {
        survey(directory, suspects, known.end.max(meta.start), proven, same_boot, !last.acks_durable)?
    };

    if torn_session && found.torn.is_some() {
        // The entry is synced before its opening writes a frame, so a torn one has no frames.
        let path =
            suspects.last().map_or_else(Default::default, |suspect| directory.segment_path(suspect.base()));
        return Err(Error::corrupt(
            "an entry of the session table is damaged, and frames follow",
            &path,
            0,
            None,
        ));
    }
    Ok(found)
}

/// What an opening of the log would find, without a lock and without a change: for tools, while no writer has it open.
pub(crate) fn foresee(directory: &Directory) -> Result<RecoveryReport> {
    let began = Instant::now();
    let listing = directory.list()?;
    let meta = directory.read_meta()?.ok_or_else(|| Error::not_found(directory.path()))?;
    let (known, suspects) = sort_out(directory, &listing, &meta, Access::Read)?;
    let left = weigh(directory, &known, &suspects, &meta)?;
    let found = find(directory, &known, &suspects, &meta, &left)?;
    let mut truncated = 0_u64;
    for suspect in suspects.iter().filter(|suspect| found.torn.is_some() && suspect.end() > found.tail) {
        let from = found.tail.saturating_sub(suspect.base());
        let written = repair::last_nonzero(suspect, from)
            .map_err(|error| survey::unreadable(directory, suspect.base(), error))?;
        truncated = truncated.saturating_add(written.saturating_sub(from));
    }
    let sealed = found.tail / meta.segment_bytes - meta.start / meta.segment_bytes;
    let open = !found.tail.is_multiple_of(meta.segment_bytes);
    let mut report = report(&meta, &left, &found, began);
    report.segments = sealed + u64::from(open);
    report.truncated_bytes = truncated;
    Ok(report)
}

/// What both an opening and its foretelling report.
fn report(meta: &Meta, left: &Left, found: &Survey, began: Instant) -> RecoveryReport {
    RecoveryReport {
        last_close: match (left.closed, left.same_boot) {
            (true, _) => LastClose::Clean,
            (false, true) => LastClose::ProcessDied,
            (false, false) => LastClose::MachineRestarted,
        },
        start: Lsn::new(meta.start),
        end: Lsn::new(found.tail),
        segments: 0,
        segments_scanned: found.scanned,
        records_scanned: found.records,
        bytes_scanned: found.bytes,
        holes_skipped: found.holes.len() as u64,
        truncated_bytes: 0,
        torn_tail: found.torn.map(|stop| match stop {
            Stop::Bad => TornTail::Damaged,
            Stop::Hole | Stop::Clean => TornTail::Unpublished,
        }),
        proven_durable: Lsn::new(found.proven),
        segments_rewritten: 0,
        elapsed: began.elapsed(),
    }
}

/// A directory without a log.
fn create(
    directory: &Arc<Directory>,
    listing: &Listing,
    options: &Options,
    began: Instant,
) -> Result<Recovered> {
    // The metadata is written last, so a first segment alone is what a creation that was cut short leaves.
    match listing.segments[..] {
        [] => {}
        [0] if first_segment_is_empty(directory)? => directory.remove(&directory.segment_path(0))?,
        _ => {
            return Err(Error::corrupt(
                "there are segments but no metadata",
                &directory.path().join(crate::format::name::META),
                0,
                None,
            ));
        }
    }
    for path in &listing.temporaries {
        directory.remove(path)?;
    }
    let mut log_id = [0; 16];
    let (low, high) = log_id.split_at_mut(8);
    low.copy_from_slice(&directory.storage().random().to_le_bytes());
    high.copy_from_slice(&directory.storage().random().to_le_bytes());
    let meta = Meta {
        log_id,
        segment_bytes: options.new_segment_bytes(),
        start: 0,
        generation: 0,
        proven: 0,
        schema: options.schema.unwrap_or_default(),
    };
    let session = Session {
        start: 0,
        number: 1,
        checksum: options.checksum,
        acks_durable: options.sync_policy.acknowledges_durable(),
        nonce: directory.storage().random(),
        boot: directory.boot().0,
        opened_unix_ns: directory.storage().unix_nanos(),
    };
    let report = RecoveryReport {
        last_close: LastClose::Created,
        start: Lsn::ZERO,
        end: Lsn::ZERO,
        segments: 0,
        segments_scanned: 0,
        records_scanned: 0,
        bytes_scanned: 0,
        holes_skipped: 0,
        truncated_bytes: 0,
        torn_tail: None,
        proven_durable: Lsn::ZERO,
        segments_rewritten: 0,
        elapsed: began.elapsed(),
    };
    Ok(Recovered {
        meta,
        session,
        tail: 0,
        active: None,
        spares: Vec::new(),
        next_spare: repair::number_behind(&listing.spares),
        cursors: listing.cursors.clone(),
        report,
        created: true,
    })
}

fn first_segment_is_empty(directory: &Directory) -> Result<bool> {
    let path = directory.segment_path(0);
    let failed = |error| Error::io("cannot read a segment", &path, error);
    let file = directory.storage().open(&path, Access::Read).map_err(failed)?;
    let data = file.len().map_err(failed)?.saturating_sub(crate::limits::HEADER_BYTES);
    Ok(Window::new(directory.storage(), path.clone(), data).next_nonzero(0).map_err(failed)?.is_none())
}

fn missing(directory: &Directory, base: u64) -> Error {
    Error::corrupt("a segment's file is missing", &directory.segment_path(base), 0, Some(Lsn::new(base)))
}

/// The segments that are known to be complete and durable, without reading them: all from the log's start to
/// `end`.
struct Known {
    end: u64,
}

/// Looks at the headers from the newest segment backwards, to the first that says that everything before it is
/// durable; so opening does not grow with the log.
fn sort_out(
    directory: &Directory,
    listing: &Listing,
    meta: &Meta,
    access: Access,
) -> Result<(Known, Vec<Suspect>)> {
    // Ascending.
    let first = listing.segments.partition_point(|base| *base < meta.start);
    let live = listing.segments.get(first..).unwrap_or_default();
    let mut known = Known { end: meta.start };
    let mut suspects = Vec::new();
    for base in live.iter().rev().copied() {
        if base % meta.segment_bytes != 0 {
            let path = directory.segment_path(base);
            return Err(Error::corrupt("the segment's name fits no place in the log", &path, 0, None));
        }
        let number = base / meta.segment_bytes;
        let identity = Identity { log_id: meta.log_id, number, segment_bytes: meta.segment_bytes };
        let file = directory.open_segment(base, access)?;
        let header = directory.read_header(&*file, &identity)?;
        let storage = SharedStorage::clone(directory.storage());
        let suspect = Suspect { storage, path: directory.segment_path(base), header };
        let durable = suspect.header.tail_mark.filter(|mark| mark.durable);
        if durable.is_some_and(|mark| mark.end == suspect.end()) && !suspects.is_empty() {
            known.end = suspect.end();
            break;
        }
        let closed_here = durable.is_some();
        suspects.push(suspect);
        if closed_here {
            // Everything before a mark inside this segment is durable too.
            known.end = base;
            break;
        }
    }
    suspects.reverse();
    // Names that fit no place are none of the known segments.
    let mut there = live.iter().filter(|base| base.is_multiple_of(meta.segment_bytes));
    for base in (meta.start..known.end).step_by(meta.segment_bytes as usize) {
        if there.next() != Some(&base) {
            return Err(missing(directory, base));
        }
    }
    if suspects.first().is_none_or(|suspect| suspect.base() != known.end) {
        return Err(missing(directory, known.end));
    }
    // Segments are named, and taken away again, one by one and durably each: a gap is none of our making, and what
    // stood in it may have been promised.
    if let Some(pair) = suspects.windows(2).find(|pair| pair[0].end() != pair[1].base()) {
        return Err(missing(directory, pair[0].end()));
    }
    Ok((known, suspects))
}

/// Syncs what is about to be scanned: a write-back error that nobody saw surfaces here, and nowhere later. Then
/// (and after a sync that failed in this boot) the pages are marked clean though they are not on the device, so
/// they are written again from what reads back.
fn sync_suspects(directory: &Directory, suspects: &[Suspect]) -> Result<u64> {
    let mut rewritten = 0;
    for suspect in suspects {
        let healthy = !directory.found_poisoned() && suspect.open().and_then(|file| file.sync_data()).is_ok();
        if !healthy {
            let path = directory.segment_path(suspect.base());
            repair::rewrite(suspect).map_err(|error| {
                Error::io(
                    "cannot write a segment again whose sync had failed; see to the device",
                    &path,
                    error,
                )
            })?;
            rewritten += 1;
        }
    }
    Ok(rewritten)
}

/// True when nothing stands where the mark of `close` says that the log ends. A frame there is of a later opening,
/// which had taken the mark away: then the mark is an old one that came back, and says nothing.
fn is_last_word(directory: &Directory, newest: &Suspect, end: u64) -> Result<bool> {
    let offset = end - newest.base();
    let room = newest.header.identity.segment_bytes;
    let mut window = Window::new(directory.storage(), newest.path.clone(), room.min(offset + 8));
    let word = if offset < room { Source::word(&mut window, offset) } else { Ok(0) };
    word.map(|word| word == 0).map_err(|error| survey::unreadable(directory, newest.base(), error))
}

/// What interrupted operations left: nothing in force.
fn remove_leftovers(directory: &Directory, listing: &Listing, meta: &Meta) -> Result<()> {
    for path in &listing.temporaries {
        directory.remove(path)?;
    }
    for base in listing.segments.iter().copied().filter(|base| *base < meta.start) {
        directory.remove(&directory.segment_path(base))?;
    }
    Ok(())
}

/// The spares that are of use; more than will be needed soon are deleted.
fn open_spares(directory: &Directory, numbers: &[u64], meta: &Meta, options: &Options) -> Result<Vec<Spare>> {
    let mut spares = Vec::new();
    for number in numbers {
        match directory.open_spare(*number, meta.segment_bytes) {
            Some(spare) if spares.len() < options.spares_max().max(SEGMENTS_AHEAD as usize) => {
                spares.push(spare);
            }
            _ => directory.remove(&directory.spare_path(*number))?,
        }
    }
    Ok(spares)
}
