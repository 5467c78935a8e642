//! The simulated disk itself does what it says.

use std::time::Duration;

use tidelog::testing::{Disk, Pick};
use tidelog::{ErrorKind, LastClose, Log, LogReader, Lsn, SyncPolicy};

use crate::support::{PLACE, SEGMENT, assert_prefix, nothing, options, payload, payloads};

#[test]
fn what_was_synced_is_there_and_what_was_not_may_be_gone() {
    let disk = Disk::new(1);
    let log = options(&disk, SyncPolicy::None).open(PLACE).unwrap();
    for n in 0..5 {
        log.append(&payload(n)).unwrap();
    }
    log.sync().unwrap();
    for n in 5..9 {
        log.append(&payload(n)).unwrap();
    }
    let least = options(&nothing(&disk.possibilities()).disk(), SyncPolicy::None).open(PLACE).unwrap();
    assert_eq!(payloads(&least).len(), 5);
    assert_eq!(least.recovery().last_close, LastClose::MachineRestarted);
    let all = disk.possibilities().cut(|_, versions| Pick::Version(versions - 1), |_| true).disk();
    assert_eq!(payloads(&options(&all, SyncPolicy::None).open(PLACE).unwrap()).len(), 9);
    let killed = options(&disk.possibilities().kill(), SyncPolicy::None).open(PLACE).unwrap();
    assert_eq!(payloads(&killed).len(), 9);
    assert_eq!(killed.recovery().last_close, LastClose::ProcessDied);
}

#[test]
fn the_same_seed_and_calls_give_the_same_history() {
    let run = |seed| {
        let disk = Disk::new(seed);
        let log = options(&disk, SyncPolicy::Immediate).open(PLACE).unwrap();
        for n in 0..60 {
            log.append(&payload(n)).unwrap();
        }
        (disk.moment(), disk.possibilities().cut_at_random(9).key())
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3).1, run(4).1);
}

#[test]
fn the_lock_is_held_and_dies_with_its_holder() {
    let disk = Disk::new(1);
    let log = options(&disk, SyncPolicy::None).open(PLACE).unwrap();
    let second = options(&disk, SyncPolicy::None).open(PLACE).unwrap_err();
    assert_eq!(second.kind(), ErrorKind::Locked);
    drop(log);
    options(&disk, SyncPolicy::None).open(PLACE).unwrap();
}

#[test]
fn a_reader_keeps_a_file_from_being_recycled() {
    let disk = Disk::new(1);
    let log = options(&disk, SyncPolicy::None).open(PLACE).unwrap();
    let mut last = log.append(&payload(0)).unwrap();
    for n in 1..40 {
        last = log.append(&payload(n)).unwrap();
    }
    let reader = LogReader::open_on(&disk, PLACE).unwrap();
    let snapshot = reader.snapshot().unwrap();
    assert_eq!(snapshot.iter().count(), 40);
    log.retire_before(last).unwrap();
    for n in 40..80 {
        log.append(&payload(n)).unwrap();
    }
    assert_eq!(log.stats().segments_recycled, 0);
    assert_eq!(snapshot.iter().filter(|record| record.is_ok()).count(), 40);
}

/// The ways in which a file is used again: cleared in its mapping; written over, where what is appended is for the
/// most part written through files; and written over since only an earlier opening wrote to it.
const WAYS: [(SyncPolicy, bool, bool); 5] = [
    (SyncPolicy::None, false, false),
    (SyncPolicy::Immediate, false, false),
    (SyncPolicy::Immediate, true, false),
    (SyncPolicy::None, false, true),
    (SyncPolicy::Immediate, true, true),
];

/// A log whose segments were recycled, by single records or large batches, all of them or those of an earlier opening.
fn recycled(disk: &Disk, (policy, batches, reopened): (SyncPolicy, bool, bool)) -> (Log, Vec<Lsn>) {
    let mut log = options(disk, policy).open(PLACE).unwrap();
    let mut lsns = Vec::new();
    if reopened {
        while log.watermarks().claimed.get() < 4 * SEGMENT {
            append(&log, &mut lsns, batches);
        }
        log.close().unwrap();
        log = options(disk, policy).open(PLACE).unwrap();
    }
    recycle(&log, &mut lsns, batches);
    (log, lsns)
}

/// Appends a record, or some as a batch that is written through the file.
fn append(log: &Log, lsns: &mut Vec<Lsn>, batches: bool) {
    let first = lsns.len() as u64;
    if batches {
        let records: Vec<_> = (first..first + 4).map(payload).collect();
        lsns.extend(log.append_batch(&records).unwrap());
    } else {
        lsns.push(log.append(&payload(first)).unwrap());
    }
}

