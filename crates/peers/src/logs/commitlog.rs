//! commitlog 0.2.0 (pure Rust; builds on 1.95).
//!
//! - At return: in the kernel: one `write` to the segment and a store into its mapped index (segment.rs `append`,
//!   index.rs `append`). Never durable: `CommitLog::flush` is `File::flush`, which does nothing, plus an msync of
//!   whole index pages (segment.rs `flush_sync`); the data is never synced. So it takes no part where appends have
//!   to be durable.
//! - Concurrency: `&mut self`, hence a mutex; a record is framed and its CRC computed outside of it.
//! - Batches: a `MessageBuf` of many messages is one write (bounded by `message_max_bytes`, raised here).
//! - Old segments: there is no way to drop them (`truncate` cuts the end). It keeps everything, which costs it nothing.
//! - Replay: `CommitLog::new`, then `read` by offset; `MessageBuf::from_bytes` checks the CRC32C of each message.
//! - Settings: the index of a segment gets room for all records that fit one, so that it is never mapped anew.

use std::cell::RefCell;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use commitlog::message::{MessageBuf, MessageSet};
use commitlog::{CommitLog, LogOptions, ReadLimit};

use crate::log::{Failure, Log, Promise, Setup};

/// Bytes that a message has beyond its payload.
const HEADER_BYTES: usize = 20;

pub struct Commitlog(Mutex<CommitLog>);

thread_local! {
    static FRAMES: RefCell<MessageBuf> = RefCell::default();
}

fn open(place: &Path, setup: &Setup) -> Result<CommitLog, Failure> {
    // Positions within a segment are 32 bits wide.
    let segment_bytes = setup.segment_bytes.min(1 << 31) as usize;
    let mut options = LogOptions::new(place);
    options.segment_max_bytes(segment_bytes).message_max_bytes(segment_bytes);
    options.index_max_items(segment_bytes / (HEADER_BYTES + setup.record_bytes) + 1024);
    std::fs::create_dir_all(place)?;
    Ok(CommitLog::new(options)?)
}

impl Log for Commitlog {
    const NAME: &'static str = "commitlog 0.2.0";
    const VERIFIES: bool = true;

    fn promise(setup: &Setup) -> Option<Promise> {
        (!setup.durable).then_some(Promise::Kernel)
    }

    fn open(place: &Path, setup: &Setup) -> Result<Self, Failure> {
        Ok(Self(Mutex::new(open(place, setup)?)))
    }

    fn append(&self, payload: &[u8]) -> Result<(), Failure> {
        self.append_batch(&[payload])?;
        Ok(())
    }

    fn append_batch(&self, payloads: &[&[u8]]) -> Result<bool, Failure> {
        FRAMES.with_borrow_mut(|frames| {
            frames.clear();
            for payload in payloads {
                frames.push(payload).map_err(|why| format!("{why:?}"))?;
            }
            self.0.lock().unwrap_or_else(PoisonError::into_inner).append(frames)?;
            Ok(true)
        })
    }

    fn close(self) -> Result<(), Failure> {
        Ok(self.0.into_inner().unwrap_or_else(PoisonError::into_inner).flush()?)
    }

    fn replay(place: &Path, setup: &Setup, each: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        let log = open(place, setup)?;
        let mut next = 0;
        loop {
            let messages = log.read(next, ReadLimit::max_bytes(1 << 20))?;
            if messages.is_empty() {
                return Ok(true);
            }
            for message in messages.iter() {
                each(message.payload());
                next = message.offset() + 1;
            }
        }
    }
}
