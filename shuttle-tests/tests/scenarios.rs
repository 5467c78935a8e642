//! The log as a whole, with everybody at work: what is in it, who is told, who is woken.
#![cfg(tidelog_shuttle)]

use shuttle::thread::yield_now;
use tidelog::model::{Model, SEGMENT_BYTES};
use tidelog::{Error, ErrorKind};
use tidelog_shuttle_tests::{
    Keeper, Ledger, Met, Record, Writer, check, coin, follow, follow_durable, look, pick, spawn, sync_often,
};

const MET: &[&str] = &["recycled", "retired", "looks without a slot"];

fn writer(id: u8, appends: u8, ledger: &Ledger, met: &Met) -> Writer {
    Writer { id, appends, waits: id >= 2, ledger: ledger.clone(), met: met.clone() }
}

fn never(_: &Error) -> bool {
    false
}

/// What a tail has seen is in the log; when nothing was retired before it was read, it is all there is.
fn assert_followed((seen, whole): (Vec<Record>, bool), all: &[Record]) {
    assert!(seen.is_sorted());
    if whole {
        assert_eq!(seen, all, "left: what the tail saw; right: what there is");
    } else {
        assert!(seen.iter().all(|record| all.binary_search(record).is_ok()));
    }
}

/// Four writers, two of whom wait for the disk; a syncer, a keeper, a snapshot, a tail. The log rolls several times.
#[test]
fn everybody_at_once() {
    check(&[MET, &["all slots used again"]].concat(), |met| {
        let model = Model::new(1 + pick(2));
        let ledger = Ledger::default();
        let keeper = Keeper::any(&ledger, met);
        let keeper = spawn(&model, move |model| keeper.run(model));
        let writers = [0, 1, 2, 3].map(|id| {
            let writer = writer(id, 7, &ledger, met);
            spawn(&model, move |model| writer.run(model, never))
        });
        let others = ledger.clone();
        let syncer = spawn(&model, move |model| sync_often(model, 2, &others).unwrap());
        let others = ledger.clone();
        let reader = spawn(&model, move |model| look(model, &others));
        let others = ledger.clone();
        let tail = spawn(&model, move |model| follow(model, &others));
        let durable = spawn(&model, follow_durable);
        for thread in writers.into_iter().chain([syncer, reader]) {
            thread.join().unwrap();
        }
        assert!(model.stop());
        keeper.join().unwrap();
        assert!(!model.close().unwrap());
        assert_eq!(model.durable(), model.claimed());
        model.assert_durable_is_flushed();
        let all = ledger.assert_nothing_lost(&model);
        assert_followed(tail.join().unwrap(), &all);
        assert_followed(durable.join().unwrap(), &all);
        if model.claimed() > 4 * SEGMENT_BYTES {
            met.count("all slots used again");
        }
    });
}

/// The log closes while everybody is at work: whoever waits for room, for a segment or for the disk is woken, what
/// returned is durable, and nothing else is in the log.
#[test]
fn closing_in_the_middle() {
    check(&[MET, &["appends refused"]].concat(), |met| {
        let model = Model::new(1 + pick(2));
        if coin() {
            model.lift_limit();
        }
        let ledger = Ledger::default();
        let keeper = Keeper::any(&ledger, met);
        let keeper = spawn(&model, move |model| keeper.run(model));
        let writers = [0, 1, 2, 3].map(|id| {
            let writer = writer(id, 7, &ledger, met);
            spawn(&model, move |model| writer.run(model, |error| error.kind() == ErrorKind::Closed))
        });
        let others = ledger.clone();
        let syncer = spawn(&model, move |model| sync_often(model, 2, &others).unwrap());
        let others = ledger.clone();
        let tail = spawn(&model, move |model| follow(model, &others));
        let durable = spawn(&model, follow_durable);
        let moment = pick(6 * SEGMENT_BYTES);
        while model.claimed() < moment && ledger.acknowledged().len() < 12 {
            yield_now();
        }
        assert!(model.stop());
        keeper.join().unwrap();
        assert!(!model.close().unwrap());
        let end = model.written_end();
        assert_eq!(model.durable(), end);
        model.assert_durable_is_flushed();
        for thread in writers.into_iter().chain([syncer]) {
            thread.join().unwrap();
        }
        assert_eq!(model.written_end(), end, "the log grew after it was closed");
        let all = ledger.assert_nothing_lost(&model);
        assert_followed(tail.join().unwrap(), &all);
        assert_followed(durable.join().unwrap(), &all);
    });
}

