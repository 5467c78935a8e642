//! What opening and reading a damaged log must give.

use tidelog::{LastClose, TornTail};

use crate::decision::{Damaged, Verdict, Word, bases, decide, parse};
use crate::evidence::{self, Head};
use crate::sample::{Files, Sample, locate};
use crate::support::{HEADER, SEGMENT, segment_name};

/// Where an error points to: the file, the offset in it, and the LSN where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) offset: u64,
    pub(crate) lsn: Option<u64>,
}

impl Place {
    fn file(file: &str, offset: u64) -> Self {
        Self { file: file.to_owned(), offset, lsn: None }
    }

    fn frame(lsn: u64) -> Self {
        let (file, offset) = locate(lsn);
        Self { file, offset, lsn: Some(lsn) }
    }

    /// A segment that is not there.
    fn missing(base: u64) -> Self {
        Self { file: segment_name(base / SEGMENT), offset: 0, lsn: Some(base) }
    }
}

/// What a log that was opened says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) how: LastClose,
    pub(crate) end: u64,
    pub(crate) torn: Option<TornTail>,
    pub(crate) truncated: u64,
    pub(crate) holes: u64,
}

/// Records that are read one after the other, by their LSN, and the error that ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) lsns: Vec<u64>,
    pub(crate) error: Option<Place>,
}

/// The outcome of opening, for a writer. Refused, or opened and read from end to end.
pub(crate) type Opening = Result<(Report, Reading), Place>;

/// What `Options::open` must give.
pub(crate) fn opening(sample: &Sample, files: &Files) -> Opening {
    let meta_name = "log.meta";
    let meta = evidence::meta(sample, files).ok_or_else(|| Place::file(meta_name, 0))?;
    let live: Vec<u64> = bases(files).into_iter().filter(|base| *base >= meta.start).collect();
    let mut known = meta.start;
    let mut heads: Vec<Head> = Vec::new();
    for base in live.iter().rev() {
        let head = evidence::head(sample, files, *base).unwrap();
        let head = head.map_err(|offset| Place::file(&segment_name(base / SEGMENT), offset))?;
        let durable = head.mark.filter(|mark| mark.durable);
        if durable.is_some_and(|mark| mark.end == head.end()) && !heads.is_empty() {
            known = head.end();
            break;
        }
        let here = durable.is_some();
        heads.insert(0, head);
        if here {
            known = *base;
            break;
        }
    }
    let all = (meta.start..known).step_by(SEGMENT as usize);
    let gap = heads.windows(2).find(|pair| pair[0].end() != pair[1].base);
    let missing = all.into_iter().find(|base| !live.contains(base));
    let missing = missing.or((heads.first().is_none_or(|head| head.base != known)).then_some(known));
    if let Some(base) = missing.or(gap.map(|pair| pair[0].end())) {
        return Err(Place::missing(base));
    }
    let newest = heads.last().unwrap();
    let torn_opening = heads.iter().any(|head| head.torn_opening);
    let marked = heads.iter().filter_map(|head| head.mark).filter(|mark| mark.durable).map(|mark| mark.end);
    let marked = marked.max().unwrap_or(known);
    let damaged = Damaged::new(sample, files);
    // A mark of close with something behind it is not the last one.
    let behind = marked < newest.end() && marked >= newest.base && damaged.word(marked) != 0;
    let opened = heads.iter().flat_map(|head| head.openings.iter().skip(1).map(|(start, _)| *start));
    let opened = opened.max().unwrap_or(0);
    let closed = newest.mark.is_some() && marked >= newest.base.max(opened) && !torn_opening && !behind;
    let (verdict, how) = if closed {
        if marked < meta.proven {
            return Err(Place::missing(marked.next_multiple_of(SEGMENT)));
        }
        let kept = Verdict::Kept { tail: marked, torn: None, truncated: 0, holes: Vec::new() };
        (kept, LastClose::Clean)
    } else {
        let hints = heads.iter().filter_map(|head| head.hint);
        let proven = hints.chain([marked, meta.proven, opened]).max().unwrap();
        let died = LastClose::ProcessDied;
        let how = if sample.shape.another_boot { LastClose::MachineRestarted } else { died };
        (decide(&damaged, &heads, known, proven), how)
    };
    let (tail, torn, truncated, holes) = match verdict {
        Verdict::Corrupt { lsn } if lsn >= newest.end() => return Err(Place::missing(lsn)),
        Verdict::Corrupt { lsn } => return Err(Place::frame(lsn)),
        Verdict::Kept { tail, torn, truncated, holes } => (tail, torn, truncated, holes),
    };
    if torn_opening && torn.is_some() {
        return Err(Place::file(&segment_name(newest.base / SEGMENT), 0));
    }
    let report = Report { how, end: tail, torn, truncated, holes: holes.len() as u64 };
    Ok((report, read(&damaged, meta.start, tail, &holes)))
}

