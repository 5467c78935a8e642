//! open-wal 0.2.1 (pure Rust; builds on 1.95).
//!
//! - At return of `append`: in the process's memory ("pure memory: no syscall"; wal.rs, README). At return of
//!   `commit`: durable (pwrite and fdatasync; a failure poisons the log). There is nothing between: what is not
//!   committed never reaches the kernel.
//! - Concurrency: single writer by design (`&mut self`, not `Sync`), hence a mutex, and the group commit of `group`,
//!   as the README has it ("one fsync over many appends").
//! - Batches: many appends and one commit; a batch that crosses a segment may be torn by a crash ("commit is not
//!   atomic").
//! - Old segments: `checkpoint` deletes whole segments up to an LSN and fsyncs the directory.
//! - Replay: the open scans and checks CRC32C of every record; the reader checks again, two preads a record.
//! - Settings: without durability a commit is made every 4 MiB, as its buffer is not bounded; the one who comes to it
//!   waits.

use std::path::Path;

use open_wal::{Lsn, Wal, WalConfig};

use super::group::{Group, Single};
use crate::log::{Failure, Log, Promise, Setup};

const COMMIT_BYTES: usize = 4 << 20;

pub struct OpenWal {
    group: Group<One>,
    durable: bool,
}

struct One {
    wal: Wal,
    /// For the group to commit; otherwise so many bytes at most wait in memory.
    grouped: bool,
    pending_bytes: usize,
    /// Since the log was opened.
    bytes: u64,
    keep_bytes: u64,
}

impl Single for One {
    fn put(&mut self, payload: &[u8]) -> Result<(), Failure> {
        self.wal.append(payload)?;
        self.pending_bytes += payload.len();
        self.bytes += payload.len() as u64;
        if !self.grouped && self.pending_bytes >= COMMIT_BYTES { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<(), Failure> {
        self.wal.commit()?;
        self.pending_bytes = 0;
        Ok(())
    }
}

fn open(place: &Path, setup: &Setup) -> Result<Wal, Failure> {
    let max_record_size = u32::try_from(setup.record_bytes.max(4096))?;
    let config = WalConfig { segment_size: setup.segment_bytes, max_record_size };
    Ok(Wal::open(place, config)?.0)
}

impl Log for OpenWal {
    const NAME: &'static str = "open-wal 0.2.1";
    const VERIFIES: bool = true;

    fn promise(setup: &Setup) -> Option<Promise> {
        Some(if setup.durable { Promise::Durable } else { Promise::Process })
    }

    fn open(place: &Path, setup: &Setup) -> Result<Self, Failure> {
        let one = One {
            wal: open(place, setup)?,
            grouped: setup.durable,
            pending_bytes: 0,
            bytes: 0,
            keep_bytes: 4 * setup.segment_bytes,
        };
        Ok(Self { group: Group::new(one), durable: setup.durable })
    }

    fn append(&self, payload: &[u8]) -> Result<(), Failure> {
        self.append_batch(&[payload])?;
        Ok(())
    }

    fn append_batch(&self, payloads: &[&[u8]]) -> Result<bool, Failure> {
        if self.durable {
            self.group.put_durable(payloads)?
        } else {
            self.group.put(payloads)?
        }
        Ok(true)
    }

    fn drop_old(&self) -> Result<(), Failure> {
        let mut one = self.group.single();
        if one.bytes > one.keep_bytes {
            // LSNs count records: as many as the kept bytes hold on the average.
            let last = one.wal.durable_lsn().0;
            let kept = u128::from(one.wal.last_lsn().0) * u128::from(one.keep_bytes) / u128::from(one.bytes);
            one.wal.checkpoint(Lsn(last.saturating_sub(kept as u64)))?;
        }
        Ok(())
    }

    fn close(self) -> Result<(), Failure> {
        self.group.into_single().sync()
    }

    fn replay(place: &Path, setup: &Setup, each: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        let wal = open(place, setup)?;
        let mut reader = wal.reader_from(Lsn(0))?;
        while let Some(record) = reader.next() {
            each(record?.1);
        }
        Ok(true)
    }
}
