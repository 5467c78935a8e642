//! Little-endian fields in a byte buffer, without panics.

/// Copies `N` bytes at `offset`, or zeros where the buffer is too short (callers check lengths first).
pub(crate) fn array_at<const N: usize>(buffer: &[u8], offset: usize) -> [u8; N] {
    let mut out = [0; N];
    if let Some(source) = buffer.get(offset..offset.saturating_add(N)) {
        out.copy_from_slice(source);
    }
    out
}

pub(crate) fn u64_at(buffer: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(array_at(buffer, offset))
}

pub(crate) fn u32_at(buffer: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array_at(buffer, offset))
}

/// Stores `bytes` at `offset`; does nothing where the buffer is too short.
pub(crate) fn put(buffer: &mut [u8], offset: usize, bytes: &[u8]) {
    if let Some(target) = buffer.get_mut(offset..offset.saturating_add(bytes.len())) {
        target.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_little_endian_and_a_short_buffer_is_no_panic() {
        let mut buffer = [0, 1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!((u32_at(&buffer, 1), u64_at(&buffer, 1)), (0x0403_0201, 0x0807_0605_0403_0201));
        assert_eq!((u32_at(&buffer, 6), u64_at(&buffer, 2), u64_at(&buffer, usize::MAX)), (0, 0, 0));
        put(&mut buffer, 8, &[9, 9]);
        put(&mut buffer, usize::MAX, &[9]);
        assert_eq!(buffer[8], 8);
        put(&mut buffer, 7, &[9, 9]);
        assert_eq!(buffer[6..], [6, 9, 9]);
    }
}
