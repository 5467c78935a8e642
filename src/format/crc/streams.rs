//! CRC-32C by an instruction for a word of eight bytes, in one stream or in three at a time.
//!
//! The instruction takes three cycles, and one can begin in each cycle. Three streams keep it busy; then the states
//! of the first two are moved to where the third ends, by a carry-less multiplication each.

use super::powers::CRC32C;

/// How long a stream can be, in words.
pub(super) const STREAM_WORDS_MAX: usize = 64;

/// What a state is multiplied by to stand so many words earlier: one less, because the product goes into the next
/// word, and one bit less, because the product of two reflected numbers is one short.
static EARLIER: [u32; 2 * STREAM_WORDS_MAX + 1] = {
    let mut table = [0; 2 * STREAM_WORDS_MAX + 1];
    let mut power = CRC32C.power(64 - 33);
    let mut words = 1;
    while words < table.len() {
        table[words] = (power >> 32) as u32;
        power = CRC32C.times(power, 64);
        words += 1;
    }
    table
};

#[inline]
pub(super) fn earlier(words: usize) -> u64 {
    u64::from(EARLIER[words])
}

/// Up to seven bytes as a number, the first one lowest.
#[inline]
pub(super) fn few(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return u64::from(first) | u64::from(last) << ((bytes.len() - 4) * 8);
    }
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Makes the functions of a processor from what it calls its instructions.
macro_rules! streams {
    (word: $word:ident, $with_word:literal; multiply: $multiply:ident, $with_multiply:literal) => {
        /// In one stream.
        #[inline]
        #[target_feature(enable = $with_word)]
        pub(super) fn one_stream(bytes: &[u8]) -> u32 {
            !finish(u32::MAX, bytes)
        }

        /// The state after the rest of the input.
        #[inline]
        #[target_feature(enable = $with_word)]
        pub(super) fn finish(mut state: u32, bytes: &[u8]) -> u32 {
            let (words, rest) = bytes.as_chunks();
            for word in words {
                state = $word(state, u64::from_le_bytes(*word));
            }
            if rest.is_empty() {
                return state;
            }
            let bits = rest.len() * 8;
            let last = match bytes.last_chunk() {
                Some(last) => u64::from_le_bytes(*last) >> (64 - bits),
                None => super::streams::few(rest),
            };
            // At the end of a word of zeros, which leave a state of zero as it is. What of the state is not reached by
            // these bytes moves up.
            let state = u64::from(state);
            $word(0, (state ^ last) << (64 - bits)) ^ (state >> bits) as u32
        }

        /// In three streams, as long as that pays.
        #[target_feature(enable = $with_word, enable = $with_multiply)]
        pub(super) fn three_streams(mut bytes: &[u8]) -> u32 {
            use super::streams::{STREAM_WORDS_MAX, earlier};

            let mut state = u32::MAX;
            while bytes.len() >= 48 {
                let words = (bytes.len() / 24).min(STREAM_WORDS_MAX);
                let (now, rest) = bytes.split_at(words * 24);
                let (now, _) = now.as_chunks();
                let (first, now) = now.split_at(words);
                let (second, third) = now.split_at(words);
                let (mut a, mut b, mut c) = (state, 0, 0);
                // The last word of the third stream takes the states of the others with it.
                let [third @ .., last] = third else { break };
                for ((one, two), three) in first.iter().zip(second).zip(third) {
                    a = $word(a, u64::from_le_bytes(*one));
                    b = $word(b, u64::from_le_bytes(*two));
                    c = $word(c, u64::from_le_bytes(*three));
                }
                if let (Some(one), Some(two)) = (first.last(), second.last()) {
                    a = $word(a, u64::from_le_bytes(*one));
                    b = $word(b, u64::from_le_bytes(*two));
                }
                let moved = $multiply(a, earlier(2 * words)) ^ $multiply(b, earlier(words));
                state = $word(c, u64::from_le_bytes(*last) ^ moved);
                bytes = rest;
            }
            !finish(state, bytes)
        }
    };
}

pub(super) use streams;
