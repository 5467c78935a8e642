//! DURABLE: what a sync may promise, who carries it out, who waits, and what a failed one does.
#![cfg(tidelog_loom)]

use tidelog::ErrorKind;
use tidelog::model::Model;
use tidelog_loom_tests::{assert_record_set, check, spawn};

/// A record that is published while a flush runs is not covered by it.
#[test]
fn a_publish_during_the_flush_is_not_durable() {
    check(3, || {
        let model = Model::new(2);
        let writer = spawn(&model, |model| {
            model.append(b"one").unwrap();
            model.append(b"two").unwrap();
        });
        model.sync().unwrap();
        model.assert_durable_is_flushed();
        writer.join().unwrap();
        model.sync().unwrap();
        assert_eq!(model.durable(), 48);
        model.assert_durable_is_flushed();
    });
}

/// Two writers that wait for their own record: one leads, the other follows or leads the next sync. Nobody gets an
/// acknowledgement for what is not flushed, and nobody sleeps for ever.
#[test]
fn acknowledged_is_flushed() {
    check(3, || {
        let model = Model::new(2);
        let append = |model: &Model| {
            let written = model.append(b"").unwrap();
            model.make_durable(written.end).unwrap();
            assert!(model.durable() >= written.end);
            model.assert_durable_is_flushed();
            (written.lsn, Vec::new())
        };
        let other = spawn(&model, append);
        let mine = append(&model);
        let other = other.join().unwrap();
        assert_record_set(&model, vec![mine, other]);
    });
}

/// The same with a third, so that a follower leads while another follows.
#[test]
fn followers_take_turns() {
    check(1, || {
        let model = Model::new(2);
        let append = |model: &Model| {
            let written = model.append(b"").unwrap();
            model.make_durable(written.end).unwrap();
            assert!(model.durable() >= written.end);
        };
        let others = [spawn(&model, append), spawn(&model, append)];
        append(&model);
        for other in others {
            other.join().unwrap();
        }
        model.assert_durable_is_flushed();
    });
}

/// One who leads lets others come first. Whether they do or not, each is served, and somebody leads the next sync.
#[test]
fn who_leads_lets_others_join() {
    check(2, || {
        let model = Model::new(2);
        let other = spawn(&model, |model| {
            let written = model.append(b"").unwrap();
            model.gather_durable(written.end, 1).unwrap();
            model.assert_durable_is_flushed();
        });
        for _ in 0..2 {
            let written = model.append(b"").unwrap();
            model.gather_durable(written.end, 1).unwrap();
            assert!(model.durable() >= written.end);
        }
        other.join().unwrap();
        model.assert_durable_is_flushed();
    });
}

/// Three who wait for records that all are published: the sync of whoever leads covers the others, also those who come
/// when it has begun. They are woken by it, and nobody waits for a sync that nobody needs.
#[test]
fn one_sync_serves_all_that_it_covers() {
    check(2, || {
        let model = Model::new(2);
        let ends = [b"one", b"two"].map(|payload| model.append(payload).unwrap().end);
        let others = ends.map(|end| spawn(&model, move |model| model.make_durable(end).unwrap()));
        let written = model.append(b"").unwrap();
        model.make_durable(written.end).unwrap();
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(model.durable(), written.end);
        model.assert_durable_is_flushed();
    });
}

/// Who only waits for others' syncs is woken by each that reaches far enough.
#[test]
fn a_waiter_is_woken() {
    check(3, || {
        let model = Model::new(2);
        model.append(b"one").unwrap();
        model.append(b"two").unwrap();
        let waiters = [
            spawn(&model, |model| model.wait_for_others(24).unwrap()),
            spawn(&model, |model| model.wait_for_others(48).unwrap()),
        ];
        model.sync().unwrap();
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert_eq!(model.durable(), 48);
    });
}

