//! Without anything that a processor may lack.

use super::powers::CRC32C;

/// What a byte does to the state when so many bytes follow it in its word.
static TABLE: [[u32; 256]; 8] = {
    let mut table = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut number = (byte as u64) << 32;
        let mut after = 0;
        while after < 8 {
            number = CRC32C.times(number, 8);
            table[after][byte] = (number >> 32) as u32;
            after += 1;
        }
        byte += 1;
    }
    table
};

pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    let mut state = u32::MAX;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word) ^ u64::from(state);
        let lookup = |(after, byte): (usize, &u8)| TABLE[7 - after][usize::from(*byte)];
        state = word.to_le_bytes().iter().enumerate().map(lookup).fold(0, |state, part| state ^ part);
    }
    for byte in rest {
        state = (state >> 8) ^ TABLE[0][usize::from(state as u8 ^ byte)];
    }
    !state
}

pub(super) fn crc64(bytes: &[u8]) -> u64 {
    let mut digest = crc64fast::Digest::new();
    digest.write(bytes);
    digest.sum64()
}
