//! Power cuts and failures on the simulated disk.

use tidelog::testing::{Disk, Fault, Operation};
use tidelog::{ErrorKind, Options, PartitionOptions, Partitions, SyncPolicy};

use crate::contents;

const ROOT: &str = "/root";
const SEGMENT: u64 = 4096;

fn open_with(disk: &Disk, policy: SyncPolicy) -> tidelog::Result<Partitions> {
    let log = Options::new().segment_bytes(SEGMENT).sync_policy(policy).disk(disk);
    PartitionOptions::new().log(log).open(ROOT)
}

fn open(disk: &Disk) -> Partitions {
    open_with(disk, SyncPolicy::Immediate).unwrap()
}

fn records(partitions: &Partitions, id: u64) -> usize {
    contents(&partitions.get_existing(id).unwrap()).len()
}

/// Over every moment of the drop, and several of the disks that a power cut can leave at each: there as a whole, or gone as
/// a whole; the others are what they were; and once it was told, it is gone.
#[test]
fn a_drop_is_whole_under_any_power_cut() {
    let disk = Disk::new(11);
    let partitions = open(&disk);
    for n in 0..40_u64 {
        for id in [1, 2] {
            partitions.get(id).unwrap().append(&[n as u8; 500]).unwrap(); // several segments
        }
    }
    let from = disk.moment();
    partitions.remove(1).unwrap();
    let told = disk.moment();
    let (mut there, mut gone) = (0, 0);
    for moment in from..=told {
        for seed in 0..40 {
            let cut = disk.possibilities_at(moment).cut_at_random(seed ^ moment << 8).disk();
            let after = open(&cut);
            match &*after.ids().unwrap() {
                [1, 2] => {
                    assert!(moment < told, "it was told");
                    assert_eq!(records(&after, 1), 40, "moment {moment}, seed {seed}");
                    there += 1;
                }
                [2] => gone += 1,
                other => panic!("{other:?}"),
            }
            assert_eq!(records(&after, 2), 40);
            assert!(!cut.files().iter().any(|(path, _)| path.to_string_lossy().contains(".gone")));
            // Its number is free.
            after.get(1).unwrap().append(b"new").unwrap();
        }
    }
    assert!(there > 0 && gone > 0, "{there} and {gone}");
    // A killed process leaves what is there now.
    assert_eq!(open(&disk.possibilities().kill()).ids().unwrap(), [2]);
}

/// What was told is there, from the first record on: the root, the partition, the record.
#[test]
fn a_creation_is_durable_before_the_first_append_returns() {
    for policy in [SyncPolicy::Immediate, SyncPolicy::grouped()] {
        let disk = Disk::new(5);
        let partitions = open_with(&disk, policy).unwrap();
        let mut told = Vec::new();
        for id in 0..4 {
            partitions.get(id).unwrap().append(b"x").unwrap();
            told.push((disk.moment(), id));
        }
        for moment in 0..=disk.moment() {
            for seed in 0..6 {
                let cut = disk.possibilities_at(moment).cut_at_random(seed ^ moment << 8).disk();
                let after = open_with(&cut, policy).unwrap();
                for (at, id) in &told {
                    if moment >= *at {
                        assert_eq!(records(&after, *id), 1, "{id} at {moment}");
                    }
                }
                // Whatever was cut short can be made again.
                for id in 0..4 {
                    after.get(id).unwrap().append(b"y").unwrap();
                }
            }
        }
    }
}

/// Each operation of a drop fails once: it is an error and the partition is whole, or it is gone.
#[test]
fn a_drop_that_fails_leaves_a_whole_partition() {
    let (mut failed, mut went) = (0, 0);
    for operation in [
        Operation::Open,
        Operation::List,
        Operation::Rename,
        Operation::Remove,
        Operation::SyncDirectory,
        Operation::Write,
    ] {
        for nth in 1..=30 {
            let disk = Disk::new(3);
            let partitions = open(&disk);
            for _ in 0..20 {
                partitions.get(1).unwrap().append(&[1; 500]).unwrap();
            }
            partitions.get(1).unwrap().close().unwrap();
            disk.fail(Fault::nth(operation, nth));
            let outcome = partitions.remove(1);
            disk.heal();
            match outcome {
                Ok(()) => {
                    went += 1;
                    assert_eq!(partitions.get_existing(1).unwrap_err().kind(), ErrorKind::NotFound);
                }
                Err(_) => {
                    failed += 1;
                    assert_eq!(records(&partitions, 1), 20, "{operation:?} {nth}");
                    partitions.remove(1).unwrap();
                }
            }
            drop(partitions);
            let again = open(&disk);
            assert!(again.ids().unwrap().is_empty());
            assert!(!disk.files().iter().any(|(path, _)| path.to_string_lossy().contains(".part")));
        }
    }
    assert!(failed > 0 && went > 0, "{failed} and {went}");
}

/// A failed sync of one partition's records is not another's.
#[test]
fn a_failed_sync_poisons_one() {
    let disk = Disk::new(9);
    let partitions = open_with(&disk, SyncPolicy::None).unwrap();
    let logs: Vec<_> = (0..3).map(|id| partitions.get(id).unwrap()).collect();
    for log in &logs {
        log.append(b"x").unwrap();
    }
    disk.fail(Fault::nth(Operation::Flush, 1));
    assert_eq!(logs[1].sync().unwrap_err().kind(), ErrorKind::Poisoned);
    disk.heal();
    for id in [0, 2] {
        logs[id].append(b"y").unwrap();
        logs[id].sync().unwrap();
    }
    drop(logs);
    // Nobody holds it: it is recovered.
    let healed = partitions.get(1).unwrap();
    healed.append(b"again").unwrap();
    healed.sync().unwrap();
}
