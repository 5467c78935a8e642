//! The two CRCs, each by the fastest means that the processor has.
//!
//! All means give the same numbers. Which one is chosen depends on the processor and on the length only.
#![allow(unsafe_code, reason = "functions for processors that have what they use; listed in lib.rs")]
#![cfg_attr(
    not(test),
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        reason = "polynomials are computed with here, in numbers whose width is known"
    )
)]

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod folded;
mod portable;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only there is CRC-64 computed with it"))]
mod powers;
mod streams;
#[cfg(target_arch = "x86_64")]
mod wide;
#[cfg(target_arch = "x86_64")]
mod x86;

/// CRC-32C (Castagnoli). What is always inlined is the choice.
#[inline(always)]
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if let Some(crc) = x86::crc32c(bytes) {
        return crc;
    }
    #[cfg(target_arch = "aarch64")]
    if let Some(crc) = aarch64::crc32c(bytes) {
        return crc;
    }
    portable::crc32c(bytes)
}

/// CRC-64/XZ (ECMA-182, reflected).
pub(crate) fn crc64(bytes: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if let Some(crc) = x86::crc64(bytes) {
        return crc;
    }
    portable::crc64(bytes)
}

#[cfg(test)]
mod tests;
