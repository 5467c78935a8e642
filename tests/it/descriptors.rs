//! Open files: their number does not grow with the log.

use std::path::Path;
use std::process::Command;

use tidelog::{LastClose, LogReader, Options, SyncPolicy};

use crate::support::{crash_files, eventually, options, restore};

/// A log of 60 segments, none of them synced.
fn many_segments(directory: &Path) -> tidelog::Log {
    let log = options(SyncPolicy::None).open(directory).unwrap();
    for _ in 0..60 * 4 {
        log.append(&[7; 16_000]).unwrap();
    }
    log
}

/// This process' descriptors of segments in `directory`.
fn descriptors(directory: &Path) -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let paths = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    paths.filter(|path| path.starts_with(directory) && path.to_string_lossy().ends_with(".seg")).count()
}

#[test]
fn a_reader_keeps_no_descriptor_of_the_segments_that_it_maps() {
    let dir = tempfile::tempdir().unwrap();
    let log = many_segments(dir.path());
    let snapshot = LogReader::open(dir.path()).unwrap().snapshot().unwrap();
    assert_eq!(snapshot.iter().count(), 240);
    let path = std::fs::canonicalize(dir.path()).unwrap();
    assert!(descriptors(&path) < 10, "{} descriptors", descriptors(&path));
    // The mappings keep their locks all the same: nothing that the reader has is recycled.
    log.retire_before(log.watermarks().published).unwrap();
    for _ in 0..40 {
        log.append(&[8; 16_000]).unwrap();
    }
    assert!(snapshot.iter().all(|record| record.unwrap().payload() == [7; 16_000]));
}

/// Runs in a process of its own, with few descriptors.
#[test]
fn child_opens_with_few_descriptors() {
    let Ok(directory) = std::env::var("TIDELOG_TEST_FEW_DESCRIPTORS") else { return };
    let log = Options::new().sync_policy(SyncPolicy::None).open(directory).unwrap();
    assert_eq!(log.recovery().last_close, LastClose::ProcessDied);
    assert!(log.recovery().segments_scanned > 55, "{}", log.recovery());
    assert_eq!(log.snapshot().iter().filter(|record| record.is_ok()).count(), 240);
}

#[test]
fn recovery_needs_few_descriptors_whatever_was_not_synced() {
    let dir = tempfile::tempdir().unwrap();
    let log = many_segments(dir.path());
    let mut files = crash_files(dir.path());
    drop(log);
    for (_, bytes) in files.iter_mut().filter(|(name, _)| name.ends_with(".seg")) {
        // What the keeper marked as full it would not read.
        bytes[512..576].fill(0);
    }
    let crashed = restore(&files);
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 32 && exec \"$0\" --exact descriptors::child_opens_with_few_descriptors"])
        .arg(std::env::current_exe().unwrap())
        .env("TIDELOG_TEST_FEW_DESCRIPTORS", crashed.path())
        .output()
        .unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// Large claims are written through the segment's file under the policies that wait. It is closed when the segment is full,
/// and when the log is closed, whoever still reads.
#[test]
fn what_large_claims_opened_is_closed_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = options(SyncPolicy::grouped()).open(dir.path()).unwrap();
    let path = std::fs::canonicalize(dir.path()).unwrap();
    for n in 0..40_u8 {
        log.append(&[n; 16_000]).unwrap();
    }
    // Of the segment in use, of the two that are ready, and of one that is about to be marked.
    eventually("the files of full segments are closed", || (1..=4).contains(&descriptors(&path)));
    let snapshot = log.snapshot();
    log.close().unwrap();
    assert_eq!(descriptors(&path), 0);
    assert_eq!(snapshot.iter().filter(|record| record.is_ok()).count(), 40);
}
