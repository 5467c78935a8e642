//! In which order an opening syncs and writes: what `docs/DURABILITY.md` says about opening, seen from outside.

use std::path::Path;

use tidelog::{Options, SyncPolicy};

use crate::support::{lacks_strace, ready_to_be_traced, role, skip, trace};

const SEGMENT: u64 = 1 << 16;
const HEADER: u64 = 4096;

/// What a kill leaves, or a close: two full segments and a part of a third. Under its last record there is a hole.
fn leave(closed: bool, directory: &Path) {
    let options = Options::new().segment_bytes(SEGMENT).sync_policy(SyncPolicy::None);
    let before = tempfile::tempdir().unwrap();
    let log = options.open(before.path()).unwrap();
    let mut hole = 0;
    for number in 0..150_u64 {
        hole = log.append(&[number as u8 | 1; 1008]).unwrap().get();
    }
    log.append(b"behind the hole").unwrap();
    if closed {
        log.close().unwrap();
    }
    for name in (0..3).map(|number| format!("{:020}.seg", number * SEGMENT)).chain(["log.meta".to_owned()]) {
        let mut bytes = std::fs::read(before.path().join(&name)).unwrap();
        if !closed && name.ends_with(".seg") {
            // The keeper may have marked it or not.
            bytes[512..576].fill(0);
        }
        if !closed && name == format!("{:020}.seg", 2 * SEGMENT) {
            bytes[(HEADER + hole - 2 * SEGMENT) as usize..][..1024].fill(0);
        }
        std::fs::write(directory.join(name), bytes).unwrap();
    }
}

#[test]
fn child_opens() {
    let Some(role) = role() else { return };
    let directory = tempfile::tempdir().unwrap();
    leave(role == "closed", directory.path());
    if role == "poisoned" {
        // As a writer of this boot leaves it after a sync that failed.
        let lock = directory.path().join("log.lock");
        drop(Options::new().open(directory.path().join("another")).unwrap());
        let text = std::fs::read_to_string(directory.path().join("another/log.lock")).unwrap();
        std::fs::write(lock, text.replacen("writing ", "poisoned", 1)).unwrap();
    }
    ready_to_be_traced();
    let log = Options::new().sync_policy(SyncPolicy::None).open(directory.path()).unwrap();
    assert_eq!(log.recovery().holes_skipped, u64::from(role != "closed"), "{}", log.recovery());
    log.close().unwrap();
}

/// What is done to a segment's file by system calls: synced, or written to, and where in its header.
fn steps(trace: &str, number: u64) -> Vec<String> {
    let file = format!("{:020}.seg>", number * SEGMENT);
    let calls = trace.lines().filter(|line| line.contains(&file));
    let step = |call: &str| {
        if call.contains(" fdatasync(") || call.contains(" fsync(") {
            Some("sync".to_owned())
        } else if call.contains(" pwrite64(") {
            let place: u64 = call.rsplit_once(") =")?.0.rsplit_once(", ")?.1.trim().parse().ok()?;
            Some(if place < HEADER { format!("write {place}") } else { "frames".to_owned() })
        } else {
            None
        }
    };
    let mut steps: Vec<_> = calls.filter_map(step).collect();
    // A frame is written word by word.
    steps.dedup_by(|later, earlier| later == earlier && later == "frames");
    steps
}

#[test]
fn an_opening_syncs_before_it_reads_and_after_it_repairs() {
    if role().is_some() || skip("an_opening_syncs_before_it_reads", lacks_strace()) {
        return;
    }
    let arguments = ["-y", "-e", "trace=fdatasync,fsync,pwrite64"];
    let killed = trace(&arguments, "opening::child_opens", "killed");
    killed.succeeded();
    for number in 0..2 {
        let steps = steps(&killed.trace, number);
        assert_eq!(
            steps[..3],
            ["sync", "sync", "write 512"],
            "segment {number}: {steps:?}\n{}",
            killed.trace
        );
    }
    let last = steps(&killed.trace, 2);
    assert_eq!(last[0], "sync", "{last:?}\n{}", killed.trace);
    // The hole becomes padding.
    assert_eq!(last[1..5], ["frames", "sync", "write 2112", "write 512"], "{last:?}\n{}", killed.trace);
    println!("the last segment of a killed log: {last:?}");

    // What a closed log holds is durable.
    let closed = trace(&arguments, "opening::child_opens", "closed");
    closed.succeeded();
    for number in 0..2 {
        assert!(steps(&closed.trace, number).is_empty(), "segment {number}\n{}", closed.trace);
    }
    let last = steps(&closed.trace, 2);
    assert_eq!(last[..2], ["write 2112", "write 512"], "{last:?}\n{}", closed.trace);
}

/// After a sync that failed the pages count as clean, so each is written again before the file is synced.
#[test]
fn an_opening_after_a_failed_sync_writes_every_page_again() {
    if role().is_some() || skip("an_opening_after_a_failed_sync_writes_every_page_again", lacks_strace()) {
        return;
    }
    let arguments = ["-y", "-e", "trace=fdatasync,fsync,pread64,pwrite64"];
    let traced = trace(&arguments, "opening::child_opens", "poisoned");
    traced.succeeded();
    for number in 0..3 {
        let file = format!("{:020}.seg>", number * SEGMENT);
        let calls = traced.trace.lines().filter(|line| line.contains(&file) && !line.contains(" pread64("));
        let mut expected: Vec<_> =
            (0..(HEADER + SEGMENT) / 4096).map(|page| format!(", 4096, {})", page * 4096)).collect();
        expected.push(" fsync(".to_owned());
        let calls: Vec<_> = calls.take(expected.len()).collect();
        for (call, part) in calls.iter().zip(&expected) {
            assert!(call.contains(part.as_str()), "segment {number}: {part} is not {call}");
        }
        assert_eq!(calls.len(), expected.len());
    }
}
