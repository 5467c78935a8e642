//! Repairs that are cut short: whenever that is, the same call takes them to the same end.

use tidelog::repair::{self, Way};
use tidelog::testing::{Disk, Fault, Operation, Pick};
use tidelog::{ErrorKind, LastClose, Log, Lsn, SyncPolicy};

use crate::support::{PLACE, SEGMENT, nothing, options, payload};

type Contents = Vec<(Lsn, Vec<u8>)>;

fn contents(log: &Log) -> Contents {
    log.snapshot()
        .iter()
        .map(|record| record.unwrap())
        .map(|record| (record.lsn(), record.payload().to_vec()))
        .collect()
}

/// A log of some segments.
fn filled() -> (Disk, Log, Contents) {
    let disk = Disk::new(3);
    let log = options(&disk, SyncPolicy::None).open(PLACE).unwrap();
    for n in 0..100 {
        log.append(&payload(n)).unwrap();
        log.upkeep();
    }
    let all = contents(&log);
    (disk, log, all)
}

/// The same that was closed, or whose process died; with two places and a header damaged, if wanted.
fn prepared(closed: bool, damaged: bool) -> (Disk, Contents) {
    let (disk, log, all) = filled();
    if closed {
        log.close().unwrap();
    } else {
        log.sync().unwrap();
    }
    let disk = settled(&disk);
    if damaged {
        let mut places = vec![];
        for index in [20, 40] {
            let lsn = all[index].0.get();
            places.push((lsn / SEGMENT * SEGMENT, 4096 + lsn % SEGMENT + 9));
        }
        places.push((3 * SEGMENT, 20));
        for (base, at) in places {
            assert!(disk.damage(format!("{PLACE}/{base:020}.seg"), at, |byte| byte ^ 1));
        }
    }
    (settled(&disk), all)
}

/// The same with all of it on the device, and another boot.
fn settled(disk: &Disk) -> Disk {
    disk.possibilities().cut(|_, versions| Pick::Version(versions.saturating_sub(1)), |_| true).disk()
}

/// What a whole repair comes to.
fn whole(disk: &Disk, way: Way) -> (repair::Plan, Contents) {
    let disk = disk.possibilities().kill();
    let plan = repair::apply_with(&options(&disk, SyncPolicy::None), PLACE, way).unwrap();
    let foreseen = repair::plan_with(&options(&disk, SyncPolicy::None), PLACE, way).unwrap();
    assert!(foreseen.is_empty(), "{foreseen:?}");
    let log = options(&disk, SyncPolicy::None).open(PLACE).unwrap();
    assert_eq!(log.recovery().last_close, LastClose::Clean);
    drop(log);
    (plan, opened(&disk, "whole"))
}

fn opened(disk: &Disk, what: &str) -> Contents {
    let log = options(disk, SyncPolicy::None).open(PLACE).unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = contents(&log);
    let lsn = log.append(b"goes on").unwrap();
    log.sync().unwrap();
    assert!(found.last().is_none_or(|(last, _)| *last < lsn), "{what}");
    found
}

fn cases() -> Vec<(Disk, Way, repair::Plan, Contents)> {
    let mut cases = Vec::new();
    for closed in [true, false] {
        let (disk, all) = prepared(closed, true);
        let (plan, left) = whole(&disk, Way::Salvage);
        assert_eq!((plan.lost().len(), left.len()), (2, all.len() - 2), "{plan:?}");
        cases.push((disk, Way::Salvage, plan, left));
        let (disk, all) = prepared(closed, false);
        let way = Way::To(all[50].0);
        let (plan, left) = whole(&disk, way);
        assert_eq!(left, all[..50]);
        cases.push((disk, way, plan, left));
    }
    cases
}

