//! Envelopes that nobody in his right mind would write.

use tidelog::ErrorKind;
use tidelog::compress::{Compression, Dictionary, Packer};

use crate::support::{ALL, dictionary, line, lines, noise, packed, unpacked};

fn reader() -> Packer {
    Packer::new(Compression::None).known_dictionary(dictionary()).unpacked_bytes_max(1 << 20)
}

/// The body, the length that it claims, and the tag.
fn forged(body: &[u8], claimed: u32, tag: u8) -> Vec<u8> {
    let mut envelope = body.to_vec();
    envelope.extend(claimed.to_le_bytes());
    envelope.push(tag);
    envelope
}

const LZ4: u8 = 0x41;
const ZSTD: u8 = 0x42;
const BATCH: u8 = 0x10;

fn kind(envelope: &[u8]) -> ErrorKind {
    let error = unpacked(&reader(), envelope).unwrap_err();
    assert!(error.to_string().len() > 40, "{error}");
    error.kind()
}

/// Envelopes of every sort, with what they hold.
fn samples() -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
    let mut samples = Vec::new();
    for compression in ALL {
        let packer = Packer::new(compression);
        let text = line(1).repeat(8);
        samples.push((packed(&packer, &text), vec![text]));
        let mut envelope = Vec::new();
        if packer.pack_batch(&lines(0..20), &mut envelope) {
            samples.push((envelope, lines(0..20)));
        }
    }
    let with = Packer::new(Compression::Zstd { level: 3 }).threshold_bytes(0).dictionary(dictionary());
    samples.push((packed(&with, &line(77)), vec![line(77)]));
    assert_eq!(samples.len(), 8);
    samples
}

/// What a changed bit does: an error of a kind for that, or as many bytes as the trailer says at most. (Whether they are the
/// right ones the log's checksum says; see `a_changed_bit_never_reaches_the_reader`.)
#[test]
fn every_flipped_bit_is_an_error_or_bounded() {
    let reader = reader();
    let (mut refused, mut opened) = (0, 0);
    for (envelope, records) in samples() {
        assert_eq!(unpacked(&reader, &envelope).unwrap(), records);
        for bit in 0..envelope.len() * 8 {
            let mut changed = envelope.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let mut buffer = Vec::new();
            match reader.unpack(&changed, &mut buffer) {
                Ok(_) => opened += 1,
                Err(error) => {
                    let known = [
                        ErrorKind::Unsupported,
                        ErrorKind::NotFound,
                        ErrorKind::TooLarge,
                        ErrorKind::Undecodable,
                    ];
                    assert!(known.contains(&error.kind()), "{error}");
                    refused += 1;
                }
            }
            assert!(buffer.capacity() <= 1 << 20, "bit {bit}: {} bytes", buffer.capacity());
        }
    }
    assert!(refused > 1000 && opened > 1000, "{refused} refused, {opened} opened");
}

#[test]
fn every_cut_and_every_tag() {
    let reader = reader();
    for (envelope, _) in samples() {
        for len in 0..envelope.len() {
            let _ = unpacked(&reader, &envelope[..len]);
        }
        let (_, body) = envelope.split_last().unwrap();
        for tag in 0..=255_u8 {
            let mut changed = body.to_vec();
            changed.push(tag);
            let found = unpacked(&reader, &changed);
            let known = matches!(tag, 0x40 | 0x41 | 0x51 | 0x42 | 0x52 | 0x62 | 0x72);
            let unsupported = matches!(&found, Err(error) if error.kind() == ErrorKind::Unsupported);
            assert_eq!(unsupported, !known, "{tag:#x}");
        }
    }
    assert_eq!(kind(&[]), ErrorKind::Undecodable);
    assert_eq!(kind(&[0; 64]), ErrorKind::Unsupported);
    for tag in [LZ4, ZSTD, ZSTD | 0x20] {
        for len in 0..9 {
            let mut cut = vec![0; len];
            cut.push(tag);
            let found = unpacked(&reader, &cut);
            // (A block of LZ4 that is one zero is empty.)
            let is_empty = tag == LZ4 && len == 5;
            assert_eq!(found.is_ok(), is_empty, "{tag:#x} {len}");
            if len < 5 {
                assert_eq!(found.unwrap_err().kind(), ErrorKind::Undecodable);
            }
        }
    }
}

/// Zstd's own header, which may claim anything up to 2^64: nothing is made of it.
fn zstd_frame_claiming(bytes: u64) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1110_0000];
    frame.extend(bytes.to_le_bytes());
    frame.extend([0x03 | 0x10, 0, 0, b'a']); // the last block, of one byte repeated
    frame
}

#[test]
fn bombs_take_no_room() {
    let zeros = vec![0; 16 << 20];
    let lz4 = lz4_flex::block::compress(&zeros);
    let zstd = zstd::bulk::compress(&zeros, 3).unwrap();
    assert!(zstd.len() < 10_000);
    for (body, tag) in [(&lz4, LZ4), (&zstd, ZSTD)] {
        for claimed in [0, 1, 100, 1 << 20, (1 << 20) + 1, 16 << 20, u32::MAX] {
            let mut buffer = Vec::new();
            let error = reader().unpack(&forged(body, claimed, tag), &mut buffer).unwrap_err();
            let expected = if claimed > 1 << 20 { ErrorKind::TooLarge } else { ErrorKind::Undecodable };
            assert_eq!(error.kind(), expected, "{tag:#x} {claimed}");
            assert!(buffer.capacity() as u64 <= u64::from(claimed).clamp(64, 1 << 20), "{tag:#x} {claimed}");
        }
    }
    for claimed in [0, 1, 1 << 20, 1 << 32, 1 << 63, u64::MAX - 1, u64::MAX] {
        for recorded in [0, 2, 1 << 20] {
            let mut buffer = Vec::new();
            let frame = zstd_frame_claiming(claimed);
            let opened = reader().unpack(&forged(&frame, recorded, ZSTD), &mut buffer).is_ok();
            // All ones are Zstd's word for "unknown", and two bytes are what comes of it.
            assert_eq!(opened, claimed == u64::MAX && recorded == 2, "{claimed} {recorded}");
            assert!(buffer.capacity() <= 1 << 20);
        }
    }
    // Few bytes cannot become a million, so no room is made for them.
    let mut buffer = Vec::new();
    assert!(reader().unpack(&forged(&[0x1f, 0, 1, 0, 255], 1 << 20, LZ4), &mut buffer).is_err());
    assert_eq!(buffer.capacity(), 0);
}

