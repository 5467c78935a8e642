//! The contracts of the sync policies, by what can be observed: counted syncs and watermarks, never by the clock.

use std::sync::Barrier;
use std::time::Duration;

use tidelog::{ErrorKind, LastClose, SyncPolicy};

use crate::support::{contents, crash, eventually, fill, options, returns};

/// Longer than any test: such a timer never fires.
const NEVER: Duration = Duration::from_secs(1 << 40);

fn periodic(interval: Duration, bytes: Option<u64>, records: Option<u64>) -> SyncPolicy {
    SyncPolicy::Periodic { interval, bytes, records }
}

#[test]
fn none_syncs_only_when_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let log = options(SyncPolicy::None).open(dir.path()).unwrap();
    let expected = fill(&log, 1000, 500);
    // Several segments were filled, sealed and prepared meanwhile.
    eventually("segments are sealed", || log.stats().segments_sealed >= 5);
    assert_eq!(log.stats().syncs, 0);
    assert_eq!(log.watermarks().durable.get(), 0);
    log.wait_durable(expected[0].0).unwrap();
    assert_eq!(log.stats().syncs, 1);
    assert_eq!(log.watermarks().durable, log.watermarks().claimed);
    log.sync().unwrap();
    assert_eq!(log.stats().syncs, 1, "there was nothing to sync");
    log.append(b"one more").unwrap();
    log.sync().unwrap();
    assert_eq!(log.stats().syncs, 2);
    log.append(b"for the close").unwrap();
    log.close().unwrap();
    assert_eq!(log.stats().syncs, 3);
    assert_eq!(log.watermarks().durable, log.watermarks().claimed);
}

#[test]
fn immediate_and_grouped_return_when_the_record_is_durable() {
    let window = SyncPolicy::Grouped { window: Duration::from_micros(100) };
    for policy in [SyncPolicy::Immediate, SyncPolicy::grouped(), window] {
        let dir = tempfile::tempdir().unwrap();
        let log = options(policy).open(dir.path()).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let log = &log;
                scope.spawn(move || {
                    for n in 0..40 {
                        let lsn = match n % 3 {
                            0 => log.append(&vec![n; usize::from(n) * 30]).unwrap(),
                            1 => log.append_with(9, |buffer| buffer.fill(thread)).unwrap(),
                            _ => log.append_batch(&["a", "b"]).unwrap().nth(1).unwrap(),
                        };
                        assert!(log.watermarks().durable > lsn);
                    }
                });
            }
        });
        let stats = log.stats();
        assert!((1..=120).contains(&stats.syncs), "{stats:?}");
    }
}

#[test]
fn immediate_and_grouped_sync_each_append_of_a_lone_thread() {
    for policy in [SyncPolicy::Immediate, SyncPolicy::grouped()] {
        let dir = tempfile::tempdir().unwrap();
        let log = options(policy).open(dir.path()).unwrap();
        for n in 1..=20 {
            log.append(b"alone").unwrap();
            assert_eq!(log.stats().syncs, n);
        }
        log.append_nowait(b"not synced").unwrap();
        assert_eq!(log.stats().syncs, 20);
        assert!(log.watermarks().durable < log.watermarks().claimed);
    }
}

#[test]
fn one_sync_serves_a_group() {
    // Eight threads publish, meet, and only then wait: whoever syncs first covers them all.
    for policy in [SyncPolicy::grouped(), SyncPolicy::Immediate] {
        let dir = tempfile::tempdir().unwrap();
        let log = options(policy).open(dir.path()).unwrap();
        let met = Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let lsn = log.append_nowait(b"together").unwrap();
                    met.wait();
                    log.wait_durable(lsn).unwrap();
                    assert!(log.watermarks().durable > lsn);
                });
            }
        });
        assert_eq!(log.stats().syncs, 1);
    }
}

#[test]
fn periodic_syncs_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let log = options(SyncPolicy::periodic(Duration::from_millis(2))).open(dir.path()).unwrap();
    for _ in 0..3 {
        let lsn = log.append(b"some time").unwrap();
        eventually("the ticker syncs", || log.watermarks().durable > lsn);
    }
    let before = log.stats().syncs;
    assert!(before >= 3);
    let lsn = log.append(b"waited for").unwrap();
    returns("wait_durable under Periodic", {
        let log = log.clone();
        move || log.wait_durable(lsn).unwrap()
    });
    assert!(log.watermarks().durable > lsn);
}

#[test]
fn periodic_syncs_sooner_by_bytes_and_by_records() {
    for (bytes, records) in [(Some(4096), None), (None, Some(10)), (Some(4096), Some(10))] {
        let dir = tempfile::tempdir().unwrap();
        let log = options(periodic(NEVER, bytes, records)).open(dir.path()).unwrap();
        for round in 1..=3 {
            let expected = fill(&log, 10, 1000);
            eventually("the limit is noticed", || log.watermarks().durable > expected[9].0);
            assert!(log.stats().syncs >= round);
        }
        // Below both limits nothing happens but what is asked for.
        let synced = log.stats().syncs;
        let lsn = log.append(b"little").unwrap();
        assert!(log.watermarks().durable <= lsn);
        log.sync().unwrap();
        assert_eq!(log.stats().syncs, synced + 1);
        assert!(log.watermarks().durable > lsn);
    }
}

#[test]
fn a_periodic_log_whose_timer_never_fires_can_be_synced_and_closed() {
    returns("a log with an endless interval", || {
        let dir = tempfile::tempdir().unwrap();
        for interval in [NEVER, Duration::MAX] {
            let log = options(periodic(interval, None, None)).open(dir.path()).unwrap();
            let lsn = log.append(b"waits").unwrap();
            assert_eq!(log.stats().syncs, 0);
            // A waiter that only the close wakes.
            let waiter = std::thread::spawn({
                let log = log.clone();
                move || log.wait_durable(lsn)
            });
            log.close().unwrap();
            waiter.join().unwrap().unwrap();
            assert!(log.watermarks().durable > lsn);
        }
    });
}

#[test]
fn closing_makes_everything_durable_and_says_so_to_the_next_opening() {
    for policy in crate::support::policies() {
        let dir = tempfile::tempdir().unwrap();
        let options = options(policy);
        let log = options.open(dir.path()).unwrap();
        let expected = fill(&log, 200, 700);
        let killed = crash(dir.path());
        log.close().unwrap();
        let marks = log.watermarks();
        assert_eq!((marks.durable, marks.published), (marks.claimed, marks.claimed));
        assert_eq!(log.append(b"late").unwrap_err().kind(), ErrorKind::Closed);
        drop(log);
        let log = options.open(dir.path()).unwrap();
        assert_eq!(log.recovery().last_close, LastClose::Clean);
        assert_eq!(log.recovery().proven_durable, marks.durable);
        assert!(contents(&log) == expected);
        // What a kill leaves has the same records, under every policy, and they are made durable.
        let log = options.open(killed.path()).unwrap();
        assert_eq!(log.recovery().last_close, LastClose::ProcessDied);
        assert_eq!(log.watermarks().durable, marks.durable);
        assert!(contents(&log) == expected);
    }
}

#[test]
fn the_policy_may_change_from_one_opening_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for policy in crate::support::policies().into_iter().cycle().take(12) {
        let log = options(policy).open(dir.path()).unwrap();
        assert_eq!(log.sync_policy(), policy);
        assert!(contents(&log) == expected);
        expected.extend(fill(&log, 20, 300));
    }
}
