//! What a log tells of what it did: every number is known beforehand, or held against another.

use std::os::unix::fs::FileExt;

use tidelog::{ErrorKind, Lsn, SyncPolicy, Watermarks};

use crate::support::{
    HEADER, SEGMENT, eventually, fill, frame_bytes, new_log, options, payload, segment_name,
};

#[test]
fn a_new_log_has_done_nothing() {
    let (_dir, log) = new_log();
    let stats = log.stats();
    assert_eq!(stats.watermarks, Watermarks::default());
    assert_eq!((stats.records_published, stats.payload_bytes_published, stats.syncs), (0, 0, 0));
    assert_eq!((stats.reads, stats.snapshots, stats.tails, stats.corruption_events), (0, 0, 0, 0));
    assert_eq!((stats.segments_sealed, stats.segments_retired, stats.segments_held), (0, 0, 0));
    assert!(stats.sync_latency.is_empty() && stats.records_per_sync.is_empty());
    assert!(stats.segment_waits.is_empty() && stats.retire_latency.is_empty());
    // The first segment is made while the log is opened.
    assert!(stats.segments_prepared >= 1 && stats.prepare_latency.count() == stats.segments_prepared);
}

#[test]
fn appends_are_counted_by_who_looks() {
    let (_dir, log) = new_log();
    let expected = fill(&log, 500, 300);
    log.append_batch(&["a", "bb", ""]).unwrap();
    log.append_with(70, |_| {}).unwrap();
    let stats = log.stats();
    assert_eq!(stats.records_published, 504);
    assert_eq!(stats.payload_bytes_published, 500 * 300 + 3 + 70);
    let Watermarks { start, durable, published, claimed, .. } = stats.watermarks;
    assert_eq!((start, durable), (Lsn::ZERO, Lsn::ZERO));
    assert_eq!(published, claimed);
    assert_eq!(stats.watermarks, log.watermarks());
    let frames = expected.len() as u64 * frame_bytes(300) + 3 * 24 + frame_bytes(70);
    assert!(published.get() >= frames && published.get() - frames < 4 * 400, "padding aside");
    // An aborted claim is no record.
    let aborted = std::panic::AssertUnwindSafe(|| log.append_with(9, |_| panic!("meant")));
    assert!(std::panic::catch_unwind(aborted).is_err());
    assert_eq!(log.stats().records_published, 504);
}

#[test]
fn syncs_tell_how_many_records_they_were_for() {
    let dir = tempfile::tempdir().unwrap();
    let log = options(SyncPolicy::Immediate).open(dir.path()).unwrap();
    for n in 0..20 {
        log.append(&payload(n, 40)).unwrap();
    }
    let alone = log.stats();
    assert_eq!((alone.syncs, alone.records_per_sync.sum(), alone.records_per_sync.max()), (20, 20, 1));
    for n in 0..50 {
        log.append_nowait(&payload(n, 40)).unwrap();
    }
    log.sync().unwrap();
    let stats = log.stats();
    assert_eq!((stats.syncs, stats.sync_latency.count(), stats.records_per_sync.count()), (21, 21, 21));
    assert_eq!((stats.records_per_sync.sum(), stats.records_per_sync.max()), (70, 50));
    assert_eq!(stats.records_per_sync.since(&alone.records_per_sync).sum(), 50);
    assert_eq!(stats.sync_time.as_nanos(), u128::from(stats.sync_latency.sum()));
    let half = stats.sync_latency.quantile_time(0.5);
    assert!(!half.is_zero() && half <= stats.sync_latency.quantile_time(1.0));
    assert_eq!(stats.watermarks.durable, stats.watermarks.published);
    assert_eq!(stats.sync_failures, 0);
}

#[test]
fn rolls_retirements_and_what_is_held() {
    let (_dir, log) = new_log();
    fill(&log, 600, 900);
    let held = log.snapshot();
    let start = log.retire_before(log.watermarks().published).unwrap();
    let retired = start.get() / SEGMENT;
    assert!(retired >= 8);
    let stats = log.stats();
    assert_eq!((stats.segments_retired, stats.retire_latency.count()), (retired, 1));
    assert_eq!((stats.watermarks.start, stats.segments_held), (start, retired));
    // Nothing to drop: not counted.
    log.retire_before(start).unwrap();
    assert_eq!(log.stats().retire_latency.count(), 1);
    drop(held);
    eventually("what was held is free", || log.stats().segments_held == 0);
    eventually("rolls are counted", || log.stats().segments_sealed == retired);
    fill(&log, 600, 900);
    let stats = log.stats();
    assert!(stats.segments_recycled > 0 && stats.segments_recycled < stats.segments_prepared, "{stats:?}");
}

#[test]
fn who_waited_for_a_segment_is_counted() {
    let (_dir, log) = new_log();
    assert_eq!(log.stats().segment_waits.count(), 0);
    // The keeper syncs each segment that it prepares; memory is faster.
    eventually("an append waits for the keeper", || {
        fill(&log, 200, 10_000);
        !log.stats().segment_waits.is_empty()
    });
    let waits = log.stats().segment_waits;
    assert!(waits.max() > 0 && waits.sum() >= waits.max());
}

#[test]
fn reads_are_counted_and_damage_is() {
    let (dir, log) = new_log();
    let expected = fill(&log, 10, 100);
    for (lsn, bytes) in &expected {
        assert_eq!(log.read(*lsn).unwrap().payload(), bytes);
    }
    let (_one, _two, _tail) = (log.snapshot(), log.snapshot(), log.tail(Lsn::ZERO).unwrap());
    assert_eq!(log.tail(Lsn::new(8)).unwrap_err().kind(), ErrorKind::NotARecord);
    let stats = log.stats();
    assert_eq!((stats.reads, stats.snapshots, stats.tails, stats.corruption_events), (10, 2, 1, 0));

    let lsn = expected[4].0;
    let file = std::fs::OpenOptions::new().write(true).open(dir.path().join(segment_name(0))).unwrap();
    file.write_all_at(&[expected[4].1[0] ^ 1], HEADER + lsn.get() + 16).unwrap();
    assert_eq!(log.read(lsn).unwrap_err().kind(), ErrorKind::Corrupt);
    let once = log.stats().corruption_events;
    assert!(once > 0);
    assert!(log.snapshot().iter().any(|record| record.is_err()));
    assert!(log.stats().corruption_events > once);
}
