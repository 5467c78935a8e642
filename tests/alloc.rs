//! Appending allocates nothing on the appending thread, and replay nothing per record (G12).
#![allow(unsafe_code, reason = "a global allocator is unsafe to implement; each block says why it is sound")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use tidelog::kv::{Entry, Kv};
use tidelog::{Checksum, Log, Lsn, Options, SyncPolicy, TypedLog};

const APPENDS: u32 = 100_000;

thread_local! {
    /// Allocations of this thread. It needs no initialisation and no destructor, so counting allocates nothing.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static GLOBAL: Counting = Counting;

fn count() {
    // A thread that is ending may have no counter any more; it appends nothing either.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is passed on to the system's allocator, unchanged; counting touches no memory of theirs.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is the callee's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is the callee's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the callee's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is the callee's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// How often this thread allocates while `run` runs.
fn allocations(run: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    run();
    ALLOCATIONS.get() - before
}

fn log(policy: SyncPolicy, checksum: Checksum) -> (tempfile::TempDir, Log) {
    let directory = tempfile::tempdir().unwrap();
    let log = Options::new().segment_bytes(64 << 20).sync_policy(policy).checksum(checksum);
    let log = log.open(directory.path()).unwrap();
    (directory, log)
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| {}), 0);
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(7)))), 1);
    assert!(allocations(|| drop(std::hint::black_box(vec![0_u8; 9]))) >= 1);
}

#[test]
fn appending_allocates_nothing() {
    for policy in [SyncPolicy::None, SyncPolicy::periodic(Duration::from_millis(2))] {
        for checksum in [Checksum::Crc32c, Checksum::Crc64] {
            let (_directory, log) = log(policy, checksum);
            let payload = [7_u8; 48];
            let end = Lsn::new(u64::MAX);
            let batch = [&payload[..20], &payload[..], &[]];
            // The threads together stay within the first segments. Who has to wait for one may allocate.
            while log.stats().segments_prepared < 3 {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        let appends = |name: &str, append: &dyn Fn()| {
                            let count = allocations(|| (0..APPENDS).for_each(|_| append()));
                            assert_eq!(count, 0, "{name} under {policy:?} with {checksum:?}");
                        };
                        appends("append", &|| assert_ne!(log.append(&payload).unwrap(), end));
                        appends("append_nowait", &|| assert_ne!(log.append_nowait(&payload).unwrap(), end));
                        appends("append_with", &|| {
                            assert_ne!(log.append_with(33, |buffer| buffer.fill(1)).unwrap(), end);
                        });
                        appends("append_batch", &|| assert_eq!(log.append_batch(&batch).unwrap().count(), 3));
                    });
                }
            });
            assert_eq!(log.snapshot().iter().count(), 2 * 6 * APPENDS as usize);
        }
    }
}

#[test]
fn replay_allocates_nothing_per_record() {
    let (_directory, log) = log(SyncPolicy::None, Checksum::Crc32c);
    for number in 0..APPENDS {
        log.append(&number.to_le_bytes()).unwrap();
    }
    let snapshot = log.snapshot();
    let mut sum = 0;
    let count = allocations(|| {
        for record in &snapshot {
            sum += u64::from(record.unwrap().payload()[0]);
        }
    });
    assert!(sum > 0);
    assert_eq!(count, 0, "allocations while {APPENDS} records were replayed");
}

/// A value is encoded into a buffer that the thread keeps, and read where it lies.
#[test]
fn appending_and_replaying_values_allocates_nothing() {
    let (_directory, log) = log(SyncPolicy::None, Checksum::Crc32c);
    let log = TypedLog::new(log, Kv);
    while log.log().stats().segments_prepared < 3 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let entry = Entry::put(b"key", &[7; 100], 1);
    log.append(&entry).unwrap(); // the buffer grows
    let appends = || (0..APPENDS).for_each(|_| assert!(log.append(&entry).is_ok()));
    let count = allocations(appends);
    assert_eq!(count, 0, "append");
    let snapshot = log.snapshot();
    let begin = allocations(|| drop(snapshot.iter().next()));
    let all = allocations(|| assert!(snapshot.iter().all(|record| record.unwrap().value == entry)));
    assert_eq!(all, begin, "replay");
}
