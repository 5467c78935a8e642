//! What proves that a place in the log was durable: below it, damage is never taken for a torn tail (G7).

use tidelog::{ErrorKind, LastClose, SyncPolicy};

use crate::support::{crash, crash_files, files, options, restore};

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

/// The newest segments of a closed log are gone, and with them their marks: the metadata still knows.
#[test]
fn a_closed_log_without_its_newest_segments_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(SyncPolicy::None);
    let log = options.open(dir.path()).unwrap();
    for n in 0..20_u8 {
        log.append(&[n; 16_000]).unwrap();
    }
    log.close().unwrap();
    let files = files(dir.path());
    let segments: Vec<&String> = files.keys().filter(|name| name.ends_with(".seg")).collect();
    assert!(segments.len() > 5);
    for left in 1..segments.len() {
        let mut fewer = files.clone();
        for name in &segments[left..] {
            fewer.remove(*name);
        }
        let damaged = restore(&fewer);
        let error = options.open(damaged.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert_eq!(error.path().unwrap().file_name().unwrap().to_str().unwrap(), segments[left]);
    }
}

/// A power cut may bring back the header page as `close` left it, with its mark, and keep what a later opening wrote: then
/// the mark is not the last word.
#[test]
fn a_mark_that_came_back_is_not_the_last_word() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(SyncPolicy::None);
    let log = options.open(dir.path()).unwrap();
    for n in 0..20_u8 {
        log.append(&[n; 16_000]).unwrap();
    }
    let end = log.watermarks().published;
    log.close().unwrap();
    let closed = files(dir.path());
    let log = options.open(dir.path()).unwrap();
    assert_eq!(log.recovery().last_close, LastClose::Clean);
    for n in 0..3_u8 {
        log.append(&[n; 100]).unwrap();
    }
    let mut files = crash_files(dir.path());
    drop(log);
    let newest = closed.keys().rfind(|name| name.ends_with(".seg")).unwrap();
    assert_ne!(newest.as_str(), "00000000000000000000.seg");
    files.get_mut(newest).unwrap()[..4096].copy_from_slice(&closed[newest][..4096]);
    let cut = restore(&files);
    let log = options.open(cut.path()).unwrap();
    let report = log.recovery();
    assert_eq!((report.last_close, report.end), (LastClose::ProcessDied, end));
    assert!(report.torn_tail.is_some() && report.truncated_bytes > 300, "{report:?}");
    assert_eq!(log.snapshot().iter().filter(Result::is_ok).count(), 20);
}

/// What an opening reports: the segments that there are, also when the first are gone; and what it set aside is used again.
#[test]
fn an_opening_counts_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(SyncPolicy::None);
    let log = options.open(dir.path()).unwrap();
    let lsns: Vec<_> = (0..40_u8).map(|n| log.append(&[n; 16_000]).unwrap()).collect();
    log.retire_before(lsns[25]).unwrap();
    log.close().unwrap();
    let names = files(dir.path());
    let segments = names.keys().filter(|name| name.ends_with(".seg")).count() as u64;
    assert!(segments > 3 && !names.contains_key("00000000000000000000.seg"));
    let log = options.open(dir.path()).unwrap();
    assert_eq!(log.recovery().segments, segments);
    assert_eq!(log.snapshot().start(), lsns[0].max(log.watermarks().start));
}
