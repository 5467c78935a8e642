//! A log's directory with whatever an input makes of it.

use arbitrary::Arbitrary;

use crate::forge::{self, SEGMENT, Session};
use crate::format::{HEADER, Opening, governing, put, u64_at};
use crate::golden::{self, Files};

/// One change to the files. Most choose a file by its place in the directory, and make checksums that hold.
#[derive(Arbitrary, Clone, Debug)]
pub enum Change {
    Bytes {
        file: u8,
        at: u32,
        bytes: Vec<u8>,
    },
    Flip {
        file: u8,
        at: u32,
        mask: u8,
    },
    Sector {
        from: u8,
        sector: u8,
        to: u8,
        place: u8,
    },
    Zeros {
        file: u8,
        from: u16,
        to: u16,
    },
    Length {
        file: u8,
        length: u32,
    },
    Remove {
        file: u8,
    },
    Rename {
        file: u8,
        to: Name,
    },
    Copy {
        file: u8,
        to: Name,
    },
    Session {
        file: u8,
        slot: u8,
        start: Position,
        number: u32,
        nonce: u8,
        crc64: bool,
        acks: bool,
        boot: bool,
    },
    Identity {
        file: u8,
        number: Number,
        segment_bytes: u8,
    },
    Mark {
        file: u8,
        end: Position,
        durable: bool,
        boot: bool,
    },
    Hint {
        file: u8,
        offset: u32,
    },
    Meta {
        slot: bool,
        start: Number,
        proven: Position,
        generation: u8,
        segment_bytes: u8,
    },
    Frame {
        file: u8,
        at: u16,
        kind: u8,
        extra: u32,
        payload: Vec<u8>,
        times: u8,
    },
    Claim {
        file: u8,
        at: u16,
        bytes: u16,
    },
    Poisoned,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Name {
    Segment(Number),
    Base(u64),
    Spare(u8),
    Temporary(u8),
    Meta,
    Other(u8),
}

/// A segment's number: near, or at the end of what fits.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Number {
    Near(u8),
    Far(u8),
    Any(u64),
}

/// A position in the log.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Position {
    Near(u32),
    Any(u64),
}

impl Number {
    fn get(self) -> u64 {
        match self {
            Self::Near(number) => u64::from(number % 8),
            Self::Far(less) => (1 << (48 - less % 4)) - 1 - u64::from(less / 4),
            Self::Any(number) => number,
        }
    }
}

impl Position {
    fn get(self) -> u64 {
        match self {
            Self::Near(position) => u64::from(position % (1 << 19)),
            Self::Any(position) => position,
        }
    }
}

impl Name {
    fn get(self) -> String {
        match self {
            Self::Segment(number) => format!("{:020}.seg", number.get().wrapping_mul(SEGMENT)),
            Self::Base(base) => format!("{base:020}.seg"),
            Self::Spare(number) => format!("{number:020}.spare"),
            Self::Temporary(number) => format!("{number:020}.seg.tmp"),
            Self::Meta => "log.meta".to_owned(),
            Self::Other(number) => format!("notes-{number}"),
        }
    }
}

/// What an input begins with, and what it makes of that.
#[derive(Arbitrary, Clone, Debug)]
pub struct Hostile {
    log: u8,
    same_boot: bool,
    changes: Vec<Change>,
}

/// The boot that this process runs in.
pub fn boot() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    std::array::from_fn(|at| digits[2 * at] << 4 | digits[2 * at + 1])
}

/// The openings that a segment's header tells of, as far as their checksums hold.
pub fn openings(file: &[u8]) -> Vec<Opening> {
    let entries = file.get(2048..4032).unwrap_or_default().chunks_exact(64);
    let valid = entries.filter(|e| crate::format::crc64(&e[..56]) == u64_at(e, 56) && matches!(e[12], 1 | 2));
    valid.map(|e| Opening { start: u64_at(e, 0), nonce: u64_at(e, 16), crc64: e[12] == 2 }).collect()
}

pub fn base(name: &str) -> Option<u64> {
    name.strip_suffix(".seg")?.parse().ok()
}

impl Hostile {
    pub fn files(&self) -> Files {
        let (here, other) = (boot(), [0xb0; 16]);
        let boot = if self.same_boot { here } else { other };
        let id: [u8; 16];
        let mut files = match self.log % 4 {
            index @ 0..2 => {
                let files = golden::logs()[usize::from(index)].clone();
                id = files["log.meta"][16..32].try_into().unwrap();
                files
            }
            index => {
                id = *b"the log's own id";
                forge::three_segments(&id, boot, index == 3)
            }
        };
        for change in self.changes.iter().take(24) {
            apply(change, &mut files, &id, here, other);
        }
        files
    }
}

