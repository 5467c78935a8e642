//! Envelopes that an earlier build wrote, byte by byte: whatever is changed, they open and hold what they held. The codecs'
//! own output may change with their versions, so these are read only, and the trailer is also written.

use tidelog::compress::{Compression, Packer};

use crate::support::{packed, unpacked};

fn unhex(text: &str) -> Vec<u8> {
    let text: String = text.split_whitespace().collect();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn envelopes_of_version_1_open() {
    let text = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1/envelopes.txt"),
    )
    .unwrap();
    let mut packer = Packer::new(Compression::None);
    let mut seen = 0;
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        match &words[..] {
            ["dictionary", id, bytes] => {
                let dictionary = tidelog::compress::Dictionary::new(&unhex(bytes)).unwrap();
                assert_eq!(format!("{:08x}", dictionary.id()), *id);
                packer = packer.known_dictionary(dictionary);
            }
            ["envelope", bytes, records @ ..] => {
                let records: Vec<_> = records.iter().map(|record| unhex(record)).collect();
                assert_eq!(unpacked(&packer, &unhex(bytes)).unwrap(), records, "{line}");
                seen += 1;
            }
            _ => panic!("not a line of the golden file: {line}"),
        }
    }
    assert_eq!(seen, 7);
}

#[test]
fn trailers_are_written_as_the_format_says() {
    assert_eq!(packed(&Packer::new(Compression::None), b"abc"), b"abc\x40");
    assert_eq!(packed(&Packer::new(Compression::None), b""), b"\x40");
    let text = [b'a'; 300];
    assert!(packed(&Packer::new(Compression::Lz4), &text).ends_with(&[0x2c, 1, 0, 0, 0x41]));
    let zstd = Packer::new(Compression::Zstd { level: 3 });
    assert!(packed(&zstd, &text).ends_with(&[0x2c, 1, 0, 0, 0x42]));
    let dictionary = tidelog::compress::Dictionary::new(b"a dictionary that was given, aaaaaaaa").unwrap();
    let mut end = dictionary.id().to_le_bytes().to_vec();
    end.extend([0x2c, 1, 0, 0, 0x62]);
    assert!(packed(&zstd.clone().dictionary(dictionary), &text).ends_with(&end));
    let mut envelope = Vec::new();
    assert!(zstd.pack_batch(&[&text[..], &text[..]], &mut envelope));
    assert!(envelope.ends_with(&[(4 + 2 * 4 + 600_u32).to_le_bytes()[0], 2, 0, 0, 0x52]));
}

/// Writes the golden file of a new version: `cargo test .. --test compress -- --ignored write_golden`.
#[test]
#[ignore = "writes the golden file; only for a new version of the format"]
fn write_golden_envelopes() {
    use std::fmt::Write as _;
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    let given = tidelog::compress::Dictionary::new(&crate::support::lines(0..5).concat()).unwrap();
    let record = crate::support::line(7);
    let mut text = format!("dictionary {:08x} {}\n", given.id(), hex(given.bytes()));
    let mut put = |envelope: &[u8], records: &[Vec<u8>]| {
        let records: Vec<_> = records.iter().map(|record| hex(record)).collect();
        writeln!(text, "envelope {} {}", hex(envelope), records.join(" ")).unwrap();
    };
    let zstd = Packer::new(Compression::Zstd { level: 3 });
    put(&packed(&Packer::new(Compression::None), &record), std::slice::from_ref(&record));
    for packer in [Packer::new(Compression::Lz4), zstd.clone()] {
        put(&packed(&packer, &record.repeat(4)), &[record.repeat(4)]);
        let mut envelope = Vec::new();
        assert!(packer.pack_batch(&crate::support::lines(0..8), &mut envelope));
        put(&envelope, &crate::support::lines(0..8));
    }
    let with = zstd.threshold_bytes(0).dictionary(given);
    put(&packed(&with, &record), std::slice::from_ref(&record));
    let mut envelope = Vec::new();
    assert!(with.pack_batch(&crate::support::lines(0..3), &mut envelope));
    put(&envelope, &crate::support::lines(0..3));
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1/envelopes.txt");
    let mut file = std::fs::File::create_new(path).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
}
