//! Retiring old records: what goes, what stays, and what happens to the files.

use tidelog::{ErrorKind, LastClose, LogReader, Lsn, Options, SyncPolicy};

use crate::support::{
    Expected, SEGMENT, collect, contents, eventually, fill, names, options, payload, policies,
};

/// The part of the records that a log that begins at `start` has.
fn from(expected: &Expected, start: Lsn) -> Expected {
    expected.iter().filter(|(lsn, _)| *lsn >= start).cloned().collect()
}

#[test]
fn whole_segments_go_and_lsns_stay() {
    for policy in policies() {
        let dir = tempfile::tempdir().unwrap();
        let options = options(policy);
        let log = options.open(dir.path()).unwrap();
        let mut expected = fill(&log, 400, 1000);
        log.sync().unwrap();
        assert_eq!(log.retire_before(Lsn::ZERO).unwrap(), Lsn::ZERO);
        assert_eq!(log.retire_before(Lsn::new(SEGMENT - 1)).unwrap(), Lsn::ZERO);
        assert_eq!(contents(&log).len(), 400);
        for lsn in [SEGMENT, SEGMENT + 1, 2 * SEGMENT - 1, 2 * SEGMENT, 5 * SEGMENT + 77] {
            let start = Lsn::new(lsn / SEGMENT * SEGMENT);
            assert_eq!(log.retire_before(Lsn::new(lsn)).unwrap(), start);
            assert_eq!(log.watermarks().start, start);
            assert!(contents(&log) == from(&expected, start));
            // Backwards it changes nothing.
            assert_eq!(log.retire_before(Lsn::new(8)).unwrap(), start);
        }
        assert_eq!(log.stats().segments_retired, 5);
        let start = log.watermarks().start;
        expected.extend(fill(&log, 10, 10));
        log.close().unwrap();
        drop(log);
        let log = options.open(dir.path()).unwrap();
        assert_eq!(log.recovery().start, start);
        assert!(contents(&log) == from(&expected, start));
        assert_eq!(log.read(expected[0].0).unwrap_err().kind(), ErrorKind::Retired);
        let reader = LogReader::open(dir.path()).unwrap();
        assert!(collect(&reader.snapshot().unwrap()).unwrap() == from(&expected, start));
        assert_eq!(reader.read(expected[0].0).unwrap_err().kind(), ErrorKind::Retired);
        assert_eq!(reader.tail(expected[0].0).unwrap_err().kind(), ErrorKind::Retired);
    }
}

#[test]
fn the_segment_with_the_newest_record_is_never_retired() {
    let dir = tempfile::tempdir().unwrap();
    let log = options(SyncPolicy::None).open(dir.path()).unwrap();
    assert_eq!(log.retire_before(Lsn::ZERO).unwrap(), Lsn::ZERO);
    // To the very end of the first segment.
    let last = [1, 2, 3, 4].map(|byte| log.append(&[byte; SEGMENT as usize / 4 - 16]).unwrap())[3];
    let end = log.watermarks().claimed;
    assert_eq!(end.get(), SEGMENT);
    assert_eq!(log.retire_before(end).unwrap(), Lsn::ZERO);
    assert_eq!(log.read(last).unwrap().lsn(), last);
    let beyond = log.retire_before(Lsn::new(SEGMENT + 1)).unwrap_err();
    assert_eq!(beyond.kind(), ErrorKind::NotWritten);
    assert_eq!(log.retire_before(Lsn::new(u64::MAX)).unwrap_err().kind(), ErrorKind::NotWritten);
    let next = log.append(b"next").unwrap();
    assert_eq!(log.retire_before(next).unwrap(), Lsn::new(SEGMENT));
    assert_eq!(contents(&log), [(next, b"next".to_vec())]);
    drop(log);
    let log = Options::new().open(dir.path()).unwrap();
    assert_eq!(log.recovery().last_close, LastClose::Clean);
    assert_eq!(contents(&log), [(next, b"next".to_vec())]);
}

#[test]
fn the_room_is_freed_and_the_files_are_used_again() {
    for recycle_max in [0, 2, 8] {
        let dir = tempfile::tempdir().unwrap();
        let options = options(SyncPolicy::None).recycle_max(recycle_max);
        let log = options.open(dir.path()).unwrap();
        let mut expected = Vec::new();
        for round in 0..30 {
            // Stale bytes of earlier rounds would be seen: every round has another size.
            expected.extend(fill(&log, 100, 900 + round * 7));
            let newest = expected[expected.len() - 1].0;
            let start = log.retire_before(newest).unwrap();
            expected = from(&expected, start);
            assert!(contents(&log) == expected);
        }
        // In use, two ahead, and whatever was still held for a moment.
        eventually("the retired files are gone", || names(dir.path(), ".seg").len() <= 4);
        eventually("no more spares are kept than asked for", || {
            let all = names(dir.path(), "");
            all.iter().filter(|name| name.contains(".spare")).count() <= recycle_max
        });
        let stats = log.stats();
        assert!(stats.segments_retired >= 25, "{stats:?}");
        if recycle_max == 0 {
            assert_eq!(stats.segments_recycled, 0);
        } else {
            assert!(stats.segments_recycled > 0, "{stats:?}");
        }
        let crashed = crate::support::crash(dir.path());
        assert!(contents(&options.open(crashed.path()).unwrap()) == expected);
        log.close().unwrap();
        drop(log);
        let log = options.open(dir.path()).unwrap();
        assert_eq!(log.recovery().last_close, LastClose::Clean);
        assert!(contents(&log) == expected);
    }
}

