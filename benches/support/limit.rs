//! What replay could be at best: a bare loop over the same bytes that takes headers apart, computes checksums and compares
//! them, and keeps nothing else in mind.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

#[path = "../../src/format"]
mod format {
    #[allow(unused, clippy::all, reason = "the library's own, as it is")]
    pub(super) mod crc;
}

use format::crc::crc32c;

/// How far ahead the loop asks for bytes; without that it is much slower.
pub const AHEAD: usize = 2048;

const HEADER_BYTES: usize = 4096;
const AT_LOG_ID: usize = 16;
const AT_BASE: usize = 40;
const AT_NONCE: usize = 2048 + 16;

/// The frames of a segment, written by one opening.
pub struct Frames {
    map: Mmap,
    base: u64,
    seed: u64,
    bytes: usize,
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

impl Frames {
    /// Maps every segment in `directory`, up to `end`.
    pub fn of(directory: &Path, end: u64) -> Vec<Self> {
        let paths = std::fs::read_dir(directory).expect("list").map(|entry| entry.expect("list").path());
        let mut all: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
            .map(|path| Self::map(&path, end))
            .filter(|frames| frames.bytes > 0)
            .collect();
        all.sort_by_key(|frames| frames.base);
        all
    }

    #[allow(unsafe_code)]
    fn map(path: &Path, end: u64) -> Self {
        let file = File::open(path).expect("open");
        // SAFETY: what is looked at was published, and nobody writes to it any more.
        let map = unsafe { Mmap::map(&file) }.expect("map");
        let base = word(&map, AT_BASE);
        let (low, high) = (word(&map, AT_LOG_ID), word(&map, AT_LOG_ID + 8));
        let seed = mix(low ^ mix(high ^ mix(word(&map, AT_NONCE))));
        let bytes = (end.saturating_sub(base) as usize).min(map.len() - HEADER_BYTES);
        Self { map, base, seed, bytes }
    }

    /// Goes through the records and gives the bytes of their payloads.
    pub fn read(&self) -> usize {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("sse4.2") {
            // SAFETY: the processor has SSE4.2.
            #[allow(unsafe_code)]
            return unsafe { x86::read(self) };
        }
        self.read_by(crc32c, |_| ())
    }

    #[inline(always)]
    fn read_by(&self, crc32c: impl Fn(&[u8]) -> u32, prefetch: impl Fn(*const u8)) -> usize {
        let frames = &self.map[HEADER_BYTES..];
        let (mut at, mut read) = (0, 0);
        while at < self.bytes {
            let header = word(frames, at);
            let len = (header & 0xffff_ffff) as usize;
            let next = at + ((len + 16 + 7) & !7);
            match (header >> 32) & 0xff {
                3..=6 => {
                    let mut line = (at | 63) + 1;
                    while line <= next {
                        prefetch(frames.as_ptr().wrapping_add(line + AHEAD));
                        line += 64;
                    }
                    let mask = mix(header ^ mix(self.seed ^ mix(self.base + at as u64)));
                    let (stored, payload) = frames[at + 8..at + 16 + len].split_at(8);
                    let (stored, crc) = (word(stored, 0), crc32c(payload));
                    assert_eq!(stored ^ mask, u64::from(crc), "a checksum");
                    read += len;
                    at = next;
                }
                2 => at += len,
                kind => panic!("kind {kind} at {at}"),
            }
        }
        read
    }
}

/// All in one function for processors with the instruction, so that nothing is called for a small record.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86 {
    use core::arch::x86_64::{_MM_HINT_T0, _mm_crc32_u8, _mm_crc32_u64, _mm_prefetch};

    use super::Frames;

    #[inline]
    #[target_feature(enable = "sse4.2")]
    fn crc32c(bytes: &[u8]) -> u32 {
        if bytes.len() >= 128 {
            return super::crc32c(bytes);
        }
        let (words, rest) = bytes.as_chunks();
        let mut state = u64::from(u32::MAX);
        for word in words {
            state = _mm_crc32_u64(state, u64::from_le_bytes(*word));
        }
        let mut state = state as u32;
        for byte in rest {
            state = _mm_crc32_u8(state, *byte);
        }
        !state
    }

    #[target_feature(enable = "sse4.2")]
    pub fn read(frames: &Frames) -> usize {
        frames.read_by(|bytes| crc32c(bytes), |at| _mm_prefetch::<_MM_HINT_T0>(at.cast()))
    }
}
