//! `log.meta`: what the log is and where it begins.

use super::bytes::{array_at, put, u32_at, u64_at};
use super::checksum::crc64;
use super::header::{HeaderError, VERSION};
use crate::limits::{SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};

const MAGIC: [u8; 8] = *b"TIDEMETA";

/// Size of the file in bytes.
pub(crate) const META_BYTES: usize = 128;
const AT_CRC: usize = 120;

/// The contents of `log.meta`. Replaced as a whole (new file, sync, rename, sync of the directory).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) log_id: [u8; 16],
    pub(crate) segment_bytes: u64,
    /// Everything below was retired; always the base of a segment.
    pub(crate) start: u64,
}

impl Meta {
    pub(crate) fn encode(&self) -> [u8; META_BYTES] {
        let mut out = [0; META_BYTES];
        put(&mut out, 0, &MAGIC);
        put(&mut out, 8, &VERSION.to_le_bytes());
        put(&mut out, 16, &self.log_id);
        put(&mut out, 32, &self.segment_bytes.to_le_bytes());
        put(&mut out, 40, &self.start.to_le_bytes());
        let crc = crc64(out.get(..AT_CRC).unwrap_or_default());
        put(&mut out, AT_CRC, &crc.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        if bytes.len() < META_BYTES || array_at::<8>(bytes, 0) != MAGIC {
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
        };
        let size_ok = meta.segment_bytes.is_power_of_two()
            && (SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&meta.segment_bytes);
        if !size_ok || meta.start.checked_rem(meta.segment_bytes) != Some(0) {
            return Err(HeaderError::Corrupt("the metadata contradicts itself"));
        }
        Ok(meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meta_round_trips_and_notices_every_flipped_bit() {
        let meta = Meta { log_id: [9; 16], segment_bytes: 1 << 20, start: 3 << 20 };
        let bytes = meta.encode();
        assert_eq!(Meta::decode(&bytes), Ok(meta));
        for bit in 0..META_BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Meta::decode(&flipped).is_err(), "bit {bit}");
        }
    }
}
