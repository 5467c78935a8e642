//! What proves that a place in the log was durable: below it, damage is never taken for a torn tail (G7).

use tidelog::{ErrorKind, LastClose, SyncPolicy};

use crate::support::{crash, crash_files, options, restore};

/// An opening makes durable what it found, so its entry in the segment's header is evidence for that.
#[test]
fn an_opening_proves_what_it_found() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(SyncPolicy::None);
    let log = options.open(dir.path()).unwrap();
    for n in 0..20_u8 {
        log.append(&[n; 100]).unwrap();
    }
    let crashed = crash(dir.path());
    drop(log);
    // Recovered and durable by now; nothing is appended.
    let log = options.open(crashed.path()).unwrap();
    assert_eq!(log.recovery().last_close, LastClose::ProcessDied);
    let end = log.watermarks().durable;
    let mut files = crash_files(crashed.path());
    drop(log);
    // A byte of the last record's payload.
    let segment = files.get_mut("00000000000000000000.seg").unwrap();
    segment[4096 + end.get() as usize - 10] ^= 1;
    let damaged = restore(&files);
    let error = options.open(damaged.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}