/// `durable <= published` for whoever looks, without a walk of his own.
#[test]
fn what_is_durable_is_published() {
    check(3, || {
        let model = Model::new(2);
        let syncer = spawn(&model, |model| {
            model.append(b"").unwrap();
            model.sync().unwrap();
        });
        let durable = model.durable();
        let published = model.published();
        assert!(durable <= published, "{durable} is durable, {published} published");
        syncer.join().unwrap();
    });
}

/// A failed sync: everybody gets the error, the one who carried it out, the one who slept, and every later one.
#[test]
fn poison_reaches_everybody() {
    check(3, || {
        let model = Model::new(2);
        let end = model.append(b"").unwrap().end;
        model.fail_syncs();
        let sleeper = spawn(&model, move |model| model.wait_for_others(end));
        let syncer = spawn(&model, move |model| model.make_durable(end));
        let mine = model.make_durable(end);
        for outcome in [mine, syncer.join().unwrap(), sleeper.join().unwrap(), model.sync()] {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Poisoned);
        }
        assert_eq!(model.append(b"").unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!(model.durable(), 0);
    });
}

/// Poison from elsewhere while one carries out a sync, or gathers for it, and another is about to sleep until it ends.
#[test]
fn poison_wakes_who_joined() {
    check(2, || {
        let model = Model::new(2);
        let end = model.append(b"").unwrap().end;
        let other = spawn(&model, move |model| model.gather_durable(end, 1));
        let poisoner = spawn(&model, |model| model.poison());
        let mine = model.gather_durable(end, 1);
        poisoner.join().unwrap();
        let durable = model.durable();
        for outcome in [mine, other.join().unwrap()] {
            match outcome {
                Ok(()) => assert_eq!(durable, end),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Poisoned),
            }
        }
        assert_eq!(model.append(b"").unwrap_err().kind(), ErrorKind::Poisoned);
    });
}

/// Poison from elsewhere against a waiter that is about to sleep, and one more that comes later.
#[test]
fn poison_wakes_a_sleeper() {
    check(3, || {
        let model = Model::new(2);
        let end = model.append(b"").unwrap().end;
        let sleeper = spawn(&model, move |model| model.wait_for_others(end));
        model.poison();
        for outcome in [model.wait_for_others(end), sleeper.join().unwrap()] {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Poisoned);
        }
    });
}

/// Poison from elsewhere, a damaged word for example, while a sync is under way: the watermark moves before it or
/// not at all.
#[test]
fn the_watermark_stands_still_after_poison() {
    check(3, || {
        let model = Model::new(2);
        model.append(b"").unwrap();
        let syncer = spawn(&model, |model| model.sync());
        model.poison();
        let durable = model.durable();
        let outcome = syncer.join().unwrap();
        assert_eq!(model.durable(), durable, "the watermark moved after the log was poisoned");
        assert_eq!(outcome.is_ok(), durable == 16);
    });
}

/// Poison from elsewhere, as the writers see it: an append that is refused tells that no sync succeeds any more.
#[test]
fn the_watermark_stands_still_once_an_append_is_refused() {
    check(2, || {
        let model = Model::new(2);
        model.append(b"").unwrap();
        let syncer = spawn(&model, |model| model.sync());
        let poisoner = spawn(&model, |model| model.poison());
        let refused = model.append(b"").is_err();
        let durable = model.durable();
        poisoner.join().unwrap();
        let _ = syncer.join().unwrap();
        assert!(
            !refused || model.durable() == durable,
            "the watermark moved after an append had been refused"
        );
    });
}

/// Poison against a writer that waits for room, and against one that waits with its claim for a segment.
#[test]
fn poison_wakes_writers() {
    for overrun in [false, true] {
        check(3, move || {
            let model = Model::new(1);
            model.append(b"one").unwrap();
            if overrun {
                model.lift_limit();
                model.append(b"two").unwrap();
                model.append(b"").unwrap();
            }
            let writer = spawn(&model, |model| model.append(b"more"));
            model.poison();
            let error = writer.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Poisoned);
            assert_eq!(model.append(b"").unwrap_err().kind(), ErrorKind::Poisoned);
        });
    }
}
