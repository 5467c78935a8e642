//! The Nth sync fails, for every N, once and for ever (G8): the log is poisoned for everybody and for good, nothing that was
//! acknowledged is lost, and what the next opening keeps is on the device.

use tidelog::testing::{Disk, Fault, Operation};
use tidelog::{ErrorKind, Log, Lsn, SyncPolicy};

use crate::support::{PLACE, SEGMENT, assert_prefix, nothing, options, payload};

/// Appends, batches, rolls, a retirement and a reopening. Returns how many records were acknowledged as durable and
/// how many were appended, and the error that ended it.
fn work(disk: &Disk, policy: SyncPolicy) -> (u64, u64, Option<tidelog::Error>) {
    let (mut acknowledged, mut appended) = (0, 0);
    let mut run = || -> tidelog::Result<()> {
        for _ in 0..2 {
            let log = options(disk, policy).open(PLACE)?;
            let outcome = (|| {
                for _ in 0..12 {
                    appended += 1;
                    log.append(&payload(appended - 1))?;
                    if policy != SyncPolicy::None {
                        acknowledged = appended;
                    }
                }
                let first = appended;
                appended += 3;
                log.append_batch(&[payload(first), payload(first + 1), payload(first + 2)])?;
                log.sync()?;
                acknowledged = appended;
                Ok(())
            })();
            if let Err(error) = outcome {
                assert_sticky(&log, &error);
                return Err(error);
            }
            log.close()?;
        }
        Ok(())
    };
    let error = run().err();
    (acknowledged, appended, error)
}

/// Nothing succeeds any more that would promise something.
fn assert_sticky(log: &Log, error: &tidelog::Error) {
    if error.kind() != ErrorKind::Poisoned {
        return;
    }
    for _ in 0..2 {
        for outcome in [
            log.append(b"after").map(drop),
            log.append_nowait(b"after").map(drop),
            log.append_batch(&["a", "b"]).map(drop),
            log.append_with(3, |_| {}).map(drop),
        ] {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Poisoned);
        }
        if log.watermarks().durable < log.watermarks().claimed {
            assert_eq!(log.sync().unwrap_err().kind(), ErrorKind::Poisoned);
        }
    }
    assert_eq!(log.close().unwrap_err().kind(), ErrorKind::Poisoned);
}

#[test]
fn the_nth_sync_fails() {
    let (mut runs, mut poisoned) = (0, 0);
    for policy in [SyncPolicy::Immediate, SyncPolicy::None] {
        for operation in [Operation::Flush, Operation::Sync, Operation::SyncDirectory] {
            let disk = Disk::new(1);
            work(&disk, policy);
            for n in 1..=disk.calls(operation) {
                for persistent in [false, true] {
                    let disk = Disk::new(1);
                    let fault = Fault::nth(operation, n);
                    disk.fail(if persistent { fault.persistent() } else { fault });
                    let (acknowledged, appended, error) = work(&disk, policy);
                    let what = format!("{policy:?}, {operation:?} {n}, persistent {persistent}, {error:?}");
                    poisoned += u64::from(error.is_some_and(|error| error.kind() == ErrorKind::Poisoned));
                    runs += 1;
                    disk.heal();
                    check(&disk, policy, acknowledged, appended, &what);
                }
            }
        }
    }
    println!("{runs} runs in which a sync fails, {poisoned} poisoned logs");
    assert!(poisoned > 20);
}

/// After a kill, and after power cuts; and what the opening kept survives a power cut at once.
fn check(disk: &Disk, policy: SyncPolicy, acknowledged: u64, appended: u64, what: &str) {
    let killed = disk.possibilities().kill();
    let cuts = (0..6).map(|seed| disk.possibilities().cut_at_random(seed).disk());
    for (index, disk) in [killed, nothing(&disk.possibilities()).disk()].into_iter().chain(cuts).enumerate() {
        let what = format!("{what}, disk {index}");
        let log = options(&disk, policy).open(PLACE).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_prefix(&log, 0, acknowledged, &what);
        let kept = log.snapshot().iter().count() as u64;
        assert!(kept <= appended, "{what}: {kept} records of {appended}");
        let cut = nothing(&disk.possibilities()).disk();
        let log =
            options(&cut, policy).open(PLACE).unwrap_or_else(|error| panic!("{what}, cut again: {error}"));
        assert_prefix(&log, 0, kept, &format!("{what}, cut again"));
    }
}

