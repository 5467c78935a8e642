//! AArch64: CRC-32C by the instruction that takes a word.

use core::arch::aarch64::{__crc32cd, vmull_p64};
use std::arch::is_aarch64_feature_detected as has;

use super::streams::streams;

/// From so many bytes on three streams are faster than one.
const THREE_FROM: usize = 128;

#[inline(always)]
pub(super) fn crc32c(bytes: &[u8]) -> Option<u32> {
    if !has!("crc") {
        return None;
    }
    if bytes.len() < THREE_FROM {
        // SAFETY: the processor has the instruction.
        return Some(unsafe { one_stream(bytes) });
    }
    // SAFETY: as above.
    Some(unsafe { long_crc32c(bytes) })
}

#[inline(never)]
#[target_feature(enable = "crc")]
fn long_crc32c(bytes: &[u8]) -> u32 {
    if has!("aes") {
        // SAFETY: the processor has carry-less multiplication.
        return unsafe { three_streams(bytes) };
    }
    one_stream(bytes)
}

/// The state after a word.
#[inline]
#[target_feature(enable = "crc")]
fn word(state: u32, word: u64) -> u32 {
    __crc32cd(state, word)
}

#[inline]
#[target_feature(enable = "neon,aes")]
fn multiply(state: u32, by: u64) -> u64 {
    vmull_p64(state.into(), by) as u64
}

streams!(word: word, "crc"; multiply: multiply, "neon,aes");

#[cfg(test)]
pub(super) fn means() -> Vec<super::tests::Means> {
    use super::tests::CASTAGNOLI;

    let mut all: Vec<super::tests::Means> = Vec::new();
    if has!("crc") {
        // SAFETY: the processor has the CRC instructions.
        // SAFETY: the processor has the CRC instructions.
        all.push(("crc32c, one stream", CASTAGNOLI, 0, |bytes| unsafe { one_stream(bytes) }.into()));
    }
    if has!("crc") && has!("aes") {
        // SAFETY: the processor has both.
        // SAFETY: the processor has both.
        all.push(("crc32c, three streams", CASTAGNOLI, 0, |bytes| unsafe { three_streams(bytes) }.into()));
    }
    all
}
