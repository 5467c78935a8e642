//! A log of a tebibyte: what it takes of memory, descriptors and mappings does not grow with its length. (The log is
//! holes; see `support/sparse.rs`.) The tests are one after the other in one process, which counts what it allocates.
#![allow(unsafe_code, reason = "a global allocator is unsafe to implement; each block says why it is sound")]
#![allow(
    clippy::disallowed_types,
    reason = "the rule is for the library, which the model checker looks into"
)]

#[path = "support/sparse.rs"]
mod sparse;
#[path = "support/mod.rs"]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Barrier, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidelog::{ErrorKind, LastClose, Log, LogReader, Lsn, Options, SyncPolicy};

/// Bytes that are allocated now.
static LIVE: AtomicIsize = AtomicIsize::new(0);

struct Counting;

#[global_allocator]
static GLOBAL: Counting = Counting;

fn count(bytes: usize, sign: isize) {
    LIVE.fetch_add(bytes as isize * sign, Ordering::Relaxed);
}

// SAFETY: every call is passed on to the system's allocator, unchanged; counting touches no memory of theirs.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller's contract is the callee's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: the caller's contract is the callee's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What this process has, less what it had when the test began.
#[derive(Debug)]
struct Use {
    bytes: isize,
    descriptors: usize,
    /// Mappings of files in the directory.
    mappings: usize,
}

impl Use {
    fn now(directory: &Path) -> Self {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let mappings = maps.lines().filter(|line| line.contains(directory.to_str().unwrap())).count();
        let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
        drop(maps);
        Self { bytes: LIVE.load(Ordering::Relaxed), descriptors, mappings }
    }

    fn since(directory: &Path, before: &Self) -> Self {
        let now = Self::now(directory);
        Self {
            bytes: now.bytes - before.bytes,
            descriptors: now.descriptors - before.descriptors.min(now.descriptors),
            mappings: now.mappings,
        }
    }
}

/// One test at a time: they count what the process has.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const SEGMENT: u64 = 64 << 20;
const SEGMENTS: u64 = 16_384;

fn options() -> Options {
    Options::new().sync_policy(SyncPolicy::None).recycle_max(0)
}

fn sparse(segment_bytes: u64, segments: u64) -> tempfile::TempDir {
    let directory = support::quick_directory();
    sparse::make(directory.path(), segment_bytes, segments).unwrap();
    directory
}

fn check(log: &Log, number: u64) {
    assert_eq!(log.read(Lsn::new(number * log.segment_bytes())).unwrap().payload(), number.to_le_bytes());
}

