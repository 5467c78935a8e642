//! Retention on the simulated disk: ages by its clock, a device that is always full, power cuts at every moment.

use std::time::Duration;

use tidelog::testing::{Disk, Fault, Operation};
use tidelog::{ErrorKind, Log, RetentionPolicy, SyncPolicy};

use crate::support::{PLACE, SEGMENT, nothing, options, payload, payloads};

const HOUR: u64 = 3600 * 1_000_000_000;

fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

/// Appends until `segments` more are full.
fn fill_segments(log: &Log, segments: u64) {
    let end = (log.watermarks().claimed.get() / SEGMENT + segments) * SEGMENT;
    while log.watermarks().claimed.get() < end {
        log.append(&[7; 500]).unwrap();
    }
    log.upkeep();
}

fn start(log: &Log) -> u64 {
    log.upkeep();
    log.watermarks().start.get() / SEGMENT
}

/// Three segments an hour, over closings, kills and power cuts: each goes when its newest record is as old as that.
#[test]
fn ages_are_of_the_newest_record_and_survive_restarts() {
    for policy in [SyncPolicy::None, SyncPolicy::Immediate] {
        let mut disk = Disk::new(7);
        let retention = RetentionPolicy::new().max_age(hours(4) + hours(1) / 3);
        let open = |disk: &Disk| options(disk, policy).retention(retention).open(PLACE).unwrap();
        let mut log = open(&disk);
        for hour in 1..=12 {
            disk.advance_clock(HOUR / 2);
            fill_segments(&log, 3);
            // Under `None` they are marked once more when they are durable, which says nothing of their age.
            disk.advance_clock(HOUR / 4);
            log.sync().unwrap();
            // What was full in the middle of an hour goes in the last quarter of the fourth one after it.
            assert_eq!(start(&log), u64::saturating_sub(hour, 5) * 3, "{policy:?}, hour {hour}");
            disk.advance_clock(HOUR / 4);
            assert_eq!(start(&log), u64::saturating_sub(hour, 4) * 3, "{policy:?}, hour {hour}, at its end");
            match hour % 3 {
                0 => log.close().unwrap(),
                1 => {}
                _ => {
                    disk = disk.possibilities().kill();
                    // Its clock begins anew.
                    disk.advance_clock(hour * HOUR);
                }
            }
            if hour % 3 != 1 {
                drop(log);
                log = open(&disk);
            }
        }
    }
}

/// A segment whose time nobody noted counts from the opening that found it: later, never sooner.
#[test]
fn a_time_that_was_lost_counts_from_the_next_opening() {
    let disk = Disk::new(3);
    let log = options(&disk, SyncPolicy::None).open(PLACE).unwrap();
    disk.advance_clock(HOUR);
    for n in 0..120 {
        log.append(&payload(n)).unwrap();
    }
    // Synced, and cut before the keeper's marks reach the disk.
    log.sync().unwrap();
    let disk = nothing(&disk.possibilities()).disk();
    disk.advance_clock(100 * HOUR);
    let retention = RetentionPolicy::new().max_age(hours(10));
    let log = options(&disk, SyncPolicy::None).retention(retention).open(PLACE).unwrap();
    let newest = (log.watermarks().claimed.get() - 1) / SEGMENT;
    assert!(newest > 2);
    assert_eq!(start(&log), 0);
    disk.advance_clock(9 * HOUR);
    assert_eq!(start(&log), 0);
    disk.advance_clock(HOUR);
    assert_eq!(start(&log), newest);
}

/// A clock that is set back keeps what it would let go.
#[test]
fn a_time_in_the_future_lets_nothing_go() {
    let disk = Disk::new(3);
    disk.advance_clock(50 * HOUR);
    let log = options(&disk, SyncPolicy::None).open(PLACE).unwrap();
    fill_segments(&log, 4);
    log.close().unwrap();
    drop(log);
    let disk = disk.possibilities().kill(); // its clock begins anew
    let retention = RetentionPolicy::new().max_age(hours(1));
    let log = options(&disk, SyncPolicy::None).retention(retention).open(PLACE).unwrap();
    disk.advance_clock(40 * HOUR);
    assert_eq!(start(&log), 0);
    disk.advance_clock(20 * HOUR);
    assert_eq!(start(&log), 4);
}

