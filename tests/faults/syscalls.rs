//! No system call on the append path of `None` and `Periodic` while the next segment is ready (G12).

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::time::Duration;

use tidelog::{Lsn, Options, SyncPolicy};

use crate::support::{lacks_strace, ready_to_be_traced, role, skip, trace};

const THREADS: usize = 3;
const APPENDS: u32 = 10_000;

#[test]
fn child_appends_between_markers() {
    let Some(role) = role() else { return };
    let policy = match &*role {
        "none" => SyncPolicy::None,
        "periodic" => SyncPolicy::periodic(Duration::from_millis(1)),
        _ => SyncPolicy::Immediate,
    };
    let directory = tempfile::tempdir().unwrap();
    let log = Options::new().segment_bytes(64 << 20).sync_policy(policy).open(directory.path()).unwrap();
    let appends = if policy == SyncPolicy::Immediate { 50 } else { APPENDS };
    ready_to_be_traced();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let log = &log;
            scope.spawn(move || {
                // Its own handle: releasing a lock that others wait for would be a system call.
                let mut out = File::from(std::io::stderr().as_fd().try_clone_to_owned().unwrap());
                let end = Lsn::new(u64::MAX);
                let payload = [thread as u8; 200];
                let batch = [&payload[..7], &payload[..]];
                out.write_all(b"<appends begin>\n").unwrap();
                for number in 0..appends {
                    match number % 4 {
                        0 => assert_ne!(log.append(&payload).unwrap(), end),
                        1 => assert_ne!(log.append_with(100, |buffer| buffer.fill(3)).unwrap(), end),
                        2 => assert_eq!(log.append_batch(&batch).unwrap().len(), 2),
                        _ => assert_ne!(log.append_nowait(&payload).unwrap(), end),
                    }
                }
                out.write_all(b"<appends end>\n").unwrap();
            });
        }
    });
    log.close().unwrap();
}

/// The system calls of each thread between its markers.
fn between_markers(trace: &str) -> Vec<Vec<&str>> {
    let mut threads = std::collections::BTreeMap::<&str, (bool, Vec<&str>)>::new();
    let mut whole = Vec::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if call.contains("<appends begin>") {
            threads.insert(thread, (call.contains("unfinished"), Vec::new()));
        } else if call.contains("<appends end>") {
            whole.push(threads.remove(thread).expect("a thread ends that never began").1);
        } else if let Some((begin_unfinished, calls)) = threads.get_mut(thread) {
            // The end of the marker's own call, where another thread's line came in between.
            if !(std::mem::take(begin_unfinished) && call.contains("write resumed")) {
                calls.push(call);
            }
        }
    }
    assert!(threads.is_empty(), "a thread never ends: {threads:?}");
    whole
}

#[test]
fn appending_makes_no_system_call() {
    if role().is_some() || skip("appending_makes_no_system_call", lacks_strace()) {
        return;
    }
    let calls = |role: &str| {
        let traced = trace(&[], "syscalls::child_appends_between_markers", role);
        traced.succeeded();
        let calls = between_markers(&traced.trace);
        assert_eq!(calls.len(), THREADS, "{role}: {}", traced.trace);
        println!("{role}: {} threads, calls: {:?}", THREADS, calls.iter().map(Vec::len).collect::<Vec<_>>());
        calls.into_iter().map(|calls| calls.into_iter().map(str::to_owned).collect()).collect::<Vec<Vec<_>>>()
    };
    for role in ["none", "periodic"] {
        for made in calls(role) {
            assert!(
                made.is_empty(),
                "{role}: {} calls in {APPENDS} appends, first {:?}",
                made.len(),
                made[0]
            );
        }
    }
    // The same eye sees the calls that there are.
    let made = calls("immediate");
    assert!(made.iter().flatten().any(|call| call.starts_with("msync(")), "{made:?}");
}