/// A sync fails: everybody is told, nothing succeeds afterwards, and the durable watermark never moves again.
#[test]
fn a_failing_sync() {
    check(&[MET, &["records were durable before", "poison from elsewhere"]].concat(), |met| {
        let model = Model::new(1 + pick(2));
        let ledger = Ledger::default();
        let poisoned = |error: &Error| error.kind() == ErrorKind::Poisoned;
        let keeper = Keeper::any(&ledger, met);
        let keeper = spawn(&model, move |model| keeper.run(model));
        let writers = [0, 1, 2, 3].map(|id| {
            let writer = writer(id, 8, &ledger, met);
            spawn(&model, move |model| writer.run(model, poisoned))
        });
        // They sleep, one near and one far, and sync nothing themselves.
        let sleepers = [pick(SEGMENT_BYTES), u64::MAX].map(|position| {
            let ledger = ledger.clone();
            spawn(&model, move |model| match model.wait_for_others(position) {
                Ok(()) => assert!(model.durable() >= position),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Poisoned);
                    ledger.told(model);
                }
            })
        });
        let others = ledger.clone();
        let syncer = spawn(&model, move |model| sync_often(model, u64::MAX, &others));
        let durable = spawn(&model, follow_durable);
        let moment = pick(3 * SEGMENT_BYTES);
        while model.claimed() < moment && ledger.acknowledged().len() < 12 {
            yield_now();
        }
        if pick(3) == 0 {
            met.count("poison from elsewhere");
            model.poison();
            ledger.told(&model);
        } else {
            model.fail_syncs();
        }
        for writer in writers {
            writer.join().unwrap();
        }
        // The syncer has nothing to do until somebody appends; nobody can, if anybody was told.
        let told = ledger.is_poisoned();
        if let Ok(written) = model.append(b"") {
            assert!(!told, "an append succeeded after somebody was told of poison");
            assert_eq!(model.make_durable(written.end).unwrap_err().kind(), ErrorKind::Poisoned);
            ledger.acknowledge(0, written.end, vec![(written.lsn, Vec::new())]);
        }
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
        if let Err(error) = syncer.join().unwrap() {
            assert_eq!(error.kind(), ErrorKind::Poisoned);
        }
        ledger.told(&model);
        assert_eq!(model.append(b"").unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!(model.append_batch(&[b"", b""]).unwrap_err().kind(), ErrorKind::Poisoned);
        model.stop();
        keeper.join().unwrap();
        if let Err(error) = model.close() {
            assert_eq!(error.kind(), ErrorKind::Poisoned);
        }
        ledger.told(&model);
        model.assert_durable_is_flushed();
        if model.durable() > 0 {
            met.count("records were durable before");
        }
        // What is left in the log is what returned: some of it durable, all of it readable.
        let all = ledger.assert_nothing_lost(&model);
        assert_followed(durable.join().unwrap(), &all);
    });
}

