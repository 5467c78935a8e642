//! x86-64: CRC-64 by carry-less multiplication of vectors of 16 bytes.
//!
//! A vector and its product with a power of `x`, which stands so much later, leave the same CRC. So all of the input is
//! folded into one vector, and that one is divided by the polynomial.

use core::arch::x86_64::{
    __m128i, _mm_blendv_epi8, _mm_clmulepi64_si128, _mm_cvtsi64_si128, _mm_extract_epi64, _mm_set_epi64x,
    _mm_shuffle_epi8, _mm_slli_si128, _mm_srli_si128, _mm_xor_si128,
};

use super::powers::CRC64;

const BY_1: [u64; 2] = CRC64.fold(128);
const BY_2: [u64; 2] = CRC64.fold(2 * 128);
const BY_3: [u64; 2] = CRC64.fold(3 * 128);
const BY_4: [u64; 2] = CRC64.fold(4 * 128);
const HALF: u64 = CRC64.power(127);
const QUOTIENT: u64 = CRC64.quotient();
const DIVISOR: u64 = CRC64.divisor();

/// Numbers of bytes for a shuffle: a window of 16 moves them up or down, and fills with zeros.
static SHIFTS: [u8; 48] = {
    let mut shifts = [0x80; 48];
    let mut at = 0;
    while at < 16 {
        shifts[16 + at] = at as u8;
        at += 1;
    }
    shifts
};

#[inline]
#[target_feature(enable = "sse2")]
fn vector([low, high]: [u64; 2]) -> __m128i {
    _mm_set_epi64x(high as i64, low as i64)
}

#[inline]
#[target_feature(enable = "sse2")]
fn load(bytes: &[u8; 16]) -> __m128i {
    let number = u128::from_le_bytes(*bytes);
    vector([number as u64, (number >> 64) as u64])
}

/// `earlier`, moved to where `later` stands, and that.
#[inline]
#[target_feature(enable = "pclmulqdq")]
fn fold(earlier: __m128i, by: [u64; 2], later: __m128i) -> __m128i {
    let low = _mm_clmulepi64_si128::<0x00>(earlier, vector(by));
    let high = _mm_clmulepi64_si128::<0x11>(earlier, vector(by));
    _mm_xor_si128(_mm_xor_si128(low, high), later)
}

/// The CRC of 16 bytes or more. (Of fewer it gives zero.)
#[target_feature(enable = "pclmulqdq,sse4.1")]
pub(super) fn crc64(bytes: &[u8]) -> u64 {
    let begin = _mm_cvtsi64_si128(-1);
    let (vectors, _) = bytes.as_chunks();
    let (fours, ones) = vectors.as_chunks();
    let (state, ones) = match (fours.split_first(), ones.split_first()) {
        (Some(([a, b, c, d], fours)), _) => {
            let (mut a, mut b) = (_mm_xor_si128(load(a), begin), load(b));
            let (mut c, mut d) = (load(c), load(d));
            for [at_a, at_b, at_c, at_d] in fours {
                a = fold(a, BY_4, load(at_a));
                b = fold(b, BY_4, load(at_b));
                c = fold(c, BY_4, load(at_c));
                d = fold(d, BY_4, load(at_d));
            }
            (fold(a, BY_3, fold(b, BY_2, fold(c, BY_1, d))), ones)
        }
        (None, Some((one, ones))) => (_mm_xor_si128(load(one), begin), ones),
        (None, None) => return 0,
    };
    finish(state, ones, bytes)
}

/// Folds the vectors that are left, and the bytes behind them, to the end of `bytes`.
#[inline]
#[target_feature(enable = "pclmulqdq,sse4.1")]
pub(super) fn finish(mut state: __m128i, ones: &[[u8; 16]], bytes: &[u8]) -> u64 {
    for one in ones {
        state = fold(state, BY_1, load(one));
    }
    let rest = bytes.len() % 16;
    let shift = |by: usize| SHIFTS.get(by..).and_then(|shifts| shifts.first_chunk());
    // The vector and what is behind it as two vectors that end at the end; the first begins with zeros.
    if let (1.., Some(last), Some(up), Some(down)) = (rest, bytes.last_chunk(), shift(rest), shift(16 + rest))
    {
        let first = _mm_shuffle_epi8(state, load(up));
        let second = _mm_blendv_epi8(_mm_shuffle_epi8(state, load(down)), load(last), load(down));
        state = fold(first, BY_1, second);
    }
    // The first half onto the second, then Barrett's division.
    let by = _mm_cvtsi64_si128(HALF as i64);
    let half = _mm_xor_si128(_mm_clmulepi64_si128::<0>(state, by), _mm_srli_si128::<8>(state));
    let quotient = _mm_clmulepi64_si128::<0>(half, _mm_cvtsi64_si128(QUOTIENT as i64));
    let product = _mm_clmulepi64_si128::<0>(quotient, _mm_cvtsi64_si128(DIVISOR as i64));
    let product = _mm_xor_si128(product, _mm_slli_si128::<8>(quotient));
    !(_mm_extract_epi64::<1>(_mm_xor_si128(half, product)) as u64)
}
