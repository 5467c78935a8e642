use super::*;
use crate::format::bytes::{put, u64_at};
use crate::format::header::{Identity, Session};

const SEGMENT: u64 = 1 << 16;
const BASE: u64 = 3 * SEGMENT;
const SECOND: u64 = 4096;
const LARGEST: u64 = claim_max(SEGMENT) - FRAME_HEADER_BYTES;

/// A segment in memory that counts what is asked of it.
struct Image {
    bytes: Vec<u8>,
    verifiers: Verifiers,
    checksum: Checksum,
    read: u64,
}

impl Source for Image {
    fn word(&mut self, offset: u64) -> io::Result<u64> {
        assert!(offset.is_multiple_of(8) && offset < SEGMENT, "no word at {offset}");
        Ok(u64_at(&self.bytes, offset as usize))
    }

    fn bytes(&mut self, offset: u64, len: u64) -> io::Result<&[u8]> {
        assert!(offset + len <= SEGMENT, "{len} bytes at {offset} are not in the segment");
        self.read += len;
        Ok(&self.bytes[offset as usize..(offset + len) as usize])
    }
}

impl Image {
    /// Two openings wrote to it: the second from `SECOND` on.
    fn new(checksum: Checksum) -> Self {
        let identity = Identity { log_id: [5; 16], number: 3, segment_bytes: SEGMENT };
        let first = Session {
            start: BASE,
            number: 1,
            checksum,
            acks_durable: false,
            nonce: 77,
            boot: [1; 16],
            opened_unix_ns: 0,
        };
        let second = Session { start: BASE + SECOND, nonce: 78, ..first };
        let verifiers = Verifiers::new(&identity, &[first, second]);
        Self { bytes: vec![0; SEGMENT as usize], verifiers, checksum, read: 0 }
    }

    /// Writes a frame of the opening that its place belongs to.
    fn put(&mut self, offset: u64, word: u64, payload: &[u8]) {
        self.put_by(self.verifiers.at(BASE + offset).seed, offset, word, payload);
    }

    fn put_by(&mut self, seed: u64, offset: u64, word: u64, payload: &[u8]) {
        let stored = crc(self.checksum, payload) ^ mask(seed, BASE + offset, word);
        put(&mut self.bytes, offset as usize, &word.to_le_bytes());
        put(&mut self.bytes, offset as usize + 8, &stored.to_le_bytes());
        put(&mut self.bytes, offset as usize + 16, payload);
    }

    fn look(&mut self, offset: u64) -> Found {
        let verifiers = self.verifiers.clone();
        let layout = Layout { base: BASE, segment_bytes: SEGMENT, verifiers: &verifiers };
        examine(self, layout, offset).unwrap()
    }

    fn assert_damaged(&mut self, offset: u64, expected: Damage) {
        match self.look(offset) {
            Found::Bad(damage) => assert_eq!(damage, expected, "at {offset}"),
            other => panic!("{other:?} at {offset}"),
        }
    }
}

fn both() -> [Image; 2] {
    [Image::new(Checksum::Crc32c), Image::new(Checksum::Crc64)]
}

#[test]
fn nothing_and_the_end() {
    for mut image in both() {
        for offset in [0, 8, SEGMENT - 8] {
            assert!(matches!(image.look(offset), Found::Unwritten), "at {offset}");
        }
        for offset in [SEGMENT, SEGMENT + 8] {
            assert!(matches!(image.look(offset), Found::End), "at {offset}");
        }
    }
}

