//! What the benchmarks share: logs in a directory of their own, and threads that start together.
#![allow(dead_code, reason = "each benchmark uses a part")]

use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tidelog::{Log, Options, SyncPolicy};

/// Payloads of these sizes, in bytes.
pub const SIZES: [usize; 4] = [16, 100, 1 << 10, 10 << 10];

/// Published at return, synced in the background.
pub const PERIODIC: SyncPolicy = SyncPolicy::periodic(Duration::from_millis(1));

/// A log that is removed with its directory.
pub struct Bench {
    pub log: Log,
    // After the log, so that it is closed first.
    pub directory: TempDir,
}

impl Bench {
    pub fn new(options: &Options) -> Self {
        let directory = directory();
        let log = options.open(directory.path().join("log")).expect("open a log");
        Self { log, directory }
    }

    pub fn with_policy(policy: SyncPolicy) -> Self {
        Self::new(&Options::new().sync_policy(policy))
    }

    /// Drops what was appended, so that the use of disk and page cache stays bounded.
    pub fn retire(&self) {
        retire(&self.log);
    }

    pub fn path(&self) -> std::path::PathBuf {
        self.log.directory().to_owned()
    }
}

pub fn retire(log: &Log) {
    log.retire_before(log.watermarks().published).expect("retire");
}

/// Beside the build, not in the system's directory for temporary files: that one may be in memory.
pub fn directory() -> TempDir {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(parent).expect("create the parent directory");
    tempfile::Builder::new().prefix("bench-").tempdir_in(parent).expect("create a directory")
}

/// The payload that is appended: not zeros, which a file system might treat in its own way.
pub fn payload(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| (index * 31 + 7) as u8).collect()
}

/// How many bytes may be appended between two retirements.
const RETIRE_EVERY_BYTES: u64 = 64 << 20;

/// Carries out `iterations` of `work` on each of `threads` threads; the time from their common start to the end
/// of the last. Once in a while the first thread drops what was appended.
pub fn on_threads(
    bench: &Bench,
    threads: usize,
    iterations: u64,
    bytes_per_iteration: usize,
    work: impl Fn(&Log) + Sync,
) -> Duration {
    let barrier = Barrier::new(threads);
    let share = iterations.div_ceil(threads as u64);
    let retire_every = (RETIRE_EVERY_BYTES / (bytes_per_iteration as u64 + 16) / threads as u64).max(1);
    let (log, work) = (&bench.log, &work);
    let took = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    // On the worker: on few cores another thread would look at the clock when all is over.
                    let began = Instant::now();
                    for iteration in 1..=share {
                        work(log);
                        if thread == 0 && iteration % retire_every == 0 {
                            retire(log);
                        }
                    }
                    (began, Instant::now())
                })
            })
            .collect();
        let times = workers.into_iter().map(|worker| worker.join().expect("a worker panicked"));
        let (begins, ends): (Vec<_>, Vec<_>) = times.unzip();
        match (begins.into_iter().min(), ends.into_iter().max()) {
            (Some(began), Some(ended)) => ended - began,
            _ => Duration::ZERO,
        }
    });
    bench.retire();
    // Every thread did a share that was rounded up.
    took.mul_f64(iterations as f64 / (share * threads as u64) as f64)
}
