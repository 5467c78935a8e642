//! logdb 0.6.0 (pure Rust by default; builds on 1.95).
//!
//! - At return of `append`: in the process's memory, a ring of slots that a committer thread writes out ("published";
//!   docs/en/usage/durability.md). At return of `flush`: durable. `DurabilityMode::Sync` alone does not make `append`
//!   wait, so durable appends are `append` and `flush`.
//! - Concurrency: lock-free claim in the ring; one flush covers whoever waits.
//! - Batches: `append_batch` claims its slots as one; the committer may write them in two pieces (storage/mod.rs
//!   `append_batch` stops at the end of a segment).
//! - Old segments: retention by total size, applied at each roll.
//! - Replay: `replay_from`; CRC32C of each record is checked, and a bad one is skipped without a word
//!   (reader/iter.rs).
//! - Settings: `DurabilityMode::Async` with explicit flushes, as its guide has it for a log whose user sets the
//!   barriers; the committer naps 50 us instead of 500 when it has nothing to do, as it sleeps through the first
//!   flush that comes. For the first fault, without durability there are two shards instead of one (a thread keeps to
//!   its shard, so its records stay in order); as a flush syncs each of them, durable work has one shard, and one
//!   segment that never rolls.
//! - Faults: with one shard, the default, a clean reopen throws away the last segment after a roll, synced or not: the
//!   next segment is made when one is 80 % full, with the number that is due then in its header, and recovery takes
//!   the first record for torn as it has a later one (storage/mod.rs `maybe_prepare_next` and `roll`, recovery.rs
//!   `scan_last_segment`, which lets it pass where there are several shards). And a log that was opened again and not
//!   appended to waits in `shutdown` until the timeout, and 5 s when it is dropped: what is durable counts from 0
//!   until the next sync (pipeline/signal.rs). A thread waits for that here. And a thread keeps the number of its shard
//!   for life: it panics in a later log that has fewer (shard.rs `select_shard`).

use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use logdb::{Config, DurabilityMode, LogDb, RetentionPolicy, ShutdownReport, WaitStrategy};

use crate::log::{Failure, Log, Promise, Setup};

pub struct Logdb {
    log: LogDb,
    appended: AtomicBool,
    durable: bool,
}

const SHARDS: usize = 2;
const PATIENCE: Duration = Duration::from_secs(120);

fn open(place: &Path, setup: &Setup) -> Result<LogDb, Failure> {
    let config = Config {
        data_dir: place.to_owned(),
        segment_size: if setup.durable { 1 << 40 } else { setup.segment_bytes },
        shards: if setup.durable { 1 } else { SHARDS },
        max_content_size: setup.record_bytes.max(1 << 20),
        durability_mode: DurabilityMode::Async,
        wait_strategy: WaitStrategy { park_duration: Duration::from_micros(50), ..WaitStrategy::default() },
        flush_timeout: PATIENCE,
        retention: if setup.recycle && !setup.durable {
            RetentionPolicy::MaxBytes(4 * setup.segment_bytes / SHARDS as u64)
        } else {
            RetentionPolicy::KeepAll
        },
        ..Config::default()
    };
    Ok(LogDb::open(config)?)
}

impl Logdb {
    /// A thread that has appended to two shards cannot append to one: then another does it.
    fn fitting(&self, work: impl FnOnce() -> Result<(), Failure> + Send) -> Result<(), Failure> {
        thread_local! {
            static DURABLE: Cell<Option<bool>> = const { Cell::new(None) };
        }
        if DURABLE.get().unwrap_or(self.durable) == self.durable {
            DURABLE.set(Some(self.durable));
            return work();
        }
        std::thread::scope(|scope| scope.spawn(work).join()).map_err(|_| "the append panicked")?
    }

    fn finish(&self) -> Result<(), Failure> {
        if !self.appended.load(Ordering::Relaxed) {
            self.appended.store(true, Ordering::Relaxed);
        }
        if self.durable { Ok(self.log.flush()?) } else { Ok(()) }
    }
}

/// For a log that has nothing to write.
fn leave(log: LogDb) {
    drop(std::thread::spawn(move || drop(log)));
}

impl Log for Logdb {
    const NAME: &'static str = "logdb 0.6.0";
    const VERIFIES: bool = true;

    fn promise(setup: &Setup) -> Option<Promise> {
        Some(if setup.durable { Promise::Durable } else { Promise::Process })
    }

    fn open(place: &Path, setup: &Setup) -> Result<Self, Failure> {
        Ok(Self { log: open(place, setup)?, appended: AtomicBool::new(false), durable: setup.durable })
    }

    fn append(&self, payload: &[u8]) -> Result<(), Failure> {
        self.fitting(|| {
            self.log.append(payload)?;
            self.finish()
        })
    }

    fn append_batch(&self, payloads: &[&[u8]]) -> Result<bool, Failure> {
        self.fitting(|| {
            self.log.append_batch(payloads)?;
            self.finish()
        })?;
        Ok(true)
    }

    fn close(self) -> Result<(), Failure> {
        if !self.appended.into_inner() {
            leave(self.log);
            return Ok(());
        }
        match self.log.shutdown(PATIENCE)? {
            ShutdownReport::Clean => Ok(()),
            report => Err(format!("{report:?}").into()),
        }
    }

    fn replay(place: &Path, setup: &Setup, each: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        let log = open(place, setup)?;
        for record in log.replay_from(0)? {
            each(&record?.content);
        }
        leave(log);
        Ok(true)
    }
}
