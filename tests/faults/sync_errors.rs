//! System calls that fail: the device's error at a sync, no room at an allocation, and then every call of the
//! log, the first, the second, and so on (G8, G9).

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use tidelog::{ErrorKind, LastClose, Log, Lsn, Options, SyncPolicy};

use crate::support::{
    lacks_strace, myself, payload, quick_directory, ready_to_be_traced, role, skip, succeed, trace,
};

const THREADS: u64 = 4;

fn policy(name: &str) -> SyncPolicy {
    match name {
        "none" => SyncPolicy::None,
        "immediate" => SyncPolicy::Immediate,
        "periodic" => SyncPolicy::periodic(Duration::from_millis(1)),
        "grouped" => SyncPolicy::grouped(),
        _ => panic!("policy {name}"),
    }
}

fn options(policy_name: &str) -> Options {
    Options::new().segment_bytes(1 << 16).sync_policy(policy(policy_name))
}

/// Sizes that roll segments now and then.
fn bytes_of(thread: u64, number: u64) -> Vec<u8> {
    let id = thread << 32 | number;
    payload(id, 8 + (id.wrapping_mul(0x9e37_79b9) >> 7) as usize % 1500)
}

fn say(text: &str) {
    use std::io::Write;
    std::io::stdout().write_all(format!("\n{text}\n").as_bytes()).unwrap();
}

/// What a child said that it was promised: payload by LSN.
fn promised(said: &str) -> BTreeMap<u64, Vec<u8>> {
    let lines = said.lines().filter_map(|line| line.strip_prefix("ack "));
    let numbers = lines.map(|line| line.split(' ').map(|word| word.parse().unwrap()).collect::<Vec<u64>>());
    numbers.map(|numbers| (numbers[2], bytes_of(numbers[0], numbers[1]))).collect()
}

/// Everything that was promised is in the log; what else is there was appended too; all in order.
fn check(log: &Log, promised: &BTreeMap<u64, Vec<u8>>) -> usize {
    let snapshot = log.snapshot();
    let mut found = BTreeMap::new();
    let mut next = [0; THREADS as usize];
    for record in &snapshot {
        let record = record.unwrap();
        let id = u64::from_le_bytes(record.payload()[..8].try_into().unwrap());
        let (thread, number) = (id >> 32, id & 0xffff_ffff);
        if thread < THREADS {
            assert_eq!(record.payload(), bytes_of(thread, number), "LSN {}", record.lsn());
            // An append that failed may be there or not; so numbers may be left out, but never come back.
            assert!(
                number >= next[thread as usize],
                "thread {thread}, {number} comes late: {}",
                log.recovery()
            );
            next[thread as usize] = number + 1;
        }
        found.insert(record.lsn().get(), record.payload().to_vec());
    }
    for (lsn, bytes) in promised {
        assert_eq!(found.get(lsn), Some(bytes), "promised at LSN {lsn}; {}", log.recovery());
    }
    promised.len()
}

/// Opens the log that a child left, without anything failing; checks and uses it.
fn examine(directory: &Path, promised: &BTreeMap<u64, Vec<u8>>) -> tidelog::RecoveryReport {
    let log = options("grouped").open(directory);
    let log = log.unwrap_or_else(|error| panic!("{error}; {:?}", crate::support::names(directory)));
    check(&log, promised);
    let report = log.recovery().clone();
    for _ in 0..40 {
        let lsn = log.append(&payload(u64::MAX, 2000)).unwrap();
        assert!(lsn >= report.end);
    }
    log.close().unwrap();
    let log = options("none").open(directory).unwrap();
    assert_eq!((log.recovery().last_close, log.recovery().segments_rewritten), (LastClose::Clean, 0));
    check(&log, promised);
    log.close().unwrap();
    report
}

// ---- A failed sync -----------------------------------------------------------------------------------