/// Reading from `start` to `end`: the records that stand there, and the first that does not.
fn read(damaged: &Damaged<'_>, start: u64, end: u64, holes: &[(u64, u64)]) -> Reading {
    let mut lsns = Vec::new();
    let mut head: Option<Head> = None;
    let mut at = start;
    while at < end {
        if let Some((_, next)) = holes.iter().find(|(from, _)| *from == at) {
            at = *next;
            continue;
        }
        let base = at - at % SEGMENT;
        if head.as_ref().is_none_or(|head| head.base != base) {
            let name = segment_name(base / SEGMENT);
            head = match evidence::head(damaged.sample, damaged.files, base) {
                Some(Ok(head)) => Some(head),
                Some(Err(offset)) => {
                    return Reading { lsns, error: Some(Place::file(&name, offset)) };
                }
                None => return Reading { lsns, error: Some(Place::missing(base)) },
            };
        }
        let elements = &damaged.sample.elements;
        let found = elements.binary_search_by_key(&at, |element| element.lsn).map(|index| &elements[index]);
        match found {
            Ok(element) if damaged.valid(element, head.as_ref().unwrap()) => {
                if element.payload.is_some() {
                    lsns.push(at);
                }
                at = element.end;
            }
            _ => return Reading { lsns, error: Some(Place::frame(at)) },
        }
    }
    Reading { lsns, error: None }
}

/// What `LogReader::open` and a snapshot must give: the published log, as far as nothing is in its way.
pub(crate) fn looking(sample: &Sample, files: &Files) -> Result<Reading, Place> {
    let meta = evidence::meta(sample, files).ok_or_else(|| Place::file("log.meta", 0))?;
    let live: Vec<u64> = bases(files).into_iter().filter(|base| *base >= meta.start).collect();
    let mut from = meta.start;
    for base in live.iter().rev() {
        let head = evidence::head(sample, files, *base).unwrap();
        let head = head.map_err(|offset| Place::file(&segment_name(base / SEGMENT), offset))?;
        // What was durable was published.
        let durable = head.mark.map(|mark| mark.end).max(head.hint);
        if let Some(end) = durable {
            from = end;
            break;
        }
    }
    let start = live.first().copied().unwrap_or(meta.start).min(from);
    // From there on the words tell how far it is published.
    let damaged = Damaged::new(sample, files);
    let mut end = from.max(live.first().copied().unwrap_or(0));
    let mut base = u64::MAX;
    while live.contains(&(end - end % SEGMENT)) && contiguous(&live, end) {
        if base != end - end % SEGMENT {
            base = end - end % SEGMENT;
            let head = evidence::head(sample, files, base).unwrap();
            head.map_err(|offset| Place::file(&segment_name(base / SEGMENT), offset))?;
        }
        match parse(damaged.word(end)) {
            Word::Unwritten | Word::Claimed(_) => break,
            Word::Frame(bytes) if bytes <= base + SEGMENT - end => end += bytes,
            _ => return Err(Place::frame(end)),
        }
    }
    Ok(read(&damaged, start, end, &[]))
}

/// True when no segment is missing from the first one to that of `lsn`.
fn contiguous(live: &[u64], lsn: u64) -> bool {
    (live[0]..=lsn - lsn % SEGMENT).step_by(SEGMENT as usize).all(|base| live.contains(&base))
}

/// Where the frames of a segment's file end.
pub(crate) const FILE_BYTES: u64 = HEADER + SEGMENT;
