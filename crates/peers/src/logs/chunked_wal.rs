//! chunked-wal 0.2.3, the log under raft-log 0.4 (pure Rust; builds on 1.95).
//!
//! - At return of `append`: in the process's memory ("does not touch the file"; api/wal.rs). `send_pending` hands the
//!   bytes to a worker thread; its callback comes after the write, and after fdatasync if asked for (flush_worker.rs):
//!   durable appends wait for it.
//! - Concurrency: `&mut self`, hence a mutex; the worker gathers requests into one write and one fdatasync.
//! - Batches: many appends and one `send_pending`; a crash may tear them, as each record stands for itself.
//! - Old chunks: `drain_closed_chunks_while` and `send_remove_chunks` (the worker unlinks and syncs the directory).
//! - Replay: the open reads a whole chunk into memory and applies each record. The crate checks its own checkpoints;
//!   a record is its user's to protect, here by CRC-32 as in raft-log (raft_log_action.rs).
//! - Settings: the worker waits for more requests before a sync, 1 ms by default, and less only if as many came as
//!   make a batch. It is told the number of threads, and to wait 100 us at most, or not at all for one thread.
//!   Without durability 64 KiB are handed over at a time (each request is a message to the worker).
//! - raft-log itself adds the state of Raft and a cache of payloads over this, so it is left out.

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chunked_wal::types::{Checksum, Segment};
use chunked_wal::{ChunkId, ChunkedWal as Wal, Config, StateMachine, WAL, WALRecord, WalTypes};
use codeq::config::CodeqConfig;
use codeq::{Decode, Encode};

use crate::log::{Failure, Log, Promise, Setup};

const RECORD_TYPE: u32 = 1;
const HAND_OVER_BYTES: usize = 64 << 10;

/// What the worker thread says of a write.
type Answer = Result<(), io::Error>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Types;

impl WalTypes for Types {
    type Action = Payload;
    type Checkpoint = u64;
    type Callback = SyncSender<Answer>;
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Payload(Vec<u8>);

impl Encode for Payload {
    fn encode<W: io::Write>(&self, mut to: W) -> Result<usize, io::Error> {
        let mut sums = Checksum::new_writer(&mut to);
        let bytes = RECORD_TYPE.encode(&mut sums)? + self.0.encode(&mut sums)?;
        Ok(bytes + sums.write_checksum()?)
    }

    fn type_id(&self) -> Option<u32> {
        Some(RECORD_TYPE)
    }
}

impl Decode for Payload {
    fn decode<R: io::Read>(mut from: R) -> Result<Self, io::Error> {
        let mut sums = Checksum::new_reader(&mut from);
        if u32::decode(&mut sums)? != RECORD_TYPE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let payload = Vec::decode(&mut sums)?;
        sums.verify_checksum(|| "a record")?;
        Ok(Self(payload))
    }
}

/// Gives every record on; there is no state.
struct Machine<'a>(&'a mut dyn FnMut(&[u8]));

impl StateMachine<Types> for Machine<'_> {
    type Error = Infallible;

    fn apply(&mut self, record: &WALRecord<Types>, _: ChunkId, _: Segment) -> Result<(), Infallible> {
        if let WALRecord::Action(payload) = record {
            self.0(&payload.0);
        }
        Ok(())
    }

    fn checkpoint(&self) -> u64 {
        0
    }
}

pub struct ChunkedWal {
    one: Mutex<One>,
    durable: bool,
}

struct One {
    wal: Wal<Types>,
    record: WALRecord<Types>,
    pending_bytes: usize,
}

thread_local! {
    static ANSWER: (SyncSender<Answer>, Receiver<Answer>) = sync_channel(1);
}

fn open(place: &Path, setup: &Setup, each: &mut dyn FnMut(&[u8])) -> Result<Wal<Types>, Failure> {
    std::fs::create_dir_all(place)?;
    let mut config = Config::new(place.display());
    config.chunk_max_size = Some(usize::try_from(setup.segment_bytes)?);
    config.chunk_max_records = Some(usize::MAX);
    config.flush_batch_max_items = Some(setup.threads.max(1));
    config.flush_batch_wait = Some(Duration::from_micros(if setup.threads > 1 { 100 } else { 0 }));
    Ok(Wal::open(Arc::new(config), &mut Machine(each), Arc::new(|_, _| ()))?)
}

impl Log for ChunkedWal {
    const NAME: &'static str = "chunked-wal 0.2.3";
    const VERIFIES: bool = true;

    fn promise(setup: &Setup) -> Option<Promise> {
        Some(if setup.durable { Promise::Durable } else { Promise::Process })
    }

    fn open(place: &Path, setup: &Setup) -> Result<Self, Failure> {
        let wal = open(place, setup, &mut |_| ())?;
        let one = One { wal, record: WALRecord::Action(Payload::default()), pending_bytes: 0 };
        Ok(Self { one: Mutex::new(one), durable: setup.durable })
    }

    fn append(&self, payload: &[u8]) -> Result<(), Failure> {
        self.append_batch(&[payload])?;
        Ok(())
    }

    fn append_batch(&self, payloads: &[&[u8]]) -> Result<bool, Failure> {
        let mut one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        let One { wal, record, pending_bytes } = &mut *one;
        for payload in payloads {
            if let WALRecord::Action(Payload(bytes)) = record {
                bytes.clear();
                bytes.extend_from_slice(payload);
            }
            wal.append(record)?;
            *pending_bytes += payload.len();
        }
        wal.try_close_full_chunk(&Machine(&mut |_| ()))?;
        if !self.durable {
            if *pending_bytes >= HAND_OVER_BYTES {
                *pending_bytes = 0;
                wal.send_pending(false, None)?;
            }
            return Ok(true);
        }
        ANSWER.with(|(send, receive)| {
            one.wal.send_pending(true, Some(send.clone()))?;
            drop(one);
            receive.recv()??;
            Ok(true)
        })
    }

    fn drop_old(&self) -> Result<(), Failure> {
        let wal = &mut self.one.lock().unwrap_or_else(PoisonError::into_inner).wal;
        let mut old = wal.closed_chunk_stats().len().saturating_sub(3);
        let chunks = wal.drain_closed_chunks_while(|_| {
            let drain = old > 0;
            old = old.saturating_sub(1);
            drain
        });
        if !chunks.is_empty() {
            wal.send_remove_chunks(chunks)?;
        }
        Ok(())
    }

    fn close(self) -> Result<(), Failure> {
        Ok(self.one.into_inner().unwrap_or_else(PoisonError::into_inner).wal.shutdown()?)
    }

    fn replay(place: &Path, setup: &Setup, each: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        open(place, setup, each)?.shutdown()?;
        Ok(true)
    }
}
