//! Does every log what it is measured for? Appends from several threads, reads all back, compares.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::log::{Log, Setup};

const THREADS: usize = 4;
const RECORD_BYTES: usize = 1000;

fn setup(durable: bool, recycle: bool) -> Setup {
    Setup {
        durable,
        recycle,
        segment_bytes: 1 << 20,
        threads: THREADS,
        record_bytes: RECORD_BYTES,
        bytes_max: 1 << 30,
    }
}

/// A record that no other equals, of a length of its own, filled by a simple generator.
fn payload(thread: usize, sequence: usize) -> Vec<u8> {
    let mut bytes = vec![0; 16 + (thread * 7 + sequence * 13) % (RECORD_BYTES - 15)];
    bytes[..8].copy_from_slice(&(thread as u64).to_le_bytes());
    bytes[8..16].copy_from_slice(&(sequence as u64).to_le_bytes());
    let mut state = (thread << 32 | sequence) as u64 | 1;
    for byte in &mut bytes[16..] {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        *byte = (state >> 56) as u8;
    }
    bytes
}

/// Runs `work` on each thread, this one included, beside one that drops old segments if told to.
fn run<L: Log>(log: &L, recycle: bool, work: impl Fn(usize) + Sync) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        if recycle {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    log.drop_old().unwrap();
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
        }
        let work = &work;
        let appenders: Vec<_> = (1..THREADS).map(|thread| scope.spawn(move || work(thread))).collect();
        let mine = catch_unwind(AssertUnwindSafe(|| work(0)));
        let results: Vec<_> = appenders.into_iter().map(|appender| appender.join()).collect();
        over.store(true, Ordering::Relaxed);
        results.into_iter().chain([mine]).for_each(|result| result.unwrap());
    });
}

/// What is read back, as a multiset. Records of one thread must come in order.
fn read<L: Log>(place: &Path, setup: &Setup) -> HashMap<Vec<u8>, usize> {
    let mut found = HashMap::new();
    let mut last = HashMap::new();
    let readable = L::replay(place, setup, &mut |payload| {
        let number = |at: usize| u64::from_le_bytes(payload[at..at + 8].try_into().unwrap());
        let before = last.insert(number(0), number(8));
        assert!(before < Some(number(8)), "{}: {before:?} comes before {}", L::NAME, number(8));
        *found.entry(payload.to_vec()).or_default() += 1;
    });
    assert!(readable.unwrap());
    found
}

fn compare<L: Log>(found: &HashMap<Vec<u8>, usize>, records: usize) {
    let all = everything(records);
    let strange = found.iter().filter(|&(payload, times)| all.get(payload) != Some(times)).count();
    let missing = all.keys().filter(|&payload| !found.contains_key(payload)).count();
    assert!(strange + missing == 0, "{}: {strange} strange, {missing} missing of {}", L::NAME, all.len());
}

fn everything(records: usize) -> HashMap<Vec<u8>, usize> {
    (0..THREADS).flat_map(|thread| (0..records).map(move |sequence| (payload(thread, sequence), 1))).collect()
}

fn appends<L: Log>(durable: bool) {
    let setup = setup(durable, false);
    if L::promise(&setup).is_none() {
        return;
    }
    let records = if durable { 500 } else { 2500 };
    let place = tempfile::tempdir().unwrap();
    let log = L::open(place.path(), &setup).unwrap();
    run(&log, false, |thread| {
        (0..records).for_each(|sequence| log.append(&payload(thread, sequence)).unwrap())
    });
    log.close().unwrap();
    // Twice: reading must not change anything.
    for _ in 0..2 {
        compare::<L>(&read::<L>(place.path(), &setup), records);
    }
}

fn batches<L: Log>(durable: bool) {
    let setup = setup(durable, false);
    if L::promise(&setup).is_none() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let log = L::open(place.path(), &setup).unwrap();
    run(&log, false, |thread| {
        for from in (0..1000).step_by(50) {
            let payloads: Vec<_> = (from..from + 50).map(|sequence| payload(thread, sequence)).collect();
            let payloads: Vec<_> = payloads.iter().map(Vec::as_slice).collect();
            assert!(log.append_batch(&payloads).unwrap());
        }
    });
    log.close().unwrap();
    compare::<L>(&read::<L>(place.path(), &setup), 1000);
}

/// With old segments dropped, what is left is unharmed, and the last record of each thread is among it.
fn drops<L: Log>(durable: bool) {
    let setup = setup(durable, true);
    if L::promise(&setup).is_none() {
        return;
    }
    let records = if durable { 5000 } else { 10_000 };
    let place = tempfile::tempdir().unwrap();
    let log = L::open(place.path(), &setup).unwrap();
    run(&log, true, |thread| {
        (0..records).for_each(|sequence| log.append(&payload(thread, sequence)).unwrap())
    });
    log.drop_old().unwrap();
    log.close().unwrap();
    let found = read::<L>(place.path(), &setup);
    let all = everything(records);
    assert!(found.iter().all(|(payload, times)| all.get(payload) == Some(times)), "{}", L::NAME);
    println!("{} keeps {} of {} records", L::NAME, found.len(), all.len());
    assert!((0..THREADS).any(|thread| found.contains_key(&payload(thread, records - 1))), "{}", L::NAME);
}

macro_rules! check {
    ($($name:ident: $log:ty),+ $(,)?) => {$(
        #[test]
        fn $name() {
            for durable in [false, true] {
                appends::<$log>(durable);
                batches::<$log>(durable);
                drops::<$log>(durable);
            }
        }
    )+};
}

check! {
    chunked_wal: super::chunked_wal::ChunkedWal,
    commitlog: super::commitlog::Commitlog,
    logdb: super::logdb::Logdb,
    okaywal: super::okaywal::Okaywal,
    open_wal: super::open_wal::OpenWal,
    raft_engine: super::raft_engine::RaftEngine,
    seglog: super::seglog::Seglog,
    wal_db: super::wal_db::WalDb,
    walrus: super::walrus::Walrus,
    writeahead: super::writeahead::Writeahead,
}