/// A bomb in a bomb stays what it is: bytes.
#[test]
fn envelopes_are_not_opened_twice() {
    let packer = Packer::new(Compression::Zstd { level: 3 });
    let inner = packed(&packer, &vec![0; 1 << 20]);
    let outer = packed(&packer, &inner.repeat(20));
    assert_eq!(unpacked(&packer, &outer).unwrap(), [inner.repeat(20)]);
}

#[test]
fn trailing_garbage_and_wrong_lengths() {
    let text = line(3).repeat(9);
    let bytes = text.len() as u32;
    let bodies = [(lz4_flex::block::compress(&text), LZ4), (zstd::bulk::compress(&text, 3).unwrap(), ZSTD)];
    for (body, tag) in bodies {
        assert_eq!(unpacked(&reader(), &forged(&body, bytes, tag)).unwrap(), std::slice::from_ref(&text));
        for wrong in [0, 1, bytes - 1, bytes + 1, bytes * 2] {
            assert_eq!(kind(&forged(&body, wrong, tag)), ErrorKind::Undecodable, "{tag:#x} {wrong}");
        }
        let mut longer = body.clone();
        longer.extend(noise(1, 9));
        assert_eq!(kind(&forged(&longer, bytes, tag)), ErrorKind::Undecodable);
        assert_eq!(kind(&forged(&body[..body.len() - 1], bytes, tag)), ErrorKind::Undecodable);
        assert_eq!(kind(&forged(&body, bytes, tag | BATCH)), ErrorKind::Undecodable, "no list of records");
    }
}

#[test]
fn lists_of_inner_records_that_lie() {
    let list = |count: u32, lengths: &[u32], payload: usize| {
        let mut plain = count.to_le_bytes().to_vec();
        plain.extend(lengths.iter().flat_map(|length| length.to_le_bytes()));
        plain.extend(vec![b'x'; payload]);
        forged(&zstd::bulk::compress(&plain, 1).unwrap(), plain.len() as u32, ZSTD | BATCH)
    };
    assert_eq!(unpacked(&reader(), &list(2, &[1, 2], 3)).unwrap(), [vec![b'x'], vec![b'x'; 2]]);
    assert_eq!(unpacked(&reader(), &list(3, &[0, 0, 0], 0)).unwrap().len(), 3);
    let lies = [
        list(0, &[], 0),
        list(0, &[], 5),
        list(2, &[1, 1], 3),
        list(2, &[1, 3], 3),
        list(1, &[u32::MAX], 3),
        list(2, &[u32::MAX, 4], 3),
        list(u32::MAX, &[1], 1),
        list(1 << 30, &[], 0),
        list(1, &[], 0),
    ];
    for lie in lies {
        assert_eq!(kind(&lie), ErrorKind::Undecodable);
    }
}

#[test]
fn another_dictionary_never_gives_wrong_bytes() {
    let zstd = Compression::Zstd { level: 3 };
    let trained = dictionary();
    let given = Dictionary::new(&lines(9000..9030).concat()).unwrap();
    assert_ne!(trained.id(), given.id());
    for (own, other) in [(&trained, &given), (&given, &trained)] {
        let envelope = packed(&Packer::new(zstd).threshold_bytes(0).dictionary(own.clone()), &line(9_999));
        assert!(envelope.len() < line(9_999).len());
        for stranger in [Packer::new(zstd), Packer::new(zstd).dictionary(other.clone())] {
            let error = unpacked(&stranger, &envelope).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.to_string().contains(&format!("{:#010x}", own.id())), "{error}");
        }
        let again = Dictionary::new(own.bytes()).unwrap();
        let both = Packer::new(zstd).known_dictionary(other.clone()).known_dictionary(again);
        assert_eq!(unpacked(&both, &envelope).unwrap(), [line(9_999)]);
        // Under the other's id.
        let mut renamed = envelope.clone();
        let at = renamed.len() - 9;
        renamed[at..at + 4].copy_from_slice(&other.id().to_le_bytes());
        let _ = unpacked(&both, &renamed);
    }
    for none in [&b""[..], b"short", &[&[0x37, 0xa4, 0x30, 0xec][..], &[0; 60]].concat()] {
        assert_eq!(Dictionary::new(none).unwrap_err().kind(), ErrorKind::InvalidOption);
    }
    assert_eq!(Dictionary::train(&["a", "b"], 1000).unwrap_err().kind(), ErrorKind::InvalidOption);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_an_error_or_bounded(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), tag in proptest::num::u8::ANY, claimed in 0_u32..2000) {
        let reader = Packer::new(Compression::None).unpacked_bytes_max(1000);
        let mut buffer = Vec::new();
        let _ = reader.unpack(&bytes, &mut buffer);
        bytes.extend(claimed.to_le_bytes());
        bytes.push(0x40 | (tag & 0x13));
        let _ = reader.unpack(&bytes, &mut buffer);
        proptest::prop_assert!(buffer.capacity() <= 1000);
    }
}
