//! Every means against a division that goes bit by bit, whichever this processor would choose.

use proptest::prelude::*;

use super::*;

/// Bit by bit, as the catalogue of CRCs defines them.
fn divided(bytes: &[u8], polynomial: u64) -> u64 {
    let ones = u64::MAX >> polynomial.leading_zeros();
    let step = |state: u64, byte: &u8| {
        let begin = state ^ u64::from(*byte);
        (0..8).fold(begin, |state, _| if state & 1 == 1 { (state >> 1) ^ polynomial } else { state >> 1 })
    };
    bytes.iter().fold(ones, step) ^ ones
}

pub(super) const CASTAGNOLI: u64 = 0x82f6_3b78;
pub(super) const ECMA: u64 = 0xc96c_5795_d787_0f42;

/// A name, the polynomial, the shortest input, and the function.
pub(super) type Means = (&'static str, u64, usize, fn(&[u8]) -> u64);

/// Every means that this processor has.
fn means() -> Vec<Means> {
    let mut all: Vec<Means> = vec![
        ("crc32c", CASTAGNOLI, 0, |bytes| crc32c(bytes).into()),
        ("crc32c, portable", CASTAGNOLI, 0, |bytes| portable::crc32c(bytes).into()),
        ("crc64", ECMA, 0, crc64),
        ("crc64, portable", ECMA, 0, portable::crc64),
    ];
    #[cfg(target_arch = "x86_64")]
    all.extend(x86::means());
    #[cfg(target_arch = "aarch64")]
    all.extend(aarch64::means());
    all
}

fn assert_all(bytes: &[u8], means: &[Means]) {
    let expected = [CASTAGNOLI, ECMA].map(|polynomial| (polynomial, divided(bytes, polynomial)));
    for (name, polynomial, least, crc) in means.iter().filter(|means| means.2 <= bytes.len()) {
        let expected = expected.iter().find(|(of, _)| of == polynomial).unwrap().1;
        assert_eq!(crc(bytes), expected, "{name}: {} bytes, {least} at least", bytes.len());
    }
}

/// Bytes without a pattern that a CRC could share.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let step = |_| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..len).map(step).collect()
}

#[test]
fn the_reference_gives_the_known_answers() {
    assert_eq!(divided(b"123456789", CASTAGNOLI), 0xe306_9283);
    assert_eq!(divided(b"123456789", ECMA), 0x995d_c9bb_df19_39fa);
}

#[test]
fn every_size_by_every_means() {
    let (noise, means) = (noise(4096 + 64), means());
    for len in 0..=4096 {
        assert_all(&noise[len % 64..][..len], &means);
    }
}

#[test]
fn every_alignment_by_every_means() {
    let (noise, means) = (noise(2048), means());
    for len in [0, 1, 3, 4, 7, 8, 15, 16, 17, 63, 64, 100, 127, 128, 191, 192, 255, 256, 300, 1024, 1900] {
        for at in 0..64 {
            assert_all(&noise[at..at + len], &means);
        }
    }
}

/// Every bit counts, in each place of a block and of what is behind it.
#[test]
fn every_bit_counts() {
    let (mut noise, means) = (noise(700), means());
    for bit in 0..noise.len() * 8 {
        noise[bit / 8] ^= 1 << (bit % 8);
        if bit % 37 == 0 {
            assert_all(&noise, &means);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn large_ones(seed in any::<u8>(), at in 0_usize..64, len in 4096_usize..200_000) {
        let bytes: Vec<u8> = noise(at + len).iter().map(|byte| byte.wrapping_mul(seed | 1)).collect();
        assert_all(&bytes[at..], &means());
    }
}
