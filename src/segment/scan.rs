//! The one scanner: it tells what stands at an offset of a segment. Recovery, readers and the published
//! watermark all use it.
#![allow(unsafe_code, reason = "see the proof at each block; listed in lib.rs")]

use std::io;

use crate::format::checksum::{crc, mask};
use crate::format::frame::{self, Kind, Parsed, SHORT_PADDING_BYTES, frame_bytes};
use crate::format::verify::{Verifier, Verifiers};
use crate::limits::{FRAME_HEADER_BYTES, HEADER_BYTES, claim_max};
use crate::policy::Checksum;
use crate::storage::Body;

/// Why a frame was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// The header word is none that a writer stores, or tells a length that does not fit.
    Word,
    /// The checksum does not hold.
    Checksum,
    /// A batch lacks a part.
    Batch,
}

impl Damage {
    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Self::Word => "a frame's header word is damaged",
            Self::Checksum => "a frame's checksum does not hold",
            Self::Batch => "a batch is not whole",
        }
    }
}

/// A frame whose checksum holds. Offsets count from the segment's base.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) offset: u64,
    pub(crate) payload_len: u64,
    pub(crate) extra: u64,
}

impl Frame {
    /// Where the next frame begins.
    #[inline]
    pub(crate) const fn next(&self) -> u64 {
        self.offset + frame_bytes(self.payload_len)
    }

    /// Where the payload begins.
    #[inline]
    pub(crate) const fn payload_offset(&self) -> u64 {
        self.offset + FRAME_HEADER_BYTES
    }
}

/// What stands at an offset.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    /// The end of the segment.
    End,
    /// Nothing yet.
    Unwritten,
    /// A claim that is not published; `next` is where it ends.
    Claimed { next: u64 },
    /// Padding; `next` is where it ends.
    Padding { next: u64 },
    /// A record that verifies.
    Record(Frame),
    /// Bytes that are no valid frame.
    Bad(Damage),
}

/// Bytes of a segment, from a mapping or from a file. Offsets count from the segment's base.
pub(crate) trait Source {
    fn word(&mut self, offset: u64) -> io::Result<u64>;
    fn bytes(&mut self, offset: u64, len: u64) -> io::Result<&[u8]>;
}

/// What the scanner must know about the segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout<'a> {
    pub(crate) base: u64,
    pub(crate) segment_bytes: u64,
    pub(crate) verifiers: &'a Verifiers,
}

/// Tells what stands at `offset`, and verifies it.
#[inline]
pub(crate) fn examine(source: &mut impl Source, layout: Layout<'_>, offset: u64) -> io::Result<Found> {
    if offset >= layout.segment_bytes {
        return Ok(Found::End);
    }
    let room = layout.segment_bytes - offset;
    let word = source.word(offset)?;
    match frame::parse(word) {
        Parsed::Unwritten => Ok(Found::Unwritten),
        Parsed::Invalid => Ok(Found::Bad(Damage::Word)),
        Parsed::Claimed { bytes } if bytes <= room => Ok(Found::Claimed { next: offset + bytes }),
        Parsed::Padding { bytes } if bytes <= room => {
            let whole = if bytes == SHORT_PADDING_BYTES {
                // Only a claim that straddled a segment's end leaves so little: before the end, or behind it.
                room == SHORT_PADDING_BYTES || offset == 0
            } else {
                let verifier = layout.verifiers.at(layout.base + offset);
                checksum_holds(source, verifier, layout.base, offset, word, 0)?
            };
            Ok(if whole { Found::Padding { next: offset + bytes } } else { Found::Bad(Damage::Checksum) })
        }
        Parsed::Record { kind, payload_len, extra }
            if frame_bytes(payload_len) <= room.min(claim_max(layout.segment_bytes)) =>
        {
            let verifier = layout.verifiers.at(layout.base + offset);
            if checksum_holds(source, verifier, layout.base, offset, word, payload_len)? {
                Ok(Found::Record(Frame { kind, offset, payload_len, extra }))
            } else {
                Ok(Found::Bad(Damage::Checksum))
            }
        }
        Parsed::Claimed { .. } | Parsed::Padding { .. } | Parsed::Record { .. } => {
            Ok(Found::Bad(Damage::Word))
        }
    }
}

