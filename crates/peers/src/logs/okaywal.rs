//! okaywal 0.3.1 (pure Rust; builds on 1.95).
//!
//! - At return: durable, and there is no other mode: `EntryWriter::commit` returns after `sync_data` on the segment
//!   (README: the file is fsynced "before control returns from committing an entry"; lib.rs `reclaim`, log_file.rs
//!   `synchronize_locked`).
//! - Concurrency: one writer holds the active file while it writes; committers share an fdatasync by themselves.
//! - Batches: an entry of many chunks is committed as one.
//! - Old segments: a checkpoint hands a full segment to the `LogManager` and recycles its file (renamed, not
//!   truncated). To keep all, the manager does not let a checkpoint finish: then each roll makes and zeroes a new file.
//! - Replay: `LogManager::recover` gets every entry; CRC32C of each chunk is checked by who reads it, as done here.
//! - Settings: the file is preallocated a quarter beyond the point of the checkpoint (the documentation asks for
//!   room; the default is a third), and the buffer takes a batch of 100 KiB (default 16 KiB).
//! - Faults: after one failed fdatasync, or on a full disk, waiters wait for ever (`is_syncing` is left set when
//!   `sync_data` fails; log_file.rs).

use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use okaywal::{Configuration, Entry, EntryId, LogManager, ReadChunkResult, SegmentReader, WriteAheadLog};

use crate::log::{Failure, Log, Promise, Setup};

pub struct Okaywal {
    log: WriteAheadLog,
    kept: Option<Arc<Gate>>,
}

/// Holds the checkpoints of a log that keeps everything until it closes.
#[derive(Debug, Default)]
struct Gate {
    closing: Mutex<bool>,
    turn: Condvar,
}

#[derive(Debug)]
struct Manager {
    kept: Option<Arc<Gate>>,
}

impl LogManager for Manager {
    fn recover(&mut self, _entry: &mut Entry<'_>) -> io::Result<()> {
        Ok(())
    }

    fn checkpoint_to(&mut self, _: EntryId, _: &mut SegmentReader, _: &WriteAheadLog) -> io::Result<()> {
        let Some(gate) = &self.kept else { return Ok(()) };
        let mut closing = gate.closing.lock().unwrap_or_else(PoisonError::into_inner);
        while !*closing {
            closing = gate.turn.wait(closing).unwrap_or_else(PoisonError::into_inner);
        }
        Err(io::ErrorKind::Interrupted.into())
    }
}

fn configuration(place: &Path, setup: &Setup) -> Configuration {
    let room = setup.segment_bytes.saturating_add(setup.segment_bytes / 4);
    Configuration::default_for(place)
        .preallocate_bytes(u32::try_from(room).unwrap_or(u32::MAX))
        .checkpoint_after_bytes(setup.segment_bytes)
        .buffer_bytes(128 << 10)
}

impl Log for Okaywal {
    const NAME: &'static str = "okaywal 0.3.1";
    const VERIFIES: bool = true;

    fn promise(_: &Setup) -> Option<Promise> {
        Some(Promise::Durable)
    }

    fn open(place: &Path, setup: &Setup) -> Result<Self, Failure> {
        let kept = (!setup.recycle).then(Arc::<Gate>::default);
        let log = configuration(place, setup).open(Manager { kept: kept.clone() })?;
        Ok(Self { log, kept })
    }

    fn append(&self, payload: &[u8]) -> Result<(), Failure> {
        self.append_batch(&[payload])?;
        Ok(())
    }

    fn append_batch(&self, payloads: &[&[u8]]) -> Result<bool, Failure> {
        let mut entry = self.log.begin_entry()?;
        for payload in payloads {
            entry.write_chunk(payload)?;
        }
        entry.commit()?;
        Ok(true)
    }

    fn close(self) -> Result<(), Failure> {
        let Some(gate) = self.kept else { return Ok(self.log.shutdown()?) };
        *gate.closing.lock().unwrap_or_else(PoisonError::into_inner) = true;
        gate.turn.notify_all();
        // The refused checkpoint ends its thread with an error, which is what keeps the segments.
        drop(self.log.shutdown());
        Ok(())
    }

    fn replay(place: &Path, setup: &Setup, each: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        let (send, receive) = sync_channel(4);
        let configuration = configuration(place, setup);
        let recovery = Recovery { send, found: Found::default() };
        // A manager must be 'static, so the records come over in pieces while the log goes on reading.
        let opener = std::thread::spawn(move || configuration.open(recovery).map(|log| drop(log.shutdown())));
        for Found { bytes, lens } in receive {
            let mut rest = bytes.as_slice();
            for len in lens {
                let (payload, after) = rest.split_at(len);
                each(payload);
                rest = after;
            }
        }
        opener.join().map_err(|_| "the recovery panicked")??;
        Ok(true)
    }
}

#[derive(Debug, Default)]
struct Found {
    bytes: Vec<u8>,
    lens: Vec<usize>,
}

#[derive(Debug)]
struct Recovery {
    send: SyncSender<Found>,
    found: Found,
}

impl LogManager for Recovery {
    fn recover(&mut self, entry: &mut Entry<'_>) -> io::Result<()> {
        let (bytes, lens) = (self.found.bytes.len(), self.found.lens.len());
        loop {
            match entry.read_chunk()? {
                ReadChunkResult::Chunk(mut chunk) => {
                    let from = self.found.bytes.len();
                    let len = chunk.bytes_remaining() as usize;
                    self.found.bytes.resize(from + len, 0);
                    chunk.read_exact(&mut self.found.bytes[from..])?;
                    if !chunk.check_crc()? {
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                    self.found.lens.push(len);
                }
                ReadChunkResult::EndOfEntry => break,
                ReadChunkResult::AbortedEntry => {
                    self.found.bytes.truncate(bytes);
                    self.found.lens.truncate(lens);
                    break;
                }
            }
        }
        if self.found.bytes.len() >= 256 << 10 {
            self.hand_over();
        }
        Ok(())
    }

    fn checkpoint_to(&mut self, _: EntryId, _: &mut SegmentReader, _: &WriteAheadLog) -> io::Result<()> {
        Err(io::ErrorKind::Interrupted.into())
    }
}

impl Recovery {
    fn hand_over(&mut self) {
        let full = std::mem::take(&mut self.found);
        self.found.bytes.reserve(full.bytes.capacity());
        drop(self.send.send(full));
    }
}

impl Drop for Recovery {
    fn drop(&mut self) {
        self.hand_over();
    }
}
