//! x86-64: both CRCs by carry-less multiplication of vectors of 64 bytes, four at a time.

use core::arch::x86_64::{
    __m128i, __m512i, _mm_crc32_u64, _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm_extract_epi64, _mm_xor_si128,
    _mm512_clmulepi64_epi128, _mm512_extracti32x4_epi32, _mm512_loadu_si512, _mm512_set_epi64,
    _mm512_ternarylogic_epi64, _mm512_xor_si512, _mm512_zextsi128_si512,
};

use super::powers::{CRC32C, CRC64, Polynomial};
use super::{folded, x86};

/// For each of the four parts of a vector what it is multiplied by.
type Factors = [[u64; 2]; 4];

/// What the folding of one CRC multiplies by.
struct Folding {
    by_4: Factors,
    by_3: Factors,
    by_2: Factors,
    by_1: Factors,
    /// The first three parts of a vector onto the last.
    parts: Factors,
}

impl Folding {
    const fn of(polynomial: Polynomial) -> Self {
        Self {
            by_4: [polynomial.fold(4 * 512); 4],
            by_3: [polynomial.fold(3 * 512); 4],
            by_2: [polynomial.fold(2 * 512); 4],
            by_1: [polynomial.fold(512); 4],
            parts: [polynomial.fold(3 * 128), polynomial.fold(2 * 128), polynomial.fold(128), [0; 2]],
        }
    }
}

static FOR_CRC32C: Folding = Folding::of(CRC32C);
static FOR_CRC64: Folding = Folding::of(CRC64);

#[inline]
#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: there are 64 bytes to load, wherever they begin.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn vector([[a, b], [c, d], [e, f], [g, h]]: Factors) -> __m512i {
    _mm512_set_epi64(h as i64, g as i64, f as i64, e as i64, d as i64, c as i64, b as i64, a as i64)
}

/// `earlier`, moved to where `later` stands, and that.
#[inline]
#[target_feature(enable = "avx512f,vpclmulqdq")]
fn fold(earlier: __m512i, by: __m512i, later: __m512i) -> __m512i {
    let low = _mm512_clmulepi64_epi128::<0x00>(earlier, by);
    let high = _mm512_clmulepi64_epi128::<0x11>(earlier, by);
    _mm512_ternarylogic_epi64::<0x96>(low, high, later)
}

/// All whole vectors, folded into 16 bytes. `begin` is the state that the input begins with.
#[inline]
#[target_feature(enable = "avx512f,vpclmulqdq,pclmulqdq")]
fn folded(vectors: &[[u8; 64]], begin: i64, folding: &Folding) -> Option<__m128i> {
    let begin = _mm512_zextsi128_si512(_mm_cvtsi64_si128(begin));
    let (fours, ones) = vectors.as_chunks();
    let by_1 = vector(folding.by_1);
    let (mut all, ones) = match (fours.split_first(), ones.split_first()) {
        (Some(([a, b, c, d], fours)), _) => {
            let (mut a, mut b) = (_mm512_xor_si512(load(a), begin), load(b));
            let (mut c, mut d) = (load(c), load(d));
            let by_4 = vector(folding.by_4);
            for [at_a, at_b, at_c, at_d] in fours {
                a = fold(a, by_4, load(at_a));
                b = fold(b, by_4, load(at_b));
                c = fold(c, by_4, load(at_c));
                d = fold(d, by_4, load(at_d));
            }
            let (by_3, by_2) = (vector(folding.by_3), vector(folding.by_2));
            (fold(a, by_3, fold(b, by_2, fold(c, by_1, d))), ones)
        }
        (None, Some((one, ones))) => (_mm512_xor_si512(load(one), begin), ones),
        (None, None) => return None,
    };
    for one in ones {
        all = fold(all, by_1, load(one));
    }
    let parts = fold(all, vector(folding.parts), vector([[0; 2]; 4]));
    let (a, b) = (_mm512_extracti32x4_epi32::<0>(parts), _mm512_extracti32x4_epi32::<1>(parts));
    let (c, d) = (_mm512_extracti32x4_epi32::<2>(parts), _mm512_extracti32x4_epi32::<3>(all));
    Some(_mm_xor_si128(_mm_xor_si128(a, b), _mm_xor_si128(c, d)))
}

/// The CRC of 64 bytes or more. (Fewer take another way.)
#[target_feature(enable = "avx512f,vpclmulqdq,pclmulqdq,sse4.2")]
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    let (vectors, rest) = bytes.as_chunks();
    let Some(all) = folded(vectors, u32::MAX.into(), &FOR_CRC32C) else { return x86::one_stream(bytes) };
    let state = _mm_crc32_u64(0, _mm_cvtsi128_si64(all) as u64);
    let state = _mm_crc32_u64(state, _mm_extract_epi64::<1>(all) as u64);
    !x86::finish(state as u32, rest)
}

/// The CRC of 64 bytes or more. (Fewer take another way.)
#[target_feature(enable = "avx512f,vpclmulqdq,pclmulqdq,sse4.2")]
pub(super) fn crc64(bytes: &[u8]) -> u64 {
    let (vectors, rest) = bytes.as_chunks();
    let Some(all) = folded(vectors, -1, &FOR_CRC64) else { return folded::crc64(bytes) };
    let (ones, _) = rest.as_chunks();
    folded::finish(all, ones, bytes)
}
