//! walrus-rust 0.2.0 (pure Rust; builds on 1.95; needs io_uring).
//!
//! - At return, `FsyncSchedule::NoFsync`: in the kernel (a pwrite a record; storage.rs, whose result is thrown away,
//!   so a full disk is not noticed). `SyncEach`: durable (fsync after each record, under the lock of the topic, so
//!   that appends never share one; writer.rs).
//! - Batches: `batch_append_for_topic`, written by io_uring and always synced, whatever the schedule. A second batch,
//!   or an append beside a batch, is refused (`WouldBlock`): batches take turns here, appends try again.
//! - Old segments: a file of 1,000 MiB goes when a reader has consumed all of it and 1,000 naps of the sync thread
//!   have passed (background.rs). Nothing is to be done here, and a short run never sees it.
//! - Replay: the open reads every record and checks its FNV-1a checksum, then `batch_read_for_topic` reads and checks
//!   again (2,000 records at most at a time). The reader's place is not to be stored, so that it can be done again.
//! - Settings: default descriptor backend; `WALRUS_QUIET`, else it prints a line for each append. The first schedule
//!   that a process opens with decides whether all later files get O_SYNC besides the fsync (storage.rs
//!   `set_fsync_schedule`): NoFsync comes first here, so nothing is synced twice.
//! - Faults: descriptors and a thread of each log stay for the life of the process.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use walrus_rust::{FsyncSchedule, ReadConsistency, Walrus as Wal};

use crate::log::{Failure, Log, Promise, Setup};

const TOPIC: &str = "t";
const DIRECTORY: &str = "walrus-log";
/// Bytes that a record has beyond its payload.
const HEADER_BYTES: usize = 64;
/// Records of one read at most.
const READ_MAX: usize = 2000;

pub struct Walrus {
    wal: Wal,
    batches: Mutex<()>,
}

/// The place is told by an environment variable, so opening goes one by one.
static OPENING: Mutex<()> = Mutex::new(());

#[allow(unsafe_code)]
fn tell(name: &str, value: impl AsRef<std::ffi::OsStr>, _opening: &MutexGuard<'_, ()>) {
    // SAFETY: the environment must not be read by foreign code meanwhile. All code that runs while a log is opened is
    // Rust and reads it through `std::env`, which locks; writers are ordered by the guard.
    unsafe { std::env::set_var(name, value) }
}

fn open(place: &Path, schedule: FsyncSchedule) -> Result<Wal, Failure> {
    static SETTLED: Once = Once::new();
    let opening = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
    let open = |place: &Path, schedule| {
        tell("WALRUS_DATA_DIR", place, &opening);
        let reading = ReadConsistency::AtLeastOnce { persist_every: u32::MAX };
        Wal::with_consistency_and_schedule_for_key(DIRECTORY, reading, schedule)
    };
    tell("WALRUS_QUIET", "1", &opening);
    let settle = place.join("settle");
    SETTLED.call_once(|| {
        drop(open(&settle, FsyncSchedule::NoFsync));
        drop(std::fs::remove_dir_all(&settle));
    });
    Ok(open(place, schedule)?)
}

impl Log for Walrus {
    const NAME: &'static str = "walrus-rust 0.2.0";
    const VERIFIES: bool = true;

    fn promise(setup: &Setup) -> Option<Promise> {
        Some(if setup.durable { Promise::Durable } else { Promise::Kernel })
    }

    fn open(place: &Path, setup: &Setup) -> Result<Self, Failure> {
        let schedule = if setup.durable { FsyncSchedule::SyncEach } else { FsyncSchedule::NoFsync };
        Ok(Self { wal: open(place, schedule)?, batches: Mutex::new(()) })
    }

    fn append(&self, payload: &[u8]) -> Result<(), Failure> {
        loop {
            match self.wal.append_for_topic(TOPIC, payload) {
                Err(why) if why.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                result => return Ok(result?),
            }
        }
    }

    fn append_batch(&self, payloads: &[&[u8]]) -> Result<bool, Failure> {
        let _turn = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        self.wal.batch_append_for_topic(TOPIC, payloads)?;
        Ok(true)
    }

    fn close(self) -> Result<(), Failure> {
        Ok(())
    }

    fn replay(place: &Path, setup: &Setup, each: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        let wal = open(place, FsyncSchedule::NoFsync)?;
        loop {
            let max_bytes = READ_MAX * (HEADER_BYTES + setup.record_bytes);
            let records = wal.batch_read_for_topic(TOPIC, max_bytes, true)?;
            if records.is_empty() {
                return Ok(true);
            }
            records.iter().for_each(|record| each(&record.data));
        }
    }
}
