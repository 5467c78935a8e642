//! Closing, against claims, waiters and another close.
#![cfg(tidelog_loom)]

use tidelog::ErrorKind;
use tidelog::model::Model;
use tidelog_loom_tests::{assert_record_set, assert_records, check, spawn};

/// A record whose append returned before or while the log closes is durable when `close` returns; one that came too
/// late left nothing.
#[test]
fn close_against_claims() {
    check(3, || {
        let model = Model::new(2);
        let append = |model: &Model| match model.append(b"") {
            Ok(written) => Some((written.lsn, Vec::new())),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Closed);
                None
            }
        };
        let writers = [spawn(&model, append), spawn(&model, append)];
        assert!(model.close().unwrap());
        let end = model.written_end();
        assert_eq!(model.durable(), end);
        model.assert_durable_is_flushed();
        let records = writers.into_iter().filter_map(|writer| writer.join().unwrap()).collect::<Vec<_>>();
        assert_eq!(end, 16 * records.len() as u64);
        assert_record_set(&model, records);
        assert_eq!(model.append(b"").unwrap_err().kind(), ErrorKind::Closed);
    });
}

/// Of two that close, one closes; both return when everything is durable.
#[test]
fn two_closers() {
    check(3, || {
        let model = Model::new(2);
        model.append(b"").unwrap();
        let close = |model: &Model| {
            let first = model.close().unwrap();
            assert_eq!((model.durable(), model.claimed()), (16, 16));
            first
        };
        let other = spawn(&model, close);
        let mine = close(&model);
        assert!(mine != other.join().unwrap());
        model.assert_durable_is_flushed();
    });
}

/// A claim that a panic leaves behind, with a sync and then a close under way: they get past it. (One thread does
/// both: two that spin for a third would give the explorer endless ways of starving it.)
#[test]
fn close_gets_past_an_abandoned_claim() {
    check(3, || {
        let model = Model::new(2);
        let writer = spawn(&model, |model| model.abandon(8).is_ok());
        model.sync().unwrap();
        model.assert_durable_is_flushed();
        model.close().unwrap();
        model.assert_durable_is_flushed();
        let claimed = writer.join().unwrap();
        assert_eq!(model.durable(), if claimed { 24 } else { 0 });
        assert_records(&model, &[]);
    });
}

/// Writers that wait for room, or with a claim for a segment, are woken and refused.
#[test]
fn close_wakes_writers() {
    for overrun in [false, true] {
        check(3, move || {
            let model = Model::new(1);
            let mut expected: Vec<(u64, &[u8])> = vec![(0, b"one")];
            model.append(b"one").unwrap();
            if overrun {
                model.lift_limit();
                model.append(b"two").unwrap();
                model.append(b"").unwrap();
                expected.extend([(24, b"two".as_slice()), (48, b"".as_slice())]);
            }
            let writer = spawn(&model, |model| model.append(b"more"));
            model.close().unwrap();
            assert_eq!(writer.join().unwrap().unwrap_err().kind(), ErrorKind::Closed);
            assert_eq!(model.durable(), if overrun { 64 } else { 24 });
            assert_records(&model, &expected);
        });
    }
}

/// Who waits for a sync is woken by the one that closing carries out.
#[test]
fn close_wakes_waiters() {
    check(3, || {
        let model = Model::new(2);
        let end = model.append(b"").unwrap().end;
        let waiter = spawn(&model, move |model| model.wait_for_others(end));
        let syncer = spawn(&model, move |model| model.make_durable(end));
        model.close().unwrap();
        waiter.join().unwrap().unwrap();
        syncer.join().unwrap().unwrap();
    });
}

/// A tail ends when the log is closed and everything was read; it misses nothing.
#[test]
fn a_tail_ends_with_the_log() {
    check(2, || {
        let model = Model::new(2);
        let closer = spawn(&model, |model| {
            let written = model.append(b"").is_ok();
            model.close().unwrap();
            written
        });
        let mut tail = model.tail(0).unwrap();
        let mut seen = 0;
        while tail.next().unwrap().is_some() {
            seen += 1;
        }
        assert!(closer.join().unwrap());
        assert_eq!(seen, 1);
    });
}

/// The same where a claim is open while the log closes: the tail waits for it.
#[test]
fn a_tail_waits_for_the_last_claim() {
    check(3, || {
        let model = Model::new(2);
        let writer = spawn(&model, |model| model.append(b"").is_ok());
        let closer = spawn(&model, |model| model.close_claims());
        let mut tail = model.tail(0).unwrap();
        let mut seen = 0;
        while tail.next().unwrap().is_some() {
            seen += 1;
        }
        assert_eq!(seen, usize::from(writer.join().unwrap()));
        assert!(closer.join().unwrap());
    });
}

/// The same where a claim waits for a segment that is on its way when the log closes: the claim may still return.
#[test]
fn a_tail_waits_for_a_segment_on_its_way() {
    check(3, || {
        let model = Model::new(1);
        model.lift_limit();
        model.append(b"one").unwrap();
        model.append(b"two").unwrap();
        model.append(b"").unwrap();
        let writer = spawn(&model, |model| model.append(b"").is_ok());
        let keeper = spawn(&model, |model| model.attempt(true));
        assert!(model.stop());
        let mut tail = model.tail(64).unwrap();
        let mut seen = 0;
        while tail.next().unwrap().is_some() {
            seen += 1;
        }
        assert_eq!(seen, usize::from(writer.join().unwrap()));
        keeper.join().unwrap();
    });
}
