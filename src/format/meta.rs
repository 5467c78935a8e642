//! `log.meta`: what the log is and where it begins. Two slots, written in turn and in place, so that a torn
//! write leaves the other and that no room is needed.

use super::bytes::{array_at, put, u32_at, u64_at};
use super::checksum::crc64;
use super::header::{HeaderError, VERSION};
use crate::limits::{POSITION_MAX, SEGMENT_BYTES_LEAST, SEGMENT_BYTES_MAX};

const MAGIC: [u8; 8] = *b"TIDEMETA";

/// What is written of a slot.
const SLOT_BYTES: usize = 128;
/// From one slot to the other: they share no sector and no page.
const SLOT_STRIDE: usize = 4096;
/// Size of the file.
pub(crate) const META_BYTES: usize = 8192;
const AT_CRC: usize = 120;

/// The contents of `log.meta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) log_id: [u8; 16],
    pub(crate) segment_bytes: u64,
    /// Everything below was retired; always the base of a segment.
    pub(crate) start: u64,
    /// Everything below was durable when this was written: by closing and by retiring. Evidence, should the
    /// segments themselves be gone.
    pub(crate) proven: u64,
    /// Counts the changes; the valid slot with the higher one is in force.
    pub(crate) generation: u64,
    /// What the records are, by the user's number; zero for none.
    pub(crate) schema: u64,
}

impl Meta {
    /// Where this generation goes in the file.
    pub(crate) fn slot(&self) -> u64 {
        if self.generation.is_multiple_of(2) { 0 } else { SLOT_STRIDE.try_into().unwrap_or_default() }
    }

    /// One slot.
    pub(crate) fn encode(&self) -> [u8; SLOT_BYTES] {
        let mut out = [0; SLOT_BYTES];
        put(&mut out, 0, &MAGIC);
        put(&mut out, 8, &VERSION.to_le_bytes());
        put(&mut out, 16, &self.log_id);
        put(&mut out, 32, &self.segment_bytes.to_le_bytes());
        put(&mut out, 40, &self.start.to_le_bytes());
        put(&mut out, 48, &self.generation.to_le_bytes());
        put(&mut out, 56, &self.proven.to_le_bytes());
        put(&mut out, 64, &self.schema.to_le_bytes());
        let crc = crc64(out.get(..AT_CRC).unwrap_or_default());
        put(&mut out, AT_CRC, &crc.to_le_bytes());
        out
    }

    /// A whole new file, in generation zero.
    pub(crate) fn encode_new(&self) -> Box<[u8]> {
        let mut out = vec![0; META_BYTES].into_boxed_slice();
        put(&mut out, 0, &self.encode());
        out
    }

