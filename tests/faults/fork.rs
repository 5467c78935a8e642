//! A process that has a log open forks: the child can do nothing to the log, whatever it tries, and hangs nowhere.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(unsafe_code, reason = "fork")]

use std::io::{BufRead, BufReader};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use tidelog::{ErrorKind, LastClose, Log, LogReader, Lsn, Options, SyncPolicy};

use crate::support::{Leash, PATIENCE, myself, role, succeed, wait};

fn options(policy: SyncPolicy) -> Options {
    Options::new().segment_bytes(1 << 16).sync_policy(policy)
}

/// Forks; the child runs `child` and ends with the number of the first step that went wrong, or zero.
fn fork_and_run(child: impl FnOnce() -> Result<(), i32>) -> Pid {
    // SAFETY: the child calls what is asked of it here and then `_exit`; the allocator may be used in it, as the C library
    // readies it for that.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            // A child that hangs is killed by this.
            nix::unistd::alarm::set(60);
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(Err(100));
            // SAFETY: ends the process, and runs nothing of what its parent registered.
            unsafe { nix::libc::_exit(outcome.err().unwrap_or(0)) }
        }
    }
}

fn assert_well(child: Pid) {
    assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0), "the step that failed");
}

fn refused<T>(step: i32, outcome: tidelog::Result<T>) -> Result<(), i32> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::Forked => Ok(()),
        _ => Err(step),
    }
}

/// All that changes a log, or would wait for it. The child has the log to itself, so it also drops it.
fn try_everything(log: Log, known: Lsn) -> Result<(), i32> {
    refused(1, log.append(b"child"))?;
    refused(2, log.append_nowait(&[7; 9000]))?;
    refused(3, log.append_with(8, |buffer| buffer.fill(9)))?;
    refused(4, log.append_batch(&["child", "child"]).map(drop))?;
    refused(5, log.sync())?;
    refused(6, log.wait_durable(known))?;
    refused(7, log.retire_before(known))?;
    refused(8, log.read(known))?;
    refused(9, log.tail(known).map(drop))?;
    refused(10, log.close())?;
    refused(11, log.try_append(b"child"))?;
    refused(12, pollster::block_on(log.append_async(b"child")))?;
    refused(13, pollster::block_on(log.append_durable(b"child")))?;
    refused(14, pollster::block_on(log.durable(known)))?;
    let _ = (log.watermarks(), log.stats(), format!("{log:?}"));
    drop(log);
    Ok(())
}

