//! Logs that an earlier build wrote, byte by byte: whatever is changed, they open and hold what they held.
//!
//! A golden file is text: `record LSN HEX` for what the log holds, `file NAME LENGTH` and below it
//! `OFFSET HEX` for the rows of 32 bytes that are not zeros.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use tidelog::{Checksum, LastClose, Log, LogReader, Lsn, SyncPolicy};

use crate::support::{
    Expected, another_boot, collect, contents, crash_files, files, options, payload, restore, scratch,
};

const ROW: usize = 32;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1").join(name)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn encode(files: &BTreeMap<String, Vec<u8>>, expected: &Expected) -> String {
    let mut text = String::new();
    for (lsn, bytes) in expected {
        writeln!(text, "record {lsn} {}", hex(bytes)).unwrap();
    }
    for (name, bytes) in files.iter().filter(|(name, _)| !name.contains(".spare")) {
        writeln!(text, "file {name} {}", bytes.len()).unwrap();
        for (index, row) in bytes.chunks(ROW).enumerate().filter(|(_, row)| row.iter().any(|byte| *byte != 0))
        {
            writeln!(text, "{} {}", index * ROW, hex(row)).unwrap();
        }
    }
    text
}

fn decode(text: &str) -> (BTreeMap<String, Vec<u8>>, Expected) {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut expected = Vec::new();
    let mut current = String::new();
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["record", lsn, bytes] => expected.push((lsn.parse::<Lsn>().unwrap(), unhex(bytes))),
            ["file", name, length] => {
                current = name.to_owned();
                files.insert(current.clone(), vec![0; length.parse().unwrap()]);
            }
            [offset, row] => {
                let (offset, row) = (offset.parse::<usize>().unwrap(), unhex(row));
                files.get_mut(&current).unwrap()[offset..offset + row.len()].copy_from_slice(&row);
            }
            _ => panic!("not a line of a golden file: {line}"),
        }
    }
    (files, expected)
}

/// Records, a batch and padding.
fn write_some(log: &Log, seed: u64) -> Expected {
    let mut expected = Vec::new();
    for len in [0, 1, 7, 8, 100] {
        let bytes = payload(seed + len, len as usize);
        expected.push((log.append(&bytes).unwrap(), bytes));
    }
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = log.append_with(20, |_| std::panic::resume_unwind(Box::new(())));
    }));
    assert!(panicked.is_err());
    let batch = [payload(seed, 3), Vec::new(), payload(seed + 1, 40)];
    let lsns: Vec<_> = log.append_batch(&batch).unwrap().collect();
    expected.extend(lsns.into_iter().zip(batch));
    let bytes = payload(seed + 2, 24);
    expected.push((log.append_with(24, |buffer| buffer.copy_from_slice(&bytes)).unwrap(), bytes));
    expected
}

/// Never overwrites: a golden file that is written anew proves nothing.
fn create(name: &str, text: &str) {
    let mut file = std::fs::File::create_new(path(name)).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
}

/// Writes the golden files of a new version of the format: `cargo test --test it -- --ignored write_golden`.
#[test]
#[ignore = "writes the golden files; only for a new version of the format"]
fn write_golden_files() {
    let dir = scratch();
    let open = |checksum| options(SyncPolicy::grouped()).checksum(checksum).open(dir.path()).unwrap();
    let log = open(Checksum::Crc32c);
    let mut expected = write_some(&log, 1);
    log.close().unwrap();
    drop(log);
    let log = open(Checksum::Crc64);
    expected.extend(write_some(&log, 1000));
    let mut killed = crash_files(dir.path());
    // Whoever reads it runs in another boot, also when that is this machine.
    another_boot(&mut killed);
    create("killed.txt", &encode(&killed, &expected));
    log.close().unwrap();
    create("closed.txt", &encode(&files(dir.path()), &expected));
}

#[test]
fn golden_files_hold_what_they_held() {
    for (name, how) in [("closed.txt", LastClose::Clean), ("killed.txt", LastClose::MachineRestarted)] {
        let (files, expected) = decode(&std::fs::read_to_string(path(name)).unwrap());
        assert_eq!(expected.len(), 18, "{name}");
        let dir = restore(&files);
        let reader = LogReader::open(dir.path()).unwrap();
        assert!(collect(&reader.snapshot().unwrap()).unwrap() == expected, "{name}");
        let dir = restore(&files);
        let log = Log::open(dir.path()).unwrap();
        let report = log.recovery();
        assert_eq!((report.last_close, report.truncated_bytes, report.holes_skipped), (how, 0, 0), "{name}");
        assert!(contents(&log) == expected, "{name}");
        for (lsn, bytes) in &expected {
            assert_eq!(log.read(*lsn).unwrap().payload(), bytes, "{name}");
        }
        let mut more = expected.clone();
        more.extend(write_some(&log, 5000));
        log.close().unwrap();
        drop(log);
        assert!(contents(&Log::open(dir.path()).unwrap()) == more, "{name}");
    }
}
