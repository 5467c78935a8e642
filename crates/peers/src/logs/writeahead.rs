//! writeahead 0.4.1 (pure Rust; builds on 1.95).
//!
//! - At return: durable, and there is no other mode ("a write is acknowledged only after it is fdatasync'd"; README).
//! - Concurrency: callers send to one writer thread, which commits what has gathered (64 requests or 4 MiB at most)
//!   by one write and one fdatasync. It is an async crate; a plain thread blocks on the future, as its own benchmark
//!   does.
//! - Batches: `write_batch`, contiguous in one file; a crash may tear it (a torn commit keeps its valid prefix).
//! - Old files: retention by total size, applied at each rotation.
//! - Replay: `start` scans the active file, `create_stream` reads all; a murmur3 hash of 128 bits is checked.
//! - Settings: a queue with room for every thread; all else as it is by default (256 KiB zeroed ahead).

use std::path::Path;

use futures::StreamExt;
use futures::executor::block_on;
use writeahead::{RetentionOptions, SimpleFile, WriteAhead, WriteAheadOptions, WriteHandle};

use crate::log::{Failure, Log, Promise, Setup};

pub struct Writeahead {
    handle: WriteHandle,
    log: WriteAhead<SimpleFile>,
}

fn open(place: &Path, setup: &Setup) -> Result<WriteAhead<SimpleFile>, Failure> {
    let keep_bytes = if setup.recycle { 4 * setup.segment_bytes } else { 0 };
    let mut log = WriteAhead::with_options(WriteAheadOptions {
        log_dir: place.to_owned(),
        max_file_size: setup.segment_bytes,
        queue_capacity: setup.threads.max(64),
        retention: RetentionOptions { max_total_size: keep_bytes, ..RetentionOptions::default() },
        ..WriteAheadOptions::default()
    });
    log.start()?;
    Ok(log)
}

impl Log for Writeahead {
    const NAME: &'static str = "writeahead 0.4.1";
    const VERIFIES: bool = true;

    fn promise(_: &Setup) -> Option<Promise> {
        Some(Promise::Durable)
    }

    fn open(place: &Path, setup: &Setup) -> Result<Self, Failure> {
        let log = open(place, setup)?;
        Ok(Self { handle: log.writer()?, log })
    }

    fn append(&self, payload: &[u8]) -> Result<(), Failure> {
        block_on(self.handle.write(payload.to_vec()))?;
        Ok(())
    }

    fn append_batch(&self, payloads: &[&[u8]]) -> Result<bool, Failure> {
        block_on(self.handle.write_batch(payloads.iter().map(|payload| payload.to_vec()).collect()))?;
        Ok(true)
    }

    fn close(self) -> Result<(), Failure> {
        // The last handle waits for the writer thread.
        drop(self.handle);
        drop(self.log);
        Ok(())
    }

    fn replay(place: &Path, setup: &Setup, each: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        let log = open(place, setup)?;
        let mut stream = log.create_stream()?;
        block_on(async {
            while let Some(record) = stream.next().await {
                each(&record?.1);
            }
            Ok(true)
        })
    }
}
