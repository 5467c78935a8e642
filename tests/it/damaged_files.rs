//! Files that are missing, exchanged, foreign, or of another version.

use std::collections::BTreeMap;

use tidelog::{Error, ErrorKind, LastClose, LogReader, Lsn, SyncPolicy};

use crate::support::{
    Expected, SEGMENT, collect, contents, crash_files, eventually, files, fill, names, options, restore,
    scratch, segment_name,
};

type Files = BTreeMap<String, Vec<u8>>;

/// A log of four segments with records and two prepared ones.
fn rolled(closed: bool) -> (Files, Expected) {
    let dir = scratch();
    let log = options(SyncPolicy::grouped()).open(dir.path()).unwrap();
    let mut expected = fill(&log, 200, 1000);
    log.sync().unwrap();
    expected.push((log.append(b"durable").unwrap(), b"durable".to_vec()));
    eventually("all is prepared", || names(dir.path(), ".seg").len() == 6);
    if closed {
        log.close().unwrap();
        assert_eq!(names(dir.path(), ".seg").len(), 4);
    }
    let files = if closed { files(dir.path()) } else { crash_files(dir.path()) };
    (files, expected)
}

/// Opens and reads everything: the first error there is.
fn open_and_read(files: &Files) -> Result<(Expected, LastClose), Error> {
    let dir = restore(files);
    let log = options(SyncPolicy::grouped()).open(dir.path()).inspect_err(|error| {
        if error.is_corruption() {
            assert!(crate::support::files(dir.path()) == *files, "a refused log was changed");
        }
    })?;
    Ok((collect(&log.snapshot())?, log.recovery().last_close))
}

/// The error that there must be.
fn refused(files: &Files) -> Error {
    open_and_read(files).map(|(kept, how)| (kept.len(), how)).unwrap_err()
}

#[test]
fn rolled_samples_come_back_whole() {
    for closed in [false, true] {
        let (files, expected) = rolled(closed);
        let how = if closed { LastClose::Clean } else { LastClose::ProcessDied };
        assert!(open_and_read(&files).unwrap() == (expected, how));
    }
}

#[test]
fn a_missing_segment_before_others_is_corruption() {
    for closed in [false, true] {
        let (files, _) = rolled(closed);
        let last = if closed { 3 } else { 5 };
        for number in 0..last {
            let mut damaged = files.clone();
            damaged.remove(&segment_name(number)).unwrap();
            let error = refused(&damaged);
            assert_eq!(error.kind(), ErrorKind::Corrupt, "without {number}: {error}");
            assert!(error.to_string().contains("missing"), "without {number}: {error}");
            assert!(error.path().unwrap().ends_with(segment_name(number)), "without {number}: {error}");
            assert_eq!(error.lsn(), Some(Lsn::new(number * SEGMENT)), "without {number}: {error}");
        }
    }
}

/// A reader names the segment that is gone, wherever it was asked to read.
#[test]
fn a_reader_names_the_segment_that_is_missing() {
    let (files, expected) = rolled(true);
    for number in 1..3 {
        let mut damaged = files.clone();
        damaged.remove(&segment_name(number)).unwrap();
        let dir = restore(&damaged);
        for (lsn, _) in expected.iter().filter(|(lsn, _)| lsn.get() >= number * SEGMENT) {
            let outcome = LogReader::open(dir.path()).and_then(|reader| reader.read(*lsn));
            let error = outcome.err().unwrap_or_else(|| panic!("{lsn} was read without {number}"));
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{lsn} without {number}: {error}");
            assert!(error.path().unwrap().ends_with(segment_name(number)), "{lsn} without {number}: {error}");
        }
    }
}

#[test]
fn all_segments_from_one_on_missing_never_gives_a_wrong_record() {
    for closed in [false, true] {
        let (files, expected) = rolled(closed);
        for number in 0..6 {
            let mut damaged = files.clone();
            damaged.retain(|name, _| !name.ends_with(".seg") || *name < segment_name(number));
            match open_and_read(&damaged) {
                Ok((kept, _)) => assert!(expected.starts_with(&kept), "from {number} on"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "from {number} on: {error}"),
            }
        }
    }
}