#[inline]
fn checksum_holds(
    source: &mut impl Source,
    verifier: Verifier,
    base: u64,
    offset: u64,
    word: u64,
    payload_len: u64,
) -> io::Result<bool> {
    let stored = source.bytes(offset + 8, 8)?;
    let stored = u64::from_le_bytes(stored.try_into().unwrap_or_default());
    let expected = stored ^ mask(verifier.seed, base + offset, word);
    // Half of a CRC-32C's field belongs to the header alone: a search through bytes that are no frames need not
    // touch what they call their payload.
    if verifier.checksum == Checksum::Crc32c && expected >> 32 != 0 {
        return Ok(false);
    }
    Ok(expected == crc(verifier.checksum, source.bytes(offset + 16, payload_len)?))
}

/// Proof that every frame below a position is published, so that no byte below it changes any more.
/// Minted by the frontier's walk and by recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Published(u64);

impl Published {
    /// The caller has seen the published words of all frames below `position`, or made them itself.
    pub(crate) const fn witnessed(position: u64) -> Self {
        Self(position)
    }

    #[inline]
    pub(crate) const fn position(self) -> u64 {
        self.0
    }
}

/// The frames of a mapped segment, for code that walks from boundary to boundary or stays below the
/// published watermark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapped<'a> {
    body: &'a Body,
    base: u64,
    segment_bytes: u64,
}

impl<'a> Mapped<'a> {
    /// Reads `segment`, which maps it if need be.
    pub(crate) fn new(segment: &'a super::Segment) -> crate::error::Result<Self> {
        Ok(Self {
            body: segment.body()?,
            base: segment.base(),
            segment_bytes: segment.identity().segment_bytes,
        })
    }

    /// What stands at `offset`: a frame boundary, or any place below the published watermark.
    #[inline]
    pub(crate) fn examine(&self, offset: u64) -> Found {
        let layout =
            Layout { base: self.base, segment_bytes: self.segment_bytes, verifiers: &self.body.verifiers };
        // Mapped bytes come without I/O errors.
        examine(&mut MappedSource(self.body), layout, offset).unwrap_or(Found::Bad(Damage::Word))
    }

    /// The header word at `offset`, a frame boundary, taken apart but not verified.
    #[inline]
    pub(crate) fn peek(&self, offset: u64) -> Parsed {
        // PUBLISH / ABORT, acquire side: pairs with the release stores in `segment::claim`.
        frame::parse(self.body.region.load_acquire((HEADER_BYTES + offset) as usize))
    }

    /// The payload of a frame that `examine` found.
    #[inline]
    pub(crate) fn payload(&self, frame: &Frame) -> &'a [u8] {
        let at = (HEADER_BYTES + frame.payload_offset()) as usize;
        // SAFETY: `examine` found the frame published, and published bytes are never written again while the
        // segment is mapped by anyone (a segment is recycled only when nobody holds it).
        unsafe { self.body.region.slice(at, frame.payload_len as usize) }
    }
}

struct MappedSource<'a>(&'a Body);

impl Source for MappedSource<'_> {
    #[inline]
    fn word(&mut self, offset: u64) -> io::Result<u64> {
        // PUBLISH / ABORT, acquire side: pairs with the release stores in `segment::claim`.
        Ok(self.0.region.load_acquire((HEADER_BYTES + offset) as usize))
    }

    #[inline]
    fn bytes(&mut self, offset: u64, len: u64) -> io::Result<&[u8]> {
        // SAFETY: `examine` asks only for bytes of a frame whose published word it has just acquired, and
        // published bytes are never written again while the segment is mapped by anyone.
        Ok(unsafe { self.0.region.slice((HEADER_BYTES + offset) as usize, len as usize) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::bytes::{put, u64_at};
    use crate::format::header::{Identity, Session};

    const SEGMENT: u64 = 1 << 16;
    const BASE: u64 = 3 * SEGMENT;
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
        fn new(checksum: Checksum) -> Self {
            let identity = Identity { log_id: [5; 16], number: 3, segment_bytes: SEGMENT };
            let session = Session {
                start: BASE,
                number: 1,
                checksum,
                acks_durable: false,
                nonce: 77,
                boot: [1; 16],
                opened_unix_ns: 0,
            };
            let verifiers = Verifiers::new(&identity, &[session]);
            Self { bytes: vec![0; SEGMENT as usize], verifiers, checksum, read: 0 }
        }

        /// Writes a frame; its payload as far as it fits.
        fn put(&mut self, offset: u64, word: u64, payload: &[u8]) {
            let stored =
                crc(self.checksum, payload) ^ mask(self.verifiers.at(BASE).seed, BASE + offset, word);
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
                    assert_eq!(
                        (found.kind, found.offset, found.payload_len),
                        (Kind::BatchFirst, offset, len)
                    );
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
}
