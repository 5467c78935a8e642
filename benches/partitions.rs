//! Many partitions: creating and opening them, what they take, appends to all of them, and syncs one by one or together.
//!
//! Not by criterion: what is measured is done once. `cargo bench --bench partitions -- [COUNT...]`; by default 1, 16, 256 and
//! 4,096. It needs some 5 GB of disk and, for the largest, the right to open some 13,000 files.

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use support::{directory, payload};
use tidelog::{Log, Options, PartitionOptions, Partitions, SyncPolicy};

const RECORD_BYTES: usize = 100;
/// Published appends, over all partitions.
const APPENDS: u64 = 4_000_000;
const DURABLE_FOR: Duration = Duration::from_secs(2);
const THREADS: [usize; 2] = [1, 4];

fn open(directory: &Path, policy: SyncPolicy, syncs: usize) -> Partitions {
    let log = Options::new().sync_policy(policy);
    PartitionOptions::new().log(log).open_max(10_000).sync_threads(syncs).open(directory).expect("open")
}

/// Kilobytes of a line of `/proc/self/status`, and the number of descriptors and mappings.
fn status(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or_default()
}

fn entries(path: &str) -> usize {
    std::fs::read_dir(path).map_or(0, Iterator::count)
}

fn maps() -> usize {
    std::fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count())
}

fn processor_time() -> Duration {
    // Of all threads, in ticks of 10 ms.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 =
        after.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn get_all(partitions: &Partitions, count: u64) -> Vec<Log> {
    (0..count).map(|id| partitions.get(id).expect("get")).collect()
}

/// Round and round over all partitions; nanoseconds a record.
fn published(logs: &[Log], threads: usize) -> f64 {
    let payload = payload(RECORD_BYTES);
    let share = APPENDS / threads as u64;
    let began = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let payload = &payload;
            scope.spawn(move || {
                for n in 0..share {
                    let log = &logs[(n as usize * threads + thread) % logs.len()];
                    log.append_nowait(payload).expect("append");
                }
            });
        }
    });
    began.elapsed().as_nanos() as f64 / (share * threads as u64) as f64
}

/// Each thread to the next partition that is its own, where there are as many; records a second.
fn durable(logs: &[Log], threads: usize) -> f64 {
    let payload = payload(RECORD_BYTES);
    let began = Instant::now();
    let counts: u64 = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let payload = &payload;
                scope.spawn(move || {
                    let (mut at, mut count) = (thread, 0);
                    while began.elapsed() < DURABLE_FOR {
                        logs[at % logs.len()].append(payload).expect("append");
                        (at, count) = (at + threads, count + 1);
                    }
                    count
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker panicked")).sum()
    });
    counts as f64 / began.elapsed().as_secs_f64()
}

/// A record to each of up to 256, then a sync of all: milliseconds.
fn synced(partitions: &Partitions, logs: &[Log]) -> f64 {
    let mut times = Vec::new();
    for _ in 0..5 {
        for log in logs.iter().take(256) {
            log.append_nowait(b"one record for each").expect("append");
        }
        let began = Instant::now();
        partitions.sync().expect("sync");
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    times[2]
}

fn measure(count: u64) {
    let place = directory();
    let root = place.path().join("root");
    println!("--- {count} partitions");
    let fresh = status("RssAnon");
    let began = Instant::now();
    let partitions = open(&root, SyncPolicy::None, 4);
    let logs = get_all(&partitions, count);
    let each = |took: Duration| took.as_secs_f64() * 1e6 / count as f64;
    println!("create: {:.0} us each", each(began.elapsed()));
    // Of the first count in a process; later ones use again what was freed.
    println!("created: {} KB heap and stacks more", status("RssAnon").saturating_sub(fresh));
    drop(logs);
    let began = Instant::now();
    partitions.close().expect("close");
    println!("close: {:.0} us each", each(began.elapsed()));

    let before = (status("VmRSS"), status("RssAnon"), entries("/proc/self/fd"), maps());
    let began = Instant::now();
    let partitions = open(&root, SyncPolicy::None, 4);
    println!("open the root: {:.1} ms", began.elapsed().as_secs_f64() * 1000.0);
    let began = Instant::now();
    let logs = get_all(&partitions, count);
    println!("open each: {:.0} us", each(began.elapsed()));
    let began = Instant::now();
    for n in 0..1_000_000 {
        std::hint::black_box(partitions.get(n % count).expect("get"));
    }
    println!("get, open already: {:.0} ns", began.elapsed().as_nanos() as f64 / 1e6);
    println!(
        "open: {} KB RSS, {} KB heap and stacks, {} descriptors, {} mappings, {} threads",
        status("VmRSS").saturating_sub(before.0),
        status("RssAnon").saturating_sub(before.1),
        entries("/proc/self/fd") - before.2,
        maps() - before.3,
        entries("/proc/self/task"),
    );
    std::thread::sleep(Duration::from_secs(2));
    let (time, began) = (processor_time(), Instant::now());
    std::thread::sleep(Duration::from_secs(3));
    let spent = processor_time().saturating_sub(time).as_secs_f64() / began.elapsed().as_secs_f64();
    println!("idle: {:.1} % of a processor", spent * 100.0);
    for threads in THREADS {
        println!("published, {threads} threads: {:.0} ns a record", published(&logs, threads));
    }
    println!(
        "after that: {} KB RSS, {} KB heap and stacks, {} descriptors, {} mappings",
        status("VmRSS").saturating_sub(before.0),
        status("RssAnon").saturating_sub(before.1),
        entries("/proc/self/fd") - before.2,
        maps() - before.3,
    );
    drop(logs);
    partitions.close().expect("close");

    for syncs in [1, 2, 4, 8, 16] {
        let partitions = open(&root, SyncPolicy::None, syncs);
        let logs = get_all(&partitions, count.min(256));
        println!("sync of {}, {syncs} at a time: {:.1} ms", logs.len(), synced(&partitions, &logs));
        drop(logs);
        partitions.close().expect("close");
    }
    let partitions = open(&root, SyncPolicy::grouped(), 4);
    let logs = get_all(&partitions, count.min(256));
    for threads in [1, 4, 16] {
        println!("durable, {threads} threads: {:.0} records a second", durable(&logs, threads));
    }
    drop(logs);
    partitions.close().expect("close");
}

fn main() {
    let counts: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let quick = std::env::args().any(|argument| argument == "--quick");
    let all = if quick { vec![1, 16] } else { vec![1, 16, 256, 4096] };
    let counts = if counts.is_empty() { all } else { counts };
    counts.into_iter().for_each(measure);
}
