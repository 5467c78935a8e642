//! What the model explorer found, each as small as it gets.

use tidelog::testing::{Disk, Operation, Pick};
use tidelog::{ErrorKind, Lsn, SyncPolicy};

use crate::support::{PLACE, SEGMENT, assert_prefix, nothing, options, payload, payloads};

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

/// A retiring writer is killed before it has synced where the log begins; the next opening removes the files below. A power
/// cut later must not bring the earlier start back.
#[test]
fn a_killed_writers_start_is_durable_before_the_files_below_it_go() {
    let disk = Disk::new(1);
    let log = options(&disk, SyncPolicy::Immediate).open(PLACE).unwrap();
    for n in 0..60 {
        log.append(&payload(n)).unwrap();
    }
    let before = disk.moment();
    log.retire_before(Lsn::new(SEGMENT)).unwrap();
    for moment in before..=disk.moment() {
        let killed = disk.possibilities_at(moment).kill();
        let _open = options(&killed, SyncPolicy::Immediate).open(PLACE).unwrap();
        // Every change of a name reached the disk, and nothing else that was not synced.
        let cut = killed.possibilities().cut(|_, _| Pick::Version(0), |_| true).disk();
        let log = options(&cut, SyncPolicy::Immediate)
            .open(PLACE)
            .unwrap_or_else(|error| panic!("killed at {moment}: {error}"));
        assert_eq!(payloads(&log).last(), Some(&payload(59)), "killed at {moment}");
    }
}

/// An opening that is refused writes nothing but who holds the lock.
#[test]
fn a_refused_opening_writes_nothing() {
    let disk = Disk::new(1);
    let log = options(&disk, SyncPolicy::Immediate).open(PLACE).unwrap();
    for n in 0..20 {
        log.append(&payload(n)).unwrap();
    }
    let killed = disk.possibilities().kill();
    let (file, _) =
        killed.files().into_iter().find(|(path, _)| path.ends_with("00000000000000000000.seg")).unwrap();
    assert!(killed.damage(&file, 4096 + 40, |byte| byte ^ 1));
    let before = killed.calls(Operation::Write);
    let error = options(&killed, SyncPolicy::Immediate).open(PLACE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!(killed.calls(Operation::Write) - before, 1);
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
    // Four records fill a segment, so that a page has few versions and often loses its first word.
    let large = |n: u64| {
        let mut bytes = payload(n);
        bytes.resize(990, b'x');
        bytes
    };
    let disk = Disk::new(1);
    let log = options(&disk, SyncPolicy::None).open(PLACE).unwrap();
    for n in 0..14 {
        log.append(&large(n)).unwrap();
        log.upkeep();
    }
    let possibilities = disk.possibilities();
    let mut cuts = 0;
    // One page is torn, all else is there.
    for (torn, seed) in (0..possibilities.uncertain()).flat_map(|torn| (0..40).map(move |seed| (torn, seed)))
    {
        let pick = |index, versions| match index {
            index if index == torn => Pick::Torn { grain: 512, seed },
            _ => Pick::Version(versions - 1),
        };
        let once = possibilities.cut(pick, |_| true).disk();
        let log = options(&once, SyncPolicy::None).open(PLACE).unwrap();
        let expected = payloads(&log);
        let opened = once.moment();
        drop(log);
        for moment in 0..=opened {
            let again = nothing(&once.possibilities_at(moment)).disk();
            let what = format!("page {torn} torn by {seed}, cut again at {moment}");
            let log = options(&again, SyncPolicy::None).open(PLACE).unwrap();
            assert_eq!(payloads(&log), expected, "{what}");
            // Nothing is left behind the end that could pass for a part of the log.
            log.append(&large(99)).unwrap();
            assert!(payloads(&log).iter().eq(expected.iter().chain([&large(99)])), "{what}");
            cuts += 1;
        }
    }
    println!("{cuts} recoveries cut short");
}