/// A device with room for the log that is kept and little more: appends never see that it is full.
#[test]
fn a_device_that_is_always_full_goes_on() {
    for policy in [SyncPolicy::None, SyncPolicy::Immediate] {
        for recycle_max in [0, 1, 4] {
            let disk = Disk::new(1);
            let retention = RetentionPolicy::new().max_segments(3);
            let options = options(&disk, policy).retention(retention).recycle_max(recycle_max);
            let log = options.open(PLACE).unwrap();
            disk.set_capacity(7 * (SEGMENT + 4096) + 8192 + 128);
            for n in 0..600 {
                log.append(&payload(n)).unwrap_or_else(|error| panic!("{policy:?}, record {n}: {error}"));
            }
            let found = payloads(&log);
            for (n, found) in (600 - found.len() as u64..).zip(&found) {
                assert_eq!(*found, payload(n));
            }
            assert_eq!(log.stats().prepare_failures, 0);
            let newest = (log.watermarks().claimed.get() - 1) / SEGMENT;
            assert_eq!(start(&log), newest - 2);
        }
    }
}

/// What the policy lets go makes room before anybody is told that there is none.
#[test]
fn a_full_device_waits_for_nothing() {
    let disk = Disk::new(1);
    let log = options(&disk, SyncPolicy::None).open(PLACE).unwrap();
    fill_segments(&log, 3);
    disk.set_capacity(disk.used() + 128);
    // Fewer segments than would be worth a sync otherwise, and nobody has looked yet.
    log.set_retention(RetentionPolicy::new().max_segments(4));
    for _ in 0..60 {
        log.append(&[7; 500]).unwrap();
    }
    assert_eq!(log.stats().prepare_failures, 0);
}

/// The power goes at every moment of a log that retires as it grows: what is left is a piece of it without a gap.
#[test]
fn power_cuts_at_every_moment() {
    let mut states = 0;
    for policy in [SyncPolicy::None, SyncPolicy::Immediate] {
        let disk = Disk::new(5);
        let retention = RetentionPolicy::new().max_segments(2);
        let open = |disk: &Disk| options(disk, policy).retention(retention).open(PLACE).unwrap();
        let log = open(&disk);
        // The moment from which on so many records were acknowledged.
        let mut acknowledged = vec![];
        for n in 0..120 {
            log.append(&payload(n)).unwrap();
            if policy == SyncPolicy::None && n % 10 == 9 {
                log.sync().unwrap();
            }
            if policy != SyncPolicy::None || n % 10 == 9 {
                acknowledged.push((disk.moment(), n + 1));
            }
        }
        for moment in 0..=disk.moment() {
            let least = acknowledged.iter().rev().find(|(at, _)| *at <= moment).map_or(0, |(_, n)| *n);
            for seed in 0..2 {
                let disk = disk.possibilities_at(moment).cut_at_random(moment * 2 + seed).disk();
                let log = open(&disk);
                let found = payloads(&log);
                let what = format!("{policy:?}, moment {moment}, seed {seed}");
                let number = |found: &[u8]| -> u64 {
                    let text = String::from_utf8_lossy(found);
                    text.split(' ').nth(1).unwrap().parse().unwrap()
                };
                let first = found.first().map_or(0, |found| number(found));
                for (n, found) in (first..).zip(&found) {
                    assert_eq!(*found, payload(n), "{what}");
                }
                assert!(first + found.len() as u64 >= least, "{what}: up to {least} were promised");
                states += 1;
            }
        }
    }
    println!("{states} power cuts of logs that retire by themselves");
    assert!(states > 1000, "{states}");
}

/// A failed sync of the metadata ends the log, as it does when somebody retires by hand; another failure passes.
#[test]
fn a_failure_to_retire_is_tried_again_unless_a_sync_failed() {
    let retention = RetentionPolicy::new().max_segments(2);
    let disk = Disk::new(1);
    let log = options(&disk, SyncPolicy::None).open(PLACE).unwrap();
    fill_segments(&log, 6);
    log.set_retention(retention);
    disk.fail(Fault::nth(Operation::Open, 1));
    log.upkeep();
    assert_eq!(log.watermarks().start.get(), 0, "the metadata could not be opened");
    assert_eq!(start(&log), 5);
    fill_segments(&log, 3);
    log.set_retention(RetentionPolicy::new().max_segments(1));
    disk.fail(Fault::nth(Operation::Sync, 1));
    log.upkeep();
    assert_eq!(log.append(b"after").unwrap_err().kind(), ErrorKind::Poisoned);
    drop(log);
    let log =
        options(&disk.possibilities().kill(), SyncPolicy::None).retention(retention).open(PLACE).unwrap();
    fill_segments(&log, 1);
}
