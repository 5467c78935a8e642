//! Cursors on a disk whose calls fail, and on one that is full.

use tidelog::testing::{Disk, Fault, Operation};
use tidelog::{ErrorKind, Event, Log, Lsn, SyncPolicy};

use crate::support::{PLACE, nothing, options, payload};

/// What the operations on a cursor and on its log come to when calls fail.
fn work(log: &Log, acknowledged: &mut u64, attempted: &mut u64) -> Vec<tidelog::Error> {
    let mut errors = Vec::new();
    let lsns: Vec<Lsn> = (0..20).map(|n| log.append(&payload(n)).unwrap()).collect();
    let cursor = match log.cursor("indexer") {
        Ok(cursor) => cursor,
        Err(error) => {
            errors.push(error);
            match log.cursor("indexer") {
                Ok(cursor) => cursor,
                Err(error) => {
                    errors.push(error);
                    return errors;
                }
            }
        }
    };
    for (index, lsn) in lsns.iter().enumerate() {
        *attempted = lsn.get();
        let done = cursor.commit(*lsn).and_then(|()| if index % 3 == 2 { cursor.sync() } else { Ok(()) });
        match done {
            Ok(()) if index % 3 == 2 => *acknowledged = lsn.get(),
            Ok(()) => {}
            Err(error) => errors.push(error),
        }
    }
    if let Err(error) = cursor.set_gate(true).and_then(|()| cursor.reset(lsns[19])) {
        errors.push(error);
    }
    errors
}

/// A sync that fails ends the log, as at any of its files (the device may have lost what it held of another); any
/// other failure is the caller's to see, and is over when it is over.
#[test]
fn the_nth_call_fails() {
    let (mut runs, mut poisoned, mut passed) = (0, 0, 0);
    for operation in
        [Operation::Open, Operation::Write, Operation::Sync, Operation::SyncDirectory, Operation::Rename]
    {
        for n in 1..40 {
            for persistent in [false, true] {
                let disk = Disk::new(n);
                let log = options(&disk, SyncPolicy::Immediate).segment_bytes(1 << 16).open(PLACE).unwrap();
                let calls = disk.calls(operation);
                let fault = Fault::nth(operation, n);
                disk.fail(if persistent { fault.persistent() } else { fault });
                let mut events = log.events();
                let (mut acknowledged, mut attempted) = (0, 0);
                let errors = work(&log, &mut acknowledged, &mut attempted);
                if disk.calls(operation) - calls < n {
                    continue;
                }
                let what = format!("{operation:?} {n}, persistent {persistent}: {errors:?}");
                runs += 1;
                disk.heal();
                let is_sync = matches!(operation, Operation::Sync | Operation::SyncDirectory);
                assert!(!errors.is_empty() || !is_sync, "{what}");
                if is_sync {
                    poisoned += 1;
                    assert_eq!(log.append(b"after").unwrap_err().kind(), ErrorKind::Poisoned, "{what}");
                    assert_eq!(log.cursor("b").unwrap_err().kind(), ErrorKind::Poisoned, "{what}");
                    let told = std::iter::from_fn(|| events.try_next());
                    assert_eq!(
                        told.filter(|event| matches!(event, Event::SyncFailed { .. })).count(),
                        1,
                        "{what}"
                    );
                } else {
                    passed += 1;
                    assert!(errors.iter().all(|error| error.kind() == ErrorKind::Io), "{what}");
                    log.append(b"after").unwrap();
                    let cursor = log.cursor("indexer").unwrap();
                    cursor.reset(log.watermarks().published).unwrap();
                    acknowledged = cursor.position().get();
                    attempted = acknowledged;
                }
                let cuts = (0..4).map(|seed| disk.possibilities().cut_at_random(seed).disk());
                for disk in cuts.chain([disk.possibilities().kill(), nothing(&disk.possibilities()).disk()]) {
                    let log =
                        options(&disk, SyncPolicy::Immediate).segment_bytes(1 << 16).open(PLACE).unwrap();
                    assert!(
                        !disk
                            .files()
                            .iter()
                            .any(|(path, _)| path.extension().is_some_and(|end| end == "tmp"))
                    );
                    let Some(info) = log.cursors().pop() else {
                        assert_eq!(acknowledged, 0, "{what}");
                        continue;
                    };
                    let state = info.state.unwrap_or_else(|error| panic!("{what}: {error}"));
                    let position = state.position.get();
                    assert!((acknowledged..=attempted).contains(&position), "{what}: at {position}");
                    let cursor = log.cursor("indexer").unwrap();
                    cursor.reset(log.watermarks().published).unwrap();
                }
            }
        }
    }
    println!("{runs} runs in which a call fails: {poisoned} poisoned logs, {passed} that went on");
    assert!(poisoned >= 20 && passed > 40, "{poisoned}, {passed}");
}

/// A failure to remove is told, and the cursor stays what it was.
#[test]
fn a_removal_that_fails_changes_nothing() {
    let disk = Disk::new(1);
    let log = options(&disk, SyncPolicy::None).open(PLACE).unwrap();
    let cursor = log.cursor("a").unwrap();
    disk.fail(Fault::nth(Operation::Remove, 1));
    assert_eq!(log.remove_cursor("a").unwrap_err().kind(), ErrorKind::Io);
    cursor.set_gate(true).unwrap();
    assert!(log.remove_cursor("a").unwrap());
    let log = options(&nothing(&disk.possibilities()).disk(), SyncPolicy::None).open(PLACE).unwrap();
    assert!(log.cursors().is_empty(), "durably");
}

/// On a full device there is no new cursor, and those that are there go on.
#[test]
fn a_full_device_takes_no_new_cursor_and_lets_the_old_ones_go_on() {
    for room in [0, 1, 4096, 8191] {
        let disk = Disk::new(1);
        let log = options(&disk, SyncPolicy::None).open(PLACE).unwrap();
        let old = log.cursor("old").unwrap();
        let lsns: Vec<Lsn> = (0..20).map(|n| log.append(&payload(n)).unwrap()).collect();
        log.upkeep();
        disk.set_capacity(disk.used() + room);
        let error = log.cursor("new").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
        assert!(!disk.files().iter().any(|(path, _)| path.to_string_lossy().contains("new.cursor")));
        for lsn in lsns {
            old.commit(lsn).unwrap();
            old.sync().unwrap();
        }
        old.set_gate(true).unwrap();
        log.append(b"the log goes on").unwrap();
        disk.set_capacity(u64::MAX);
        log.cursor("new").unwrap();
    }
}
