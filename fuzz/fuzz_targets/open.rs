//! Hostile files: whatever stands in a log's directory, opening it gives a log or an error, and what is read from it
//! stood in the files under a checksum that holds. What was recovered can be gone on with, and opens again as it was.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tidelog::{ErrorKind, Log, LogReader, Options, Record, Snapshot};
use tidelog_fuzz::forge::SEGMENT;
use tidelog_fuzz::format::{HEADER, Stands, governing, judge};
use tidelog_fuzz::golden::Files;
use tidelog_fuzz::hostile::{Hostile, openings};

type Records = Vec<(u64, Vec<u8>)>;

fuzz_target!(|input: Hostile| {
    let files = input.files();
    if std::env::var_os("SHOW").is_some() {
        eprintln!("{input:?}");
        for (name, bytes) in &files {
            eprintln!("{name}: {} bytes, {:?}", bytes.len(), openings(bytes));
        }
    }
    // A log without files of a size to say otherwise is made with small segments.
    let options =
        if files.contains_key("log.meta") { Options::new() } else { Options::new().segment_bytes(SEGMENT) };
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    for (name, bytes) in &files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    if let Ok(snapshot) = LogReader::open(dir.path()).and_then(|reader| reader.snapshot()) {
        read(&snapshot, &files);
    }
    let log = match options.open(dir.path()) {
        Ok(log) => log,
        Err(error) => {
            if error.kind() == ErrorKind::Corrupt {
                assert!(error.path().is_some(), "{error}");
                for (name, bytes) in files.iter().filter(|(name, _)| *name != "log.lock") {
                    let now = std::fs::read(dir.path().join(name)).unwrap();
                    assert!(now == *bytes, "a refused log was changed: {name}");
                }
            }
            return;
        }
    };
    let (kept, whole) = read(&log.snapshot(), &files);
    if log.segment_bytes() != SEGMENT {
        return;
    }
    go_on(log, dir.path(), &options, kept, whole);
});

/// Reads it all. Each record stands in the files, under a checksum that holds.
fn read(snapshot: &Snapshot, files: &Files) -> (Records, bool) {
    let mut all = Records::new();
    for record in snapshot {
        let Ok(record) = record else { return (all, false) };
        check(&record, files);
        assert!(all.last().is_none_or(|(last, _)| *last < record.lsn().get()));
        all.push((record.lsn().get(), record.payload().to_vec()));
    }
    (all, true)
}

fn check(record: &Record<'_>, files: &Files) {
    let lsn = record.lsn().get();
    let base = lsn - lsn % SEGMENT;
    let file = &files[&format!("{base:020}.seg")];
    let id = file[16..32].try_into().unwrap();
    let frames = &file[HEADER..HEADER + SEGMENT as usize];
    let known = openings(file);
    let stands = judge(&id, &known, base, frames, lsn - base);
    let Stands::Record { length, .. } = stands else {
        panic!("{stands:?} at {lsn}, under {:?}", governing(&known, lsn));
    };
    let at = (lsn - base) as usize + 16;
    assert!(frames[at..at + length as usize] == *record.payload());
}

/// Appends, closes, and opens again: what was there is there.
fn go_on(log: Log, path: &Path, options: &Options, mut all: Records, whole: bool) {
    for len in [0, 24, 3000, 9] {
        let bytes = vec![len as u8; len];
        // What nobody looked at may be in the way: that is an error, here or when it is read.
        let Ok(lsn) = log.append(&bytes) else { return };
        all.push((lsn.get(), bytes));
    }
    if log.sync().is_err() || !whole {
        return;
    }
    let contents = |log: &Log| -> Result<Records, tidelog::Error> {
        log.snapshot().iter().map(|record| record.map(|r| (r.lsn().get(), r.payload().to_vec()))).collect()
    };
    assert!(contents(&log).is_ok_and(|now| now == all), "after appending");
    if log.close().is_err() {
        return;
    }
    drop(log);
    let log = options.open(path).expect("a log that was closed opens");
    assert!(contents(&log).is_ok_and(|now| now == all), "after closing");
}
