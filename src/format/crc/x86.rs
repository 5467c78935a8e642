//! x86-64: which of the means, and CRC-32C by the instruction that takes a word.

use core::arch::x86_64::{_mm_clmulepi64_si128, _mm_crc32_u64, _mm_cvtsi64_si128, _mm_cvtsi128_si64};
use std::arch::is_x86_feature_detected as has;

use super::{folded, streams::streams, wide};

/// From so many bytes on another means is faster than one stream: wide vectors at once, three streams a little later.
const LONG_FROM: usize = 128;
const THREE_FROM: usize = 192;

/// From so many bytes on wide vectors are faster than narrow ones for CRC-64.
const WIDE_CRC64_FROM: usize = 192;

/// From so many bytes on, which are a vector, CRC-64 is folded.
const FOLDED_FROM: usize = 16;

#[inline(always)]
pub(super) fn crc32c(bytes: &[u8]) -> Option<u32> {
    if !has!("sse4.2") {
        return None;
    }
    if bytes.len() < LONG_FROM {
        // SAFETY: the processor has the instruction.
        return Some(unsafe { one_stream(bytes) });
    }
    // SAFETY: as above.
    Some(unsafe { long_crc32c(bytes) })
}

#[inline(never)]
#[target_feature(enable = "sse4.2")]
fn long_crc32c(bytes: &[u8]) -> u32 {
    if has_wide() {
        // SAFETY: the processor has what `has_wide` asks for.
        return unsafe { wide::crc32c(bytes) };
    }
    if bytes.len() >= THREE_FROM && has!("pclmulqdq") {
        // SAFETY: the processor has PCLMULQDQ.
        return unsafe { three_streams(bytes) };
    }
    one_stream(bytes)
}

#[inline]
pub(super) fn crc64(bytes: &[u8]) -> Option<u64> {
    if bytes.len() < FOLDED_FROM || !has_folded() {
        return None;
    }
    if bytes.len() >= WIDE_CRC64_FROM && has_wide() {
        // SAFETY: the processor has what `has_wide` asks for.
        return Some(unsafe { wide::crc64(bytes) });
    }
    // SAFETY: the processor has what `has_folded` asks for.
    Some(unsafe { folded::crc64(bytes) })
}

#[inline]
pub(super) fn has_folded() -> bool {
    has!("pclmulqdq") && has!("sse4.1")
}

#[inline]
pub(super) fn has_wide() -> bool {
    has!("avx512f") && has!("vpclmulqdq") && has!("pclmulqdq") && has!("sse4.2")
}

/// The state after a word.
#[inline]
#[target_feature(enable = "sse4.2")]
fn word(state: u32, word: u64) -> u32 {
    _mm_crc32_u64(state.into(), word) as u32
}

#[inline]
#[target_feature(enable = "pclmulqdq")]
fn multiply(state: u32, by: u64) -> u64 {
    let (state, by) = (_mm_cvtsi64_si128(state.into()), _mm_cvtsi64_si128(by as i64));
    _mm_cvtsi128_si64(_mm_clmulepi64_si128::<0>(state, by)) as u64
}

streams!(word: word, "sse4.2"; multiply: multiply, "pclmulqdq");

#[cfg(test)]
pub(super) fn means() -> Vec<super::tests::Means> {
    use super::tests::{CASTAGNOLI, ECMA};

    let mut all: Vec<super::tests::Means> = Vec::new();
    if has!("sse4.2") {
        // SAFETY: the processor has SSE4.2.
        all.push(("crc32c, one stream", CASTAGNOLI, 0, |bytes| unsafe { one_stream(bytes) }.into()));
    }
    if has!("sse4.2") && has!("pclmulqdq") {
        // SAFETY: the processor has both.
        all.push(("crc32c, three streams", CASTAGNOLI, 0, |bytes| unsafe { three_streams(bytes) }.into()));
    }
    if has_folded() {
        // SAFETY: the processor has what `has_folded` asks for.
        all.push(("crc64, folded", ECMA, 16, |bytes| unsafe { folded::crc64(bytes) }));
    }
    if has_wide() {
        // SAFETY: the processor has what `has_wide` asks for.
        all.push(("crc32c, wide", CASTAGNOLI, 0, |bytes| unsafe { wide::crc32c(bytes) }.into()));
        // SAFETY: as above.
        all.push(("crc64, wide", ECMA, 16, |bytes| unsafe { wide::crc64(bytes) }));
    }
    all
}