#[test]
fn the_power_goes_or_the_process_dies_at_every_moment() {
    let mut runs = 0;
    for (disk, way, plan, left) in cases() {
        let disk = disk.possibilities().kill();
        let first = disk.moment();
        repair::apply_with(&options(&disk, SyncPolicy::None), PLACE, way).unwrap();
        for moment in first..=disk.moment() {
            let possible = disk.possibilities_at(moment);
            let cuts = (0..4).map(|seed| possible.cut_at_random(seed).disk());
            for disk in cuts.chain([possible.kill(), nothing(&possible).disk()]) {
                let what = format!("{way:?}, moment {moment} of {first} to {}", disk.moment());
                let again = repair::apply_with(&options(&disk, SyncPolicy::None), PLACE, way);
                let again = again.unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(
                    (again.end(), again.kept().records),
                    (plan.end(), left.len() as u64),
                    "{what}: {again:?}"
                );
                if again.is_empty() {
                    // It had come to its end.
                    assert!(
                        disk.files().iter().any(|(path, _)| path.ends_with("quarantine-1/README")),
                        "{what}"
                    );
                }
                assert!(opened(&disk, &what) == left, "{what}");
                runs += 1;
            }
        }
    }
    println!("{runs} repairs were cut short and taken to their end");
    assert!(runs > 1000, "{runs}");
}

#[test]
fn calls_that_fail() {
    let mut failed = 0;
    for (disk, way, plan, left) in cases() {
        for operation in [
            Operation::Open,
            Operation::Read,
            Operation::Write,
            Operation::Allocate,
            Operation::Sync,
            Operation::SyncDirectory,
            Operation::Rename,
            Operation::Remove,
        ] {
            for n in 1.. {
                let disk = disk.possibilities().kill();
                let calls = disk.calls(operation);
                disk.fail(Fault::nth(operation, n));
                let outcome = repair::apply_with(&options(&disk, SyncPolicy::None), PLACE, way);
                let reached = disk.calls(operation) - calls >= n;
                disk.heal();
                let what = format!("{way:?}, {operation:?} {n}");
                if let Err(error) = outcome {
                    failed += 1;
                    let told = matches!(error.kind(), ErrorKind::Io | ErrorKind::Corrupt);
                    assert!(told, "{what}: {error}");
                    let again = repair::apply_with(&options(&disk, SyncPolicy::None), PLACE, way);
                    let again = again.unwrap_or_else(|error| panic!("{what}: {error}"));
                    assert_eq!(
                        (again.end(), again.kept().records),
                        (plan.end(), left.len() as u64),
                        "{what}"
                    );
                    assert!(opened(&disk, &what) == left, "{what}");
                } else if operation != Operation::Read {
                    // (What cannot be read once is taken for lost: see below.)
                    assert!(opened(&disk, &what) == left, "{what}");
                }
                if !reached {
                    break;
                }
            }
        }
    }
    println!("{failed} calls failed");
    assert!(failed > 100, "{failed}");
}

#[test]
fn a_full_disk_changes_nothing() {
    for (disk, way, _, left) in cases() {
        for room in [0, 1, 4096, 10_000] {
            let disk = disk.possibilities().kill();
            let before = disk.files();
            disk.set_capacity(disk.used() + room);
            let outcome = repair::apply_with(&options(&disk, SyncPolicy::None), PLACE, way);
            let segments = |files: Vec<(std::path::PathBuf, u64)>| {
                files
                    .into_iter()
                    .filter(|(path, _)| path.parent().is_some_and(|parent| parent.ends_with("log")))
                    .collect::<Vec<_>>()
            };
            if let Err(error) = outcome {
                assert_eq!(error.kind(), ErrorKind::StorageFull, "{room}: {error}");
                assert_eq!(segments(disk.files()), segments(before), "{room}");
            }
            disk.set_capacity(u64::MAX);
            repair::apply_with(&options(&disk, SyncPolicy::None), PLACE, way).unwrap();
            assert!(opened(&disk, "after a full disk") == left);
        }
    }
}

/// What a killed writer had not synced is durable when a repair says that the log is.
#[test]
fn what_stays_is_made_durable() {
    let (disk, _open, all) = filled();
    let disk = disk.possibilities().kill();
    let lsn = all[20].0.get();
    let path = format!("{PLACE}/{:020}.seg", lsn / SEGMENT * SEGMENT);
    assert!(disk.damage(path, 4096 + lsn % SEGMENT + 9, |byte| byte ^ 1));
    let plan = repair::apply_with(&options(&disk, SyncPolicy::None), PLACE, Way::Salvage).unwrap();
    assert!(plan.actions().len() < 6, "most of it stays: {plan:?}");
    let disk = nothing(&disk.possibilities()).disk();
    assert_eq!(opened(&disk, "after a power cut").len(), all.len() - 1);
}
