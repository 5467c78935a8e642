//! Cursors whose files are damaged, and cursors that outlived their records: an error that says what to do, never another
//! position.

use std::path::Path;

use tidelog::{ErrorKind, LogReader, Lsn, RetentionPolicy, SyncPolicy};

use crate::cursors::{consume, open};
use crate::support::{another_boot, crash_files, eventually, files, fill, options, restore, scratch};

/// A log with a cursor in the middle, closed, as files; where the cursor stands, and where the log ends.
fn sample() -> (std::collections::BTreeMap<String, Vec<u8>>, Lsn, Lsn) {
    let dir = scratch();
    let log = open(dir.path());
    let expected = fill(&log, 200, 1000);
    let cursor = log.cursor("indexer").unwrap();
    cursor.set_gate(true).unwrap();
    consume(&cursor, 50);
    cursor.sync().unwrap();
    consume(&cursor, 50);
    let end = log.watermarks().claimed;
    log.close().unwrap();
    (files(dir.path()), expected[100].0, end)
}

/// What everybody is told of a cursor whose file does not read back, and what can be done.
fn assert_refused(dir: &Path, end: Lsn, what: &str) {
    let reader = LogReader::open(dir).unwrap();
    let told = reader.cursors().unwrap();
    assert_eq!(told.len(), 1, "{what}");
    assert!(told[0].state.as_ref().unwrap_err().is_corruption(), "{what}");
    let log = open(dir);
    let error = log.cursor("indexer").unwrap_err();
    assert!(error.is_corruption(), "{what}: {error}");
    assert!(error.path().unwrap().ends_with("indexer.cursor"), "{what}");
    assert!(error.to_string().contains("remove_cursor"), "{error}");
    assert!(log.cursors()[0].state.is_err());
    // It may be a gate, anywhere.
    assert!(log.retire_before(end).unwrap_err().is_corruption(), "{what}");
    assert!(log.remove_cursor("indexer").unwrap(), "{what}");
    assert!(log.retire_before(end).unwrap() > Lsn::ZERO, "{what}");
    let start = log.watermarks().start;
    assert_eq!(log.cursor("indexer").unwrap().position(), start, "{what}");
}

/// A damaged byte in one slot costs nothing, the same in both is an error: never another position.
#[test]
fn every_damaged_byte_is_survived_or_told() {
    let (files, position, end) = sample();
    let directory = restore(&files);
    let path = directory.path().join("indexer.cursor");
    let bytes = &files["indexer.cursor"];
    assert_eq!(bytes.len(), 8192);
    assert_eq!(bytes[..256], bytes[4096..4352], "twins");
    let reader = LogReader::open(directory.path()).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        std::fs::write(&path, &damaged).unwrap();
        let seen = reader.cursors().unwrap().remove(0);
        assert_eq!(seen.state.unwrap().position, position, "byte {at}");
        if at % 4096 < 256 {
            damaged[(at + 4096) % 8192] ^= 1 << (at % 8);
            std::fs::write(&path, &damaged).unwrap();
            let seen = reader.cursors().unwrap().remove(0);
            assert!(seen.state.unwrap_err().is_corruption(), "byte {at} twice");
        }
        if at % 509 == 3 {
            let mut one = files.clone();
            one.get_mut("indexer.cursor").unwrap()[at] ^= 1 << (at % 8);
            let log = restore(&one);
            assert_eq!(open(log.path()).cursor("indexer").unwrap().position(), position);
        }
    }
    for at in [0, 9, 13, 17, 33, 41, 49, 57, 65, 128, 255] {
        let mut both = files.clone();
        let bytes = both.get_mut("indexer.cursor").unwrap();
        bytes[at] ^= 1;
        bytes[at + 4096] ^= 1;
        assert_refused(restore(&both).path(), end, &format!("byte {at} twice"));
    }
}

