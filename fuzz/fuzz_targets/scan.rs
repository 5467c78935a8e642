//! Hostile bytes through the one scanner: at every offset it must say what a second reading of the format says.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tidelog::Checksum;
use tidelog::testing::{Probe, Standing};
use tidelog_fuzz::format::{Opening, Stands, checksum, governing, judge, put, word};

const ID: [u8; 16] = *b"the log's own id";

#[derive(Arbitrary, Debug)]
struct Input {
    number: u16,
    /// In units of 64 bytes.
    size: u8,
    openings: Vec<(u16, u8, bool)>,
    pieces: Vec<Piece>,
    /// Changes to what the pieces made.
    flips: Vec<(u16, u8)>,
    words: Vec<(u16, u8, u32, u8)>,
}

#[derive(Arbitrary, Debug)]
enum Piece {
    /// A frame whose checksum holds, for its place.
    Frame {
        kind: u8,
        extra: u16,
        len: u8,
        times: u8,
        fill: u8,
    },
    /// Padding or a claim of so many words.
    Room {
        kind: u8,
        words: u8,
    },
    Zeros(u8),
    Raw(Vec<u8>),
}

fuzz_target!(|input: Input| {
    let size = (usize::from(input.size) + 1) * 64;
    let base = u64::from(input.number) * size as u64;
    let mut openings = vec![Opening { start: base, nonce: 1, crc64: input.number % 2 == 1 }];
    for (start, nonce, crc64) in input.openings.iter().take(31) {
        let start = (base + u64::from(*start) * 8).max(openings.last().unwrap().start);
        openings.push(Opening { start, nonce: u64::from(*nonce), crc64: *crc64 });
    }
    let mut frames = vec![0; size];
    let mut at = 0;
    for piece in &input.pieces {
        let lsn = base + at as u64;
        let opening = governing(&openings, lsn);
        let mut store = |kind: u8, length: u32, extra: u32, payload: &[u8]| {
            let word = word(kind, length, extra);
            put(&mut frames, at, &word.to_le_bytes());
            put(&mut frames, at + 8, &checksum(&ID, &opening, lsn, word, payload).to_le_bytes());
            put(&mut frames, at + 16, payload);
        };
        at += match piece {
            Piece::Frame { kind, extra, len, times, fill } => {
                let payload = vec![*fill; usize::from(*len) * usize::from(*times % 16 + 1)];
                store(3 + kind % 4, payload.len() as u32, u32::from(*extra), &payload);
                (payload.len() + 16).next_multiple_of(8)
            }
            Piece::Room { kind, words } => {
                store(1 + kind % 2, u32::from(*words) * 8, 0, &[]);
                usize::from((*words).max(1)) * 8
            }
            Piece::Zeros(words) => usize::from(*words) * 8,
            Piece::Raw(bytes) => {
                put(&mut frames, at, bytes);
                bytes.len().next_multiple_of(8)
            }
        };
        if at >= size {
            break;
        }
    }
    for (place, mask) in &input.flips {
        frames[usize::from(*place) % size] ^= mask;
    }
    for (place, kind, length, extra) in &input.words {
        let place = usize::from(*place) % (size / 8) * 8;
        put(&mut frames, place, &word(*kind, *length, u32::from(*extra)).to_le_bytes());
    }
    let known: Vec<_> = openings
        .iter()
        .map(|o| (o.start, o.nonce, if o.crc64 { Checksum::Crc64 } else { Checksum::Crc32c }))
        .collect();
    let probe = Probe::new(ID, u64::from(input.number), &known, &frames);
    let stands = |offset: u64| match probe.examine(offset) {
        Standing::End => Stands::End,
        Standing::Unwritten => Stands::Unwritten,
        Standing::Claimed { next } => Stands::Claimed { next },
        Standing::Padding { next } => Stands::Padding { next },
        Standing::Record { kind, length, extra } => Stands::Record { kind, length, extra },
        Standing::Bad => Stands::Bad,
    };
    for offset in (0..=size as u64 + 8).step_by(8) {
        assert_eq!(stands(offset), judge(&ID, &openings, base, &frames, offset), "at {offset}");
    }
    // A walk ends, and never goes back.
    let mut at = 0;
    loop {
        let next = match stands(at) {
            Stands::Claimed { next } | Stands::Padding { next } => next,
            Stands::Record { length, .. } => at + (length + 16).next_multiple_of(8),
            _ => break,
        };
        assert!(next > at && next <= size as u64 && next.is_multiple_of(8));
        at = next;
    }
});
