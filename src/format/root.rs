//! What stands under a root of partitions: names, `partitions.meta`, and where a key belongs.

use super::bytes::{array_at, put, u32_at, u64_at};
use super::checksum::{crc64, mix};
use super::header::{HeaderError, VERSION};

/// What the root is.
pub(crate) const META: &str = "partitions.meta";
const PARTITION: &str = ".part";
/// Ends the name of a partition that was dropped and is not wholly removed yet.
const GONE: &str = ".gone";

/// What a name under the root stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// A partition's directory, by its id.
    Partition(u64),
    /// What is left of a partition that was dropped.
    Gone,
    /// Not ours: left alone.
    Foreign,
}

/// Name of a partition's directory.
pub(crate) fn partition(id: u64) -> String {
    format!("{id:020}{PARTITION}")
}

/// Name of its directory from when it is dropped.
pub(crate) fn gone(id: u64) -> String {
    format!("{id:020}{PARTITION}{GONE}")
}

/// What `name` stands for.
pub(crate) fn parse(name: &str) -> Name {
    if let Some(stem) = name.strip_suffix(GONE) {
        return if matches!(parse(stem), Name::Partition(_)) { Name::Gone } else { Name::Foreign };
    }
    let digits = name
        .strip_suffix(PARTITION)
        .filter(|digits| digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).map_or(Name::Foreign, Name::Partition)
}

/// The partition, below `count`, that a key belongs to: the upper half of the product of `count` and a hash of the key.
pub(crate) fn partition_of_key(key: &[u8], count: u32) -> u64 {
    let product = u128::from(mix(crc64(key))).wrapping_mul(u128::from(count));
    u64::try_from(product >> 64).unwrap_or_default()
}

const MAGIC: [u8; 8] = *b"TIDEPART";

/// Size of `partitions.meta`.
pub(crate) const ROOT_BYTES: usize = 128;
const AT_CRC: usize = 120;

/// The contents of `partitions.meta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    /// Over how many partitions keys are spread; zero where they are not.
    pub(crate) keyed: u32,
}

impl Root {
    pub(crate) fn encode(self) -> [u8; ROOT_BYTES] {
        let mut out = [0; ROOT_BYTES];
        put(&mut out, 0, &MAGIC);
        put(&mut out, 8, &VERSION.to_le_bytes());
        put(&mut out, 16, &self.keyed.to_le_bytes());
        let crc = crc64(out.get(..AT_CRC).unwrap_or_default());
        put(&mut out, AT_CRC, &crc.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        if array_at::<8>(bytes, 0) != MAGIC {
            return Err(HeaderError::Corrupt("this is not the metadata of a root of partitions"));
        }
        if bytes.len() < ROOT_BYTES || u64_at(bytes, AT_CRC) != crc64(bytes.get(..AT_CRC).unwrap_or_default())
        {
            return Err(HeaderError::Corrupt("the checksum of the root's metadata does not hold"));
        }
        match u32_at(bytes, 8) {
            VERSION => Ok(Self { keyed: u32_at(bytes, 16) }),
            version => Err(HeaderError::Version(version)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_foreign_names_stay_foreign() {
        for id in [0, 7, u64::MAX] {
            assert_eq!(parse(&partition(id)), Name::Partition(id));
            assert_eq!(parse(&gone(id)), Name::Gone);
        }
        assert_eq!(partition(42), "00000000000000000042.part");
        assert_eq!(gone(42), "00000000000000000042.part.gone");
        for foreign in [
            "",
            ".part",
            "42.part",
            "0000000000000000042.part",
            "18446744073709551616.part",
            "+0000000000000000042.part",
            "00000000000000000042.part2",
            "00000000000000000042.gone",
            "00000000000000000042.part.gone.gone",
            "log.lock",
            META,
        ] {
            assert_eq!(parse(foreign), Name::Foreign, "{foreign}");
        }
    }

    /// Worked out apart from this code, from the formula of `docs/FORMAT.md`: they never change.
    #[test]
    fn golden_keys() {
        let golden: [(&[u8], [u64; 4]); 5] = [
            (b"", [0, 0, 0, 0]),
            (b"a", [0, 15, 251, 4026]),
            (b"123456789", [0, 15, 253, 4059]),
            (b"user-1", [0, 11, 189, 3024]),
            (b"user-2", [0, 7, 119, 1907]),
        ];
        for (key, expected) in golden {
            let found = [1, 16, 256, 4096].map(|count| partition_of_key(key, count));
            assert_eq!(found, expected, "{key:?}");
        }
    }

    #[test]
    fn keys_are_spread_evenly_and_stay_below_the_count() {
        let mut counts = [0_u32; 16];
        for key in 0..16_000_u32 {
            let partition = partition_of_key(format!("key-{key}").as_bytes(), 16);
            counts[usize::try_from(partition).unwrap()] += 1;
        }
        // A fair die is within this with all but one run in a million.
        assert!(counts.iter().all(|count| (840..1160).contains(count)), "{counts:?}");
        assert!(
            (0..1000_u32).all(|key| partition_of_key(&key.to_le_bytes(), u32::MAX) < u64::from(u32::MAX))
        );
        assert_eq!(partition_of_key(b"any", 0), 0);
    }

    #[test]
    fn metadata_round_trips_and_notices_every_flipped_bit() {
        let root = Root { keyed: 16 };
        let bytes = root.encode();
        assert_eq!(Root::decode(&bytes), Ok(root));
        for bit in 0..ROOT_BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Root::decode(&flipped).is_err(), "bit {bit}");
        }
        for len in 0..ROOT_BYTES {
            assert!(Root::decode(&bytes[..len]).is_err(), "{len}");
        }
        let mut newer = bytes;
        put(&mut newer, 8, &(VERSION + 1).to_le_bytes());
        let crc = crc64(&newer[..AT_CRC]);
        put(&mut newer, AT_CRC, &crc.to_le_bytes());
        assert_eq!(Root::decode(&newer), Err(HeaderError::Version(VERSION + 1)));
    }
}
