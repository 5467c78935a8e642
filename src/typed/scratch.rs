//! A buffer of each thread to encode into, so that appending allocates nothing once it has grown.

use core::cell::Cell;

/// A larger buffer is given back, so that one large record does not cost every thread its size for ever.
const KEPT_BYTES_MAX: usize = 1 << 20;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Calls `use_it` with an empty buffer. It is taken out meanwhile: `use_it` runs the caller's code, which may append too.
pub(super) fn with<R>(use_it: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    // Where the thread is ending it has none any more.
    let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
    buffer.clear();
    let result = use_it(&mut buffer);
    if buffer.capacity() <= KEPT_BYTES_MAX {
        let _ = BUFFER.try_with(|kept| kept.set(buffer));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_unless_it_is_large_and_another_stands_in_meanwhile() {
        let first = with(|buffer| {
            buffer.reserve(1000);
            with(|inner| inner.extend_from_slice(b"another"));
            assert!(buffer.is_empty());
            buffer.push(1);
            buffer.as_ptr()
        });
        with(|buffer| assert!(buffer.is_empty() && buffer.as_ptr() == first));
        with(|buffer| buffer.reserve(KEPT_BYTES_MAX + 1));
        with(|buffer| assert_eq!(buffer.capacity(), 0));
    }
}
