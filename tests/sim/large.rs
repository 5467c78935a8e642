//! Large claims, which are written through the file under the policies that wait: the log is the same by either way.

use tidelog::testing::{Disk, Fault, Operation};
use tidelog::{Log, SyncPolicy};

use crate::support::{PLACE, nothing, options, payloads};

/// Records around the size from which the file is written to (an eighth of a segment, header included), of every
/// rest in a division by eight.
fn lengths() -> impl Iterator<Item = usize> {
    (488..505).chain(700..709)
}

fn payload(n: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (n * 31 + at * 7) as u8 | 1).collect()
}

/// Appends single records and batches, and returns what the log has to hold.
fn fill(log: &Log) -> Vec<Vec<u8>> {
    let mut kept = Vec::new();
    for (n, len) in lengths().enumerate() {
        kept.push(payload(n, len));
        log.append(&kept[n]).unwrap();
    }
    for n in 0..40 {
        let batch: Vec<_> =
            (0..n % 7 + 2).map(|part| payload(n + part, (n * 29 + part * 13) % 140)).collect();
        log.append_batch(&batch).unwrap();
        kept.extend(batch);
    }
    kept
}

fn writes_of_appends(policy: SyncPolicy) -> u64 {
    let disk = Disk::new(1);
    let log = options(&disk, policy).open(PLACE).unwrap();
    log.append(b"a segment is there").unwrap();
    let before = disk.calls(Operation::Write);
    log.append(&payload(0, 600)).unwrap();
    log.append_batch(&[payload(1, 300), payload(2, 300)]).unwrap();
    disk.calls(Operation::Write) - before
}

#[test]
fn only_the_policies_that_wait_write_through_the_file() {
    assert_eq!(writes_of_appends(SyncPolicy::None), 0);
    assert_eq!(writes_of_appends(SyncPolicy::periodic(std::time::Duration::from_secs(1))), 0);
    assert!(writes_of_appends(SyncPolicy::Immediate) >= 2);
    assert!(writes_of_appends(SyncPolicy::grouped()) >= 2);
}

/// After a power cut that leaves nothing that was not synced.
#[test]
fn what_was_acknowledged_survives() {
    let disk = Disk::new(2);
    let log = options(&disk, SyncPolicy::Immediate).open(PLACE).unwrap();
    let kept = fill(&log);
    assert_eq!(payloads(&log), kept);
    let after = nothing(&disk.possibilities()).disk();
    drop(log);
    let log = options(&after, SyncPolicy::Immediate).open(PLACE).unwrap();
    assert_eq!(payloads(&log), kept);
}

/// Where the file cannot be written to or opened, the mapping is: the append succeeds all the same.
#[test]
fn a_write_that_fails_is_made_up_for() {
    for operation in [Operation::Write, Operation::Open] {
        for nth in 1..12 {
            let disk = Disk::new(nth);
            let log = options(&disk, SyncPolicy::Immediate).open(PLACE).unwrap();
            let mut kept = Vec::new();
            // Segments are prepared beforehand, so that none fails for the fault.
            while log.watermarks().claimed.get() < 200 {
                kept.push(payload(kept.len(), 20));
                log.append(&kept[kept.len() - 1]).unwrap();
            }
            log.upkeep();
            disk.fail(Fault::nth(operation, nth).persistent());
            for n in 0..2 {
                kept.push(payload(n, 520));
                log.append(&kept[kept.len() - 1]).unwrap();
                let batch = [payload(n, 200), payload(n + 1, 1), payload(n + 2, 300)];
                log.append_batch(&batch).unwrap();
                kept.extend(batch);
            }
            disk.heal();
            assert_eq!(payloads(&log), kept, "{operation:?} {nth}");
            let after = nothing(&disk.possibilities()).disk();
            let log = options(&after, SyncPolicy::Immediate).open(PLACE).unwrap();
            assert_eq!(payloads(&log), kept, "{operation:?} {nth}, after a power cut");
        }
    }
}

/// A record that gives other lengths the second time: the claim becomes padding, as by the other way.
#[test]
fn a_record_that_changes_its_length_is_refused() {
    #[derive(Debug)]
    struct Fickle(std::cell::Cell<u32>);
    impl AsRef<[u8]> for Fickle {
        fn as_ref(&self) -> &[u8] {
            self.0.set(self.0.get() + 1);
            &[7; 400][..if self.0.get() == 1 { 300 } else { 340 }]
        }
    }
    let disk = Disk::new(3);
    let log = options(&disk, SyncPolicy::Immediate).open(PLACE).unwrap();
    let batch = [Fickle(std::cell::Cell::new(1)), Fickle(std::cell::Cell::new(0))];
    let error = log.append_batch(&batch).unwrap_err();
    assert_eq!(error.kind(), tidelog::ErrorKind::InvalidOption, "{error}");
    log.append(b"behind it").unwrap();
    assert_eq!(payloads(&log), [b"behind it"]);
}
