//! Every way to append: sizes, in place, batches, panics, and calls from inside a closure.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tidelog::{Checksum, Error, ErrorKind, Lsn, SyncPolicy};

use crate::support::{
    RECORD_MAX, SEGMENT, collect, contents, fill, frame_bytes, new_log, options, payload, policies, returns,
};

#[test]
fn every_size_round_trips_also_after_reopening() {
    for checksum in [Checksum::Crc32c, Checksum::Crc64] {
        let dir = tempfile::tempdir().unwrap();
        let options = options(SyncPolicy::None).checksum(checksum);
        let log = options.open(dir.path()).unwrap();
        assert_eq!(log.record_bytes_max(), RECORD_MAX);
        let sizes = (0..=4096).chain(RECORD_MAX - 40..=RECORD_MAX);
        let expected: Vec<_> = sizes
            .map(|size| {
                let bytes = payload(size as u64, size);
                (log.append(&bytes).unwrap(), bytes)
            })
            .collect();
        assert!(contents(&log) == expected);
        log.close().unwrap();
        let log = options.open(dir.path()).unwrap();
        assert!(contents(&log) == expected);
        for (lsn, bytes) in &expected {
            assert_eq!(log.read(*lsn).unwrap().payload(), bytes);
        }
    }
}

#[test]
fn one_byte_too_many_is_refused_by_name_and_appends_nothing() {
    for policy in policies() {
        let dir = tempfile::tempdir().unwrap();
        let log = options(policy).open(dir.path()).unwrap();
        let before = log.watermarks();
        let big = vec![1; RECORD_MAX + 1];
        let refused = [
            log.append(&big).unwrap_err(),
            log.append_nowait(&big).unwrap_err(),
            log.append_with(big.len(), |_| panic!("not called")).unwrap_err(),
            log.append_batch(&[&big]).unwrap_err(),
            log.append_batch(&[&b""[..], &big]).unwrap_err(),
            log.append_with(usize::MAX, |_| panic!("not called")).unwrap_err(),
        ];
        for error in refused {
            assert_eq!(error.kind(), ErrorKind::TooLarge);
            assert!(error.to_string().contains(&RECORD_MAX.to_string()), "{error}");
        }
        assert_eq!(log.watermarks(), before);
        log.append(&big[1..]).unwrap();
        assert_eq!(contents(&log).len(), 1);
    }
}

#[test]
fn empty_records_are_records() {
    let (_dir, log) = new_log();
    let lsns: Vec<_> = (0..10_000).map(|_| log.append(b"").unwrap()).collect();
    let found: Vec<_> = contents(&log).into_iter().map(|(lsn, bytes)| (lsn, bytes.len())).collect();
    assert!(found == lsns.into_iter().map(|lsn| (lsn, 0)).collect::<Vec<_>>());
}

#[test]
fn append_with_gives_a_zeroed_aligned_buffer_and_keeps_what_is_written() {
    for policy in policies() {
        let dir = tempfile::tempdir().unwrap();
        let log = options(policy).open(dir.path()).unwrap();
        let mut expected = Vec::new();
        for size in (0..200).chain([RECORD_MAX; 6]) {
            let bytes = payload(size as u64, size);
            let lsn = log
                .append_with(size, |buffer| {
                    assert_eq!(buffer.len(), size);
                    assert!(buffer.iter().all(|byte| *byte == 0));
                    assert!((buffer.as_ptr() as usize).is_multiple_of(8));
                    buffer.copy_from_slice(&bytes);
                })
                .unwrap();
            expected.push((lsn, bytes));
        }
        assert!(contents(&log) == expected);
        let snapshot = log.snapshot();
        assert!(
            snapshot.iter().all(|record| { (record.unwrap().payload().as_ptr() as usize).is_multiple_of(8) })
        );
    }
}

#[test]
fn a_panic_inside_append_with_becomes_padding_and_the_log_goes_on() {
    for policy in policies() {
        let dir = tempfile::tempdir().unwrap();
        let log = options(policy).open(dir.path()).unwrap();
        let mut expected = Vec::new();
        for size in [0, 1, 8, 100, RECORD_MAX] {
            expected.push((log.append(b"before").unwrap(), b"before".to_vec()));
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let _ = log.append_with(size, |buffer| {
                    buffer.fill(0xee);
                    std::panic::resume_unwind(Box::new("as planned"));
                });
            }));
            assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"as planned"));
            expected.push((log.append(b"after").unwrap(), b"after".to_vec()));
            // The thread is outside of the closure again.
            log.sync().unwrap();
        }
        assert!(contents(&log) == expected);
        let crashed = crate::support::crash(dir.path());
        let recovered = options(policy).open(crashed.path()).unwrap();
        assert_eq!(recovered.recovery().holes_skipped, 0);
        assert!(contents(&recovered) == expected);
        log.close().unwrap();
        drop(log);
        assert!(contents(&options(policy).open(dir.path()).unwrap()) == expected);
    }
}