#[test]
fn exchanged_and_copied_segments_are_corruption() {
    for closed in [false, true] {
        let (files, _) = rolled(closed);
        for (one, other) in [(0, 1), (1, 2), (2, 3), (0, 3)] {
            let mut swapped = files.clone();
            swapped.insert(segment_name(one), files[&segment_name(other)].clone());
            let error = refused(&swapped);
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{other} over {one}: {error}");
            assert!(error.path().unwrap().ends_with(segment_name(one)), "{other} over {one}: {error}");
            swapped.insert(segment_name(other), files[&segment_name(one)].clone());
            let error = refused(&swapped);
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{one} and {other}: {error}");
        }
        let mut copied = files.clone();
        copied.insert(segment_name(6), files[&segment_name(2)].clone());
        let error = refused(&copied);
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.path().unwrap().ends_with(segment_name(6)), "{error}");
        let mut off = files.clone();
        off.insert(format!("{:020}.seg", SEGMENT * 6 + 8), files[&segment_name(2)].clone());
        assert_eq!(refused(&off).kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn a_segment_of_another_log_is_corruption() {
    let (files, _) = rolled(true);
    let (foreign, _) = rolled(true);
    for number in 0..4 {
        let mut damaged = files.clone();
        damaged.insert(segment_name(number), foreign[&segment_name(number)].clone());
        let error = refused(&damaged);
        assert_eq!(error.kind(), ErrorKind::Corrupt, "segment {number}: {error}");
        assert!(error.path().unwrap().ends_with(segment_name(number)), "{error}");
    }
}

#[test]
fn foreign_files_are_left_alone() {
    let (mut files, expected) = rolled(false);
    let foreign = ["notes.txt", "1.seg", "00000000000000000000.seg.bak", "x.tmp", "log.meta.old"];
    files.extend(foreign.map(|name| (name.to_owned(), b"mine".to_vec())));
    let dir = restore(&files);
    std::fs::create_dir(dir.path().join("directory")).unwrap();
    let log = options(SyncPolicy::grouped()).open(dir.path()).unwrap();
    assert!(contents(&log) == expected);
    log.close().unwrap();
    for name in foreign {
        assert_eq!(std::fs::read(dir.path().join(name)).unwrap(), b"mine", "{name}");
    }
    assert!(dir.path().join("directory").is_dir());
}

#[test]
fn leftovers_of_interrupted_operations_are_removed() {
    let (mut files, expected) = rolled(false);
    files.insert(format!("{}.tmp", segment_name(9)), vec![1; 100]);
    files.insert("00000000000000000007.spare.tmp".to_owned(), vec![1; 100]);
    files.insert("00000000000000000008.spare".to_owned(), vec![1; 100]);
    files.insert("log.meta.tmp".to_owned(), vec![1; 100]);
    let dir = restore(&files);
    let log = options(SyncPolicy::grouped()).open(dir.path()).unwrap();
    assert!(contents(&log) == expected);
    assert!(!dir.path().join("log.meta.tmp").exists());
    assert!(!dir.path().join("00000000000000000007.spare.tmp").exists());
    let mut expected = expected;
    expected.extend(fill(&log, 500, 1000));
    assert!(contents(&log) == expected);
}

/// Sets the version in the header of a file, with a checksum that holds.
fn with_version(bytes: &mut [u8], version: u32) {
    bytes[8..12].copy_from_slice(&version.to_le_bytes());
    let crc = crate::support::crc64(&bytes[..120]);
    bytes[120..128].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn another_version_is_unsupported_and_named() {
    for name in [segment_name(3), segment_name(0), "log.meta".to_owned()] {
        let (mut files, _) = rolled(true);
        with_version(files.get_mut(&name).unwrap(), 77);
        let error = refused(&files);
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("77"), "{error}");
        assert!(error.path().unwrap().ends_with(&name), "{error}");
        let dir = restore(&files);
        let read = LogReader::open(dir.path()).and_then(|reader| collect(&reader.snapshot()?));
        assert_eq!(read.unwrap_err().kind(), ErrorKind::Unsupported);
    }
}

#[test]
fn damaged_and_missing_metadata_is_corruption() {
    let (files, expected) = rolled(true);
    let mut missing = files.clone();
    missing.remove("log.meta");
    assert_eq!(refused(&missing).kind(), ErrorKind::Corrupt);
    for at in (0..128).step_by(5) {
        let mut damaged = files.clone();
        damaged.get_mut("log.meta").unwrap()[at] ^= 4;
        assert!(open_and_read(&damaged).unwrap().0 == expected, "the other slot stands in");
        damaged.get_mut("log.meta").unwrap()[4096 + at] ^= 4;
        let error = refused(&damaged);
        assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}: {error}");
        assert!(error.path().unwrap().ends_with("log.meta"), "{error}");
    }
    for len in [0, 1, 127] {
        let mut damaged = files.clone();
        damaged.get_mut("log.meta").unwrap().truncate(len);
        assert_eq!(refused(&damaged).kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn a_flip_in_a_sealed_segment_is_found_by_whoever_reads_it() {
    let (mut files, expected) = rolled(true);
    let (lsn, _) = expected.iter().find(|(lsn, _)| lsn.get() > SEGMENT).unwrap().clone();
    files.get_mut(&segment_name(1)).unwrap()[(4096 + lsn.get() - SEGMENT + 20) as usize] ^= 8;
    let dir = restore(&files);
    let log = options(SyncPolicy::grouped()).open(dir.path()).unwrap();
    assert_eq!(log.recovery().segments_scanned, 0);
    let index = expected.iter().position(|(at, _)| *at == lsn).unwrap();
    let snapshot = log.snapshot();
    let mut records = snapshot.iter();
    for (at, bytes) in &expected[..index] {
        let record = records.next().unwrap().unwrap();
        assert_eq!((record.lsn(), record.payload()), (*at, &bytes[..]));
    }
    let error = records.next().unwrap().unwrap_err();
    assert!(records.next().is_none());
    let reader = LogReader::open(dir.path()).unwrap();
    let mut tail = log.tail(lsn).unwrap_or_else(|_| log.tail(expected[index - 1].0).unwrap());
    let tailed = loop {
        match tail.next() {
            Ok(record) => assert!(record.unwrap().lsn() < lsn),
            Err(error) => break error,
        }
    };
    for error in [error, log.read(lsn).unwrap_err(), reader.read(lsn).unwrap_err(), tailed] {
        assert!(error.is_corruption(), "{error}");
        assert_eq!(error.lsn(), Some(lsn));
        assert!(error.path().unwrap().ends_with(segment_name(1)));
        assert_eq!(error.offset(), Some(4096 + lsn.get() - SEGMENT));
    }
    // The rest of the log is as good as ever.
    let rest: Vec<_> = snapshot.range(expected[index + 1].0..).map(|record| record.unwrap().lsn()).collect();
    assert_eq!(rest.len(), expected.len() - index - 1);
    log.append(b"goes on").unwrap();
}
