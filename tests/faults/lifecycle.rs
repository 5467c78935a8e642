//! One writing process; the lock dies with it, and with nobody else (G10).

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use tidelog::{ErrorKind, LastClose, Log, LogReader, Options, SyncPolicy};

use crate::support::{
    Leash, PATIENCE, finish, lacks_strace, myself, quick_directory, ready_to_be_traced, role, skip, succeed,
    trace, wait,
};

fn options() -> Options {
    Options::new().segment_bytes(1 << 16).sync_policy(SyncPolicy::None)
}

/// Holds the log until it is killed; with "inherit", a child of its own lives on.
#[test]
fn child_holds() {
    let Some(role) = role() else { return };
    let (mode, directory) = role.split_once('|').unwrap();
    let log = options().open(directory).unwrap();
    log.append(b"held").unwrap();
    if mode == "inherit" {
        let mut heir = Command::new("sleep");
        heir.arg("600").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        println!("\nheir {}", heir.spawn().unwrap().id());
    }
    println!("\nholding");
    loop {
        std::thread::park();
    }
}

/// Opens the log, says what came of it, appends and closes.
#[test]
fn child_opens() {
    let Some(directory) = role() else { return };
    match options().open(directory) {
        Ok(log) => {
            log.append(b"opened").unwrap();
            log.close().unwrap();
            println!("\nopened");
        }
        Err(error) => println!("\n{:?} {error}", error.kind()),
    }
}

/// A process that holds the log in `directory`, and the pid of its heir.
fn holder(mode: &str, directory: &Path) -> (Leash, Option<String>) {
    let mut command = myself("lifecycle::child_holds", &format!("{mode}|{}", directory.display()));
    let mut child = Leash(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut heir = None;
    for line in BufReader::new(child.0.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(pid) = line.strip_prefix("heir ") {
            heir = Some(pid.to_owned());
        }
        if line == "holding" {
            return (child, heir);
        }
    }
    panic!("the holder ended");
}

#[test]
fn a_second_process_is_refused_and_told_who_writes() {
    if role().is_some() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (holder, _) = holder("alone", directory.path());
    let said = succeed(myself("lifecycle::child_opens", directory.path().to_str().unwrap()));
    let refusal = said.lines().find(|line| line.starts_with("Locked ")).expect(&said);
    assert!(refusal.contains(&format!("pid {} ", holder.0.id())), "{refusal}");
    let error = options().open(directory.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().contains(&format!("pid {} ", holder.0.id())), "{error}");
    // A reader needs no lock.
    assert_eq!(LogReader::open(directory.path()).unwrap().snapshot().unwrap().iter().count(), 1);
}

#[test]
fn a_killed_holder_frees_the_log_at_once() {
    if role().is_some() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for round in 1..=5 {
        let (mut holder, _) = holder("alone", directory.path());
        holder.0.kill().unwrap();
        holder.0.wait().unwrap();
        let log = options().open(directory.path()).unwrap();
        assert_eq!(log.recovery().last_close, LastClose::ProcessDied);
        assert_eq!(log.snapshot().iter().count(), round);
        log.close().unwrap();
    }
}

#[test]
fn a_child_that_outlives_the_holder_does_not_keep_the_log() {
    if role().is_some() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (mut holder, heir) = holder("inherit", directory.path());
    let heir = heir.unwrap();
    holder.0.kill().unwrap();
    holder.0.wait().unwrap();
    let outcome = options().open(directory.path());
    let alive = Path::new("/proc").join(&heir).exists();
    finish_off(&heir);
    assert!(alive, "the heir was to live on");
    let log = outcome.unwrap();
    assert_eq!(log.snapshot().iter().count(), 1);
}

fn finish_off(pid: &str) {
    let _ = Command::new("kill").args(["-KILL", pid]).status();
}

#[test]
fn a_child_that_runs_does_not_keep_the_log_of_a_closed_handle() {
    if role().is_some() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let log = options().open(directory.path()).unwrap();
    let child = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
    let child = Leash(child);
    log.close().unwrap();
    let said = succeed(myself("lifecycle::child_opens", directory.path().to_str().unwrap()));
    assert!(said.lines().any(|line| line == "opened"), "{said}");
    drop(child);
}

/// A process that is being started holds a copy of every file for a moment, the lock's too.
#[test]
fn a_closed_log_is_free_while_other_threads_start_processes() {
    if role().is_some() {
        return;
    }
    let directory = quick_directory();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    assert!(Command::new("true").status().unwrap().success());
                }
            });
        }
        let outcome = (0..150).try_for_each(|_| options().open(directory.path())?.close());
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        outcome.unwrap();
    });
}

#[test]
fn of_processes_that_create_the_log_together_each_gets_it_or_is_refused() {
    if role().is_some() {
        return;
    }
    for _ in 0..5 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut outcomes = Vec::new();
        std::thread::scope(|scope| {
            let run = || finish(myself("lifecycle::child_opens", path.to_str().unwrap()));
            let threads: Vec<_> = (0..6).map(|_| scope.spawn(run)).collect();
            outcomes.extend(threads.into_iter().map(|thread| thread.join().unwrap()));
        });
        let mut opened = 0;
        for output in outcomes {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
            let got = said.lines().any(|line| line == "opened");
            assert!(got || said.lines().any(|line| line.starts_with("Locked ")), "{said}");
            opened += usize::from(got);
        }
        assert!(opened > 0);
        let log = Log::open(&path).unwrap();
        assert_eq!(log.recovery().last_close, LastClose::Clean);
        assert_eq!(log.snapshot().iter().count(), opened);
    }
}

/// A process that ends without closing, by `exit`, loses nothing either.
#[test]
fn child_exits() {
    let Some(directory) = role() else { return };
    let log = options().open(directory).unwrap();
    log.append(b"before the exit").unwrap();
    std::process::exit(7);
}

#[test]
fn a_process_that_exits_without_closing_loses_nothing() {
    if role().is_some() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut command = myself("lifecycle::child_exits", directory.path().to_str().unwrap());
    let mut child = Leash(command.stdout(Stdio::null()).spawn().unwrap());
    assert_eq!(wait(&mut child.0, PATIENCE).unwrap().code(), Some(7));
    let log = options().open(directory.path()).unwrap();
    assert_eq!(log.recovery().last_close, LastClose::ProcessDied);
    assert_eq!(log.snapshot().iter().next().unwrap().unwrap().payload(), b"before the exit");
}

#[test]
fn child_creates_a_log() {
    let Some(directory) = role() else { return };
    ready_to_be_traced();
    let log = Log::open(directory).unwrap();
    log.append(b"first").unwrap();
    println!("\nacknowledged");
}

/// A new log in new directories: every entry on the way to it is durable before the first append returns.
#[test]
fn the_way_to_a_new_log_is_durable_before_anything_is_acknowledged() {
    if role().is_some() || skip("the_way_to_a_new_log_is_durable", lacks_strace()) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let top = std::fs::canonicalize(directory.path()).unwrap();
    let log = top.join("some").join("where").join("log");
    let arguments = ["-y", "-e", "trace=fsync,write"];
    let traced = trace(&arguments, "lifecycle::child_creates_a_log", log.to_str().unwrap());
    traced.succeeded();
    let acknowledged = traced.trace.find("acknowledged").expect("the child acknowledges");
    for entered in log.ancestors().take(4) {
        let synced = traced.trace.find(&format!("<{}>) ", entered.display()));
        assert!(
            synced.is_some_and(|synced| synced < acknowledged),
            "{} is not synced:\n{}",
            entered.display(),
            traced.trace
        );
    }
}