#[test]
fn calls_from_inside_a_closure_that_would_wait_are_refused() {
    for policy in policies() {
        returns("calls from inside append_with", move || {
            let dir = tempfile::tempdir().unwrap();
            let log = options(policy).open(dir.path()).unwrap();
            let earlier = log.append_nowait(b"earlier").unwrap();
            let mut tail = log.tail(log.watermarks().claimed).unwrap();
            let refused = Cell::new(0);
            let check = |outcome: Result<(), Error>| {
                assert_eq!(outcome.unwrap_err().kind(), ErrorKind::WouldDeadlock);
                refused.set(refused.get() + 1);
            };
            let lsn = log
                .append_with(5, |buffer| {
                    check(log.sync());
                    check(log.close());
                    check(log.append_with(1, |_| {}).map(drop));
                    check(log.retire_before(earlier).map(drop));
                    check(tail.next().map(drop));
                    check(tail.next_timeout(Duration::from_secs(3600)).map(drop));

                    if policy.acknowledges_durable() {
                        check(log.append(b"x").map(drop));
                        check(log.append_batch(&["x", "y"]).map(drop));
                    }
                    // What does not wait works, or says what is not there yet.
                    assert_eq!(log.snapshot().iter().count(), 1);
                    assert!(tail.try_next().unwrap().is_none());
                    assert_eq!(log.read(earlier).unwrap().payload(), b"earlier");
                    assert_eq!(log.watermarks().published, log.snapshot().end());
                    let _ = (log.stats(), log.segment_bytes(), format!("{log:?}"));
                    let inner = log.append_nowait(b"inner").unwrap();
                    assert_eq!(log.read(inner).unwrap().payload(), b"inner");
                    check(log.wait_durable(inner));
                    buffer.copy_from_slice(b"outer");
                })
                .unwrap();
            assert!(refused.get() >= 7);
            let found: Vec<_> = contents(&log).into_iter().map(|(_, bytes)| bytes).collect();
            assert_eq!(found, [&b"earlier"[..], b"outer", b"inner"]);
            assert_eq!(log.read(lsn).unwrap().payload(), b"outer");
            log.close().unwrap();
        });
    }
}

#[test]
fn filling_the_ring_from_inside_a_closure_is_refused_and_not_a_hang() {
    returns("appends without end inside append_with", || {
        let (_dir, log) = new_log();
        let mut inside = 0;
        log.append_with(0, |_| {
            let mut refusals = 0;
            // The segments ahead run out, since none is given back while this claim is open.
            while refusals < 100 {
                match log.append_nowait(&[1; 8000]) {
                    Ok(_) => inside += 1,
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldDeadlock);
                        refusals += 1;
                        std::thread::yield_now();
                    }
                }
            }
        })
        .unwrap();
        assert!(inside > 0);
        log.append(&[2; 8000]).unwrap();
        assert_eq!(contents(&log).len(), inside + 2);
    });
}

#[test]
fn batches_are_read_back_and_their_lsns_are_right() {
    for policy in policies() {
        let dir = tempfile::tempdir().unwrap();
        let log = options(policy).open(dir.path()).unwrap();
        let empty: [&[u8]; 0] = [];
        assert_eq!(log.append_batch(&empty).unwrap().count(), 0);
        assert_eq!(log.watermarks().claimed, Lsn::ZERO);
        let mut expected = Vec::new();
        for count in [1, 2, 3, 50] {
            let records: Vec<_> = (0..count).map(|n| payload(n, (n * 37 % 300) as usize)).collect();
            let lsns = log.append_batch(&records).unwrap();
            assert_eq!(lsns.len(), records.len());
            expected.extend(lsns.zip(records.clone()));
        }
        for (lsn, bytes) in &expected {
            assert_eq!(log.read(*lsn).unwrap().payload(), bytes);
        }
        assert!(contents(&log) == expected);
        if policy.acknowledges_durable() {
            assert_eq!(log.watermarks().durable, log.watermarks().claimed);
        }
        log.close().unwrap();
        assert!(contents(&options(policy).open(dir.path()).unwrap()) == expected);
    }
}

