//! wal-db 1.1.0 (pure Rust; builds on 1.95).
//!
//! - At return of `append`: in the kernel (one pwrite a record; README "The durability contract"). At return of
//!   `append_and_sync`: durable (fdatasync), shared by concurrent callers (commit.rs).
//! - Batches: none. A batch is done as its user would: every record appended, then one `sync`; a crash may tear it.
//! - Old segments: `truncate_before` deletes whole segment files and fsyncs a head marker; it must not run beside
//!   appends (its documentation: "Exclusive access"), so they hold a shared lock where old segments are dropped. The
//!   single file of `Wal::open` cannot drop anything.
//! - Replay: the open reads the whole log and checks CRC32C, and `iter` reads and checks it again, two preads a record.
//! - Settings: segments only where old ones are dropped and nothing has to be durable. The fsync of a segmented log
//!   does not cover all that it acknowledges: `SegmentedStore::sync` moves `synced_from` to the segment of the highest
//!   write, while a slower writer may still be writing into the one before, which no later sync visits (segment.rs).
//!   Durable work gets the single file, whose promise holds; it then keeps everything.
//! - Faults: a failed fsync is not remembered; a later `sync` may say Ok (its documentation says so).

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use wal_db::{FileStore, Lsn, SegmentedStore, Wal};

use crate::log::{Failure, Log, Promise, Setup};

pub enum WalDb {
    File { wal: Wal<FileStore>, durable: bool },
    Segments(Segments),
}

pub struct Segments {
    wal: RwLock<Wal<SegmentedStore>>,
    keep_bytes: u64,
    last: AtomicU64,
    marks: Mutex<VecDeque<u64>>,
}

fn segmented(setup: &Setup) -> bool {
    setup.recycle && !setup.durable
}

impl Log for WalDb {
    const NAME: &'static str = "wal-db 1.1.0";
    const VERIFIES: bool = true;

    fn promise(setup: &Setup) -> Option<Promise> {
        Some(if setup.durable { Promise::Durable } else { Promise::Kernel })
    }

    fn open(place: &Path, setup: &Setup) -> Result<Self, Failure> {
        if !segmented(setup) {
            std::fs::create_dir_all(place)?;
            return Ok(Self::File { wal: Wal::open(place.join("log"))?, durable: setup.durable });
        }
        Ok(Self::Segments(Segments {
            wal: RwLock::new(Wal::open_segmented(place, setup.segment_bytes)?),
            keep_bytes: 4 * setup.segment_bytes,
            last: AtomicU64::new(0),
            marks: Mutex::default(),
        }))
    }

    fn append(&self, payload: &[u8]) -> Result<(), Failure> {
        match self {
            Self::File { wal, durable: true } => drop(wal.append_and_sync(payload)?),
            Self::File { wal, durable: false } => drop(wal.append(payload)?),
            Self::Segments(log) => {
                let wal = log.wal.read().unwrap_or_else(PoisonError::into_inner);
                log.last.store(wal.append(payload)?.get(), Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn append_batch(&self, payloads: &[&[u8]]) -> Result<bool, Failure> {
        match self {
            Self::File { wal, durable } => {
                for payload in payloads {
                    let _ = wal.append(payload)?;
                }
                if *durable {
                    wal.sync()?;
                }
            }
            Self::Segments(_) => payloads.iter().try_for_each(|payload| self.append(payload))?,
        }
        Ok(true)
    }

    fn drop_old(&self) -> Result<(), Failure> {
        let Self::Segments(log) = self else { return Ok(()) };
        let mut marks = log.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let last = log.last.load(Ordering::Relaxed);
        marks.push_back(last);
        // A new head must be the start of a record: one that was last at an earlier call.
        let mut head = None;
        while marks.front().is_some_and(|&mark| mark + log.keep_bytes <= last) {
            head = marks.pop_front();
        }
        if let Some(head) = head {
            let wal = log.wal.write().unwrap_or_else(PoisonError::into_inner);
            let _ = wal.truncate_before(Lsn::new(head))?;
        }
        Ok(())
    }

    fn close(self) -> Result<(), Failure> {
        // Everything was handed to the kernel by `append`.
        Ok(())
    }

    fn replay(place: &Path, setup: &Setup, each: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        if segmented(setup) {
            for record in Wal::open_segmented(place, setup.segment_bytes)?.iter()? {
                each(record?.data());
            }
        } else {
            for record in Wal::open(place.join("log"))?.iter()? {
                each(record?.data());
            }
        }
        Ok(true)
    }
}