#[test]
fn a_file_that_is_cut_or_another_is_told() {
    let (files, position, end) = sample();
    for len in [0, 1, 255, 256, 4096, 4351, 4352, 8191] {
        let mut cut = files.clone();
        cut.get_mut("indexer.cursor").unwrap().truncate(len);
        let dir = restore(&cut);
        if len < 256 {
            assert_refused(dir.path(), end, &format!("{len} bytes"));
        } else {
            let log = open(dir.path());
            let cursor = log.cursor("indexer").unwrap();
            assert_eq!(cursor.position(), position, "{len} bytes");
            cursor.commit(end).unwrap();
            cursor.sync().unwrap();
            drop((cursor, log));
            assert_eq!(open(dir.path()).cursor("indexer").unwrap().position(), end, "{len} bytes");
        }
    }
    // That of another cursor, and that of another log.
    let mut other = files.clone();
    let bytes = other.remove("indexer.cursor").unwrap();
    other.insert("renamed.cursor".to_owned(), bytes);
    let dir = restore(&other);
    let error = open(dir.path()).cursor("renamed").unwrap_err();
    assert!(error.is_corruption() && error.to_string().contains("\"indexer\""), "{error}");
    let mut foreign = files.clone();
    foreign.insert("indexer.cursor".to_owned(), sample().0.remove("indexer.cursor").unwrap());
    assert_refused(restore(&foreign).path(), end, "another log's");
    // No file at all under the name: it cannot be read, and that is no damage.
    let mut none = files.clone();
    none.remove("indexer.cursor");
    let dir = restore(&none);
    std::fs::create_dir(dir.path().join("indexer.cursor")).unwrap();
    let log = open(dir.path());
    assert_eq!(log.cursor("indexer").unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(log.retire_before(end).unwrap_err().kind(), ErrorKind::Io);
    log.append(b"the log goes on").unwrap();
    // A later version's.
    let mut newer = files;
    let bytes = newer.get_mut("indexer.cursor").unwrap();
    bytes[8] = 2;
    let crc = crate::support::crc64(&bytes[..248]);
    bytes[248..256].copy_from_slice(&crc.to_le_bytes());
    let log = restore(&newer);
    assert_eq!(open(log.path()).cursor("indexer").unwrap_err().kind(), ErrorKind::Unsupported);
}

/// A damaged cursor may be a gate, so the policy retires nothing until somebody decides.
#[test]
fn the_policy_waits_for_a_damaged_cursor() {
    let (mut files, ..) = sample();
    for at in [40, 4136] {
        files.get_mut("indexer.cursor").unwrap()[at] ^= 1;
    }
    let dir = restore(&files);
    let policy = RetentionPolicy::new().max_segments(1).max_gate_bytes(0);
    let log = options(SyncPolicy::None).retention(policy).open(dir.path()).unwrap();
    fill(&log, 300, 1000);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(log.watermarks().start, Lsn::ZERO);
    log.remove_cursor("indexer").unwrap();
    eventually("it goes on", || log.watermarks().start > Lsn::ZERO);
}

/// A log that lost its tail: the cursor tells, for as long as nobody has decided where it is to go on.
#[test]
fn a_cursor_beyond_the_end_of_the_log_is_told_and_never_waits() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    fill(&log, 20, 1000);
    log.sync().unwrap();
    let durable = log.watermarks().durable;
    fill(&log, 20, 1000);
    let cursor = log.cursor("indexer").unwrap();
    cursor.commit(log.watermarks().published).unwrap();
    cursor.sync().unwrap();
    let beyond = cursor.position();
    let mut cut = crash_files(dir.path());
    another_boot(&mut cut);
    let segment = cut.get_mut(&crate::support::segment_name(0)).unwrap();
    segment[4096 + durable.get() as usize..].fill(0);
    let dir = restore(&cut);
    for _ in 0..3 {
        let log = open(dir.path());
        let cursor = log.cursor("indexer").unwrap();
        for error in [cursor.tail().unwrap_err(), cursor.commit(durable).unwrap_err()] {
            assert_eq!((error.kind(), error.lsn()), (ErrorKind::CursorAhead, Some(durable)), "{error}");
            assert!(error.to_string().contains("reset"), "{error}");
        }
        assert_eq!((cursor.position(), cursor.state().log_ended), (beyond, Some(durable)));
        // Also when the log has other records there.
        fill(&log, 30, 1000);
        assert!(log.watermarks().claimed > beyond);
        let seen = LogReader::open(dir.path()).unwrap().cursors().unwrap();
        assert_eq!(seen[0].state.as_ref().unwrap().log_ended, Some(durable));
    }
    let log = open(dir.path());
    let cursor = log.cursor("indexer").unwrap();
    cursor.set_gate(true).unwrap();
    assert_eq!(
        log.retire_before(log.watermarks().published).unwrap_err().lsn(),
        Some(durable),
        "from there on"
    );
    cursor.reset(durable).unwrap();
    assert_eq!(cursor.tail().unwrap().try_next().unwrap().unwrap().lsn(), durable);
    assert_eq!(cursor.state().log_ended, None);
}
