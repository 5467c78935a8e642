//! The schema tag on the simulated disk: power cuts at every moment of its changes, and syncs that fail.

use tidelog::testing::{Disk, Fault, Operation};
use tidelog::{ErrorKind, LogReader, SyncPolicy};

use crate::support::{PLACE, nothing, options, payload, payloads};

/// Created with a tag, changed twice, between appends, a retirement and a closing: whatever a cut leaves has the tag that
/// was last acknowledged or the one that was being written, and the records that were acknowledged.
#[test]
fn a_tag_is_never_lost_nor_ahead_of_its_change() {
    let mut states = 0;
    let disk = Disk::new(11);
    // From this moment on this tag is promised, and from that on this one may be there.
    let (mut promised, mut begun) = (vec![], vec![(0, 1)]);
    let log = options(&disk, SyncPolicy::Immediate).schema(1).open(PLACE).unwrap();
    promised.push((disk.moment(), 1));
    let mut acknowledged = vec![];
    for n in 0..40 {
        log.append(&payload(n)).unwrap();
        acknowledged.push((disk.moment(), n + 1));
        if n % 10 == 9 {
            let tag = 2 + n / 10;
            begun.push((disk.moment(), tag));
            log.set_schema(tag).unwrap();
            promised.push((disk.moment(), tag));
        }
    }
    log.close().unwrap();
    drop(log);
    for moment in 0..=disk.moment() {
        let known = |of: &[(u64, u64)]| of.iter().rev().find(|(at, _)| *at <= moment).map(|(_, tag)| *tag);
        let (least, most) = (known(&promised), known(&begun).unwrap());
        let records = known(&acknowledged).unwrap_or(0);
        for seed in 0..3 {
            let disk = disk.possibilities_at(moment).cut_at_random(moment * 3 + seed).disk();
            let what = format!("moment {moment}, seed {seed}");
            let there = LogReader::open_on(&disk, PLACE).ok().and_then(|reader| reader.schema().ok());
            let log = options(&disk, SyncPolicy::Immediate).open(PLACE).unwrap();
            let found = log.schema();
            match least {
                Some(least) => {
                    assert!((least..=most).contains(&found), "{what}: {found} of {least} to {most}");
                }
                // Before the creation returned there is the log with its tag, or none yet.
                None => assert!(found == there.unwrap_or(0) && found <= 1, "{what}: {found}"),
            }
            assert!(payloads(&log).len() as u64 >= records, "{what}");
            drop(log);
            let error = options(&disk, SyncPolicy::Immediate).schema(99).open(PLACE).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SchemaMismatch, "{what}");
            options(&disk, SyncPolicy::Immediate).schema(found).open(PLACE).unwrap();
            states += 1;
        }
    }
    println!("{states} power cuts of logs whose schema changes");
    assert!(states > 300, "{states}");
}

/// A refused opening writes nothing but who holds the lock.
#[test]
fn a_mismatch_changes_nothing() {
    let disk = Disk::new(2);
    let log = options(&disk, SyncPolicy::None).schema(5).open(PLACE).unwrap();
    log.append(&payload(0)).unwrap();
    drop(log);
    let disk = disk.possibilities().kill();
    let before = disk.calls(Operation::Write);
    let error = options(&disk, SyncPolicy::None).schema(6).open(PLACE).unwrap_err();
    assert_eq!(disk.calls(Operation::Write) - before, 1, "who holds the lock");
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    let reader = options(&disk, SyncPolicy::None).schema(6).open_reader(PLACE).unwrap_err();
    assert_eq!(reader.kind(), ErrorKind::SchemaMismatch);
    let log = options(&disk, SyncPolicy::None).schema(5).open(PLACE).unwrap();
    assert_eq!(payloads(&log), [payload(0)]);
}

/// A failed sync of the tag poisons the log, as one of its records does; the next opening finds one of the two.
#[test]
fn a_tag_that_cannot_be_synced_ends_the_log() {
    let disk = Disk::new(3);
    let log = options(&disk, SyncPolicy::None).schema(1).open(PLACE).unwrap();
    disk.fail(Fault::nth(Operation::Open, 1));
    assert_eq!(log.set_schema(2).unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(log.schema(), 1);
    log.append(b"goes on").unwrap();
    disk.fail(Fault::nth(Operation::Sync, 1));
    log.set_schema(2).unwrap_err();
    assert_eq!(log.append(b"after").unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(log.set_schema(3).unwrap_err().kind(), ErrorKind::Poisoned);
    drop(log);
    let left = nothing(&disk.possibilities()).disk();
    let log = options(&left, SyncPolicy::None).open(PLACE).unwrap();
    assert!([1, 2].contains(&log.schema()));
    log.set_schema(3).unwrap();
    log.close().unwrap();
    assert_eq!(log.set_schema(4).unwrap_err().kind(), ErrorKind::Closed);
    drop(log);
    assert_eq!(options(&left, SyncPolicy::None).schema(3).open(PLACE).unwrap().schema(), 3);
}
