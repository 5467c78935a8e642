//! INSTALL and RECYCLE: a claim finds its segment in the ring, and the segment stays until the claim is published.
#![cfg(tidelog_loom)]

use tidelog::ErrorKind;
use tidelog::model::Model;
use tidelog_loom_tests::{assert_record_set, assert_records, check, spawn};

/// A claim that finds its segment's number in the slot finds the segment there, with no other order than INSTALL.
#[test]
fn a_claim_finds_the_installed_segment() {
    check(3, || {
        let model = Model::new(1);
        model.append(b"one").unwrap();
        let writer = spawn(&model, |model| {
            model.append(b"two").unwrap();
            model.append(b"three").unwrap().lsn
        });
        assert!(model.install_next());
        let third = writer.join().unwrap();
        assert_records(&model, &[(0, b"one"), (24, b"two"), (third, b"three")]);
    });
}

/// The next segment takes a slot only when every claim of the slot's earlier segment is published, while the last
/// of them is being written and others fill the ring.
#[test]
fn the_recycler_waits_for_the_last_publish() {
    check(3, || {
        let model = Model::new(2);
        model.lift_limit();
        let last = spawn(&model, |model| model.append(b"x").unwrap().lsn);
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push((model.append(b"y").unwrap().lsn, b"y".to_vec()));
        }
        // Slot 0: segment 2 may come only when `last` is written, wherever that is.
        model.advance_published();
        let installed = model.install_next();
        assert!(!installed || model.published() >= 64);
        all.push((last.join().unwrap(), b"x".to_vec()));
        model.advance_published();
        assert!(installed || model.install_next());
        assert_record_set(&model, all);
    });
}

/// The same where another thread moved the watermark that the recycler goes by.
#[test]
fn the_watermark_frees_the_slot() {
    check(3, || {
        let model = Model::new(2);
        model.lift_limit();
        model.append(b"one").unwrap();
        let writer = spawn(&model, |model| model.append_batch(&[b"", b""]).unwrap().lsn);
        let walker = spawn(&model, |model| {
            model.append(b"three").unwrap();
            model.advance_published();
        });
        let installed = model.install_next();
        walker.join().unwrap();
        let second = writer.join().unwrap();
        model.advance_published();
        assert!(installed || model.install_next());
        assert!(second >= 24);
        assert_eq!(model.audit().len(), 4);
    });
}

/// Letting go of published segments leaves those alone that somebody writes to.
#[test]
fn letting_go_spares_open_claims() {
    check(3, || {
        let model = Model::new(2);
        model.lift_limit();
        model.append(b"one").unwrap();
        let writer = spawn(&model, |model| {
            model.append(b"two").unwrap();
            model.append(b"three").unwrap().lsn
        });
        model.advance_published();
        model.release_published();
        let third = writer.join().unwrap();
        model.release_published();
        assert_records(&model, &[(0, b"one"), (24, b"two"), (third, b"three")]);
    });
}

/// The same where another thread moved the watermark that tells what is published: PUBLISHED alone orders the last
/// claim's look at the slot before the slot changes.
#[test]
fn letting_go_by_anothers_watermark() {
    check(3, || {
        let model = Model::new(2);
        model.lift_limit();
        model.append(b"one").unwrap();
        model.append(b"two").unwrap();
        let writer = spawn(&model, |model| model.append(b"").unwrap().lsn);
        let walker = spawn(&model, |model| model.advance_published());
        model.release_published();
        assert!([48, 64].contains(&walker.join().unwrap()));
        assert_eq!(writer.join().unwrap(), 48);
        assert_records(&model, &[(0, b"one"), (24, b"two"), (48, b"")]);
    });
}

/// Publishing is a claim's last touch: the segment may be reused at once.
#[test]
fn nothing_is_touched_after_publishing() {
    check(3, || {
        let model = Model::new(2);
        model.lift_limit();
        model.append(b"one").unwrap();
        model.append(b"two").unwrap();
        let writer = spawn(&model, |model| model.append(b"").unwrap().lsn);
        if model.advance_published() >= 64 {
            model.retire(1);
            assert_eq!(model.recycle(), 1);
        }
        assert_eq!(writer.join().unwrap(), 48);
    });
}

/// PIN: a record that is being read, or a snapshot, keeps its segment from being reused.
#[test]
fn a_pin_keeps_the_segment() {
    check(3, || {
        let model = Model::new(2);
        model.lift_limit();
        model.append(b"one").unwrap();
        model.append(b"two").unwrap();
        let third = model.append(b"three").unwrap().lsn;
        model.advance_published();
        let reader = spawn(&model, |model| match model.read(24) {
            Ok(record) => assert_eq!(record.payload(), b"two"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Retired),
        });
        let snapshot = spawn(&model, move |model| {
            let snapshot = model.snapshot();
            let records: Vec<_> = snapshot.iter().map(|record| record.unwrap().payload().to_vec()).collect();
            let all = [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()];
            assert_eq!(records, if snapshot.start().get() == 0 { &all[..] } else { &all[2..] });
        });
        model.retire(1);
        let early = model.recycle();
        reader.join().unwrap();
        snapshot.join().unwrap();
        assert_eq!(early + model.recycle(), 1, "once nobody holds it, it is reused, and only once");
        assert_eq!(model.read(third).unwrap().payload(), b"three");
    });
}

/// PIN: what is being read, or held by a snapshot, is not unmapped; what nobody holds is, once.
#[test]
fn what_is_read_is_not_unmapped() {
    check(3, || {
        let model = Model::new(2);
        model.lift_limit();
        model.append(b"one").unwrap();
        model.append(b"two").unwrap();
        model.append(b"three").unwrap();
        model.advance_published();
        model.release_published();
        // Who comes after the unmapping is refused: a model cannot map again.
        let reader = spawn(&model, |model| {
            if let Ok(record) = model.read(24) {
                assert_eq!(record.payload(), b"two");
            }
        });
        let snapshot = spawn(&model, |model| {
            let snapshot = model.snapshot();
            let records: Vec<_> =
                snapshot.iter().map_while(|record| Some(record.ok()?.payload().to_vec())).collect();
            assert!(records.is_empty() || records == [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
        });
        let early = model.unmap_idle();
        reader.join().unwrap();
        snapshot.join().unwrap();
        assert_eq!(early + model.unmap_idle(), 1);
    });
}

/// A tail whose segment is retired reads on in it, or is told that it came too late.
#[test]
fn a_tail_against_retirement() {
    check(3, || {
        let model = Model::new(2);
        model.lift_limit();
        model.append(b"one").unwrap();
        model.append(b"two").unwrap();
        let third = model.append(b"three").unwrap().lsn;
        model.advance_published();
        let reader = spawn(&model, move |model| {
            let mut seen = Vec::new();
            let mut tail = match model.tail(0) {
                Ok(tail) => tail,
                Err(error) => return assert_eq!(error.kind(), ErrorKind::Retired),
            };
            loop {
                match tail.try_next() {
                    Ok(Some(record)) => seen.push(record.lsn().get()),
                    Ok(None) => return assert_eq!(seen, [0, 24, third]),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Retired);
                        return assert!(seen.is_empty(), "it held the segment");
                    }
                }
            }
        });
        model.retire(1);
        model.recycle();
        reader.join().unwrap();
        assert!(model.recycle() <= 1);
    });
}
