//! The claim: one `fetch_add` hands out the log; straddling, overrunning and orphaned claims.
#![cfg(tidelog_loom)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use tidelog::ErrorKind;
use tidelog::model::Model;
use tidelog_loom_tests::{assert_record_set, assert_records, check, spawn};

/// No two claims overlap, and none is lost.
#[test]
fn claims_are_disjoint() {
    check(2, || {
        let model = Model::new(2);
        let other = spawn(&model, |model| {
            let one = model.append(b"a").unwrap().lsn;
            let two = model.append(b"").unwrap().lsn;
            assert!(one < two);
            vec![(one, b"a".to_vec()), (two, b"".to_vec())]
        });
        let mut all = vec![(model.append(b"mine").unwrap().lsn, b"mine".to_vec())];
        all.extend(other.join().unwrap());
        assert_record_set(&model, all);
    });
}

/// G1: an append that returned before another was called has the lower LSN.
#[test]
fn order_follows_happens_before() {
    check(3, || {
        let model = Model::new(2);
        let returned = Arc::new(AtomicBool::new(false));
        let earlier = {
            let returned = Arc::clone(&returned);
            spawn(&model, move |model| {
                let lsn = model.append(b"").unwrap().lsn;
                returned.store(true, Ordering::Release);
                lsn
            })
        };
        let after = returned.load(Ordering::Acquire);
        let mine = model.append(b"").unwrap().lsn;
        let earlier = earlier.join().unwrap();
        assert!(!after || earlier < mine);
        assert_record_set(&model, vec![(earlier, Vec::new()), (mine, Vec::new())]);
    });
}

/// A claim that straddles pads both its parts, while another claims right behind it.
#[test]
fn a_straddling_claim_pads_both_parts() {
    check(2, || {
        let model = Model::new(2);
        model.lift_limit();
        model.append(b"one").unwrap();
        model.append(b"two").unwrap();
        let append = |model: &Model| (model.append(b"new").unwrap().lsn, b"new".to_vec());
        let other = spawn(&model, append);
        let mut all = vec![(0, b"one".to_vec()), (24, b"two".to_vec())];
        all.push(append(&model));
        all.push(other.join().unwrap());
        // The first to come straddles from 48 to 72; the other claims at 72, and the first again behind it.
        assert!(all.iter().any(|(lsn, _)| *lsn == 72));
        assert_record_set(&model, all);
    });
}

/// A writer that finds no room wakes the preparer, and the next segment wakes the writer.
#[test]
fn a_writer_without_room_gets_a_segment() {
    check(3, || {
        let model = Model::new(1);
        model.append(b"one").unwrap();
        let writer = spawn(&model, |model| model.append(b"two").unwrap().lsn);
        assert!(model.wait_demand());
        model.attempt(true);
        assert_eq!(writer.join().unwrap(), 24);
        assert_records(&model, &[(0, b"one"), (24, b"two")]);
    });
}

/// Threads that pass the limit together run beyond the prepared segments: they wait for the next one, and take
/// nothing that was not prepared. The preparer wakes for them, and wakes them.
#[test]
fn claims_overrun_the_prepared_segments() {
    check(2, || {
        let model = Model::new(1);
        model.lift_limit();
        model.append(b"one").unwrap();
        model.append(b"two").unwrap();
        let other = spawn(&model, |model| model.append(b"").unwrap().lsn);
        let another = spawn(&model, |model| model.append(b"").unwrap().lsn);
        assert!(model.wait_demand());
        model.attempt(true);
        let mut all = vec![(0, b"one".to_vec()), (24, b"two".to_vec())];
        all.push((other.join().unwrap(), Vec::new()));
        all.push((another.join().unwrap(), Vec::new()));
        assert_record_set(&model, all);
    });
}

/// A claim beyond the prepared segments returns as soon as its segment is there; a sync that is asked for then covers it.
#[test]
fn a_sync_covers_a_claim_in_a_new_segment() {
    check(2, || {
        let model = Model::new(1);
        model.lift_limit();
        model.append(b"one").unwrap();
        model.append(b"two").unwrap();
        model.append(b"").unwrap();
        let writer = spawn(&model, |model| {
            let written = model.append(b"").unwrap();
            assert!(model.written_end() >= written.end, "the log ends before a record that returned");
            model.sync().unwrap();
            assert!(model.durable() >= written.end);
        });
        // Before or after the writer asks for it.
        model.attempt(true);
        writer.join().unwrap();
    });
}

/// The limit as it is: three claims pass it together, and the last runs beyond the prepared segment.
#[test]
fn claims_pass_the_limit_together() {
    check(1, || {
        let model = Model::new(1);
        let append = |model: &Model| model.append(b"a").unwrap().lsn;
        let threads: Vec<_> = (0..3).map(|_| spawn(&model, append)).collect();
        // One is below the limit. The others wait for a segment, or passed the limit with it: then one straddles.
        model.attempt(true);
        let all = threads.into_iter().map(|thread| (thread.join().unwrap(), b"a".to_vec())).collect();
        assert_record_set(&model, all);
    });
}

/// A claim whose segment could not be prepared fails, and is padded once there is room again.
#[test]
fn an_orphan_is_padded_later() {
    check(3, || {
        let model = Model::new(1);
        model.lift_limit();
        model.append(b"one").unwrap();
        model.append(b"two").unwrap();
        model.append(b"").unwrap();
        let writer = spawn(&model, |model| model.append(b"three"));
        assert!(model.wait_demand());
        model.attempt(false);
        // The second attempt comes before or after the writer has given up.
        model.attempt(true);
        let mut all: Vec<(u64, &[u8])> = vec![(0, b"one"), (24, b"two"), (48, b"")];
        match writer.join().unwrap() {
            Ok(written) => {
                assert_eq!(written.lsn, 64);
                all.push((64, b"three"));
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::StorageFull),
        }
        assert_records(&model, &all);
        model.lift_limit();
        assert_eq!(model.append(b"next").unwrap().lsn, 88);
    });
}

/// The same for a claim that straddles into the segment that cannot be prepared.
#[test]
fn a_straddling_orphan_is_padded_later() {
    check(3, || {
        let model = Model::new(1);
        model.lift_limit();
        model.append(b"one").unwrap();
        model.append(b"two").unwrap();
        let writer = spawn(&model, |model| model.append(b"three"));
        assert!(model.wait_demand());
        model.attempt(false);
        let outcome = writer.join().unwrap();
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_records(&model, &[(0, b"one"), (24, b"two")]);
        model.attempt(true);
        model.lift_limit();
        assert_eq!(model.append(b"next").unwrap().lsn, 72);
        assert_records(&model, &[(0, b"one"), (24, b"two"), (72, b"next")]);
    });
}

/// A claim inside a closure of `append_with` never waits for a segment: its own claim could be what keeps the
/// slot from being free.
#[test]
fn a_claim_inside_a_claim_does_not_wait() {
    check(3, || {
        let model = Model::new(2);
        model.lift_limit();
        let writer = spawn(&model, |model| {
            let mut inner = Vec::new();
            let outer = model.append_with(0, |_| {
                for _ in 0..8 {
                    match model.append(b"") {
                        Ok(written) => inner.push((written.lsn, Vec::new())),
                        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldDeadlock),
                    }
                }
            });
            inner.push((outer.unwrap().lsn, Vec::new()));
            inner
        });
        let all = writer.join().unwrap();
        // The segment's slot is free now, and what the inner claims left is padded.
        model.advance_published();
        assert!(model.install_next());
        assert_record_set(&model, all);
    });
}