/// Bytes that this thread has read by system calls.
fn bytes_read() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/io").unwrap();
    let line = text.lines().find(|line| line.starts_with("rchar:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_tebibyte_is_opened_read_appended_to_and_retired_in_bounded_memory() {
    let _alone = alone();
    let directory = sparse(SEGMENT, SEGMENTS);
    let path = std::fs::canonicalize(directory.path()).unwrap();
    let before = Use::now(&path);
    let read_before = bytes_read();
    let log = options().open(&path).unwrap();
    // The metadata, one header, what the operating system tells of itself; but not a byte for each segment.
    assert!(bytes_read() - read_before < 64 << 10, "opening read {} bytes", bytes_read() - read_before);
    assert_eq!((log.recovery().last_close, log.recovery().segments), (LastClose::Clean, SEGMENTS));
    let opened = Use::since(&path, &before);
    assert!(opened.bytes < 1 << 20 && opened.descriptors < 10 && opened.mappings < 5, "{opened:?}");

    for number in [0, 1, SEGMENTS / 2, SEGMENTS - 1] {
        check(&log, number);
    }
    let snapshot = log.snapshot();
    assert_eq!(snapshot.segments().count() as u64, SEGMENTS);
    assert_eq!(snapshot.read(Lsn::new(77 * SEGMENT)).unwrap().payload(), 77_u64.to_le_bytes());
    let middle = Lsn::new(SEGMENTS / 2 * SEGMENT);
    assert_eq!(snapshot.range(middle..).take(3).filter(Result::is_ok).count(), 3);
    drop(snapshot);

    // Over the segment's end.
    let fill = |buffer: &mut [u8]| buffer.fill(1);
    let append = |_| log.append_with(log.record_bytes_max(), fill).unwrap();
    let last = (0..6).map(append).max().unwrap();
    assert!(last.get() > SEGMENTS * SEGMENT + SEGMENT / 2);
    log.sync().unwrap();
    assert!(log.read(last).unwrap().payload().iter().all(|byte| *byte == 1));
    let used = Use::since(&path, &before);
    assert!(used.bytes < 1 << 20 && used.descriptors < 10 && used.mappings < 20, "{used:?}");

    // All but one of a few thousand go at once; that one is held.
    let held = log.read(Lsn::new(1000 * SEGMENT)).unwrap();
    assert_eq!(log.retire_before(middle).unwrap(), middle);
    assert_eq!(log.read(Lsn::new(SEGMENT)).unwrap_err().kind(), ErrorKind::Retired);
    assert_eq!(held.payload(), 1000_u64.to_le_bytes());
    let retired = std::fs::read_dir(&path).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name().into_string().unwrap();
        name.strip_suffix(".seg").is_some_and(|base| base.parse::<u64>().unwrap() < middle.get())
    });
    assert_eq!(retired.count(), 1);
    check(&log, SEGMENTS / 2);
    drop(held);

    let reader = LogReader::open(&path).unwrap();
    assert_eq!(reader.read(last).unwrap().payload().len(), log.record_bytes_max());
    assert_eq!(reader.snapshot().unwrap().start(), middle);
    drop(reader);
    let used = Use::since(&path, &before);
    assert!(used.bytes < 1 << 20 && used.descriptors < 10 && used.mappings < 20, "{used:?}");
    println!("a log of 1 TiB, opened: {opened:?}; after reading, appending, retiring: {used:?}");
}

/// Segments that nobody holds are unmapped, whoever read them: a tail, reads by LSN, another process' reader.
#[test]
fn a_reader_of_a_long_log_leaves_few_mappings_behind() {
    const FEW: usize = 4096 + 16;
    let _alone = alone();
    let directory = sparse(1 << 16, 10_000);
    let path = std::fs::canonicalize(directory.path()).unwrap();
    let before = Use::now(&path);
    let log = options().open(&path).unwrap();
    let mut tail = log.tail(Lsn::ZERO).unwrap();
    let mut held = None;
    for number in 0..10_000_u64 {
        assert_eq!(tail.try_next().unwrap().unwrap().payload(), number.to_le_bytes());
        if number == 5000 {
            held = Some(log.read(Lsn::new(number << 16)).unwrap());
        }
    }
    let walked = Use::since(&path, &before);
    assert!(walked.mappings <= FEW && walked.mappings > 4000, "{walked:?}");
    for number in (0..10_000).rev() {
        check(&log, number);
    }
    assert_eq!(held.unwrap().payload(), 5000_u64.to_le_bytes(), "what is held stays mapped");
    let read = Use::since(&path, &before);
    assert!(read.mappings <= FEW && read.bytes < 4 << 20 && read.descriptors < 10, "{read:?}");
    println!("{} bytes for each of {} mapped segments", read.bytes / read.mappings as isize, read.mappings);
    drop((tail, log));

    let reader = LogReader::open(&path).unwrap();
    for number in 0..10_000_u64 {
        assert_eq!(reader.read(Lsn::new(number << 16)).unwrap().payload(), number.to_le_bytes());
    }
    let read = Use::since(&path, &before);
    assert!(read.mappings <= FEW && read.bytes < 4 << 20 && read.descriptors < 10, "{read:?}");
}

