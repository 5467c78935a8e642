//! What the headers and the metadata of a damaged log still say. A field says something when it
//! reads as it was once written in that place. (The entries of the session tables are bound to no place; they are
//! checksummed.)

use crate::sample::{Files, Sample};
use crate::support::{HEADER, SEGMENT, crc64, segment_name};

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// The tail mark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) end: u64,
    pub(crate) durable: bool,
}

/// A header page.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) base: u64,
    pub(crate) mark: Option<Mark>,
    pub(crate) hint: Option<u64>,
    /// Start and bytes of each opening.
    pub(crate) openings: Vec<(u64, [u8; 64])>,
    pub(crate) torn_opening: bool,
}

impl Head {
    pub(crate) fn end(&self) -> u64 {
        self.base + SEGMENT
    }

    /// The opening that governs `lsn`.
    pub(crate) fn governs(&self, lsn: u64) -> Option<&[u8; 64]> {
        self.openings.iter().rev().find(|(start, _)| *start <= lsn).map(|(_, bytes)| bytes)
    }
}

/// The metadata in force.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meta {
    pub(crate) start: u64,
    pub(crate) proven: u64,
}

/// The states in which a file was seen, the last one first.
fn states<'a>(sample: &'a Sample, name: &'a str) -> impl Iterator<Item = &'a Vec<u8>> {
    [&sample.files].into_iter().chain(sample.older.iter().rev()).filter_map(move |files| files.get(name))
}

/// `log.meta`; `None` where nothing of it is left.
pub(crate) fn meta(sample: &Sample, files: &Files) -> Option<Meta> {
    let bytes = files.get("log.meta")?;
    let slot = |at: usize| {
        let slot = bytes.get(at..at + 128)?;
        let known = slot.starts_with(b"TIDEMETA")
            && states(sample, "log.meta").any(|state| state[0..128] == *slot || state[4096..4224] == *slot);
        known.then(|| (u64_at(slot, 48), Meta { start: u64_at(slot, 40), proven: u64_at(slot, 56) }))
    };
    let slots = [slot(0), slot(4096)];
    slots.into_iter().flatten().max_by_key(|(generation, _)| *generation).map(|(_, meta)| meta)
}

/// The header of a segment; `None` where the file is missing, `Err` where it is refused.
pub(crate) fn head(sample: &Sample, files: &Files, base: u64) -> Option<Result<Head, u64>> {
    let name = segment_name(base / SEGMENT);
    let bytes = files.get(&name)?;
    let all: Vec<&Vec<u8>> = states(sample, &name).collect();
    Some(decode(bytes, &all, base))
}

/// Refused at which offset in the file.
fn decode(bytes: &[u8], states: &[&Vec<u8>], base: u64) -> Result<Head, u64> {
    if bytes.len() < HEADER as usize {
        return Err(0);
    }
    let was = |from: usize, to: usize| states.iter().any(|state| state[from..to] == bytes[from..to]);
    if !was(0, 128) {
        return Err(0);
    }
    let mark = (was(512, 576) && bytes[512..576].iter().any(|byte| *byte != 0))
        .then(|| Mark { end: u64_at(bytes, 512), durable: u64_at(bytes, 520) != 0 });
    let hint =
        (was(1024, 1032) && u64_at(bytes, 1024) != 0).then(|| base + (u64_at(bytes, 1024) & 0xffff_ffff));
    let mut openings: Vec<(u64, [u8; 64])> = Vec::new();
    let (mut torn, mut gap) = (false, false);
    for at in (2048..4032).step_by(64) {
        let entry: [u8; 64] = bytes[at..at + 64].try_into().unwrap();
        if entry == [0; 64] {
            gap = true;
            continue;
        }
        // An entry is bound to nothing but its own bytes; the frames are bound to it.
        if crc64(&entry[..56]) != u64_at(&entry, 56) {
            torn = true;
        } else if torn
            || gap
            || u64_at(&entry, 0) > base + SEGMENT
            || openings.last().is_some_and(|(start, _)| u64_at(&entry, 0) < *start)
        {
            return Err(0);
        } else {
            openings.push((u64_at(&entry, 0), entry));
        }
    }
    if openings.first().is_none_or(|(start, _)| *start != base) {
        return Err(0);
    }
    if (bytes.len() as u64) < HEADER + SEGMENT {
        return Err(bytes.len() as u64);
    }
    Ok(Head { base, mark, hint, openings, torn_opening: torn })
}
