//! What it costs to be a task: records that are durable, a second, with so many tasks on tokio (two threads), and with so
//! many threads that block, under `Grouped`. They take turns, round by round.
//!
//! `cargo bench -p tidelog-async-tests --bench tasks -- [--quick]`

use std::sync::Barrier;
use std::time::{Duration, Instant};

use tidelog::{Log, Options, SyncPolicy};

const RECORD: [u8; 100] = [7; 100];

fn log() -> (tempfile::TempDir, Log) {
    // On the device that the sources are on: a directory in memory has no syncs to share.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let options = Options::new().segment_bytes(64 << 20).sync_policy(SyncPolicy::grouped());
    let log = options.open(dir.path()).expect("a log");
    (dir, log)
}

/// Records that each of them appends, so that a round takes a fraction of a second.
fn records(appenders: u64, quick: bool) -> u64 {
    (if quick { 2_000 } else { 10_000_u64 }).div_ceil(appenders).max(8)
}

fn tasks(count: u64, each: u64) -> (Duration, u64) {
    let (_dir, log) = log();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let began = Instant::now();
    runtime.block_on(async {
        let append = |log: Log| async move {
            for _ in 0..each {
                log.append_durable(&RECORD).await.expect("append");
            }
        };
        let tasks: Vec<_> = (0..count).map(|_| tokio::spawn(append(log.clone()))).collect();
        for task in tasks {
            task.await.expect("no panic");
        }
    });
    (began.elapsed(), log.stats().syncs)
}

fn threads(count: u64, each: u64) -> (Duration, u64) {
    let (_dir, log) = log();
    let barrier = Barrier::new(count as usize + 1);
    let began = std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..each {
                    log.append(&RECORD).expect("append");
                }
            });
        }
        // Starting threads is not what is measured.
        barrier.wait();
        Instant::now()
    });
    (began.elapsed(), log.stats().syncs)
}

/// So many that append so many records each: how long it took, and how many syncs.
type Way = fn(u64, u64) -> (Duration, u64);

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let rounds = if quick { 3 } else { 5 };
    println!("{:>6}  {:>8}  {:>11}  {:>11}  {:>12}", "", "", "records/s", "latency us", "records/sync");
    for count in [1, 64, 1000] {
        let each = records(count, quick);
        let ways: [(&str, Way); 2] = [("tasks", tasks), ("threads", threads)];
        let mut best = [(f64::MIN, 0.0); 2];
        for _ in 0..rounds {
            for (index, (_, way)) in ways.iter().enumerate() {
                let (took, syncs) = way(count, each);
                let rate = (count * each) as f64 / took.as_secs_f64();
                if rate > best[index].0 {
                    best[index] = (rate, (count * each) as f64 / syncs as f64);
                }
            }
        }
        for ((name, _), (rate, shared)) in ways.iter().zip(best) {
            println!(
                "{count:>6}  {name:>8}  {rate:>11.0}  {:>11.2}  {shared:>12.1}",
                1e6 * count as f64 / rate
            );
        }
    }
}