/// For a while no segment can be prepared: appends fail and leave claims behind. Then room comes.
#[test]
fn no_room_for_a_while() {
    check(&[MET, &["appends without room"]].concat(), |met| {
        let model = Model::new(1);
        if coin() {
            model.lift_limit();
        }
        let ledger = Ledger::default();
        let keeper = Keeper { failures: 1 + pick(5), ..Keeper::any(&ledger, met) };
        let keeper = spawn(&model, move |model| keeper.run(model));
        let writers = [0, 1, 2, 3].map(|id| {
            let writer = writer(id, 8, &ledger, met);
            spawn(&model, move |model| writer.run(model, never))
        });
        let others = ledger.clone();
        let syncer = spawn(&model, move |model| sync_often(model, 2, &others).unwrap());
        let others = ledger.clone();
        let tail = spawn(&model, move |model| follow(model, &others));
        let durable = spawn(&model, follow_durable);
        for thread in writers.into_iter().chain([syncer]) {
            thread.join().unwrap();
        }
        // Room is there at last, and the log takes records as ever.
        let mut last = model.append(b"last");
        while last.is_err() {
            last = model.append(b"last");
        }
        let last = last.unwrap();
        ledger.acknowledge(ledger.returned(), last.end, vec![(last.lsn, b"last".to_vec())]);
        model.make_durable(last.end).unwrap();
        assert!(model.stop());
        keeper.join().unwrap();
        model.close().unwrap();
        model.assert_durable_is_flushed();
        let all = ledger.assert_nothing_lost(&model);
        assert_followed(tail.join().unwrap(), &all);
        assert_followed(durable.join().unwrap(), &all);
    });
}

/// A claim stays open while others fill the segments behind it. Nobody takes its place, nothing behind it counts as
/// published, and the log goes on as far as the ring reaches.
#[test]
fn a_claim_stays_open() {
    check(&[MET, &["refused inside the claim", "three segments behind it"]].concat(), |met| {
        let model = Model::new(1 + pick(2));
        let ledger = Ledger::default();
        let keeper = Keeper { ahead: 2, ..Keeper::any(&ledger, met) };
        let keeper = spawn(&model, move |model| keeper.run(model));
        let writers = [0, 1, 2].map(|id| {
            let writer = Writer { waits: false, ..writer(id, 9, &ledger, met) };
            spawn(&model, move |model| writer.run(model, never))
        });
        let (others, seen) = (ledger.clone(), met.clone());
        let parked = spawn(&model, move |model| park(model, &others, &seen));
        let others = ledger.clone();
        let syncer = spawn(&model, move |model| sync_often(model, 2, &others).unwrap());
        let others = ledger.clone();
        let reader = spawn(&model, move |model| look(model, &others));
        let others = ledger.clone();
        let tail = spawn(&model, move |model| follow(model, &others));
        let durable = spawn(&model, follow_durable);
        for thread in writers.into_iter().chain([parked, syncer, reader]) {
            thread.join().unwrap();
        }
        assert!(model.stop());
        keeper.join().unwrap();
        model.close().unwrap();
        model.assert_durable_is_flushed();
        let all = ledger.assert_nothing_lost(&model);
        assert_followed(tail.join().unwrap(), &all);
        assert_followed(durable.join().unwrap(), &all);
    });
}

fn park(model: &Model, ledger: &Ledger, met: &Met) {
    let segments = 1 + pick(3);
    let mut inner = Vec::new();
    let floor = ledger.returned();
    let written = model
        .append_with(6, |place| {
            let claimed = model.claimed();
            // Everybody else will have written, or have come as far as the ring reaches.
            for _ in 0..200 {
                if model.claimed() >= claimed + segments * SEGMENT_BYTES {
                    if segments == 3 {
                        met.count("three segments behind it");
                    }
                    break;
                }
                yield_now();
            }
            let published = model.advance_published();
            assert!(published <= claimed, "{published} is published, over a claim that is open");
            let floor = ledger.returned();
            match model.append(b"inner") {
                Ok(written) => inner.push((floor, written)),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldDeadlock, "{error}");
                    met.count("refused inside the claim");
                }
            }
            place.copy_from_slice(b"parked");
        })
        .unwrap();
    for (floor, inner) in inner {
        assert!(inner.lsn > written.lsn);
        assert!(model.written_end() >= inner.end);
        ledger.acknowledge(floor, inner.end, vec![(inner.lsn, b"inner".to_vec())]);
    }
    ledger.acknowledge(floor, written.end, vec![(written.lsn, b"parked".to_vec())]);
    model.make_durable(written.end).unwrap();
    assert!(model.durable() >= written.end);
}
