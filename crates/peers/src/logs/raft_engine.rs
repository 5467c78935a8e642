//! raft-engine 0.4.2 (needs a C compiler for lz4; builds on 1.95 without its default features, that is without the
//! scripting engine of its repair tools).
//!
//! - At return of `write(batch, false)`: in the kernel (a write to the log file). Of `write(batch, true)`: durable
//!   (fdatasync by the leader of the write group; README "Write", engine.rs). `Engine::sync` writes an empty batch,
//!   which `write` answers before it comes to a sync, so it does nothing; it is not used here.
//! - Concurrency: writers queue and the first writes, and syncs once, for all that are in the queue.
//! - Made for many Raft groups: entries have consecutive indexes within a group, so each thread appends to a group of
//!   its own, as TiKV's would. The entry is a protobuf message with a number and bytes, as Raft's is. It keeps a place
//!   in memory for every entry that lives.
//! - Batches: a `LogBatch` is atomic.
//! - Old files: `compact_to` in every group, then `purge_expired_files`; files are recycled. It removes nothing before
//!   `purge_threshold`, here 4 files.
//! - Replay: the open reads the index of every batch and checks its CRC; `fetch_entries_to` reads the entries of a
//!   group and checks the CRC of their block. The order is that of each group.
//! - Settings: no compression, as in its own example (else batches above 8 KiB are compressed by LZ4).

use std::cell::Cell;
use std::collections::VecDeque;
use std::path::Path;
use std::slice;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use protobuf::descriptor::UninterpretedOption as Entry;
use raft_engine::env::DefaultFileSystem;
use raft_engine::internals::FilePipeLog;
use raft_engine::{Config, Engine, LogBatch, MessageExt, ReadableSize};

use crate::log::{Failure, Log, Promise, Setup};

type Files = Engine<DefaultFileSystem, FilePipeLog<DefaultFileSystem>>;

struct Entries;

impl MessageExt for Entries {
    type Entry = Entry;

    fn index(entry: &Entry) -> u64 {
        entry.get_positive_int_value()
    }
}

pub struct RaftEngine {
    /// Told apart by the threads, which remember their lane.
    id: u64,
    engine: Files,
    durable: bool,
    lanes: Vec<Mutex<Lane>>,
    taken: AtomicUsize,
    keep_bytes: u64,
}

/// A Raft group; one for each thread.
struct Lane {
    group: u64,
    next: u64,
    bytes: u64,
    batch: LogBatch,
    entries: Vec<Entry>,
    /// How many bytes there were before an index, at earlier calls of `drop_old`.
    marks: VecDeque<(u64, u64)>,
}

impl Lane {
    fn new(engine: &Files, group: u64) -> Mutex<Self> {
        let next = engine.last_index(group).unwrap_or(0) + 1;
        let (batch, entries) = (LogBatch::with_capacity(1), Vec::new());
        Mutex::new(Self { group, next, bytes: 0, batch, entries, marks: VecDeque::new() })
    }
}

fn open(place: &Path, setup: &Setup) -> Result<Files, Failure> {
    let config = Config {
        dir: place.to_str().ok_or("the path is not text")?.to_owned(),
        target_file_size: ReadableSize(setup.segment_bytes),
        purge_threshold: ReadableSize(if setup.recycle { 4 * setup.segment_bytes } else { 1 << 40 }),
        batch_compression_threshold: ReadableSize(0),
        ..Config::default()
    };
    Ok(Engine::open(config)?)
}

fn held(lane: &Mutex<Lane>) -> MutexGuard<'_, Lane> {
    lane.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RaftEngine {
    fn lane(&self) -> MutexGuard<'_, Lane> {
        thread_local! {
            static MINE: Cell<(u64, usize)> = const { Cell::new((0, 0)) };
        }
        let (id, mut lane) = MINE.get();
        if id != self.id {
            lane = self.taken.fetch_add(1, Ordering::Relaxed) % self.lanes.len();
            MINE.set((self.id, lane));
        }
        held(&self.lanes[lane])
    }
}

impl Log for RaftEngine {
    const NAME: &'static str = "raft-engine 0.4.2";
    const VERIFIES: bool = true;

    fn promise(setup: &Setup) -> Option<Promise> {
        Some(if setup.durable { Promise::Durable } else { Promise::Kernel })
    }

    fn open(place: &Path, setup: &Setup) -> Result<Self, Failure> {
        static OPENED: AtomicU64 = AtomicU64::new(1);
        // One more than the threads that were told of: the caller may append as well.
        let lanes = setup.threads as u64 + 1;
        let engine = open(place, setup)?;
        Ok(Self {
            id: OPENED.fetch_add(1, Ordering::Relaxed),
            durable: setup.durable,
            lanes: (1..=lanes).map(|group| Lane::new(&engine, group)).collect(),
            engine,
            taken: AtomicUsize::new(0),
            keep_bytes: setup.segment_bytes / lanes,
        })
    }

    fn append(&self, payload: &[u8]) -> Result<(), Failure> {
        self.append_batch(slice::from_ref(&payload))?;
        Ok(())
    }

    fn append_batch(&self, payloads: &[&[u8]]) -> Result<bool, Failure> {
        let lane = &mut *self.lane();
        lane.entries.resize_with(payloads.len(), Entry::default);
        for (entry, payload) in lane.entries.iter_mut().zip(payloads) {
            entry.set_positive_int_value(lane.next);
            entry.mut_string_value().clear();
            entry.mut_string_value().extend_from_slice(payload);
            lane.next += 1;
            lane.bytes += payload.len() as u64;
        }
        lane.batch.add_entries::<Entries>(lane.group, &lane.entries)?;
        self.engine.write(&mut lane.batch, self.durable)?;
        Ok(true)
    }

    fn drop_old(&self) -> Result<(), Failure> {
        for lane in &self.lanes {
            let mut lane = held(lane);
            let (bytes, next) = (lane.bytes, lane.next);
            lane.marks.push_back((bytes, next));
            let mut old = None;
            while lane.marks.front().is_some_and(|mark| mark.0 + self.keep_bytes <= bytes) {
                old = lane.marks.pop_front();
            }
            let group = lane.group;
            drop(lane);
            if let Some((_, index)) = old {
                self.engine.compact_to(group, index);
            }
        }
        self.engine.purge_expired_files()?;
        Ok(())
    }

    fn close(self) -> Result<(), Failure> {
        // Every write is with the kernel; what remains is done as the engine is dropped.
        Ok(())
    }

    fn replay(place: &Path, setup: &Setup, each: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        let engine = open(place, setup)?;
        let mut entries = Vec::new();
        for group in engine.raft_groups() {
            let (Some(first), Some(last)) = (engine.first_index(group), engine.last_index(group)) else {
                continue;
            };
            let mut from = first;
            while from <= last {
                engine.fetch_entries_to::<Entries>(group, from, last + 1, Some(1 << 20), &mut entries)?;
                from += entries.len() as u64;
                entries.drain(..).for_each(|entry| each(entry.get_string_value()));
            }
        }
        Ok(true)
    }
}