/// A device that failed once may have lost what it had in its cache, of any file: no later sync would tell.
#[test]
fn a_sync_that_fails_while_a_segment_is_made_ready_ends_the_log() {
    for operation in [Operation::Sync, Operation::SyncDirectory] {
        for policy in [SyncPolicy::Immediate, SyncPolicy::None] {
            let disk = Disk::new(1);
            let log = options(&disk, policy).open(PLACE).unwrap();
            log.append(&payload(0)).unwrap();
            disk.fail(Fault::nth(operation, 1));
            log.upkeep();
            let error = log.append(&payload(1)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Poisoned, "{operation:?}, {policy:?}: {error}");
            assert_sticky(&log, &error);
            // The next opening writes again what may be gone.
            let log = options(&disk.possibilities().kill(), policy).open(PLACE).unwrap();
            assert!(log.recovery().segments_rewritten > 0);
            assert_prefix(&log, 0, 1, "after the kill");
        }
    }
    // A retirement writes the metadata.
    let disk = Disk::new(1);
    let log = options(&disk, SyncPolicy::None).open(PLACE).unwrap();
    for n in 0..60 {
        log.append(&payload(n)).unwrap();
    }
    disk.fail(Fault::nth(Operation::Sync, 1));
    log.retire_before(Lsn::new(2 * SEGMENT)).unwrap_err();
    assert_sticky(&log, &log.append(&payload(60)).unwrap_err());
}

/// What fails before anything is written or synced is no sign of a failing device: the log goes on.
#[test]
fn a_file_that_cannot_be_opened_does_not_end_the_log() {
    for n in 1..12 {
        let disk = Disk::new(n);
        let log = options(&disk, SyncPolicy::Immediate).open(PLACE).unwrap();
        for n in 0..20 {
            log.append(&payload(n)).unwrap();
        }
        disk.fail(Fault::nth(Operation::Open, n));
        for n in 20..60 {
            // The preparer tries again for the next one who asks.
            if let Err(error) = log.append(&payload(n)) {
                assert_eq!(error.kind(), ErrorKind::Io, "open {n}: {error}");
                log.append(&payload(n)).unwrap();
            }
            let _ = log.retire_before(Lsn::new(SEGMENT));
        }
        disk.heal();
        log.close().unwrap();
    }
}

/// The kernel fails to write pages back, tells nobody, and takes them for written; then the writer dies.
#[test]
fn a_write_back_that_failed_unseen_is_caught_at_open() {
    let mut rewritten = 0;
    for records in 1..40 {
        let disk = Disk::new(records);
        let log = options(&disk, SyncPolicy::None).open(PLACE).unwrap();
        log.append(&payload(0)).unwrap();
        log.sync().unwrap();
        for n in 1..=records {
            log.append(&payload(n)).unwrap();
        }
        disk.fail_background_write_back();
        let killed = disk.possibilities().kill();
        let log = options(&killed, SyncPolicy::None).open(PLACE).unwrap();
        rewritten += log.recovery().segments_rewritten;
        assert_prefix(&log, 0, records + 1, "after the kill");
        // What was reported is on the device, although the kernel had taken it for written.
        let cut = nothing(&killed.possibilities()).disk();
        let log = options(&cut, SyncPolicy::None).open(PLACE).unwrap();
        assert_prefix(&log, 0, records + 1, "after the power cut");
    }
    println!("{rewritten} segments written again");
    assert!(rewritten >= 39);
}

/// A drive that acknowledges and keeps nothing takes the promise away, and nothing else: what is left is a prefix.
#[test]
fn a_lying_sync_costs_the_tail_and_never_the_order() {
    let mut lost = 0;
    for seed in 0..40 {
        let disk = Disk::new(seed);
        let log = options(&disk, SyncPolicy::Immediate).open(PLACE).unwrap();
        for n in 0..10 {
            log.append(&payload(n)).unwrap();
        }
        disk.lie_about_syncs();
        for n in 10..16 {
            log.append(&payload(n)).unwrap();
        }
        let cut = disk.possibilities().cut_at_random(seed).disk();
        match options(&cut, SyncPolicy::Immediate).open(PLACE) {
            Ok(log) => {
                assert_prefix(&log, 0, 10, "after the cut");
                lost += u64::from(log.snapshot().iter().count() < 16);
            }
            // A record proves that one before it was durable, and that one is gone.
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                lost += 1;
            }
        }
    }
    println!("the drive lied, and records were missing, on {lost} of 40 disks");
    assert!(lost > 0);
}
