//! The format, written down a second time from `docs/FORMAT.md`: what is found is judged by this, and what is forged is
//! made with it.

pub const HEADER: usize = 4096;

/// How frames are checked from a place on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    pub start: u64,
    pub nonce: u64,
    pub crc64: bool,
}

pub fn crc64(bytes: &[u8]) -> u64 {
    let mut digest = crc64fast::Digest::new();
    digest.write(bytes);
    digest.sum64()
}

pub fn mix(mut x: u64) -> u64 {
    x ^= x >> 30;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 27;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

pub fn seed(id: &[u8; 16], n: u64) -> u64 {
    mix(u64_at(id, 0) ^ mix(u64_at(id, 8) ^ mix(n)))
}

/// The checksum of a frame; padding has an empty payload.
pub fn checksum(id: &[u8; 16], opening: &Opening, lsn: u64, word: u64, payload: &[u8]) -> u64 {
    let crc = if opening.crc64 { crc64(payload) } else { u64::from(crc32c::crc32c(payload)) };
    crc ^ mix(word ^ mix(seed(id, opening.nonce) ^ mix(lsn)))
}

pub fn word(kind: u8, length: u32, extra: u32) -> u64 {
    u64::from(length) | u64::from(kind) << 32 | u64::from(extra) << 40
}

/// The last opening that begins at or before `lsn`.
pub fn governing(openings: &[Opening], lsn: u64) -> Opening {
    *openings.iter().rev().find(|opening| opening.start <= lsn).unwrap_or(&openings[0])
}

/// What stands at an offset of a segment's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    End,
    Unwritten,
    Claimed { next: u64 },
    Padding { next: u64 },
    Record { kind: u8, length: u64, extra: u64 },
    Bad,
}

/// Judges the frame at `offset`; `base` is the LSN of the first.
pub fn judge(id: &[u8; 16], openings: &[Opening], base: u64, frames: &[u8], offset: u64) -> Stands {
    let size = frames.len() as u64;
    if offset >= size {
        return Stands::End;
    }
    let room = size - offset;
    let at = offset as usize;
    let word = u64_at(frames, at);
    let (length, kind, extra) = (word & 0xffff_ffff, (word >> 32 & 0xff) as u8, word >> 40);
    let opening = governing(openings, base + offset);
    let holds =
        |payload: &[u8]| u64_at(frames, at + 8) == checksum(id, &opening, base + offset, word, payload);
    match kind {
        0 if word == 0 => Stands::Unwritten,
        1 | 2 if extra != 0 || length == 0 || length % 8 != 0 || length > room => Stands::Bad,
        1 => Stands::Claimed { next: offset + length },
        2 if length == 8 && (offset == 0 || room == 8) => Stands::Padding { next: offset + 8 },
        2 if length > 8 && holds(&[]) => Stands::Padding { next: offset + length },
        3..=6 => {
            let bytes = (length + 16).next_multiple_of(8);
            let fits = bytes <= room && bytes <= (size / 4).min(128 << 20);
            if fits && holds(&frames[at + 16..at + 16 + length as usize]) {
                Stands::Record { kind, length, extra }
            } else {
                Stands::Bad
            }
        }
        _ => Stands::Bad,
    }
}

pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Stores as much of `bytes` as there is room for.
pub fn put(target: &mut [u8], at: usize, bytes: &[u8]) {
    let at = at.min(target.len());
    let len = bytes.len().min(target.len() - at);
    target[at..at + len].copy_from_slice(&bytes[..len]);
}