fn apply(change: &Change, files: &mut Files, id: &[u8; 16], here: [u8; 16], other: [u8; 16]) {
    let names: Vec<String> = files.keys().cloned().collect();
    if names.is_empty() {
        return;
    }
    let name = |index: u8| names[usize::from(index) % names.len()].clone();
    let number = |name: &str| base(name).unwrap_or(0) / SEGMENT;
    let boot = |same: bool| if same { here } else { other };
    match change {
        Change::Bytes { file, at, bytes } => {
            let file = files.get_mut(&name(*file)).unwrap();
            let at = *at as usize % (file.len() + 1);
            put(file, at, bytes);
        }
        Change::Flip { file, at, mask } => {
            let file = files.get_mut(&name(*file)).unwrap();
            let len = file.len().max(1);
            file.iter_mut().skip(*at as usize % len).take(1).for_each(|byte| *byte ^= mask);
        }
        Change::Sector { from, sector, to, place } => {
            let from = &files[&name(*from)];
            let at = usize::from(*sector) * 512;
            let bytes = from.get(at..at + 512).unwrap_or(&[0; 512]).to_vec();
            put(files.get_mut(&name(*to)).unwrap(), usize::from(*place) * 512, &bytes);
        }
        Change::Zeros { file, from, to } => {
            let file = files.get_mut(&name(*file)).unwrap();
            let (from, to) = (usize::from(*from) * 2, usize::from(*to) * 2);
            file.iter_mut().take(to).skip(from).for_each(|byte| *byte = 0);
        }
        Change::Length { file, length } => {
            files.get_mut(&name(*file)).unwrap().resize(*length as usize % (1 << 18), 0);
        }
        Change::Remove { file } => drop(files.remove(&name(*file))),
        Change::Rename { file, to } => {
            let bytes = files.remove(&name(*file)).unwrap();
            files.insert(to.get(), bytes);
        }
        Change::Copy { file, to } => {
            let bytes = files[&name(*file)].clone();
            files.insert(to.get(), bytes);
        }
        Change::Session { file, slot, start, number, nonce, crc64, acks, boot: same } => {
            let opening = Opening { start: start.get(), nonce: u64::from(*nonce), crc64: *crc64 };
            let entry = Session { opening, number: *number, acks_durable: *acks, boot: boot(*same) };
            let at = 2048 + usize::from(*slot % 32) * 64;
            put(files.get_mut(&name(*file)).unwrap(), at, &forge::session(&entry));
        }
        Change::Identity { file, number, segment_bytes } => {
            let bytes = 1_u64 << (segment_bytes % 64);
            let number = number.get();
            let page = forge::identity(id, number, number.saturating_mul(bytes), bytes);
            put(files.get_mut(&name(*file)).unwrap(), 0, &page);
        }
        Change::Mark { file, end, durable, boot: same } => {
            let name = name(*file);
            let mark = forge::mark(id, number(&name), end.get(), *durable, &boot(*same));
            put(files.get_mut(&name).unwrap(), 512, &mark);
        }
        Change::Hint { file, offset } => {
            let name = name(*file);
            put(files.get_mut(&name).unwrap(), 1024, &forge::hint(id, number(&name), *offset % (1 << 18)));
        }
        Change::Meta { slot, start, proven, generation, segment_bytes } => {
            // Mostly of the size that the files have.
            let bytes = if segment_bytes % 4 == 0 { 1_u64 << (segment_bytes % 64) } else { SEGMENT };
            let start = start.get().wrapping_mul(bytes);
            let slot_bytes = forge::meta(id, bytes, start, u64::from(*generation), proven.get());
            if let Some(file) = files.get_mut("log.meta") {
                put(file, if *slot { 4096 } else { 0 }, &slot_bytes);
            }
        }
        Change::Frame { file, at, kind, extra, payload, times } => {
            let name = name(*file);
            let offset = u64::from(*at) * 8 % SEGMENT;
            let lsn = base(&name).unwrap_or(0).wrapping_add(offset);
            let known = openings(&files[&name]);
            if !known.is_empty() {
                let opening = governing(&known, lsn);
                let payload = payload.repeat(usize::from(*times % 32) + 1);
                let frame = forge::frame(id, &opening, lsn, 2 + kind % 5, extra & 0xff_ffff, &payload);
                put(files.get_mut(&name).unwrap(), HEADER + offset as usize, &frame);
            }
        }
        Change::Claim { file, at, bytes } => {
            let word = crate::format::word(1, u32::from(*bytes) & !7, 0).to_le_bytes();
            let at = HEADER + usize::from(*at) * 8 % SEGMENT as usize;
            put(files.get_mut(&name(*file)).unwrap(), at, &word);
        }
        Change::Poisoned => {
            let boot: String = here.iter().map(|byte| format!("{byte:02x}")).collect();
            files.insert("log.lock".to_owned(), format!("pid 1 boot {boot} poisoned").into_bytes());
        }
    }
}
