//! What recovery is to do with damaged frames, by the table of `docs/DURABILITY.md`. A frame is valid here when its
//! bytes are those that were written: no checksum is computed.

use tidelog::TornTail;

use crate::evidence::Head;
use crate::sample::{Element, Files, Sample};
use crate::support::{HEADER, SEGMENT, segment_name};

/// What a header word says, by `docs/FORMAT.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Unwritten,
    Claimed(u64),
    Frame(u64),
    Invalid,
}

pub(crate) fn parse(word: u64) -> Word {
    let (length, kind, extra) = (word & 0xffff_ffff, word >> 32 & 0xff, word >> 40);
    let plain = extra == 0 && length != 0 && length % 8 == 0;
    match kind {
        0 if word == 0 => Word::Unwritten,
        1 if plain => Word::Claimed(length),
        2 if plain => Word::Frame(length),
        3..=6 => Word::Frame((length + 16).next_multiple_of(8)),
        _ => Word::Invalid,
    }
}

/// A segment's file as it is, as it was, and the openings that it was written under.
struct Pair<'a> {
    is: &'a [u8],
    was: &'a [u8],
    openings: Vec<(u64, &'a [u8; 64])>,
}

/// A log with damage.
pub(crate) struct Damaged<'a> {
    pub(crate) sample: &'a Sample,
    pub(crate) files: &'a Files,
    pairs: Vec<Option<Pair<'a>>>,
}

impl<'a> Damaged<'a> {
    pub(crate) fn new(sample: &'a Sample, files: &'a Files) -> Self {
        let pair = |number: u64| {
            let name = segment_name(number);
            let (is, was) = (files.get(&name)?, sample.files.get(&name)?);
            let entries = was[2048..4032].chunks_exact(64).map(|entry| entry.try_into().unwrap());
            let entries = entries.filter(|entry: &&[u8; 64]| entry.iter().any(|byte| *byte != 0));
            let openings =
                entries.map(|entry| (u64::from_le_bytes(entry[..8].try_into().unwrap()), entry)).collect();
            Some(Pair { is, was, openings })
        };
        let shape = sample.shape;
        let pairs = (shape.retired..shape.retired + shape.segments).map(pair).collect();
        Self { sample, files, pairs }
    }

    fn pair(&self, lsn: u64) -> Option<&Pair<'a>> {
        let index = (lsn / SEGMENT).checked_sub(self.sample.shape.retired)?;
        self.pairs.get(index as usize)?.as_ref()
    }

    /// The bytes of a segment from `lsn` on, as they are.
    fn rest(&self, lsn: u64) -> &[u8] {
        let all = self.pair(lsn).map_or(&[][..], |pair| pair.is);
        let end = all.len().min((HEADER + SEGMENT) as usize);
        all.get((HEADER + lsn % SEGMENT) as usize..end).unwrap_or_default()
    }

    pub(crate) fn word(&self, lsn: u64) -> u64 {
        self.rest(lsn).get(..8).map_or(0, |word| u64::from_le_bytes(word.try_into().unwrap()))
    }

    /// True when the frame reads back as it was written, and its opening's entry is the one it was written under.
    pub(crate) fn valid(&self, element: &Element, head: &Head) -> bool {
        let Some(pair) = self.pair(element.lsn) else { return false };
        let at = (HEADER + element.lsn % SEGMENT) as usize;
        let range = at..at + element.meaningful as usize;
        let under = pair.openings.iter().rev().find(|(start, _)| *start <= element.lsn);
        pair.is.get(range.clone()) == Some(&pair.was[range])
            && (element.meaningful == 8 || head.governs(element.lsn) == under.map(|(_, entry)| *entry))
    }

    /// The first word that is not zero from `lsn` on, in its segment.
    fn next_nonzero(&self, lsn: u64) -> Option<u64> {
        let found = self.rest(lsn).iter().position(|byte| *byte != 0)?;
        Some((lsn + found as u64) & !7)
    }

    /// How many bytes of a segment are written, from `lsn` on.
    fn written(&self, lsn: u64) -> u64 {
        let last = self.rest(lsn).iter().rposition(|byte| *byte != 0);
        last.map_or(0, |last| (last as u64 / 8 + 1) * 8)
    }
}

/// How it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// What is kept ends here; without the ranges that became padding.
    Kept { tail: u64, torn: Option<TornTail>, truncated: u64, holes: Vec<(u64, u64)> },
    /// Corrupt, at this place.
    Corrupt { lsn: u64 },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    Clean,
    Hole,
    Bad,
}