/// Appends, and retires what was appended, until segments were recycled.
fn recycle(log: &Log, lsns: &mut Vec<Lsn>, batches: bool) {
    while log.stats().segments_recycled < 4 {
        append(log, lsns, batches);
        log.retire_before(lsns[lsns.len().saturating_sub(8)]).unwrap();
        log.upkeep();
        let first = lsns.partition_point(|lsn| *lsn < log.watermarks().start) as u64;
        assert_prefix(log, first, lsns.len() as u64, "while segments are recycled");
    }
}

#[test]
fn recycled_files_bring_nothing_back() {
    for way in WAYS {
        let disk = Disk::new(1);
        let (_log, lsns) = recycled(&disk, way);
        let killed = options(&disk.possibilities().kill(), way.0).open(PLACE).unwrap();
        let first = lsns.partition_point(|lsn| *lsn < killed.watermarks().start) as u64;
        assert_prefix(&killed, first, lsns.len() as u64, "after a kill");
        assert_eq!(payloads(&killed).len() as u64, lsns.len() as u64 - first);
    }
}

/// A recycled segment is zeros in the page cache only. What a power cut leaves of its earlier records is cut off as a torn
/// tail, and what is set aside at closing is zeros on the device too.
#[test]
fn recycled_files_bring_nothing_back_after_a_power_cut() {
    for seed in 0..100 {
        let disk = Disk::new(1);
        let way = WAYS[seed as usize / 2 % WAYS.len()];
        let (log, mut lsns) = recycled(&disk, way);
        if seed % 2 == 0 {
            log.sync().unwrap();
        } else {
            log.close().unwrap();
        }
        let (start, durable) = (log.watermarks().start, log.watermarks().durable);
        assert_eq!(durable, log.watermarks().published);
        let possible = disk.possibilities();
        let cut = if seed < 10 { nothing(&possible) } else { possible.cut_at_random(seed) };
        let log = options(&cut.disk(), way.0).open(PLACE).unwrap();
        assert_eq!(log.recovery().end, durable, "seed {seed}");
        let first = lsns.partition_point(|lsn| *lsn < start) as u64;
        // On into the spares.
        for n in lsns.len() as u64..lsns.len() as u64 + 60 {
            lsns.push(log.append(&payload(n)).unwrap());
        }
        assert_prefix(&log, first, lsns.len() as u64, "after a power cut");
    }
}

/// The disk also serves logs that run their threads.
#[test]
fn a_log_with_threads_loses_nothing_durable() {
    let mut most = 0;
    for seed in 0..20 {
        let disk = Disk::new(seed).with_threads();
        let policy = if seed % 2 == 0 {
            SyncPolicy::Immediate
        } else {
            SyncPolicy::periodic(Duration::from_millis(1))
        };
        let log = options(&disk, policy).open(PLACE).unwrap();
        let durable = std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..60 {
                        log.append(&payload(7)).unwrap();
                    }
                });
            }
            // In the middle of it all. What is durable is asked first, so that it was so at the cut.
            std::thread::yield_now();
            let durable = log.watermarks().durable;
            let cut = disk.possibilities().cut_at_random(seed).disk();
            let left = options(&cut, policy).open(PLACE).unwrap();
            assert!(
                left.recovery().end >= durable,
                "seed {seed}: {:?}, {durable} was durable",
                left.recovery()
            );
            durable
        });
        most = most.max(durable.get());
        log.close().unwrap();
    }
    assert!(most > 0, "nothing was ever durable at the cut");
}

#[test]
fn damage_is_noticed() {
    let disk = Disk::new(1);
    let log = options(&disk, SyncPolicy::Immediate).open(PLACE).unwrap();
    for n in 0..20 {
        log.append(&payload(n)).unwrap();
    }
    log.close().unwrap();
    drop(log);
    let log = options(&disk, SyncPolicy::Immediate).open(PLACE).unwrap();
    assert_prefix(&log, 0, 20, "before");
    let (file, _) =
        disk.files().into_iter().find(|(path, _)| path.ends_with("00000000000000000000.seg")).unwrap();
    assert!(disk.damage(&file, 4096 + 40, |byte| byte ^ 1));
    assert!(!disk.damage("/nowhere", 0, |byte| byte));
    let errors: Vec<_> = log.snapshot().iter().filter_map(Result::err).collect();
    assert!(errors.iter().all(|error| error.kind() == ErrorKind::Corrupt) && errors.len() == 1, "{errors:?}");
}