/// Who waits takes no memory but its thread's.
#[test]
fn a_thousand_waiters_take_no_memory_of_the_log() {
    const WAITERS: usize = 1000;
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let path = std::fs::canonicalize(directory.path()).unwrap();
    let policy = SyncPolicy::periodic(Duration::from_secs(3600));
    let log = Options::new().segment_bytes(1 << 20).sync_policy(policy).open(&path).unwrap();
    let (ready, go) = (Barrier::new(WAITERS + 1), Barrier::new(WAITERS + 1));
    let gone = AtomicIsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..WAITERS {
            let wait = || {
                let lsn = log.append_nowait(b"one").unwrap();
                ready.wait();
                go.wait();
                gone.fetch_add(1, Ordering::Relaxed);
                log.wait_durable(lsn).unwrap();
            };
            std::thread::Builder::new().stack_size(64 << 10).spawn_scoped(scope, wait).unwrap();
        }
        ready.wait();
        let (bytes, resident) = (LIVE.load(Ordering::Relaxed), resident());
        go.wait();
        // Until all sleep, which is in the log: nothing else is left for them to wait for.
        while gone.load(Ordering::Relaxed) < WAITERS as isize || sleeping() < WAITERS {
            std::thread::sleep(Duration::from_millis(5));
        }
        let taken = LIVE.load(Ordering::Relaxed) - bytes;
        let stacks = self::resident().saturating_sub(resident);
        println!(
            "{WAITERS} waiters: {taken} bytes of memory, {stacks} KiB more resident, their stacks included"
        );
        assert!(taken < 256 * WAITERS as isize, "{taken} bytes");
        assert!(log.watermarks().durable < log.watermarks().published, "nobody waits any more");
        log.sync().unwrap();
    });
}

/// KiB of this process in memory.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4
}

/// Threads of this process that sleep.
fn sleeping() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let states =
        tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default());
    states
        .filter(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('S')))
        .count()
}

/// A segment that is not synced stays mapped, as a sync goes through the mapping; once it is durable it need not be.
#[test]
fn a_long_unsynced_log_is_unmapped_when_it_was_synced() {
    const SEGMENTS: usize = 5000;
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let path = std::fs::canonicalize(directory.path()).unwrap();
    let before = Use::now(&path);
    let log = options().segment_bytes(1 << 16).open(&path).unwrap();
    let payload = vec![1; log.record_bytes_max()];
    let append = |segments: usize| (0..segments * 4).map(|_| log.append(&payload).unwrap()).max().unwrap();
    append(SEGMENTS);
    let unsynced = Use::since(&path, &before);
    assert!(unsynced.mappings >= SEGMENTS, "{unsynced:?}");
    log.sync().unwrap();
    assert_eq!(log.watermarks().durable, log.watermarks().published);
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while Use::since(&path, &before).mappings > 4096 + 16 {
        append(1);
        log.sync().unwrap();
        assert!(std::time::Instant::now() < deadline, "{:?}", Use::since(&path, &before));
    }
    assert_eq!(
        log.snapshot().iter().filter(|record| record.as_ref().unwrap().payload() == payload).count() % 4,
        0
    );
    let end = append(1);
    log.close().unwrap();
    drop(log);
    let log = options().open(&path).unwrap();
    assert_eq!((log.recovery().last_close, log.recovery().segments_scanned), (LastClose::Clean, 0));
    assert_eq!(log.read(end).unwrap().payload(), payload);
}

/// A snapshot keeps what was read through it. Before it takes all mappings that a process can have, it is told so, and
/// the log goes on.
#[test]
fn a_snapshot_that_holds_too_much_is_told_so() {
    const MOST: usize = 32_768;
    let _alone = alone();
    let directory = sparse(1 << 16, MOST as u64 + 200);
    let path = std::fs::canonicalize(directory.path()).unwrap();
    let log = options().open(&path).unwrap();
    let snapshot = log.snapshot();
    let mut read = 0;
    let error = snapshot.iter().map(|record| record.map(|_| read += 1)).find_map(Result::err).unwrap();
    assert_eq!(error.kind(), ErrorKind::TooManyMappings, "{error}");
    assert!((MOST - 8..=MOST).contains(&read), "{read} records were read");
    let payload = vec![1; log.record_bytes_max()];
    for _ in 0..8 {
        log.append(&payload).unwrap();
    }
    assert_eq!(log.read(Lsn::new(40)).unwrap_err().kind(), ErrorKind::NotARecord);
    let unread = Lsn::new((MOST as u64 + 100) << 16);
    assert_eq!(log.read(unread).unwrap_err().kind(), ErrorKind::TooManyMappings);
    drop(snapshot);
    log.read(unread).unwrap();
}