/// Appends until a sync fails, and sees that nothing goes on afterwards.
#[test]
fn child_is_poisoned() {
    let Some(role) = role() else { return };
    let (policy_name, rest) = role.split_once('|').unwrap();
    let (end, directory) = rest.split_once('|').unwrap();
    ready_to_be_traced();
    let log = options(policy_name).open(directory).unwrap();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let log = &log;
            scope.spawn(move || {
                let error = (0..).find_map(|number| {
                    assert!(began.elapsed() < Duration::from_secs(30), "no sync fails");
                    if policy_name == "none"
                        && (thread, number % 20) == (0, 19)
                        && let Err(error) = log.sync()
                    {
                        return Some(error);
                    }
                    match log.append(&bytes_of(thread, number)) {
                        Ok(lsn) => {
                            say(&format!("ack {thread} {number} {lsn}"));
                            if log.sync_policy().acknowledges_durable() {
                                assert!(log.watermarks().durable > lsn, "returned before it was durable");
                            }
                            None
                        }
                        Err(error) => Some(error),
                    }
                });
                // Whoever was told appends no more, from this moment on.
                let late = log.append_nowait(b"late!!!!!").map_err(|error| error.kind());
                assert_eq!(late, Err(ErrorKind::Poisoned));
                let error = error.unwrap();
                assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
                assert_eq!(error.io_error().and_then(std::io::Error::raw_os_error), Some(5), "{error}");
            });
        }
    });
    let before = log.watermarks();
    for _ in 0..10 {
        let poisoned = |result: tidelog::Result<Lsn>| {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Poisoned);
        };
        poisoned(log.append(b"late"));
        poisoned(log.append_nowait(b"late"));
        poisoned(log.append_with(4, |buffer| buffer.fill(7)));
        poisoned(log.append_batch(&["late", "too"]).map(|mut lsns| lsns.next().unwrap()));
        poisoned(log.sync().map(|()| Lsn::ZERO));
        if before.durable < before.published {
            poisoned(log.wait_durable(before.durable).map(|()| Lsn::ZERO));
        }
    }
    assert_eq!(log.watermarks().durable, before.durable, "durable again after a failed sync");
    // What is published can still be read.
    assert!(log.snapshot().iter().all(|record| record.is_ok()));
    if end == "die" {
        std::process::abort();
    }
    assert_eq!(log.close().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(log.close().unwrap_err().kind(), ErrorKind::Poisoned, "closing again says the same");
    assert_eq!(log.watermarks().durable, before.durable);
    say("poisoned and closed");
}

#[test]
fn a_failed_sync_poisons_the_log_for_everybody() {
    if role().is_some() || skip("a_failed_sync_poisons_the_log_for_everybody", lacks_strace()) {
        return;
    }
    let mut records = 0;
    let mut runs = 0;
    for policy in ["grouped", "immediate", "periodic", "none"] {
        for when in ["1", "2", "3", "2+", "7"] {
            for end in ["close", "die"] {
                let directory = tempfile::tempdir().unwrap();
                let role = format!("{policy}|{end}|{}", directory.path().display());
                let inject = format!("inject=msync:error=EIO:when={when}");
                let traced = trace(
                    &["-e", "trace=msync,pwrite64", "-e", &inject],
                    "sync_errors::child_is_poisoned",
                    &role,
                );
                let said = if end == "close" {
                    let said = traced.succeeded();
                    assert!(said.contains("poisoned and closed"), "{said}");
                    said
                } else {
                    use std::os::unix::process::ExitStatusExt;
                    let stderr = String::from_utf8_lossy(&traced.output.stderr);
                    assert_eq!(traced.output.status.signal(), Some(6), "{stderr}");
                    assert!(!stderr.contains("panicked"), "{stderr}");
                    String::from_utf8_lossy(&traced.output.stdout).into_owned()
                };
                // A failed sync is never tried again: the kernel would say that all is well.
                let calls: Vec<_> = traced.trace.lines().filter(|line| line.contains("msync")).collect();
                assert!(calls.last().unwrap().contains("INJECTED"), "{role} when={when}: {calls:?}");
                let promised = promised(&said);
                let report = examine(directory.path(), &promised);
                assert!(report.segments_rewritten > 0, "{role} when={when}: {report}");
                assert_eq!(report.last_close, LastClose::ProcessDied, "{report}");
                records += promised.len();
                runs += 1;
            }
        }
    }
    println!("{runs} poisoned logs, {records} promised records found again");
    assert!(records > runs);
}

// ---- Any call fails ----------------------------------------------------------------------------------

