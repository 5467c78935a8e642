//! `NAME.cursor`: how far a consumer of the log has come. Two slots, written in place, so that a torn write leaves the
//! other and that no room is needed.

use super::bytes::{array_at, put, u32_at, u64_at};
use super::checksum::crc64;
use super::header::{HeaderError, VERSION};
use crate::limits::{CURSOR_NAME_MAX, FRAME_ALIGN, POSITION_MAX};

const MAGIC: [u8; 8] = *b"TIDECURS";

/// What is written of a slot.
pub(crate) const SLOT_BYTES: usize = 256;
/// From one slot to the other: they share no sector and no page.
pub(crate) const SLOT_STRIDE: usize = 4096;
/// Size of the file.
pub(crate) const CURSOR_BYTES: usize = 8192;
const AT_NAME: usize = 64;
const AT_CRC: usize = 248;
const FLAG_GATE: u32 = 1;
const FLAG_CUT: u32 = 2;

const _: () = assert!(AT_NAME + CURSOR_NAME_MAX <= AT_CRC && AT_CRC + 8 == SLOT_BYTES);

/// What a slot says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) log_id: [u8; 16],
    pub(crate) name: String,
    /// Everything below was consumed.
    pub(crate) position: u64,
    /// Counts the changes; the valid slot with the higher one is in force.
    pub(crate) generation: u64,
    /// Records from `position` on are not to be retired.
    pub(crate) gate: bool,
    /// The log was found to end here, before `position`.
    pub(crate) cut: Option<u64>,
    /// Nanoseconds since 1970, for people.
    pub(crate) changed_unix_ns: u64,
}

impl Stored {
    /// One slot.
    pub(crate) fn encode(&self) -> [u8; SLOT_BYTES] {
        let mut out = [0; SLOT_BYTES];
        let gate = if self.gate { FLAG_GATE } else { 0 };
        let cut = if self.cut.is_some() { FLAG_CUT } else { 0 };
        put(&mut out, 0, &MAGIC);
        put(&mut out, 8, &VERSION.to_le_bytes());
        put(&mut out, 12, &(gate | cut).to_le_bytes());
        put(&mut out, 16, &self.log_id);
        put(&mut out, 32, &self.position.to_le_bytes());
        put(&mut out, 40, &self.generation.to_le_bytes());
        put(&mut out, 48, &self.cut.unwrap_or(0).to_le_bytes());
        put(&mut out, 56, &self.changed_unix_ns.to_le_bytes());
        put(&mut out, AT_NAME, self.name.as_bytes());
        let crc = crc64(out.get(..AT_CRC).unwrap_or_default());
        put(&mut out, AT_CRC, &crc.to_le_bytes());
        out
    }

    /// A whole new file.
    pub(crate) fn encode_new(&self) -> Box<[u8]> {
        let mut out = vec![0; CURSOR_BYTES].into_boxed_slice();
        put(&mut out, 0, &self.encode());
        put(&mut out, SLOT_STRIDE, &self.encode());
        out
    }

