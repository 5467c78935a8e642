use std::io::Write;

use crate::storage::System;

use super::*;

const SEGMENT: u64 = 5 * READ_BYTES / 2;

/// A segment's file, with these bytes behind its header.
fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&[0xee; HEADER_BYTES as usize]).unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn window(file: &tempfile::NamedTempFile) -> Window {
    Window::new(&System::shared(), file.path().to_owned(), SEGMENT)
}

#[test]
fn all_bytes_are_read_as_they_are_in_any_order() {
    let bytes: Vec<u8> = (0..SEGMENT).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect();
    let file = file(&bytes);
    let mut window = window(&file);
    let places = [0, 8, 4096, READ_BYTES - 8, READ_BYTES, READ_BYTES + 8, 2 * READ_BYTES - 8, SEGMENT - 8];
    let lengths = [0, 1, 8, 4096, READ_BYTES - 8, READ_BYTES, READ_BYTES + 8, SEGMENT];
    for close in [false, true] {
        for at in places.into_iter().chain(places.into_iter().rev()) {
            assert_eq!(window.word(at).unwrap().to_le_bytes(), bytes[at as usize..][..8], "at {at}");
            for len in lengths {
                let expected = (at + len <= SEGMENT).then(|| &bytes[at as usize..][..len as usize]);
                assert!(window.bytes(at, len).ok() == expected, "{len} bytes at {at}");
            }
            if close {
                window.close();
                assert!(window.file.is_none() && window.buffer.capacity() == 0);
            }
        }
    }
    assert!(window.bytes(SEGMENT, 0).is_ok_and(<[u8]>::is_empty));
    assert!(window.bytes(SEGMENT + 8, 8).is_err());
}

/// One read serves what follows it, as far as it reaches.
#[test]
fn reading_goes_by_large_pieces() {
    let file = file(&vec![1; SEGMENT as usize]);
    let mut window = window(&file);
    for (at, start, len) in [
        (8, 8, READ_BYTES),
        (READ_BYTES - 8, 8, READ_BYTES),
        (READ_BYTES, 8, READ_BYTES),
        (READ_BYTES + 8, READ_BYTES + 8, READ_BYTES),
        (0, 0, READ_BYTES),
        (SEGMENT - 16, SEGMENT - 16, 16),
    ] {
        assert_eq!(window.word(at).unwrap(), 0x0101_0101_0101_0101);
        assert_eq!((window.start, window.buffer.len() as u64), (start, len), "at {at}");
    }
}

#[test]
fn the_next_word_that_is_not_zero_is_found_wherever_it_stands() {
    let places = [0, 7, 8, 4095, 4096, 5000, READ_BYTES - 1, READ_BYTES, 2 * READ_BYTES + 4, SEGMENT - 1];
    let froms =
        [0, 8, 4096, 4104, READ_BYTES - 8, READ_BYTES, READ_BYTES + 8, SEGMENT - 8, SEGMENT, SEGMENT + 8];
    let mut bytes = vec![0; SEGMENT as usize];
    for place in places {
        // Twice where there is room: equal bytes must not cancel each other out.
        let twin = (place as usize + 24).min(bytes.len() - 1);
        (bytes[place as usize], bytes[twin]) = (0x80, 0x80);
        let file = file(&bytes);
        (bytes[place as usize], bytes[twin]) = (0, 0);
        let mut window = window(&file);
        for from in froms {
            let found = [place, twin as u64].into_iter().find(|at| from <= *at);
            let expected = found.map(|at| at & !7);
            assert_eq!(window.next_nonzero(from).unwrap(), expected, "at {place}, from {from}");
        }
    }
    let mut window = window(&file(&bytes));
    assert!(window.next_nonzero(0).is_err(), "the file is gone");
}

/// What was read before a failure is not taken for what could not be read.
#[test]
fn a_file_that_ends_too_early_is_an_error() {
    let short = READ_BYTES + 64;
    let file = file(&vec![7; short as usize]);
    let mut window = window(&file);
    assert_eq!(window.word(0).unwrap(), 0x0707_0707_0707_0707);
    for at in [short - 4, short, short + 8] {
        assert!(window.word(at).is_err(), "at {at}");
        assert!(window.buffer.is_empty());
    }
    assert_eq!(window.word(64).unwrap(), 0x0707_0707_0707_0707);
}

/// What stands before a block that does not read is not lost with it.
#[test]
fn what_lies_before_the_end_of_a_short_file_is_read() {
    for len in [0, 8, 100, 4096, 5000, READ_BYTES + 24] {
        let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8 | 1).collect();
        let file = file(&bytes);
        let mut window = window(&file);
        for at in (0..len + 4096).step_by(8) {
            let there = bytes.get(at as usize..at as usize + 8);
            let read = window.word(at).ok().map(u64::to_le_bytes);
            assert_eq!(read.as_ref().map(|word| &word[..]), there, "{at} of {len}");
            // In whole blocks.
            if at.is_multiple_of(512) && at / 4096 * 4096 + 4096 <= len {
                assert_eq!(window.next_nonzero(at).unwrap(), Some(at), "{at} of {len}");
            }
        }
        assert_eq!(window.bytes(0, len).unwrap(), bytes);
        assert!(window.next_nonzero(len / 4096 * 4096 + 4096).is_err());
    }
}
