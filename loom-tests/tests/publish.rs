//! PUBLISH and ABORT: what a writer wrote before its last store is there for who loads that word.
#![cfg(tidelog_loom)]

use tidelog::ErrorKind;
use tidelog::model::Model;
use tidelog_loom_tests::{assert_record_set, assert_records, check, spawn};

/// A reader that follows the log sees whole records, in order, while two writers append.
#[test]
fn a_tail_reads_whole_records() {
    check(2, || {
        let model = Model::new(2);
        let first = spawn(&model, |model| model.append(b"first").unwrap().lsn);
        let second = spawn(&model, |model| model.append(b"second").unwrap().lsn);
        let mut tail = model.tail(0).unwrap();
        let mut seen = Vec::new();
        // Every byte that it reads is verified and, by the model, ordered after its writing.
        while let Some(record) = tail.try_next().unwrap() {
            seen.push((record.lsn().get(), record.payload().to_vec()));
        }
        let all =
            vec![(first.join().unwrap(), b"first".to_vec()), (second.join().unwrap(), b"second".to_vec())];
        assert!(seen.iter().all(|record| all.contains(record)));
        assert!(seen.is_sorted());
        assert_record_set(&model, all);
    });
}

/// The watermark stops before a claim that is still being written, however much is published behind it.
#[test]
fn the_watermark_waits_for_the_earlier_claim() {
    check(2, || {
        let model = Model::new(2);
        let behind = spawn(&model, |model| model.append(b"behind"));
        model
            .append_with(5, |buf| {
                let published = model.advance_published();
                // Whoever came first: the watermark is no further than where this record begins.
                assert!(published == 0 || published == 24);
                buf.copy_from_slice(b"first");
            })
            .unwrap();
        let behind = behind.join().unwrap().unwrap();
        let first = 24 - behind.lsn;
        assert_record_set(&model, vec![(behind.lsn, b"behind".to_vec()), (first, b"first".to_vec())]);
    });
}

/// The watermark never goes back, and never stands inside a frame.
#[test]
fn the_watermark_only_grows() {
    check(2, || {
        let model = Model::new(2);
        let writer = spawn(&model, |model| {
            model.append(b"one").unwrap();
            model.append(b"two").unwrap();
        });
        let walker = spawn(&model, |model| model.advance_published());
        let seen = model.published();
        let walked = model.advance_published();
        assert!(seen <= walked);
        assert!([0, 24, 48].contains(&seen) && [0, 24, 48].contains(&walked));
        writer.join().unwrap();
        let last = walker.join().unwrap();
        assert!(last <= 48);
        assert_records(&model, &[(0, b"one"), (24, b"two")]);
    });
}

/// A claim that a panic left behind becomes padding, which readers verify as they do records.
#[test]
fn a_reader_verifies_padding() {
    check(3, || {
        let model = Model::new(2);
        let writer = spawn(&model, |model| {
            model.abandon(8).unwrap();
            model.append(b"after").unwrap();
        });
        let mut tail = model.tail(0).unwrap();
        if let Some(record) = tail.try_next().unwrap() {
            assert_eq!((record.lsn().get(), record.payload()), (24, b"after".as_slice()));
        }
        writer.join().unwrap();
        assert_records(&model, &[(24, b"after")]);
    });
}

/// A record can be read by its LSN as soon as its append returned, also when an earlier claim is still open; and
/// one whose append has not returned is not there, or there as a whole.
#[test]
fn a_record_is_read_beyond_the_watermark() {
    check(2, || {
        let model = Model::new(2);
        let earlier = spawn(&model, |model| model.append(b"x").unwrap().lsn);
        let mine = model.append(b"mine").unwrap().lsn;
        assert_eq!(model.read(mine).unwrap().payload(), b"mine");
        match model.read(24 - mine) {
            Ok(record) => assert_eq!(record.payload(), b"x"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotWritten),
        }
        let other = earlier.join().unwrap();
        assert_eq!(model.read(other).unwrap().payload(), b"x");
        assert_record_set(&model, vec![(mine, b"mine".to_vec()), (other, b"x".to_vec())]);
    });
}

/// The same while the earlier claim's closure is running, which nothing may wait for.
#[test]
fn a_record_is_read_behind_a_running_closure() {
    check(3, || {
        let model = Model::new(2);
        model
            .append_with(5, |buf| {
                let later = spawn(&model, |model| {
                    let lsn = model.append(b"later").unwrap().lsn;
                    assert_eq!(model.read(lsn).unwrap().payload(), b"later");
                    assert_eq!(model.read(0).unwrap_err().kind(), ErrorKind::NotWritten);
                    assert_eq!(model.read(8).unwrap_err().kind(), ErrorKind::NotARecord);
                    assert_eq!(model.published(), 0);
                });
                later.join().unwrap();
                buf.copy_from_slice(b"first");
            })
            .unwrap();
        assert_records(&model, &[(0, b"first"), (24, b"later")]);
    });
}

/// A snapshot has every record whose append returned before it, also while an earlier claim is open.
#[test]
fn a_snapshot_has_what_returned() {
    check(3, || {
        let model = Model::new(2);
        let other = spawn(&model, |model| model.append(b"x").unwrap().lsn);
        let mine = model.append(b"mine").unwrap().lsn;
        let snapshot = model.snapshot();
        let lsns: Vec<_> = snapshot.iter().map(|record| record.unwrap().lsn().get()).collect();
        assert!(lsns.contains(&mine), "{lsns:?} without {mine}");
        other.join().unwrap();
    });
}

/// A batch is there as a whole or not at all, for a reader that follows and for the watermark.
#[test]
fn a_batch_is_all_or_nothing() {
    check(3, || {
        let model = Model::new(2);
        let writer = spawn(&model, |model| model.append_batch(&[b"", b""]).unwrap().lsn);
        assert!([0, 32].contains(&model.advance_published()), "inside the batch");
        let mut tail = model.tail(0).unwrap();
        let mut seen = 0;
        while tail.try_next().unwrap().is_some() {
            seen += 1;
        }
        assert!(seen != 1, "half a batch");
        assert_eq!(writer.join().unwrap(), 0);
        assert_records(&model, &[(0, b""), (16, b"")]);
    });
}

/// PUBLISHED: who sees the watermark that another thread moved can read any record below it by its LSN; the
/// words of later records of a batch are ordered by nothing else.
#[test]
fn the_watermark_hands_over_what_is_below_it() {
    check(3, || {
        let model = Model::new(2);
        let writer = spawn(&model, |model| model.append_batch(&[b"", b""]).unwrap().lsn);
        let walker = spawn(&model, |model| model.advance_published());
        if model.published() == 32 {
            assert_eq!(model.read(16).unwrap().payload(), b"");
        }
        walker.join().unwrap();
        writer.join().unwrap();
        assert_records(&model, &[(0, b""), (16, b"")]);
    });
}