    /// Reads a file: what is in force, and in which slot it stands.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Self, usize), HeaderError> {
        let first = Self::decode_slot(bytes.get(..SLOT_BYTES).unwrap_or_default());
        let second = Self::decode_slot(
            bytes.get(SLOT_STRIDE..SLOT_STRIDE.saturating_add(SLOT_BYTES)).unwrap_or_default(),
        );
        match (first, second) {
            // Whatever the other slot says, a newer tidelog has been here.
            (Err(version @ HeaderError::Version(_)), _) | (_, Err(version @ HeaderError::Version(_))) => {
                Err(version)
            }
            (Ok(first), Ok(second)) if second.generation > first.generation => Ok((second, 1)),
            (Ok(first), _) => Ok((first, 0)),
            (Err(_), Ok(second)) => Ok((second, 1)),
            (Err(first), Err(_)) => Err(first),
        }
    }

    fn decode_slot(bytes: &[u8]) -> Result<Self, HeaderError> {
        if array_at::<8>(bytes, 0) != MAGIC {
            return Err(HeaderError::Corrupt("this is not a cursor of a tidelog log"));
        }
        if u64_at(bytes, AT_CRC) != crc64(bytes.get(..AT_CRC).unwrap_or_default()) {
            return Err(HeaderError::Corrupt("the cursor's checksum does not hold"));
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let flags = u32_at(bytes, 12);
        let name = array_at::<CURSOR_NAME_MAX>(bytes, AT_NAME);
        let length = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        let name = core::str::from_utf8(name.get(..length).unwrap_or_default()).unwrap_or_default();
        let (position, cut) = (u64_at(bytes, 32), u64_at(bytes, 48));
        let is_place = |lsn: u64| lsn < POSITION_MAX && lsn.is_multiple_of(FRAME_ALIGN);
        if !is_place(position) || !is_place(cut) || !super::name::is_cursor_name(name) {
            return Err(HeaderError::Corrupt("the cursor contradicts itself"));
        }
        Ok(Self {
            log_id: array_at(bytes, 16),
            name: name.to_owned(),
            position,
            generation: u64_at(bytes, 40),
            gate: flags & FLAG_GATE != 0,
            cut: (flags & FLAG_CUT != 0).then_some(cut),
            changed_unix_ns: u64_at(bytes, 56),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Stored {
        Stored {
            log_id: [9; 16],
            name: "indexer-2.eu_west".to_owned(),
            position: 7 << 20,
            generation: 3,
            gate: true,
            cut: Some(6 << 20),
            changed_unix_ns: 11,
        }
    }

    #[test]
    fn every_field_comes_back() {
        let longest = Stored { name: "x".repeat(CURSOR_NAME_MAX), gate: false, cut: None, ..stored() };
        for stored in [stored(), longest] {
            let bytes = stored.encode_new();
            assert_eq!(bytes.len(), CURSOR_BYTES);
            assert_eq!(Stored::decode(&bytes), Ok((stored, 0)));
        }
    }

    /// The bytes of `docs/FORMAT.md`: whatever is changed, what was written reads back.
    #[test]
    fn the_bytes_of_version_1() {
        let text = "5449444543555253010000000300000009090909090909090909090909090909\
                    0000700000000000030000000000000000006000000000000b00000000000000\
                    696e64657865722d322e65755f77657374";
        let mut golden: Vec<u8> =
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
        golden.resize(AT_CRC, 0);
        golden.extend(GOLDEN_CRC.to_le_bytes());
        assert_eq!(stored().encode()[..], golden[..]);
        golden.resize(CURSOR_BYTES, 0);
        assert_eq!(Stored::decode(&golden), Ok((stored(), 0)));
    }

    const GOLDEN_CRC: u64 = 0x0c4f_c7a0_50ae_7f4c;

    /// One damaged slot leaves the other, two are an error; and no bit of a slot is without meaning.
    #[test]
    fn every_flipped_bit_is_noticed() {
        let mut bytes = stored().encode_new();
        let next = Stored { generation: 4, position: 8 << 20, ..stored() };
        put(&mut bytes, SLOT_STRIDE, &next.encode());
        assert_eq!(Stored::decode(&bytes), Ok((next.clone(), 1)));
        for bit in 0..SLOT_BYTES * 8 {
            let flip = |bytes: &mut [u8], at: usize| bytes[at + bit / 8] ^= 1 << (bit % 8);
            let mut one = bytes.clone();
            flip(&mut one, 0);
            assert_eq!(Stored::decode(&one), Ok((next.clone(), 1)), "bit {bit}");
            let mut other = bytes.clone();
            flip(&mut other, SLOT_STRIDE);
            assert_eq!(Stored::decode(&other), Ok((stored(), 0)), "bit {bit}");
            flip(&mut other, 0);
            assert!(matches!(Stored::decode(&other), Err(HeaderError::Corrupt(_))), "bit {bit}");
        }
    }

    #[test]
    fn every_length_of_the_file_is_judged() {
        let bytes = stored().encode_new();
        for len in 0..bytes.len() {
            assert_eq!(Stored::decode(&bytes[..len]).is_ok(), len >= SLOT_BYTES, "{len}");
        }
    }

    /// What is well written and makes no sense, and what a later version wrote.
    #[test]
    fn a_contradiction_is_corrupt_and_another_version_is_told() {
        let named = |name: &str| Stored { name: name.to_owned(), ..stored() };
        let wrong = [
            Stored { position: 4, ..stored() },
            Stored { position: POSITION_MAX, ..stored() },
            Stored { cut: Some(1), ..stored() },
            Stored { cut: Some(u64::MAX - 7), ..stored() },
            named(""),
            named("../x"),
            named("a b"),
            named(".hidden"),
        ];
        for stored in wrong {
            assert!(
                matches!(Stored::decode(&stored.encode_new()), Err(HeaderError::Corrupt(_))),
                "{stored:?}"
            );
        }
        for at in [0, SLOT_STRIDE] {
            let mut bytes = stored().encode_new();
            put(&mut bytes, at + 8, &(VERSION + 1).to_le_bytes());
            let crc = crc64(&bytes[at..at + AT_CRC]);
            put(&mut bytes, at + AT_CRC, &crc.to_le_bytes());
            assert_eq!(Stored::decode(&bytes), Err(HeaderError::Version(VERSION + 1)));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_an_error_or_a_cursor(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..9000)) {
            let _ = Stored::decode(&bytes);
        }

        /// With a checksum that holds, so that what is behind it is reached.
        #[test]
        fn any_forged_slot_is_an_error_or_a_cursor(forged in proptest::collection::vec(proptest::num::u8::ANY, SLOT_BYTES)) {
            let mut bytes = vec![0; CURSOR_BYTES];
            put(&mut bytes, 0, &forged);
            put(&mut bytes, 0, &MAGIC);
            put(&mut bytes, 8, &VERSION.to_le_bytes());
            let crc = crc64(&bytes[..AT_CRC]);
            put(&mut bytes, AT_CRC, &crc.to_le_bytes());
            if let Ok((stored, slot)) = Stored::decode(&bytes) {
                proptest::prop_assert!(slot == 0 && crate::format::name::is_cursor_name(&stored.name));
            }
        }
    }
}
