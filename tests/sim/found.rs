//! What the model explorer found, each as small as it gets.

use tidelog::testing::{Disk, Pick};
use tidelog::{Lsn, SyncPolicy};

use crate::support::{PLACE, SEGMENT, assert_prefix, nothing, options, payload};

/// A writer that is killed has given names, and written metadata, that it did not come to sync. The next opening makes
/// durable what it builds on, so that a power cut later takes nothing of it away.
#[test]
fn what_a_killed_writer_left_unsynced_is_durable_after_the_next_opening() {
    let disk = Disk::new(1);
    let log = options(&disk, SyncPolicy::Immediate).open(PLACE).unwrap();
    let mut n = 0;
    while log.stats().segments_prepared < 5 {
        log.append(&payload(n)).unwrap();
        n += 1;
    }
    drop(log);
    let mut kills = 0;
    for moment in 0..=disk.moment() {
        let killed = disk.possibilities_at(moment).kill();
        let log = options(&killed, SyncPolicy::Immediate).open(PLACE).unwrap();
        let first = log.snapshot().iter().count() as u64;
        // The opened log rolls into segments that the killed writer prepared.
        for n in first..first + 20 {
            log.append(&payload(n)).unwrap();
        }
        let cut = nothing(&killed.possibilities()).disk();
        let what = format!("killed at {moment}");
        let log =
            options(&cut, SyncPolicy::None).open(PLACE).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_prefix(&log, 0, first + 20, &what);
        kills += 1;
    }
    println!("{kills} kills, each followed by a power cut");
}

/// The metadata has two slots, so that one is whole whatever happens to the other: only if the other was synced.
#[test]
fn a_slot_of_the_metadata_is_on_the_device_before_the_other_is_written() {
    let disk = Disk::new(1);
    let log = options(&disk, SyncPolicy::None).open(PLACE).unwrap();
    for n in 0..60 {
        log.append(&payload(n)).unwrap();
    }
    let before = disk.moment();
    log.retire_before(Lsn::new(SEGMENT)).unwrap();
    let retired = disk.moment();
    log.close().unwrap();
    drop(log);
    let mut torn = 0;
    for moment in (before..=retired).chain(retired..=disk.moment()) {
        let killed = disk.possibilities_at(moment).kill();
        let log = options(&killed, SyncPolicy::None).open(PLACE).unwrap();
        let opened = killed.moment();
        log.retire_before(Lsn::new(2 * SEGMENT)).unwrap();
        for later in opened..=killed.moment() {
            for seed in 0..8 {
                let possible = killed.possibilities_at(later);
                let cut = possible
                    .cut(|index, _| Pick::Torn { grain: 8, seed: seed + index as u64 }, |_| true)
                    .disk();
                let what = format!("killed at {moment}, cut at {later}, seed {seed}");
                options(&cut, SyncPolicy::None).open(PLACE).unwrap_or_else(|error| panic!("{what}: {error}"));
                torn += 1;
            }
        }
    }
    println!("{torn} torn disks");
}

/// A segment that was marked complete, not durable, came to stand last when a recovery removed those behind it, and
/// was cut short then: it passed for that of a closed log that ends where it begins.
#[test]
fn a_recovery_that_is_cut_short_leaves_what_the_next_one_finds() {
    let disk = Disk::new(1);
    let log = options(&disk, SyncPolicy::None).open(PLACE).unwrap();
    for n in 0..60 {
        log.append(&payload(n)).unwrap();
        log.upkeep();
    }
    let mut cuts = 0;
    for seed in 0..60 {
        let cut = disk.possibilities().cut_at_random(seed);
        let once = cut.disk();
        let log = options(&once, SyncPolicy::None).open(PLACE).unwrap();
        let expected = log.recovery().end;
        drop(log);
        for moment in 0..=once.moment() {
            let again = nothing(&once.possibilities_at(moment)).disk();
            let log = options(&again, SyncPolicy::None).open(PLACE).unwrap();
            assert_eq!(log.recovery().end, expected, "seed {seed}, cut again at {moment}");
            cuts += 1;
        }
    }
    println!("{cuts} recoveries cut short");
}
