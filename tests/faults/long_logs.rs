//! Opening a long log asks the operating system for no more than opening a short one, but for the names in its
//! directory.

use std::collections::BTreeMap;

use tidelog::{LastClose, LogReader, Options, SyncPolicy};

use crate::sparse;
use crate::support::{lacks_strace, ready_to_be_traced, role, skip, trace};

#[test]
fn child_opens_a_sparse_log() {
    let Some(role) = role() else { return };
    let (who, segments) = role.split_once(' ').unwrap();
    let directory = tempfile::tempdir().unwrap();
    sparse::make(directory.path(), 1 << 16, segments.parse().unwrap()).unwrap();
    ready_to_be_traced();
    eprintln!("<opening begins>");
    if who == "writer" {
        let log = Options::new().sync_policy(SyncPolicy::None).open(directory.path()).unwrap();
        eprintln!("<opening ends>");
        assert_eq!(log.recovery().last_close, LastClose::Clean);
        log.close().unwrap();
    } else {
        LogReader::open(directory.path()).unwrap();
        eprintln!("<opening ends>");
    }
}

/// How often the opening thread made each system call.
fn calls(who: &str, segments: u64) -> BTreeMap<String, u64> {
    let traced = trace(&[], "long_logs::child_opens_a_sparse_log", &format!("{who} {segments}"));
    traced.succeeded();
    let begin = traced.trace.lines().find(|line| line.contains("<opening begins>")).unwrap();
    let thread = begin.split_whitespace().next().unwrap();
    let own = traced.trace.lines().filter(|line| line.split_whitespace().next() == Some(thread));
    let between =
        own.skip_while(|line| *line != begin).skip(1).take_while(|line| !line.contains("<opening ends>"));
    let mut calls = BTreeMap::new();
    for line in between.filter(|line| !line.contains("resumed>")) {
        let call = line.split_whitespace().nth(1).unwrap().split('(').next().unwrap();
        *calls.entry(call.to_owned()).or_default() += 1;
    }
    // Memory is the allocator's affair, and others' locks are chance.
    for name in ["brk", "mprotect", "madvise", "munmap", "futex", "rt_sigprocmask", "mremap"] {
        calls.remove(name);
    }
    calls
}

#[test]
fn an_opening_makes_as_many_system_calls_whatever_the_length() {
    if skip("an_opening_makes_as_many_system_calls_whatever_the_length", lacks_strace()) {
        return;
    }
    for who in ["writer", "reader"] {
        let mut short = calls(who, 4);
        println!("{who}, 4 segments: {short:?}");
        let listing = short.remove("getdents64").unwrap();
        for segments in [16, 2000] {
            let mut long = calls(who, segments);
            println!("{who}, {segments} segments: {long:?}");
            // 32 KiB of names at a time, of some 48 bytes.
            assert!(long.remove("getdents64").unwrap() <= listing + segments / 500, "{segments}");
            // Large tables are mapped by the allocator.
            let mapped = |calls: &mut BTreeMap<String, u64>| calls.remove("mmap").unwrap_or(0);
            assert!(mapped(&mut long) <= mapped(&mut short.clone()) + 8, "{segments}");
            let mut short = short.clone();
            short.remove("mmap");
            for (name, count) in &long {
                // (Once the allocator asks a file of `/proc` what it may do.)
                let bound = short.get(name).map_or(0, |count| count + 1);
                assert!(*count <= bound, "{who}, {segments} segments: {count} times {name}");
            }
        }
    }
}