#[test]
fn what_is_held_stays_readable_while_its_segment_is_retired_and_others_roll() {
    let dir = tempfile::tempdir().unwrap();
    let log = options(SyncPolicy::None).open(dir.path()).unwrap();
    let expected = fill(&log, 100, 1000);
    let snapshot = log.snapshot();
    let pinned = log.read(expected[7].0).unwrap();
    let reader = LogReader::open(dir.path()).unwrap();
    let seen = reader.snapshot().unwrap();
    assert!(collect(&seen).unwrap() == expected);
    let outside = reader.read(expected[8].0).unwrap();
    for round in 0..20 {
        let more = fill(&log, 150, 800 + round);
        log.retire_before(more[more.len() - 1].0).unwrap();
        assert_eq!(pinned.payload(), expected[7].1);
        assert_eq!(outside.payload(), expected[8].1);
        assert!(collect(&snapshot).unwrap() == expected);
        assert!(collect(&seen).unwrap() == expected);
    }
    assert!(log.stats().segments_recycled > 0, "{:?}", log.stats());
    drop((snapshot, seen));
    assert_eq!(pinned.payload(), expected[7].1);
    drop((reader, pinned));
    assert_eq!(outside.payload(), expected[8].1);
    drop(log);
    assert_eq!(outside.payload(), expected[8].1);
}

#[test]
fn a_snapshot_of_a_closed_log_survives_the_next_writer() {
    // Also where the snapshot has not looked at a segment yet, so that it is not mapped.
    for read_first in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let options = options(SyncPolicy::None);
        let log = options.open(dir.path()).unwrap();
        let expected = fill(&log, 300, 1000);
        drop(log);
        let log = options.open(dir.path()).unwrap();
        let snapshot = log.snapshot();
        if read_first {
            assert!(collect(&snapshot).unwrap() == expected);
        }
        log.close().unwrap();
        drop(log);
        let next = options.open(dir.path()).unwrap();
        for round in 0..10 {
            let more = fill(&next, 150, 800 + round);
            next.retire_before(more[more.len() - 1].0).unwrap();
        }
        assert!(collect(&snapshot).unwrap() == expected, "read first: {read_first}");
        next.close().unwrap();
        drop(next);
        assert!(collect(&snapshot).unwrap() == expected);
    }
}

#[test]
fn a_snapshot_survives_closing_after_its_segments_were_retired() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(SyncPolicy::None);
    let log = options.open(dir.path()).unwrap();
    let expected = fill(&log, 300, 1000);
    drop(log);
    let log = options.open(dir.path()).unwrap();
    let snapshot = log.snapshot();
    log.retire_before(expected[299].0).unwrap();
    log.close().unwrap();
    assert!(collect(&snapshot).unwrap() == expected);
    drop(log);
    assert!(collect(&snapshot).unwrap() == expected);
}

#[test]
fn a_reader_that_comes_late_is_told_that_the_records_were_retired() {
    let dir = tempfile::tempdir().unwrap();
    let log = options(SyncPolicy::None).open(dir.path()).unwrap();
    let expected = fill(&log, 300, 1000);
    drop(log);
    let log = options(SyncPolicy::None).open(dir.path()).unwrap();
    let reader = LogReader::open(dir.path()).unwrap();
    let snapshot = reader.snapshot().unwrap();
    // It maps a segment when it comes to it, and this one is gone by then.
    let start = log.retire_before(expected[299].0).unwrap();
    let error = snapshot.range(expected[80].0..).next().unwrap().unwrap_err();
    assert_eq!((error.kind(), error.lsn()), (ErrorKind::Retired, Some(start)), "{error}");
    assert_eq!(
        log.append(&payload(1, 10)).and_then(|lsn| reader.read(lsn)).unwrap().payload(),
        payload(1, 10)
    );
    assert!(collect(&reader.snapshot().unwrap()).unwrap()[0].0 >= start);
}

#[test]
fn readers_can_map_segments_whose_files_were_recycled() {
    let dir = tempfile::tempdir().unwrap();
    let log = options(SyncPolicy::None).open(dir.path()).unwrap();
    let mut expected = Vec::new();
    for round in 0..10 {
        expected.extend(fill(&log, 200, 1000));
        let start = log.retire_before(expected[expected.len() - 1 - round].0).unwrap();
        expected = from(&expected, start);
        let reader = LogReader::open(dir.path()).unwrap();
        assert!(collect(&reader.snapshot().unwrap()).unwrap() == expected);
        assert_eq!(reader.read(expected[0].0).unwrap().payload(), expected[0].1);
    }
    assert!(log.stats().segments_recycled > 0);
}