    /// Reads a file.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let first = Self::decode_slot(bytes.get(..SLOT_BYTES).unwrap_or_default());
        let second = Self::decode_slot(
            bytes.get(SLOT_STRIDE..SLOT_STRIDE.saturating_add(SLOT_BYTES)).unwrap_or_default(),
        );
        match (first, second) {
            // Whatever the other slot says, a newer tidelog has been here.
            (Err(version @ HeaderError::Version(_)), _) | (_, Err(version @ HeaderError::Version(_))) => {
                Err(version)
            }
            (Ok(first), Ok(second)) if second.generation > first.generation => Ok(second),
            (Ok(first), _) => Ok(first),
            (Err(_), Ok(second)) => Ok(second),
            (Err(first), Err(_)) => Err(first),
        }
    }

    fn decode_slot(bytes: &[u8]) -> Result<Self, HeaderError> {
        // A slot that the file does not reach is empty here.
        if array_at::<8>(bytes, 0) != MAGIC {
            return Err(HeaderError::Corrupt("this is not the metadata of a tidelog log"));
        }
        if u64_at(bytes, AT_CRC) != crc64(bytes.get(..AT_CRC).unwrap_or_default()) {
            return Err(HeaderError::Corrupt("the metadata's checksum does not hold"));
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let meta = Self {
            log_id: array_at(bytes, 16),
            segment_bytes: u64_at(bytes, 32),
            start: u64_at(bytes, 40),
            generation: u64_at(bytes, 48),
            proven: u64_at(bytes, 56),
            schema: u64_at(bytes, 64),
        };
        let size_ok = meta.segment_bytes.is_power_of_two()
            && (SEGMENT_BYTES_LEAST..=SEGMENT_BYTES_MAX).contains(&meta.segment_bytes);
        let start_ok = meta.start < POSITION_MAX && meta.start.checked_rem(meta.segment_bytes) == Some(0);
        if !size_ok || !start_ok {
            return Err(HeaderError::Corrupt("the metadata contradicts itself"));
        }
        Ok(meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const META: Meta = Meta {
        log_id: [9; 16],
        segment_bytes: 1 << 20,
        start: 3 << 20,
        generation: 0,
        proven: 7,
        schema: 11,
    };

    #[test]
    fn meta_round_trips_and_notices_every_flipped_bit() {
        let bytes = META.encode_new();
        assert_eq!(Meta::decode(&bytes), Ok(META));
        assert_eq!(bytes[64..72], 11_u64.to_le_bytes());
        assert!(bytes[72..AT_CRC].iter().all(|byte| *byte == 0));
        for bit in 0..SLOT_BYTES * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Meta::decode(&flipped).is_err(), "bit {bit}");
        }
    }

    /// What is well written and makes no sense; each field on its own.
    #[test]
    fn a_contradiction_is_corrupt_and_another_version_is_told() {
        let with = |meta: Meta| Meta::decode(&meta.encode_new());
        for segment_bytes in [SEGMENT_BYTES_LEAST, 1 << 20, SEGMENT_BYTES_MAX] {
            let meta = Meta { segment_bytes, start: 3 * segment_bytes, ..META };
            assert_eq!(with(meta), Ok(meta));
        }
        let sizes =
            [0, SEGMENT_BYTES_LEAST / 2, SEGMENT_BYTES_LEAST + 8, (1 << 20) + 1, SEGMENT_BYTES_MAX * 2];
        let wrong = sizes.map(|segment_bytes| Meta { segment_bytes, start: 0, ..META });
        let last = Meta { start: POSITION_MAX - (1 << 20), ..META };
        assert_eq!(with(last), Ok(last));
        let starts = [(3 << 20) + 8, POSITION_MAX].map(|start| Meta { start, ..META });
        for meta in wrong.into_iter().chain(starts) {
            assert!(matches!(with(meta), Err(HeaderError::Corrupt(_))), "{meta:?}");
        }
        let mut other = META.encode_new();
        other[7] ^= 1;
        let crc = crc64(&other[..AT_CRC]);
        put(&mut other, AT_CRC, &crc.to_le_bytes());
        assert!(matches!(Meta::decode(&other), Err(HeaderError::Corrupt(_))), "another magic");
        // Also in the other slot, and whatever that one's generation is.
        for at in [0, SLOT_STRIDE] {
            let mut bytes = META.encode_new();
            put(&mut bytes, SLOT_STRIDE, &Meta { generation: 1, ..META }.encode());
            put(&mut bytes, at + 8, &(VERSION + 1).to_le_bytes());
            let crc = crc64(&bytes[at..at + AT_CRC]);
            put(&mut bytes, at + AT_CRC, &crc.to_le_bytes());
            assert_eq!(Meta::decode(&bytes), Err(HeaderError::Version(VERSION + 1)));
        }
    }

    #[test]
    fn every_length_of_the_file_is_judged() {
        let mut bytes = META.encode_new();
        let next = Meta { generation: 1, ..META };
        assert_eq!((META.slot(), next.slot()), (0, 4096));
        put(&mut bytes, SLOT_STRIDE, &next.encode());
        assert_eq!(bytes.len(), META_BYTES);
        for len in 0..bytes.len() {
            let expected = match len {
                0..SLOT_BYTES => None,
                len if len < SLOT_STRIDE + SLOT_BYTES => Some(META),
                _ => Some(next),
            };
            assert_eq!(Meta::decode(&bytes[..len]).ok(), expected, "{len}");
        }
        // Of two with one generation, which nothing writes, the first is taken.
        let twin = Meta { proven: 8, ..META };
        put(&mut bytes, SLOT_STRIDE, &twin.encode());
        assert_eq!(Meta::decode(&bytes), Ok(META));
    }

    #[test]
    fn the_newer_valid_slot_is_in_force() {
        let mut bytes = META.encode_new();
        let next = Meta { start: 5 << 20, generation: 1, ..META };
        put(&mut bytes, usize::try_from(next.slot()).unwrap(), &next.encode());
        assert_eq!(Meta::decode(&bytes), Ok(next));
        let mut torn = bytes.clone();
        torn[SLOT_STRIDE + 44] ^= 1;
        assert_eq!(Meta::decode(&torn), Ok(META), "a torn write leaves the slot before it");
        let last = Meta { start: 6 << 20, generation: 2, ..META };
        put(&mut bytes, usize::try_from(last.slot()).unwrap(), &last.encode());
        assert_eq!(Meta::decode(&bytes), Ok(last));
    }
}