/// Opens a log and works with it, whatever fails; says what it was promised and what it was refused. It may not
/// hang, nor die.
#[test]
fn child_works() {
    let Some(role) = role() else { return };
    let (policy_name, directory) = role.split_once('|').unwrap();
    let log = std::sync::OnceLock::new();
    let started = &std::sync::Barrier::new(THREADS as usize + 1);
    let outcome = std::thread::scope(|scope| {
        // Started before anything fails: a thread that this test cannot start is not what it is about.
        let (opened, wait): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| std::sync::mpsc::channel()).unzip();
        for (thread, wait) in (0..THREADS).zip(wait) {
            let log = &log;
            scope.spawn(move || {
                started.wait();
                if wait.recv().is_ok() {
                    work(log.get().unwrap(), thread);
                }
            });
        }
        started.wait();
        ready_to_be_traced();
        let outcome = options(policy_name).open(directory).map(|opened| drop(log.set(opened)));
        if outcome.is_ok() {
            opened.iter().for_each(|opened| opened.send(()).unwrap());
        }
        drop(opened);
        outcome
    });
    if let Err(error) = outcome {
        return say(&format!("refused open {:?} {error}", error.kind()));
    }
    let log = log.get().unwrap();
    if let Err(error) = log.sync() {
        say(&format!("refused sync {:?} {error}", error.kind()));
    }
    if let Err(error) = log.close() {
        say(&format!("refused close {:?} {error}", error.kind()));
    }
    say("worked");
}

fn work(log: &Log, thread: u64) {
    let mut last = None;
    // Beyond what the first process appended.
    for number in 1000..1060 {
        for attempt in 0.. {
            match log.append(&bytes_of(thread, number)) {
                Ok(lsn) => {
                    assert!(last < Some(lsn));
                    last = Some(lsn);
                    say(&format!("ack {thread} {number} {lsn}"));
                    break;
                }
                Err(error) => {
                    say(&format!("refused append {:?} {error}", error.kind()));
                    if attempt == 3 {
                        return;
                    }
                }
            }
        }
        if let (0, Some(lsn)) = (number % 25, last)
            && let Err(error) = log.retire_before(Lsn::new(lsn.get().min(1 << 17)))
        {
            say(&format!("refused retire {:?} {error}", error.kind()));
        }
    }
}

/// Leaves a log with records, unclosed.
#[test]
fn child_dies() {
    let Some(directory) = role() else { return };
    let log = options("grouped").open(directory).unwrap();
    for number in 0..60 {
        for thread in 0..THREADS {
            let lsn = log.append(&bytes_of(thread, number)).unwrap();
            say(&format!("ack {thread} {number} {lsn}"));
        }
    }
    std::process::exit(0);
}

/// A log to work on: none yet, a closed one, one whose writer died.
fn prepare(state: &str, directory: &Path) -> BTreeMap<u64, Vec<u8>> {
    if state == "new" {
        return BTreeMap::new();
    }
    let said = succeed(myself("sync_errors::child_dies", directory.to_str().unwrap()));
    let promised = promised(&said);
    assert_eq!(promised.len() as u64, 60 * THREADS);
    if state == "closed" {
        options("grouped").open(directory).unwrap().close().unwrap();
    }
    promised
}

/// Runs `child_works` with a failing call; returns what it said, and true when the call did fail.
fn work_with(inject: &str, state: &str, policy: &str) -> (String, bool) {
    let directory = quick_directory();
    let mut promised_records = prepare(state, directory.path());
    let role = format!("{policy}|{}", directory.path().display());
    let calls = inject.split(':').next().unwrap();
    let traced = trace(
        &["-e", &format!("trace={calls}"), "-e", &format!("inject={inject}")],
        "sync_errors::child_works",
        &role,
    );
    let said = traced.succeeded();
    assert!(said.contains("worked") || said.contains("refused open"), "{inject}: {said}");
    for line in said.lines().filter(|line| line.starts_with("refused")) {
        let kind = line.split(' ').nth(2).unwrap();
        let allowed = ["Io", "StorageFull", "Poisoned"];
        assert!(allowed.contains(&kind), "{inject}, {state}, {policy}: {line}");
    }
    let after = promised(&said);
    promised_records.extend(after);
    // What the child retired is not there any more; nothing else may be missing.
    let log = options("none").open(directory.path());
    let log = log.unwrap_or_else(|error| panic!("{inject}, {state}, {policy}: {error}\n{said}"));
    let start = log.recovery().start.get();
    assert!(start <= 1 << 17, "{}", log.recovery());
    log.close().unwrap();
    let left = promised_records.split_off(&start);
    examine(directory.path(), &left);
    (said, traced.trace.contains("INJECTED"))
}

