//! A log of a gibibyte: opening it does not read it, and replaying it reads and verifies all of it.

use std::time::Instant;

use tidelog::{LastClose, Options, SyncPolicy};

const THREADS: u64 = 4;
const RECORDS: u64 = 1 << 20;
const RECORD_BYTES: usize = 1024;

/// Bytes that this thread has read by system calls; `None` where the kernel does not tell.
fn bytes_read() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/io").ok()?;
    let line = text.lines().find(|line| line.starts_with("rchar:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn payload(thread: u64, n: u64) -> [u8; RECORD_BYTES] {
    let mut payload = [(thread * 31 + n) as u8; RECORD_BYTES];
    payload[..8].copy_from_slice(&thread.to_le_bytes());
    payload[8..16].copy_from_slice(&n.to_le_bytes());
    payload
}

#[test]
fn a_gibibyte_is_opened_without_reading_it_and_replayed_completely() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new().sync_policy(SyncPolicy::None);
    let log = options.open(dir.path()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let log = &log;
            scope.spawn(move || {
                for n in 0..RECORDS / THREADS {
                    log.append(&payload(thread, n)).unwrap();
                }
            });
        }
    });
    log.close().unwrap();
    drop(log);

    let before = bytes_read();
    let began = Instant::now();
    let log = options.open(dir.path()).unwrap();
    let opening = began.elapsed();
    if let (Some(before), Some(after)) = (before, bytes_read()) {
        assert!(after - before < 256 << 10, "opening read {} bytes", after - before);
    }
    assert_eq!(log.recovery().last_close, LastClose::Clean);
    assert_eq!(log.recovery().segments_scanned, 0);
    assert!(log.recovery().segments > 16, "{}", log.recovery());

    let began = Instant::now();
    let mut next = [0; THREADS as usize];
    for record in &log.snapshot() {
        let record = record.unwrap();
        let thread = u64::from_le_bytes(record.payload()[..8].try_into().unwrap());
        assert_eq!(record.payload(), payload(thread, next[thread as usize]));
        next[thread as usize] += 1;
    }
    assert_eq!(next, [RECORDS / THREADS; THREADS as usize]);
    println!("1 GiB opened in {opening:?}, replayed and compared in {:?}", began.elapsed());
}
