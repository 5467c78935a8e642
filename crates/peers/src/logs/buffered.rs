//! What one would write oneself, and well: a mutex around a buffer, one `fdatasync` for all who wait, segments that
//! are zeroed ahead and used again.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::frame;
use super::prepared::Supply;
use crate::log::{Failure, Log, Promise, Setup};

/// Records are written together in pieces of this size where nobody waits for them.
const BUFFER: usize = 256 << 10;
const KEPT: u64 = 4;

pub struct Buffered {
    state: Mutex<State>,
    synced: Condvar,
    place: PathBuf,
    durable: bool,
    segment_bytes: u64,
}

struct State {
    supply: Supply,
    file: Arc<File>,
    number: u64,
    /// Where the buffer goes in the file.
    at: u64,
    buffer: Vec<u8>,
    /// What the syncing thread gave back, to be filled next.
    spare: Vec<u8>,
    /// Records in the buffer or the file, and records on stable storage.
    appended: u64,
    durable: u64,
    syncing: bool,
    /// After a failed sync nobody knows what is durable, and nobody is told that anything is.
    failed: Option<String>,
}

impl Log for Buffered {
    const NAME: &'static str = "mutex + buffer + group fdatasync";
    const VERIFIES: bool = true;

    fn promise(setup: &Setup) -> Option<Promise> {
        Some(if setup.durable { Promise::Durable } else { Promise::Process })
    }

    fn open(place: &Path, setup: &Setup) -> Result<Self, Failure> {
        frame::make(place)?;
        let mut supply = Supply::new(place, setup.durable, setup.segment_bytes);
        // A new segment behind those that are there: what was torn at the end stays where it is.
        let number = frame::numbers(place)?.last().map_or(0, |last| last + 1);
        let state = State {
            file: Arc::new(supply.take(number)?),
            supply,
            number,
            at: 0,
            buffer: Vec::with_capacity(BUFFER),
            spare: Vec::with_capacity(BUFFER),
            appended: 0,
            durable: 0,
            syncing: false,
            failed: None,
        };
        Ok(Self {
            state: Mutex::new(state),
            synced: Condvar::new(),
            place: place.to_owned(),
            durable: setup.durable,
            segment_bytes: setup.segment_bytes,
        })
    }

    fn append(&self, payload: &[u8]) -> Result<(), Failure> {
        self.append_batch(&[payload]).map(|_| ())
    }

    fn append_batch(&self, payloads: &[&[u8]]) -> Result<bool, Failure> {
        let mut state = self.lock();
        for payload in payloads {
            state = self.add(state, payload)?;
        }
        if self.durable {
            let mine = state.appended;
            self.wait(state, mine)?;
        }
        Ok(true)
    }

    fn drop_old(&self) -> Result<(), Failure> {
        let mut state = self.lock();
        for number in frame::numbers(&self.place)? {
            if number + KEPT <= state.number {
                let used = self.place.join(format!("{number}.used"));
                std::fs::rename(frame::path(&self.place, number), &used)?;
                state.supply.used.push(used);
            }
        }
        Ok(())
    }

    fn close(self) -> Result<(), Failure> {
        let mut state = self.lock();
        if self.durable {
            let mine = state.appended;
            self.wait(state, mine)
        } else {
            spill(&mut state)
        }
    }

    fn replay(place: &Path, _: &Setup, each: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        frame::replay(place, each)?;
        Ok(true)
    }
}

impl Buffered {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a record into the buffer, on to the next segment where it does not fit.
    fn add<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        payload: &[u8],
    ) -> Result<MutexGuard<'a, State>, Failure> {
        let bytes = (frame::HEAD + payload.len()) as u64;
        if state.at + state.buffer.len() as u64 + bytes > self.segment_bytes {
            state = self.roll(state)?;
        }
        let head = frame::head(state.number, payload);
        state.buffer.extend_from_slice(&head);
        state.buffer.extend_from_slice(payload);
        state.appended += 1;
        if !self.durable && state.buffer.len() >= BUFFER {
            spill(&mut state)?;
        }
        Ok(state)
    }

    fn roll<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>, Failure> {
        while state.syncing {
            state = self.synced.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        spill(&mut state)?;
        if self.durable {
            state.file.sync_data()?;
            state.durable = state.appended;
            self.synced.notify_all();
        }
        state.number += 1;
        let number = state.number;
        state.file = Arc::new(state.supply.take(number)?);
        state.at = 0;
        Ok(state)
    }

    /// Until the first `mine` records are durable: by the sync that runs, or by one for all who came meanwhile.
    fn wait<'a>(&'a self, mut state: MutexGuard<'a, State>, mine: u64) -> Result<(), Failure> {
        while state.durable < mine {
            if let Some(failed) = &state.failed {
                return Err(failed.clone().into());
            }
            if state.syncing {
                state = self.synced.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.syncing = true;
            let (target, at, file) = (state.appended, state.at, Arc::clone(&state.file));
            let spare = std::mem::take(&mut state.spare);
            let mut full = std::mem::replace(&mut state.buffer, spare);
            state.at += full.len() as u64;
            drop(state);
            let outcome = file.write_all_at(&full, at).and_then(|()| file.sync_data());
            full.clear();
            state = self.lock();
            state.spare = full;
            state.syncing = false;
            match outcome {
                Ok(()) => state.durable = target,
                Err(error) => state.failed = Some(error.to_string()),
            }
            self.synced.notify_all();
        }
        Ok(())
    }
}

fn spill(state: &mut State) -> Result<(), Failure> {
    state.file.write_all_at(&state.buffer, state.at)?;
    state.at += state.buffer.len() as u64;
    state.buffer.clear();
    Ok(())
}
