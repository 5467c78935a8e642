//! Opening, cloning, closing and dropping; and the log as a reader outside sees it.

use std::time::Duration;

use tidelog::{Checksum, ErrorKind, LastClose, Log, LogReader, Lsn, Options, SyncPolicy};

use crate::support::{
    SEGMENT, collect, contents, eventually, fill, names, new_log, options, returns, segment_name,
};

#[test]
fn options_out_of_range_are_refused_and_create_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("never");
    let periodic = |interval, bytes, records| {
        Options::new().sync_policy(SyncPolicy::Periodic { interval, bytes, records })
    };
    let second = Duration::from_secs(1);
    let refused = [
        Options::new().segment_bytes(0),
        Options::new().segment_bytes(SEGMENT / 2),
        Options::new().segment_bytes(SEGMENT + 8),
        Options::new().segment_bytes(1 << 31),
        Options::new().segment_bytes(u64::MAX),
        Options::new().zero_fill_bytes(1),
        Options::new().zero_fill_bytes(5000),
        Options::new().zero_fill_bytes(2 << 20),
        periodic(Duration::ZERO, None, None),
        periodic(second, Some(0), None),
        periodic(second, None, Some(0)),
    ];
    for options in refused {
        let error = options.open(&place).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption, "{options:?}");
        assert!(!place.exists());
    }
}

#[test]
fn the_segment_size_is_fixed_when_the_log_is_created() {
    let (dir, log) = new_log();
    assert_eq!((log.segment_bytes(), log.directory()), (SEGMENT, &*dir.path().canonicalize().unwrap()));
    drop(log);
    let error = Options::new().segment_bytes(2 * SEGMENT).open(dir.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
    assert!(error.to_string().contains("65536") && error.to_string().contains("131072"), "{error}");
    assert_eq!(Log::open(dir.path()).unwrap().segment_bytes(), SEGMENT);
}

#[test]
fn clones_are_one_log_that_is_closed_once() {
    let (dir, log) = new_log();
    let clone = log.clone();
    let lsn = clone.append(b"shared").unwrap();
    assert_eq!(log.read(lsn).unwrap().payload(), b"shared");
    drop(clone);
    let clone = log.clone();
    std::thread::scope(|scope| {
        let closers: Vec<_> = (0..4).map(|_| scope.spawn(|| clone.close())).collect();
        assert!(closers.into_iter().all(|closer| closer.join().unwrap().is_ok()));
    });
    log.close().unwrap();
    for error in [
        log.append(b"x").map(drop).unwrap_err(),
        log.append_nowait(b"x").map(drop).unwrap_err(),
        log.append_with(1, |_| {}).map(drop).unwrap_err(),
        log.append_batch(&["x", "y"]).map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
    // Reading goes on, and the next writer may come while the handle lives.
    assert_eq!(log.read(lsn).unwrap().payload(), b"shared");
    assert_eq!(contents(&log).len(), 1);
    let next = Log::open(dir.path()).unwrap();
    next.append(b"next").unwrap();
    assert_eq!(contents(&log).len(), 1);
}

#[test]
fn dropping_closes_and_snapshots_may_outlive_the_log() {
    let (dir, log) = new_log();
    let expected = fill(&log, 300, 500);
    let (snapshot, pinned, mut tail) =
        (log.snapshot(), log.read(expected[9].0).unwrap(), log.tail(Lsn::ZERO).unwrap());
    drop(log);
    assert!(collect(&snapshot).unwrap() == expected);
    assert_eq!(pinned.payload(), expected[9].1);
    assert_eq!(tail.next().unwrap().unwrap().payload(), expected[0].1);
    let log = options(SyncPolicy::None).open(dir.path()).unwrap();
    assert_eq!(log.recovery().last_close, LastClose::Clean);
    assert!(contents(&log) == expected);
    drop(log);
    std::fs::remove_dir_all(dir.path()).unwrap();
    assert!(collect(&snapshot).unwrap() == expected);
}

#[test]
fn a_reader_without_a_log_is_told_so_and_creates_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    for place in [&missing, &dir.path().to_owned()] {
        let error = LogReader::open(place).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("Log::open"), "{error}");
    }
    assert!(!missing.exists());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_reader_goes_on_while_the_writer_rolls_retires_and_is_opened_anew() {
    returns("a reader beside several openings", || {
        let dir = tempfile::tempdir().unwrap();
        let mut log = options(SyncPolicy::None).open(dir.path()).unwrap();
        let reader = LogReader::open(dir.path()).unwrap();
        let mut tail = reader.tail(Lsn::ZERO).unwrap();
        let mut expected = Vec::new();
        for round in 0..12_usize {
            let more = fill(&log, 60, 700 + round);
            for (lsn, bytes) in &more {
                let record = tail.next_timeout(Duration::from_secs(60)).unwrap().unwrap();
                assert_eq!((record.lsn(), record.payload()), (*lsn, &bytes[..]));
                assert_eq!(reader.read(*lsn).unwrap().payload(), bytes);
            }
            expected.extend(more);
            if round % 3 == 2 {
                let start = log.retire_before(expected[expected.len() - 70].0).unwrap();
                expected.retain(|(lsn, _)| *lsn >= start);
            }
            assert!(collect(&reader.snapshot().unwrap()).unwrap() == expected, "round {round}");
            assert!(tail.try_next().unwrap().is_none());
            let end = log.watermarks().claimed;
            assert_eq!(reader.read(end).unwrap_err().kind(), ErrorKind::NotWritten);
            if round % 2 == 1 {
                let checksum = if round % 4 == 1 { Checksum::Crc64 } else { Checksum::Crc32c };
                log.close().unwrap();
                log = options(SyncPolicy::None).checksum(checksum).open(dir.path()).unwrap();
            }
        }
    });
}

/// A preparation that fails at its very last step leaves a named segment that is not in the log. Closing finds it,
/// and leaves no gap in front of it.
#[test]
fn closing_sets_aside_a_segment_that_a_failed_preparation_left() {
    let (dir, log) = new_log();
    let lsn = log.append(b"kept").unwrap();
    let prepared = dir.path().join(segment_name(2));
    eventually("two segments are prepared", || prepared.exists());
    std::fs::copy(&prepared, dir.path().join(segment_name(3))).unwrap();
    log.close().unwrap();
    assert_eq!(names(dir.path(), ".seg"), [segment_name(0)]);
    let log = options(SyncPolicy::None).open(dir.path()).unwrap();
    assert_eq!(log.read(lsn).unwrap().payload(), b"kept");
}
