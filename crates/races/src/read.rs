//! The threads that read: a tail, snapshots and single records of the log itself, and a `LogReader` beside it.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use tidelog::{ErrorKind, LogReader, Lsn, PinnedRecord, Snapshot, Tail};

use crate::records::{Random, assert_whole};
use crate::{Round, count};

/// Follows the log to its end.
pub(crate) fn follow(round: &Round) {
    let start = || round.log.tail(round.log.watermarks().start);
    let mut tail = None;
    while !round.over.load(Ordering::Relaxed) {
        // The start may be retired between the two calls.
        let Some(tail) = tail.as_mut() else {
            tail = start().ok();
            continue;
        };
        match tail.next() {
            Ok(Some(record)) => {
                assert_whole(record.lsn(), record.payload());
                count(&round.tally.tail_records);
            }
            Ok(None) => return,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Retired, "{error}");
                if let Ok(next) = start() {
                    *tail = next;
                }
            }
        }
    }
}

/// Records that this thread found, for another to read, drop and by that free.
enum Handed {
    Part(Snapshot),
    Records(Vec<PinnedRecord>),
    Bytes(Vec<(Lsn, Bytes)>),
}

/// Reads what another thread took, and lets go of it.
fn read_handed(receiver: &Receiver<Handed>) {
    for handed in receiver {
        match handed {
            Handed::Part(part) => {
                for record in &part {
                    let record = record.expect("a published record verifies");
                    assert_whole(record.lsn(), record.payload());
                }
            }
            Handed::Records(records) => {
                records.iter().for_each(|record| assert_whole(record.lsn(), record.payload()));
            }
            Handed::Bytes(payloads) => payloads.iter().for_each(|(lsn, bytes)| assert_whole(*lsn, bytes)),
        }
    }
}

/// Takes one of the snapshot's segments, in one of the forms in which it can be given away.
fn hand_over(snapshot: &Snapshot, random: &mut Random) -> Option<Handed> {
    let parts = snapshot.segments().count() as u64;
    let part = snapshot.segments().nth(random.below(parts.max(1)) as usize)?;
    let whole = "a published record verifies";
    Some(match random.below(3) {
        0 => Handed::Part(part.pin().expect("a segment of a snapshot")),
        1 => Handed::Records(part.iter().pinned().map(|record| record.expect(whole)).collect()),
        _ => Handed::Bytes(part.iter().bytes().map(|record| record.expect(whole)).collect()),
    })
}

/// Takes snapshots, reads single records and holds some of them, and gives others to a thread of its own.
pub(crate) fn look(round: &Round, seed: u64) {
    let (sender, receiver) = sync_channel(2);
    std::thread::scope(|scope| {
        scope.spawn(move || read_handed(&receiver));
        look_and_hand(round, seed, &sender);
        drop(sender);
    });
}

fn look_and_hand(round: &Round, seed: u64, sender: &SyncSender<Handed>) {
    let mut random = Random::new(seed, 200);
    let mut held: Vec<PinnedRecord> = Vec::new();
    while !round.over.load(Ordering::Relaxed) {
        let snapshot = round.log.snapshot();
        count(&round.tally.snapshots);
        let records = walk(&snapshot, &mut random);
        round.tally.snapshot_records.fetch_add(records, Ordering::Relaxed);
        if let Some(handed) = hand_over(&snapshot, &mut random) {
            sender.send(handed).expect("the other thread takes them");
        }
        let known = round.known.lock().map(|mut known| std::mem::take(&mut *known)).unwrap_or_default();
        for lsn in known {
            match round.log.read(lsn) {
                Ok(record) => {
                    assert_whole(lsn, record.payload());
                    count(&round.tally.reads);
                    held.push(record);
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Retired, "{error}"),
            }
        }
        // What is held keeps its segment, so most of it must go or nothing is recycled.
        for record in held.drain(..held.len().saturating_sub(2)) {
            assert_whole(record.lsn(), record.payload());
        }
        let marks = round.log.watermarks();
        assert!(marks.durable <= marks.published && marks.published <= marks.claimed, "{marks:?}");
        assert!(format!("{:?} {:?} {:?}", round.log, round.log.stats(), round.policy).len() > 20);
    }
}

/// All of a snapshot, by its records or by its segments; from its start or from somewhere inside.
fn walk(snapshot: &Snapshot, random: &mut Random) -> u64 {
    let mut records = 0;
    if random.below(2) == 0 {
        for record in snapshot {
            let record = record.expect("a published record verifies");
            assert_whole(record.lsn(), record.payload());
            records += 1;
        }
    } else {
        for segment in snapshot.segments().rev() {
            for record in segment.iter() {
                let record = record.expect("a published record verifies");
                assert_whole(record.lsn(), record.payload());
                records += 1;
            }
        }
    }
    records
}

/// Reads as another process would, through mappings of its own.
pub(crate) fn look_from_outside(round: &Round, dir: &Path, seed: u64) {
    let mut random = Random::new(seed, 300);
    while !round.over.load(Ordering::Relaxed) {
        let reader = LogReader::open(dir).expect("there is a log");
        let Some(snapshot) = unless_retired(reader.snapshot()) else { continue };
        for record in &snapshot {
            let Some(record) = unless_retired(record) else { break };
            assert_whole(record.lsn(), record.payload());
            count(&round.tally.other_records);
        }
        let Some(mut tail) = unless_retired(reader.tail(snapshot.end())) else { continue };
        for _ in 0..random.below(100) {
            if !step(round, &mut tail) {
                break;
            }
        }
    }
}

/// One record of another's log; false when there is none for now.
fn step(round: &Round, tail: &mut Tail) -> bool {
    let Some(Some(record)) = unless_retired(tail.next_timeout(Duration::from_millis(2))) else {
        return false;
    };
    assert_whole(record.lsn(), record.payload());
    count(&round.tally.other_records);
    true
}

/// Another's log may be retired at any moment; nothing else may go wrong.
fn unless_retired<T>(outcome: tidelog::Result<T>) -> Option<T> {
    match outcome {
        Ok(value) => Some(value),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Retired, "{error}");
            None
        }
    }
}
