//! The log retires by itself what its policy lets go, and nothing else.

use std::time::Duration;

use tidelog::{ErrorKind, Log, LogReader, Lsn, RetentionPolicy, SyncPolicy};

use crate::support::{Expected, SEGMENT, collect, contents, eventually, fill, names, options, policies};

/// Waits until the log begins at `start`, and holds just what was appended from there on.
fn settles(log: &Log, expected: &Expected, start: u64, what: &str) {
    eventually(what, || log.watermarks().start.get() >= start);
    assert_eq!(log.watermarks().start, Lsn::new(start), "{what}");
    let kept: Expected = expected.iter().filter(|(lsn, _)| lsn.get() >= start).cloned().collect();
    assert!(contents(log) == kept, "{what}");
}

/// Where the last whole segments that end at or before `lsn` end.
fn floor(lsn: u64) -> u64 {
    lsn / SEGMENT * SEGMENT
}

#[test]
fn each_limit_is_kept_under_every_policy() {
    for policy in policies() {
        let dir = tempfile::tempdir().unwrap();
        let open = |retention| options(policy).retention(retention).open(dir.path()).unwrap();
        let none = RetentionPolicy::new();
        let log = open(none);
        let mut expected = fill(&log, 1500, 1000);
        let end = log.watermarks().claimed.get();
        assert_eq!(log.watermarks().start, Lsn::ZERO);

        // One after the other, each of which lets more go.
        log.set_retention(none.before(Lsn::new(3 * SEGMENT + 5)));
        settles(&log, &expected, 3 * SEGMENT, "by LSN");
        let newest = (end - 1) / SEGMENT;
        log.set_retention(none.max_segments(12));
        settles(&log, &expected, (newest + 1 - 12) * SEGMENT, "by count");
        log.set_retention(none.max_bytes(8 * SEGMENT + 100));
        settles(&log, &expected, floor(end - 8 * SEGMENT - 100), "by bytes");
        // The one that lets most go counts, as far as what is held on to.
        let held = floor(end - 5 * SEGMENT);
        log.set_retention(none.max_bytes(7 * SEGMENT).max_segments(1).keep_from(Lsn::new(held + 9)));
        settles(&log, &expected, held, "all but what is held");
        log.close().unwrap();
        drop(log);

        // What the last process left above the limits goes at the next opening, and so it goes on.
        let log = open(none.max_segments(3));
        settles(&log, &expected, (newest - 2) * SEGMENT, "after reopening");
        expected.extend(fill(&log, 300, 1000));
        let newest = (log.watermarks().claimed.get() - 1) / SEGMENT;
        settles(&log, &expected, (newest - 2) * SEGMENT, "as it grows");
        let error = log.read(expected[0].0).unwrap_err();
        assert_eq!((error.kind(), error.lsn()), (ErrorKind::Retired, Some(log.watermarks().start)));
        assert!(log.stats().segments_recycled > 0, "{:?}", log.stats());
    }
}

#[test]
fn the_newest_record_stays_whatever_the_limits_say() {
    let dir = tempfile::tempdir().unwrap();
    let retention = RetentionPolicy::new()
        .max_bytes(0)
        .max_segments(0)
        .max_age(Duration::ZERO)
        .before(Lsn::new(u64::MAX));
    let log = options(SyncPolicy::None).retention(retention).open(dir.path()).unwrap();
    for round in 0..20 {
        let expected = fill(&log, 100, 1000);
        let (last, bytes) = expected.last().unwrap();
        let start = floor(log.watermarks().claimed.get() - 1);
        eventually("all but the newest segment goes", || log.watermarks().start.get() == start);
        assert_eq!(log.read(*last).unwrap().payload(), bytes, "round {round}");
    }
    // In use, and what is prepared ahead.
    eventually("the files are gone", || names(dir.path(), ".seg").len() <= 4);
    log.close().unwrap();
    drop(log);
    let log = options(SyncPolicy::None).open(dir.path()).unwrap();
    assert!(!contents(&log).is_empty());
}

#[test]
fn a_segment_goes_by_the_age_of_its_newest_record() {
    let dir = tempfile::tempdir().unwrap();
    let young = RetentionPolicy::new().max_age(Duration::from_secs(86400));
    let log = options(SyncPolicy::None).retention(young).open(dir.path()).unwrap();
    let expected = fill(&log, 300, 1000);
    let full = floor(log.watermarks().claimed.get());
    eventually("the segments are sealed", || log.stats().segments_sealed * SEGMENT == full);
    assert_eq!(log.watermarks().start, Lsn::ZERO, "nothing is a day old");
    log.set_retention(RetentionPolicy::new().max_age(Duration::from_millis(1)));
    settles(&log, &expected, full, "all that is sealed is older than a millisecond");
}

/// What readers hold stays as it is; its files are let go of when they are done.
#[test]
fn readers_keep_what_they_hold() {
    let dir = tempfile::tempdir().unwrap();
    let retention = RetentionPolicy::new().max_segments(2);
    let log = options(SyncPolicy::None).open(dir.path()).unwrap();
    let expected = fill(&log, 200, 1000);
    let snapshot = log.snapshot();
    let pinned = log.read(expected[3].0).unwrap();
    let reader = LogReader::open(dir.path()).unwrap();
    let seen = reader.snapshot().unwrap();
    assert!(collect(&seen).unwrap() == expected);
    log.set_retention(retention);
    for round in 0..10 {
        fill(&log, 100, 900 + round);
        assert!(collect(&snapshot).unwrap() == expected);
        assert!(collect(&seen).unwrap() == expected);
    }
    eventually("it was retired", || log.read(expected[199].0).is_err());
    assert_eq!(pinned.payload(), expected[3].1);
    drop((snapshot, seen, reader, pinned));
    eventually("the files are gone", || names(dir.path(), ".seg").len() <= 5);
}

/// Retiring by hand and by the policy at once, while it is appended and closed.
#[test]
fn by_hand_and_by_policy_get_along() {
    for round in 0..5_usize {
        let dir = tempfile::tempdir().unwrap();
        let retention = RetentionPolicy::new().max_segments(4).max_age(Duration::from_millis(2));
        let log = options(SyncPolicy::None).retention(retention).open(dir.path()).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let more = fill(&log, 40, 1000 + round * 8);
                        let start = log.retire_before(more[0].0).unwrap();
                        assert!(start <= log.watermarks().start);
                    }
                });
            }
        });
        let newest = floor(log.watermarks().claimed.get() - 1);
        log.close().unwrap();
        drop(log);
        let log = options(SyncPolicy::None).open(dir.path()).unwrap();
        let found = contents(&log);
        assert!(found.iter().any(|(lsn, _)| lsn.get() >= newest), "the newest is there");
        assert_eq!(log.recovery().start, log.watermarks().start);
    }
}
