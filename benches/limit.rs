//! Appends under `None` beside the *limit line*: a loop that does what no log can leave out, into memory that is ready.
//! That is a CRC-32C, one `fetch_add`, a copy, and a header of 16 bytes.
//!
//! Log and limit take turns, each with a file of its own that is allocated and populated before the clock starts and
//! is not filled to its end; so neither preparing nor rolling is in the figures, only the append path is.
//!
//! `cargo bench --bench limit -- [--quick] [--bytes N] [--threads N] [--rounds N]`; `TIDELOG_BENCH_DIR` is where the
//! files lie.
#![allow(unsafe_code, clippy::disallowed_types, reason = "the limit line is no part of the library")]

mod support;

use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use memmap2::{Advice, MmapOptions, MmapRaw};
use support::{SIZES, payload};
use tidelog::{Log, Options, SyncPolicy};

/// Of a segment, and of the limit's file.
const FILE_BYTES: u64 = 128 << 20;
/// How much of it is written in one round.
const ROUND_BYTES: u64 = 80 << 20;

struct Arguments {
    bytes: Vec<usize>,
    threads: Vec<usize>,
    rounds: usize,
}

fn arguments() -> Arguments {
    let mut parsed = Arguments { bytes: SIZES.to_vec(), threads: vec![1, 2, 4, 8], rounds: 5 };
    let mut arguments = std::env::args().skip(1);
    let number = |value: Option<String>| value.and_then(|value| value.parse().ok()).expect("a number");
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => (parsed.threads, parsed.rounds) = (vec![1, 2], 3),
            "--bytes" => parsed.bytes = vec![number(arguments.next())],
            "--threads" => parsed.threads = vec![number(arguments.next())],
            "--rounds" => parsed.rounds = number(arguments.next()),
            // `cargo bench` adds this, and passes on words that choose benchmarks elsewhere.
            _ => {}
        }
    }
    parsed
}

/// Runs `append` on so many threads; nanoseconds per record over all of them together.
fn nanoseconds(threads: usize, payload_bytes: usize, append: impl Fn(&[u8]) + Sync) -> f64 {
    let records = ROUND_BYTES / (payload_bytes as u64 + 16).next_multiple_of(8) / threads as u64;
    let barrier = Barrier::new(threads);
    let times: Vec<(Instant, Instant)> = std::thread::scope(|scope| {
        let run = || {
            let payload = payload(payload_bytes);
            barrier.wait();
            let began = Instant::now();
            for _ in 0..records {
                append(std::hint::black_box(&payload));
            }
            (began, Instant::now())
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker panicked")).collect()
    });
    let began = times.iter().map(|(began, _)| *began).min().expect("a thread");
    let ended = times.iter().map(|(_, ended)| *ended).max().expect("a thread");
    (ended - began).as_nanos() as f64 / (records * threads as u64) as f64
}

/// What a log cannot leave out.
struct Limit {
    map: MmapRaw,
    cursor: AtomicU64,
}

impl Limit {
    fn new(directory: &Path) -> Self {
        let file = tempfile::tempfile_in(directory).expect("create a file");
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, FILE_BYTES).expect("allocate");
        let map = MmapOptions::new().len(FILE_BYTES as usize).map_raw(&file).expect("map");
        map.advise(Advice::PopulateWrite).expect("populate");
        Self { map, cursor: AtomicU64::new(0) }
    }

    #[inline]
    fn append(&self, payload: &[u8]) {
        let crc = crc32c::crc32c(payload);
        let bytes = (payload.len() as u64 + 16).next_multiple_of(8);
        let position = self.cursor.fetch_add(bytes, Ordering::Relaxed);
        assert!(position + bytes <= FILE_BYTES, "the file is full");
        let frame = self.map.as_mut_ptr().wrapping_add(position as usize);
        let rest = frame.wrapping_add(8);
        // SAFETY: the word lies in the file, at a multiple of eight, and is only accessed atomically.
        let word = unsafe { AtomicU64::from_ptr(frame.cast()) };
        // SAFETY: the range lies in the file, and `fetch_add` gave it to this thread alone.
        let slot = unsafe { core::slice::from_raw_parts_mut(rest, bytes as usize - 8) };
        slot[..8].copy_from_slice(&u64::from(crc).to_le_bytes());
        slot[8..8 + payload.len()].copy_from_slice(payload);
        word.store(payload.len() as u64, Ordering::Release);
    }
}

/// A log whose first segments are ready.
fn log(directory: &Path) -> Log {
    let options = Options::new().sync_policy(SyncPolicy::None).segment_bytes(FILE_BYTES);
    let log = options.open(directory).expect("open a log");
    while log.stats().segments_prepared < 3 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    log
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let Arguments { bytes, threads, rounds } = arguments();
    let directory = match std::env::var_os("TIDELOG_BENCH_DIR") {
        Some(directory) => tempfile::tempdir_in(directory).expect("create a directory"),
        None => support::directory(),
    };
    println!("append under None, ns a record, medians of {rounds} rounds in turns (least)");
    println!("{:>8} {:>8} {:>18} {:>18} {:>8}", "bytes", "threads", "limit", "log", "ratio");
    for payload_bytes in bytes {
        for &threads in &threads {
            let (mut limits, mut logs) = (Vec::new(), Vec::new());
            for round in 0..rounds {
                let limit = Limit::new(directory.path());
                limits.push(nanoseconds(threads, payload_bytes, |payload| limit.append(payload)));
                drop(limit);
                let path = directory.path().join(format!("{payload_bytes}-{threads}-{round}"));
                let log = log(&path);
                logs.push(nanoseconds(threads, payload_bytes, |payload| {
                    log.append(payload).expect("append");
                }));
                // Gone before it is written back.
                std::fs::remove_dir_all(&path).expect("remove");
                drop(log);
            }
            let (limit, log) = (median(&mut limits), median(&mut logs));
            println!(
                "{payload_bytes:>8} {threads:>8} {limit:>9.1} ({:>6.1}) {log:>9.1} ({:>6.1}) {:>8.2}",
                limits[0],
                logs[0],
                limit / log
            );
        }
    }
}