/// Appends from two threads and forks thirty times meanwhile, at whatever moment that is for the other threads; retires
/// and rolls. Then closes.
#[test]
fn child_forks_while_it_appends() {
    let Some(role) = role() else { return };
    let (policy, directory) = role.split_once('|').unwrap();
    let policy = match policy {
        "none" => SyncPolicy::None,
        "periodic" => SyncPolicy::periodic(Duration::from_millis(2)),
        _ => SyncPolicy::grouped(),
    };
    let log = options(policy).open(directory).unwrap();
    let known = log.append(b"first").unwrap();
    let done = AtomicBool::new(false);
    let appended: u64 = std::thread::scope(|scope| {
        let append = || {
            let mut count = 0;
            while !done.load(Ordering::Relaxed) {
                log.append(&[1; 600]).unwrap();
                count += 1;
                if count % 64 == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            count
        };
        let threads = [scope.spawn(append), scope.spawn(append)];
        for _ in 0..30 {
            // The child's copy of this handle is the only one that it drops; the threads' are not there.
            let copy = std::mem::ManuallyDrop::new(log.clone());
            assert_well(fork_and_run(|| try_everything(std::mem::ManuallyDrop::into_inner(copy), known)));
        }
        done.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    log.close().unwrap();
    println!("\nappended {appended}");
}

#[test]
fn children_change_nothing_while_their_parent_appends() {
    if role().is_some() {
        return;
    }
    for policy in ["none", "grouped", "periodic"] {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().to_str().unwrap();
        let said = succeed(myself("fork::child_forks_while_it_appends", &format!("{policy}|{place}")));
        let appended = said.lines().find_map(|line| line.strip_prefix("appended ")).expect(&said);
        let log = options(SyncPolicy::None).open(directory.path()).unwrap();
        assert_eq!(log.recovery().last_close, LastClose::Clean, "{policy}");
        let payloads: Vec<_> =
            log.snapshot().iter().map(|record| record.unwrap().payload().to_vec()).collect();
        assert_eq!(payloads.len().to_string(), (appended.parse::<u64>().unwrap() + 1).to_string());
        assert!(payloads[0] == b"first" && payloads[1..].iter().all(|payload| *payload == [1; 600]));
    }
}

/// A quiet log: the child owns the last handle that it knows of, so dropping it is what closes a log elsewhere.
#[test]
fn child_drops_the_log_in_a_child() {
    let Some(directory) = role() else { return };
    let log = options(SyncPolicy::None).open(&directory).unwrap();
    let lsns: Vec<_> = (0..200).map(|n: u64| log.append(&[n as u8; 900]).unwrap()).collect();
    // A thread that syncs for tasks, which the child does not have either.
    pollster::block_on(log.durable(lsns[199])).unwrap();
    let (snapshot, mut tail) = (log.snapshot(), log.tail(Lsn::ZERO).unwrap());
    let mut log = Some(log);
    let child = fork_and_run(|| {
        // What came along can be read, as long as the parent holds it too.
        if snapshot.iter().filter(|record| record.is_ok()).count() != lsns.len() {
            return Err(20);
        }
        let mut followed = 0;
        let end = loop {
            match tail.next() {
                Ok(Some(_)) => followed += 1,
                Ok(None) => return Err(21),
                Err(error) => break error,
            }
        };
        if followed != lsns.len() || end.kind() != ErrorKind::Forked {
            return Err(22);
        }
        let log = log.take().ok_or(23)?;
        let fresh = log.snapshot().iter().count();
        if fresh != lsns.len() {
            return Err(24);
        }
        try_everything(log, lsns[0])?;
        // The parent's lock holds for the child too, and a reader of its own reads.
        match Log::open(&directory) {
            Err(error) if error.kind() == ErrorKind::Locked => {}
            _ => return Err(25),
        }
        let reader = LogReader::open(&directory).map_err(|_| 26)?;
        let read = reader.snapshot().map_err(|_| 27)?.iter().filter(|record| record.is_ok()).count();
        if read == lsns.len() { Ok(()) } else { Err(28) }
    });
    assert_well(child);
    // The parent goes on: over many segments, and what the child dropped is still its own.
    let log = log.unwrap();
    for n in 200..400_u64 {
        log.append(&[n as u8; 900]).unwrap();
    }
    assert_eq!(tail.next().unwrap().unwrap().payload(), [0; 900]);
    assert_eq!(snapshot.iter().count(), 200);
    assert_eq!(log.snapshot().iter().filter(|record| record.is_ok()).count(), 400);
    log.close().unwrap();
}

#[test]
fn a_child_that_drops_the_log_does_not_close_it() {
    if role().is_some() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    succeed(myself("fork::child_drops_the_log_in_a_child", directory.path().to_str().unwrap()));
    let log = options(SyncPolicy::None).open(directory.path()).unwrap();
    assert_eq!(log.recovery().last_close, LastClose::Clean);
    assert_eq!(log.snapshot().iter().filter(|record| record.is_ok()).count(), 400);
}

/// Forks a child that drops the log and lives on.
#[test]
fn child_leaves_an_orphan() {
    let Some(directory) = role() else { return };
    let mut log = Some(options(SyncPolicy::None).open(directory).unwrap());
    log.as_ref().unwrap().append(b"before the fork").unwrap();
    let child = fork_and_run(|| {
        drop(log.take());
        println!("\norphan");
        std::thread::sleep(Duration::from_secs(50));
        Ok(())
    });
    println!("\nchild {child}");
    let _held = log;
    loop {
        std::thread::park();
    }
}

#[test]
fn a_child_that_dropped_the_log_does_not_keep_it_locked() {
    if role().is_some() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut command = myself("fork::child_leaves_an_orphan", directory.path().to_str().unwrap());
    let mut holder = Leash(command.stdout(std::process::Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(holder.0.stdout.take().unwrap()).lines();
    let (mut child, mut dropped) = (None, false);
    while child.is_none() || !dropped {
        let line = lines.next().expect("the holder tells").unwrap();
        dropped |= line == "orphan";
        child = child.or_else(|| line.strip_prefix("child ").map(str::to_owned));
    }
    assert_eq!(options(SyncPolicy::None).open(directory.path()).unwrap_err().kind(), ErrorKind::Locked);
    holder.0.kill().unwrap();
    wait(&mut holder.0, PATIENCE).unwrap();
    let opened = options(SyncPolicy::None).open(directory.path());
    let child = child.unwrap();
    let alive = std::path::Path::new("/proc").join(&child).exists();
    let _ = std::process::Command::new("kill").args(["-KILL", &child]).status();
    assert!(alive, "the child was to live on");
    assert_eq!(opened.unwrap().snapshot().iter().count(), 1);
}