#[test]
fn records_are_found_up_to_the_last_byte_and_the_largest_claim() {
    for len in [0, 1, 7, 8, 9, 1000, LARGEST] {
        for offset in [0, 8, 4096, SEGMENT - frame_bytes(len)] {
            for mut image in both() {
                let payload: Vec<u8> = (0..len).map(|n| n as u8 | 1).collect();
                image.put(offset, frame::word(Kind::BatchFirst, len, 9), &payload);
                let Found::Record(found) = image.look(offset) else { panic!("{len} bytes at {offset}") };
                assert_eq!((found.kind, found.offset, found.payload_len), (Kind::BatchFirst, offset, len));
                assert_eq!((found.extra, found.payload_offset()), (9, offset + 16));
                assert_eq!(found.next(), offset + (len + 16).next_multiple_of(8));
                // Every byte but the filler's counts.
                for at in [0, 4, 5, 8, 15, 16, 15 + len].into_iter().filter(|at| *at < 16 + len) {
                    let at = (offset + at) as usize;
                    image.bytes[at] ^= 0x10;
                    assert!(!matches!(image.look(offset), Found::Record(_)), "{len} at {offset}: {at}");
                    image.bytes[at] ^= 0x10;
                }
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_a_damaged_word() {
    for mut image in both() {
        // One payload byte over the largest claim, and over the segment's end; nothing of it is read.
        for (offset, len) in [(0, LARGEST + 1), (SEGMENT - 64, 49), (SEGMENT - 8, 0), (SEGMENT - 16, 1)] {
            image.put(offset, frame::word(Kind::Record, len, 0), &[]);
            image.assert_damaged(offset, Damage::Word);
        }
        for kind in [Kind::Claimed, Kind::Padding] {
            for (offset, bytes) in [(0, SEGMENT + 8), (64, SEGMENT - 56), (SEGMENT - 8, 16)] {
                image.put(offset, frame::word(kind, bytes, 0), &[]);
                image.assert_damaged(offset, Damage::Word);
            }
        }
        image.put(512, 7, &[]);
        image.assert_damaged(512, Damage::Word);
        assert_eq!(image.read, 0);
    }
}

#[test]
fn claims_and_padding_reach_to_the_end() {
    for mut image in both() {
        for (offset, bytes) in [(0, SEGMENT), (64, SEGMENT - 64), (SEGMENT - 16, 16), (128, 16)] {
            image.put(offset, frame::word(Kind::Claimed, bytes, 0), &[]);
            assert!(matches!(image.look(offset), Found::Claimed { next } if next == offset + bytes));
            image.put(offset, frame::word(Kind::Padding, bytes, 0), &[]);
            assert!(matches!(image.look(offset), Found::Padding { next } if next == offset + bytes));
            image.bytes[offset as usize + 8] ^= 1;
            image.assert_damaged(offset, Damage::Checksum);
        }
    }
}

/// The word alone, which has no checksum, only where a claim across a segment's end leaves it.
#[test]
fn short_padding_stands_at_the_edges_only() {
    for mut image in both() {
        let word = frame::word(Kind::Padding, SHORT_PADDING_BYTES, 0);
        for offset in [0, SEGMENT - 8] {
            put(&mut image.bytes, offset as usize, &word.to_le_bytes());
            assert!(matches!(image.look(offset), Found::Padding { next } if next == offset + 8));
        }
        for offset in [8, 4096, SEGMENT - 16] {
            put(&mut image.bytes, offset as usize, &word.to_le_bytes());
            image.assert_damaged(offset, Damage::Checksum);
        }
        assert_eq!(image.read, 0);
    }
}

/// With CRC-32C a frame's header shows that it is none, without its payload.
#[test]
fn the_payload_of_what_is_no_frame_is_not_touched() {
    let [mut narrow, mut wide] = both();
    for image in [&mut narrow, &mut wide] {
        image.put(64, frame::word(Kind::Record, 1000, 0), &[3; 1000]);
        image.bytes[64 + 15] ^= 1;
        image.assert_damaged(64, Damage::Checksum);
    }
    assert_eq!((narrow.read, wide.read), (8, 1008));
    narrow.bytes[64 + 15] ^= 1;
    narrow.bytes[64 + 11] ^= 1;
    narrow.assert_damaged(64, Damage::Checksum);
    assert_eq!(narrow.read, 8 + 1008, "the lower half is the payload's");
}

#[test]
fn each_damage_has_its_words() {
    let words = [Damage::Word, Damage::Checksum, Damage::Batch].map(Damage::describe);
    for (word, part) in words.iter().zip(["header word", "checksum", "batch"]) {
        assert!(word.contains(part), "{word}");
    }
}

/// A frame counts where its opening wrote, and nowhere else.
#[test]
fn frames_are_checked_by_the_opening_of_their_place() {
    for mut image in both() {
        let seeds = [BASE, BASE + SECOND].map(|lsn| image.verifiers.at(lsn).seed);
        assert_ne!(seeds[0], seeds[1]);
        for (offset, own) in
            [(0, 0), (8, 0), (SECOND - 8, 0), (SECOND, 1), (SECOND + 8, 1), (SEGMENT - 32, 1)]
        {
            image.put_by(seeds[own], offset, frame::word(Kind::Record, 5, 0), b"known");
            assert!(matches!(image.look(offset), Found::Record(_)), "at {offset}");
            image.put_by(seeds[1 - own], offset, frame::word(Kind::Record, 5, 0), b"known");
            image.assert_damaged(offset, Damage::Checksum);
            image.put_by(seeds[own], offset, frame::word(Kind::Padding, 24, 0), b"");
            assert!(matches!(image.look(offset), Found::Padding { .. }), "at {offset}");
            image.put_by(seeds[1 - own], offset, frame::word(Kind::Padding, 24, 0), b"");
            image.assert_damaged(offset, Damage::Checksum);
        }
    }
}
