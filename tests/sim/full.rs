//! A device that fills up, at every stage: a clear error, nothing lost, and the log goes on when there is room.

use std::io;

use tidelog::testing::{Disk, Fault, Operation, Pick};
use tidelog::{ErrorKind, Lsn, SyncPolicy};

use crate::support::{PLACE, SEGMENT, assert_prefix, options, payload};

#[test]
fn every_capacity() {
    let (mut refused, mut unopened) = (0, 0);
    for policy in [SyncPolicy::None, SyncPolicy::Immediate] {
        for pages in 0..24 {
            let disk = Disk::new(pages);
            disk.set_capacity(pages * 4096 + 128);
            let log = match options(&disk, policy).open(PLACE) {
                Ok(log) => log,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::StorageFull, "{pages} pages: {error}");
                    unopened += 1;
                    disk.set_capacity(u64::MAX);
                    options(&disk, policy).open(PLACE).unwrap()
                }
            };
            let mut appended = 0;
            let mut full = 0;
            while appended < 100 && full < 3 {
                match log.append(&payload(appended)) {
                    Ok(_) => appended += 1,
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::StorageFull, "{pages} pages: {error}");
                        assert!(error.path().is_some());
                        full += 1;
                    }
                }
            }
            refused += full;
            // What is there can be read, synced and retired, and then there is room.
            assert_prefix(&log, 0, appended, "while full");
            log.sync().unwrap();
            disk.set_capacity(u64::MAX);
            for n in appended..appended + 30 {
                log.append(&payload(n)).unwrap();
            }
            log.close().unwrap();
            drop(log);
            let log = options(&disk, policy).open(PLACE).unwrap();
            assert_prefix(&log, 0, appended + 30, "at the end");
        }
    }
    println!("{refused} appends refused, {unopened} openings refused, nothing lost");
    assert!(refused > 40 && unopened > 5);
}

#[test]
fn retiring_makes_room() {
    let disk = Disk::new(1);
    let log = options(&disk, SyncPolicy::None).open(PLACE).unwrap();
    disk.set_capacity(disk.used() + 2 * (SEGMENT + 4096));
    let mut kept = Vec::new();
    for n in 0..400 {
        loop {
            match log.append(&payload(n)) {
                Ok(lsn) => {
                    kept.push((n, lsn));
                    break;
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
                    let start = log.watermarks().start.get();
                    log.retire_before(Lsn::new(start + SEGMENT)).unwrap();
                    log.upkeep();
                }
            }
        }
    }
    let start = log.watermarks().start;
    assert!(start.get() > 10 * SEGMENT);
    kept.retain(|(_, lsn)| *lsn >= start);
    let (first, _) = kept[0];
    assert_prefix(&log, first, 400, "what was not retired");
}

/// Every operation that can run out of room, at every call.
#[test]
fn the_nth_call_finds_no_room() {
    let work = |disk: &Disk| -> (u64, Option<tidelog::Error>) {
        let mut acknowledged = 0;
        let mut run = || -> tidelog::Result<()> {
            for _ in 0..2 {
                let log = options(disk, SyncPolicy::Immediate).open(PLACE)?;
                for _ in 0..25 {
                    log.append(&payload(acknowledged))?;
                    acknowledged += 1;
                }
                log.close()?;
            }
            Ok(())
        };
        let error = run().err();
        (acknowledged, error)
    };
    let mut runs = 0;
    let mut kinds = std::collections::BTreeMap::<String, u64>::new();
    for operation in [Operation::Allocate, Operation::Write, Operation::Rename, Operation::Open] {
        let disk = Disk::new(1);
        work(&disk);
        for n in 1..=disk.calls(operation) {
            for persistent in [false, true] {
                let disk = Disk::new(1);
                let fault = Fault::nth(operation, n).error(io::ErrorKind::StorageFull);
                disk.fail(if persistent { fault.persistent() } else { fault });
                let (acknowledged, error) = work(&disk);
                if let Some(error) = &error {
                    let kind = error.kind();
                    assert!(
                        matches!(kind, ErrorKind::StorageFull | ErrorKind::Io),
                        "{operation:?} {n}: {error}"
                    );
                    *kinds.entry(format!("{kind:?}")).or_default() += 1;
                }
                disk.heal();
                let log = options(&disk, SyncPolicy::None).open(PLACE).unwrap();
                assert_prefix(&log, 0, acknowledged, &format!("{operation:?} {n}, {error:?}"));
                runs += 1;
            }
        }
    }
    println!("{runs} runs without room at some call; errors {kinds:?}");
}

/// A file whose new name found no room is given up, and its room with it: a power cut in between leaves no empty file under
/// the name of a segment.
#[test]
fn a_file_that_is_given_up_is_gone_before_it_is_emptied() {
    let mut cuts = 0;
    for n in 1..20 {
        let disk = Disk::new(n);
        let log = options(&disk, SyncPolicy::None).open(PLACE).unwrap();
        let mut last = Lsn::new(0);
        for n in 0..30 {
            last = log.append(&payload(n)).unwrap();
        }
        log.sync().unwrap();
        disk.fail(Fault::nth(Operation::Rename, n).error(io::ErrorKind::StorageFull));
        let before = disk.moment();
        // Recycles, takes spares, and sets prepared segments aside.
        let _ = log.retire_before(last);
        log.upkeep();
        let _ = log.append(&payload(30));
        log.close().unwrap();
        for moment in before..=disk.moment() {
            let possible = disk.possibilities_at(moment);
            for keep in [false, true] {
                let left = possible.cut(|_, versions| Pick::Version(versions - 1), |_| keep).disk();
                let what = format!("rename {n}, cut at {moment}, entries kept {keep}");
                options(&left, SyncPolicy::None)
                    .open(PLACE)
                    .unwrap_or_else(|error| panic!("{what}: {error}"));
                cuts += 1;
            }
        }
    }
    println!("{cuts} cuts while files were given up");
}
