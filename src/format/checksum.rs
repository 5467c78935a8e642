//! The checksum of a frame: a CRC of the payload under a mask that binds it to its place.
//!
//! `stored = crc(payload) ^ mask(seed, lsn, word)`. The mask is a bijection of the header word for a
//! given place, so any change of the word changes the stored value, and a frame that stands at another
//! LSN, in another log or from another opening fails like random data. Because the CRC itself does not
//! depend on the place, a writer computes it before it claims one.

// CRC-64 also guards headers, whatever guards the frames.
use super::crc::crc32c;
pub(crate) use super::crc::crc64;
use crate::policy::Checksum;

/// CRC of `payload` by the chosen polynomial; CRC-32C leaves the upper half zero.
#[inline(always)]
pub(crate) fn crc(kind: Checksum, payload: &[u8]) -> u64 {
    match kind {
        Checksum::Crc32c => u64::from(crc32c(payload)),
        Checksum::Crc64 => crc64(payload),
    }
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): a bijection of 64-bit words in which each
/// input bit flips about half of the output bits.
#[inline]
pub(crate) const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// What binds a frame to its place and its header word.
#[inline]
pub(crate) const fn mask(seed: u64, lsn: u64, word: u64) -> u64 {
    mix(word ^ mix(seed ^ mix(lsn)))
}

/// The seed of one opening of one log.
pub(crate) fn seed(log_id: [u8; 16], nonce: u64) -> u64 {
    let id = u128::from_le_bytes(log_id).to_le_bytes();
    let low = super::bytes::u64_at(&id, 0);
    let high = super::bytes::u64_at(&id, 8);
    mix(low ^ mix(high ^ mix(nonce)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check values of the catalogue of parametrised CRC algorithms (reveng) for "123456789".
    #[test]
    fn known_answers() {
        assert_eq!(crc(Checksum::Crc32c, b"123456789"), 0xe306_9283);
        assert_eq!(crc(Checksum::Crc64, b"123456789"), 0x995d_c9bb_df19_39fa);
        assert_eq!(crc(Checksum::Crc32c, b""), 0);
        assert_eq!(crc(Checksum::Crc64, b""), 0);
        // RFC 3720, appendix B.4.
        assert_eq!(crc(Checksum::Crc32c, &[0; 32]), 0x8a91_36aa);
        assert_eq!(crc(Checksum::Crc32c, &[0xff; 32]), 0x62a8_ab43);
    }

    /// The first numbers of SplitMix64 with seed 0, as published; and what the formulas of `docs/FORMAT.md` give for
    /// arguments of which no part is zero, worked out apart from this code.
    #[test]
    fn known_mixes() {
        let gamma = 0x9e37_79b9_7f4a_7c15_u64;
        assert_eq!(mix(gamma), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(gamma.wrapping_mul(2)), 0x6e78_9e6a_a1b9_65f4);
        assert_eq!(mix(gamma.wrapping_mul(3)), 0x06c4_5d18_8009_454f);
        assert_eq!(seed(core::array::from_fn(|at| at as u8), 7), 0x4ef6_b3b3_d549_890a);
        assert_eq!(mask(1, 2, 3), 0xabdc_8a1f_fee4_4ad5);
    }

    #[test]
    fn the_mask_binds_every_part() {
        let base = mask(1, 2, 3);
        for bit in 0..64 {
            assert_ne!(mask(1 ^ (1 << bit), 2, 3), base);
            assert_ne!(mask(1, 2 ^ (1 << bit), 3), base);
            assert_ne!(mask(1, 2, 3 ^ (1 << bit)), base);
        }
        assert_ne!(seed([0; 16], 1), seed([0; 16], 2));
        assert_ne!(seed([0; 16], 1), seed([1; 16], 1));
    }
}