/// Walks the segments of `heads` from `from` on and decides; `proven` is what the headers prove.
pub(crate) fn decide(damaged: &Damaged<'_>, heads: &[Head], from: u64, mut proven: u64) -> Verdict {
    let shape = damaged.sample.shape;
    let same_boot = !shape.another_boot;
    let elements = &damaged.sample.elements;
    let limit = heads.last().unwrap().end();
    let head_at = |lsn: u64| heads.iter().find(|head| head.base <= lsn && lsn < head.end()).unwrap();
    let at_lsn = |lsn: u64| elements.binary_search_by_key(&lsn, |element| element.lsn).ok();
    let intact = |element: &Element| {
        element.lsn >= heads[0].base && element.lsn < limit && damaged.valid(element, head_at(element.lsn))
    };
    let lag = |element: &Element| {
        let first = element.payload.is_some() && element.lsn == element.unit.0;
        let lag = element.lsn.saturating_sub(element.durable_before).div_ceil(4096) * 4096;
        if first { element.lsn.saturating_sub(lag) } else { 0 }
    };
    let room = |lsn: u64| head_at(lsn).end() - lsn;
    let mut tail = from;
    let mut holes = Vec::new();
    loop {
        // As far as all is well.
        let stop = loop {
            if tail >= limit {
                break Stop::Clean;
            }
            let complete = head_at(tail).mark.is_some_and(|mark| mark.end == head_at(tail).end());
            if tail == head_at(tail).base && complete {
                tail += SEGMENT;
                continue;
            }
            match at_lsn(tail) {
                Some(index) if intact(&elements[index]) && elements[index].unit.0 == tail => {
                    let unit = elements[index].unit;
                    let parts = elements[index..].iter().take_while(|part| part.lsn < unit.1);
                    if !parts.clone().all(intact) {
                        break Stop::Bad;
                    }
                    proven = proven.max(lag(&elements[index]));
                    tail = unit.1;
                }
                _ => match parse(damaged.word(tail)) {
                    Word::Unwritten => {
                        let later = heads.iter().filter(|head| head.end() > tail);
                        let nothing = later.clone().all(|head| damaged.written(head.base.max(tail)) == 0);
                        break if nothing { Stop::Clean } else { Stop::Hole };
                    }
                    Word::Claimed(bytes) if bytes <= room(tail) => break Stop::Hole,
                    _ => break Stop::Bad,
                },
            }
        };
        let (mut stop, mut at, mut follows) = (stop, tail, None);
        if stop == Stop::Hole && same_boot {
            // Over zeros and claims, to the first word that is something else.
            let mut claims = false;
            stop = loop {
                if at >= limit {
                    break if claims { Stop::Hole } else { Stop::Clean };
                }
                if at_lsn(at).is_some_and(|index| intact(&elements[index])) {
                    follows = Some(at);
                    break Stop::Hole;
                }
                match parse(damaged.word(at)) {
                    Word::Unwritten => at = damaged.next_nonzero(at).unwrap_or(head_at(at).end()),
                    Word::Claimed(bytes) if bytes <= room(at) => {
                        claims = true;
                        at += bytes;
                    }
                    _ => break Stop::Bad,
                }
            };
        }
        if stop == Stop::Bad || (stop == Stop::Hole && !same_boot) {
            let found = elements.iter().filter(|e| e.lsn > at && e.payload.is_some() && intact(e));
            proven = proven.max(found.clone().map(lag).max().unwrap_or(0));
            follows = found.map(|element| element.lsn).next();
        }
        if stop == Stop::Hole && !(same_boot && follows.is_some()) {
            at = tail;
        }
        let below = tail < proven;
        let cut = |stop: Stop| {
            let later = heads.iter().filter(|head| head.end() > tail);
            let truncated = later.map(|head| damaged.written(head.base.max(tail))).sum();
            let torn = if stop == Stop::Bad { TornTail::Damaged } else { TornTail::Unpublished };
            Verdict::Kept { tail, torn: Some(torn), truncated, holes: holes.clone() }
        };
        match (stop, below, same_boot, follows) {
            // A hole is named by where it begins, a bad frame by where it stands.
            (Stop::Bad, true, ..) => return Verdict::Corrupt { lsn: at },
            (_, true, ..) => return Verdict::Corrupt { lsn: tail },
            (Stop::Clean, ..) => return Verdict::Kept { tail, torn: None, truncated: 0, holes },
            (Stop::Hole, _, true, Some(next)) => {
                holes.push((tail, next));
                tail = next;
            }
            (Stop::Bad, _, true, Some(_)) if !shape.acks_durable => return Verdict::Corrupt { lsn: at },
            _ => return cut(stop),
        }
    }
}

/// Names of the segments that are there, by their base.
pub(crate) fn bases(files: &Files) -> Vec<u64> {
    let names = files.keys().filter_map(|name| name.strip_suffix(".seg"));
    let mut bases: Vec<u64> = names.map(|digits| digits.parse().unwrap()).collect();
    bases.sort_unstable();
    bases.retain(|base| files.contains_key(&segment_name(base / SEGMENT)));
    bases
}