#[test]
fn the_largest_batch_fits_and_one_byte_more_does_not() {
    let (_dir, log) = new_log();
    let half = SEGMENT as usize / 8 - 16;
    let fits = [payload(1, half), payload(2, half)];
    assert_eq!(2 * frame_bytes(half), SEGMENT / 4);
    // Four and a bit of them straddle the end of a segment.
    let mut expected = fill(&log, 1, 8);
    for _ in 0..9 {
        let lsns: Vec<_> = log.append_batch(&fits).unwrap().collect();
        assert_eq!(lsns[1].get() - lsns[0].get(), frame_bytes(half));
        expected.extend(lsns.into_iter().zip(fits.clone()));
    }
    let end = log.watermarks().claimed;
    let error = log.append_batch(&[payload(1, half), payload(2, half + 1)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("batch") && error.to_string().contains("16384"), "{error}");
    assert_eq!(log.watermarks().claimed, end);
    assert!(contents(&log) == expected);
    log.sync().unwrap();
    assert_eq!(log.watermarks().durable, end);
}

/// Gives the two slices in turn.
struct Fickle([&'static [u8]; 2], Cell<usize>);

impl AsRef<[u8]> for Fickle {
    fn as_ref(&self) -> &[u8] {
        self.1.set(self.1.get() + 1);
        self.0[self.1.get() % 2]
    }
}

#[test]
fn a_record_that_changes_its_length_never_breaks_the_log() {
    let (dir, log) = new_log();
    let mut refused = 0;
    for first in [["", "123456789"], ["same", "same"], ["123456789123456789", ""]] {
        for phase in 0..4 {
            for at in 0..3 {
                let records: Vec<_> = (0..3)
                    .map(|n| {
                        let slices = if n == at { first } else { ["steady", "steady"] };
                        Fickle(slices.map(str::as_bytes), Cell::new(phase))
                    })
                    .collect();
                match log.append_batch(&records) {
                    Ok(_) => {}
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::InvalidOption);
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(refused > 0);
    let expected = contents(&log);
    assert_eq!(expected.len() % 3, 0, "all of a batch or none");
    assert!(expected.len() >= 36);
    drop(log);
    let log = options(SyncPolicy::None).open(dir.path()).unwrap();
    assert!(collect(&log.snapshot()).unwrap() == expected);
}

/// Calls the log while its batch is being copied.
struct Meddling<'a>(&'a tidelog::Log, Cell<Option<ErrorKind>>);

impl AsRef<[u8]> for Meddling<'_> {
    fn as_ref(&self) -> &[u8] {
        if let Err(error) = self.0.sync() {
            self.1.set(Some(error.kind()));
        }
        b"meddling"
    }
}

#[test]
fn a_batch_whose_records_call_the_log_does_not_hang() {
    returns("a batch whose AsRef syncs", || {
        let (_dir, log) = new_log();
        let records = [Meddling(&log, Cell::new(None)), Meddling(&log, Cell::new(None))];
        let lsns: Vec<_> = log.append_batch(&records).unwrap().collect();
        assert_eq!(records[1].1.get(), Some(ErrorKind::WouldDeadlock));
        assert_eq!(log.read(lsns[1]).unwrap().payload(), b"meddling");
        // And inside a closure the batch leaves the thread marked as inside.
        log.append_with(0, |_| {
            log.append_batch(&["a", "b"]).unwrap();
            assert_eq!(log.sync().unwrap_err().kind(), ErrorKind::WouldDeadlock);
        })
        .unwrap();
    });
}

#[test]
fn nowait_then_wait_durable_and_sync_move_the_watermark() {
    for policy in policies() {
        let dir = tempfile::tempdir().unwrap();
        let log = options(policy).open(dir.path()).unwrap();
        let first = log.append_nowait(b"first").unwrap();
        let second = log.append_nowait(b"second").unwrap();
        log.wait_durable(first).unwrap();
        assert!(log.watermarks().durable > first);
        log.wait_durable(second).unwrap();
        assert!(log.watermarks().durable > second);
        let third = log.append_nowait(&[3; 9000]).unwrap();
        log.sync().unwrap();
        let marks = log.watermarks();
        assert!(marks.durable > third);
        assert_eq!((marks.start, marks.durable), (Lsn::ZERO, marks.claimed));
        assert_eq!(marks.published, marks.claimed);
        // Inside a record counts as its beginning; beyond the end there is nothing to wait for.
        log.wait_durable(Lsn::new(third.get() + 1)).unwrap();
        for lsn in [marks.claimed, Lsn::new(u64::MAX)] {
            let error = log.wait_durable(lsn).unwrap_err();
            assert_eq!((error.kind(), error.lsn()), (ErrorKind::NotWritten, Some(lsn)));
        }
        log.close().unwrap();
        log.wait_durable(third).unwrap();
        log.sync().unwrap();
    }
}