#[test]
fn a_full_device_refuses_appends_and_a_later_run_goes_on() {
    if role().is_some() || skip("a_full_device_refuses_appends", lacks_strace()) {
        return;
    }
    for policy in ["grouped", "immediate", "periodic", "none"] {
        let (said, failed) = work_with("fallocate:error=ENOSPC:when=2+", "new", policy);
        assert!(failed && said.contains("refused append StorageFull"), "{policy}: {said}");
        assert!(!said.contains("refused close"), "{policy}: {said}");
        // There is room again after some attempts: the same process goes on.
        let (said, failed) = work_with("fallocate:error=ENOSPC:when=2..3", "new", policy);
        assert!(failed && !said.contains("refused close"), "{policy}: {said}");
        assert_eq!(promised(&said).len() as u64, 60 * THREADS, "{policy}: {said}");
    }
}

/// A write-back error that nobody saw shows at the sync before the scan: the pages are written again.
#[test]
fn a_failing_sync_at_open_writes_the_pages_again() {
    if role().is_some() || skip("a_failing_sync_at_open_writes_the_pages_again", lacks_strace()) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let promised = prepare("died", directory.path());
    let role = directory.path().display().to_string();
    let arguments = ["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=1"];
    let said = trace(&arguments, "sync_errors::child_reopens", &role).succeeded();
    assert!(said.contains("rewritten 1"), "{said}");
    examine(directory.path(), &promised);
}

/// Not knowing which boot this is, recovery would take holes of a killed writer for a torn tail.
#[test]
fn an_unreadable_boot_id_refuses_to_open() {
    if role().is_some() || skip("an_unreadable_boot_id_refuses_to_open", lacks_strace()) {
        return;
    }
    // The first file that opening reads.
    let (said, failed) = work_with("openat:error=EMFILE:when=1", "died", "none");
    assert!(failed && said.contains("refused open Io cannot tell which boot this is"), "{said}");
}

#[test]
fn child_reopens() {
    let Some(directory) = role() else { return };
    ready_to_be_traced();
    let log = options("grouped").open(directory).unwrap();
    say(&format!("rewritten {}", log.recovery().segments_rewritten));
    log.close().unwrap();
}

#[test]
fn no_failing_call_loses_a_record_or_hangs() {
    if role().is_some() || skip("no_failing_call_loses_a_record_or_hangs", lacks_strace()) {
        return;
    }
    let began = Instant::now();
    // Memory is mapped by the system's own start of a thread too, which does not survive a failure; the first
    // mapping is the log's.
    let calls = [
        ("msync", "EIO", 4),
        ("fdatasync", "EIO", 3),
        ("fsync", "EIO", 4),
        ("fallocate", "ENOSPC", 3),
        ("pwrite64", "ENOSPC", 5),
        ("pread64", "EIO", 4),
        ("rename", "EIO", 4),
        ("unlink", "EIO", 3),
        ("openat", "EMFILE", 10),
        ("mmap", "ENOMEM", 1),
        ("flock", "ENOLCK", 3),
        ("getdents64", "EIO", 3),
        ("clone3", "EAGAIN", 2),
    ];
    let thorough = std::env::var("TIDELOG_THOROUGH").is_ok();
    let (mut runs, mut failed, mut refused) = (0_u64, 0_u64, 0_u64);
    for (turn, (call, error, numbers)) in calls.into_iter().enumerate() {
        for (index, state) in ["new", "closed", "died"].iter().enumerate() {
            for number in 1..=if thorough && numbers > 1 { 40 } else { numbers } {
                let policies = ["grouped", "immediate", "periodic", "none"];
                let policy = policies[(turn + index + number) % 4];
                for more in if call == "mmap" { &[""][..] } else { &["", "+"] } {
                    let inject = format!("{call}:error={error}:when={number}{more}");
                    let (said, did) = work_with(&inject, state, policy);
                    runs += 1;
                    failed += u64::from(did);
                    refused += u64::from(said.contains("refused"));
                }
            }
        }
    }
    println!(
        "{runs} runs, {failed} with a failed call, {refused} with a refusal, in {:.1?}",
        began.elapsed()
    );
    assert!(failed > 150 && refused > 120, "most of these calls do not happen");
}
