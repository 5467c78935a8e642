//! One cursor and its file.
//!
//! A cursor's file has two slots. The *settled* slot is on the device; a commit writes the other one, in place, and again
//! and again until a sync makes that one the settled one. So a torn write always leaves a slot that was synced, however many
//! commits went unsynced. After a sync the slot that it settled is copied to the other: a slot that rots leaves its twin.

use std::path::PathBuf;

use super::{CursorState, Outcome};
use crate::error::{Error, Result};
use crate::format::cursor::Stored;
use crate::lsn::Lsn;
use crate::primitive::{AtomicU64, Mutex, MutexGuard, Ordering, lock};
use crate::storage::{Directory, File, StorageFile};

/// One cursor.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    state: Mutex<State>,
    /// Nothing from here on is to be retired, as it is on the device; `u64::MAX` while it gates nothing.
    held_from: AtomicU64,
    /// The same as it will be after a sync.
    will_hold_from: AtomicU64,
}

#[derive(Debug)]
pub(super) struct State {
    /// Opened by the first write.
    file: Option<File>,
    /// What is in force, as this process and, after its death, the next one sees it.
    now: Stored,
    /// The slot that `settled` stands in, or will.
    slot: usize,
    /// What is on the device; `None` before this opening has synced the file.
    settled: Option<Stored>,
    /// A write failed: the slot that is not settled may hold anything.
    spoiled: bool,
    gone: Option<Gone>,
}

#[derive(Clone, Copy, Debug)]
enum Gone {
    Removed,
    Closed,
}

impl Entry {
    pub(super) fn new(directory: &Directory, stored: Stored, slot: usize, settled: Option<Stored>) -> Self {
        let (name, path) = (stored.name.clone(), directory.cursor_path(&stored.name));
        let state = State { file: None, now: stored, slot, settled, spoiled: false, gone: None };
        let entry = Self {
            name,
            path,
            state: Mutex::new(state),
            held_from: AtomicU64::new(u64::MAX),
            will_hold_from: AtomicU64::new(u64::MAX),
        };
        entry.show_gate(&lock(&entry.state));
        entry
    }

    /// Tells those who retire what this cursor holds.
    fn show_gate(&self, state: &State) {
        let held = |stored: &Stored| match stored.gate && !matches!(state.gone, Some(Gone::Removed)) {
            true => stored.position.min(stored.cut.unwrap_or(u64::MAX)),
            false => u64::MAX,
        };
        // What was read and not synced yet may be newer than what is on the device, by anything.
        let settled = match (&state.settled, held(&state.now)) {
            (Some(settled), _) => held(settled),
            (None, u64::MAX) => u64::MAX,
            (None, _) => 0,
        };
        // Relaxed: values, which only grow but under the lock of the log's start, which whoever retires holds when he
        // looks last. With an old one less is retired.
        self.held_from.store(settled.min(held(&state.now)), Ordering::Relaxed);
        self.will_hold_from.store(held(&state.now), Ordering::Relaxed);
    }

    /// From where on it holds what is not to be retired, as it is on the device, and as it will be after a sync.
    pub(super) fn holds(&self) -> (u64, u64) {
        // Relaxed: see `show_gate`.
        (self.held_from.load(Ordering::Relaxed), self.will_hold_from.load(Ordering::Relaxed))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Its file was removed.
    pub(super) fn remove(&self, state: &mut State) {
        state.gone = Some(Gone::Removed);
        self.show_gate(state);
    }

    /// No more commits. What was committed is made durable, with `settle`.
    pub(super) fn close(&self, directory: &Directory, settle: bool) -> Outcome<()> {
        let mut state = lock(&self.state);
        let used = state.file.is_some();
        let outcome = if settle && used { self.settle(directory, &mut state) } else { Ok(()) };
        state.gone = state.gone.or(Some(Gone::Closed));
        outcome
    }

    pub(crate) fn look(&self, end: u64) -> CursorState {
        CursorState::new(&lock(&self.state).now, end)
    }

    /// What of it survives a power cut, if that is known.
    pub(crate) fn durable(&self) -> Option<u64> {
        lock(&self.state).settled.as_ref().map(|settled| settled.position)
    }

    /// The position, for who goes on from there.
    pub(crate) fn position(&self) -> Result<u64> {
        let state = lock(&self.state);
        self.refuse_beyond(&state)?;
        Ok(state.now.position)
    }

    fn refuse_beyond(&self, state: &State) -> Result<()> {
        let position = Lsn::new(state.now.position);
        let beyond =
            state.now.cut.map(|end| Error::cursor_ahead(&self.name, position, Lsn::new(end), &self.path));
        beyond.map_or(Ok(()), Err)
    }

    fn writing(&self) -> Result<MutexGuard<'_, State>> {
        let state = lock(&self.state);
        match state.gone {
            None => Ok(state),
            Some(Gone::Removed) => Err(Error::no_cursor(&self.name, &self.path)),
            Some(Gone::Closed) => Err(Error::closed()),
        }
    }

    /// Moves it on.
    pub(crate) fn commit(&self, directory: &Directory, position: u64) -> Outcome<()> {
        let mut state = self.writing()?;
        self.refuse_beyond(&state)?;
        if position < state.now.position {
            let stands = Lsn::new(state.now.position);
            return Err(Error::cursor_behind(&self.name, stands, Lsn::new(position)).into());
        }
        if position == state.now.position {
            return Ok(());
        }
        let next = Stored { position, ..state.now.clone() };
        self.write(directory, &mut state, next)
    }

    /// Moves it anywhere, durably.
    pub(crate) fn reset(&self, directory: &Directory, position: u64) -> Outcome<()> {
        let mut state = self.writing()?;
        let next = Stored { position, cut: None, ..state.now.clone() };
        self.write(directory, &mut state, next)?;
        self.settle(directory, &mut state)
    }

    pub(crate) fn set_gate(&self, directory: &Directory, gate: bool) -> Outcome<()> {
        let mut state = self.writing()?;
        if state.now.gate != gate {
            let next = Stored { gate, ..state.now.clone() };
            self.write(directory, &mut state, next)?;
        }
        self.settle(directory, &mut state)
    }

    /// Makes what was committed durable.
    pub(crate) fn sync(&self, directory: &Directory) -> Outcome<()> {
        let mut state = self.writing()?;
        self.settle(directory, &mut state)
    }

    /// Notes where the log was found to end, if that is before the position.
    pub(super) fn note_end(&self, directory: &Directory, end: u64) -> Outcome<()> {
        let mut state = lock(&self.state);
        if state.now.position.min(state.now.cut.unwrap_or(u64::MAX)) <= end {
            return Ok(());
        }
        let next = Stored { cut: Some(end), ..state.now.clone() };
        self.write(directory, &mut state, next)?;
        self.settle(directory, &mut state)
    }

    /// Writes what is to be in force into the slot that is not settled.
    fn write(&self, directory: &Directory, state: &mut State, next: Stored) -> Outcome<()> {
        if state.settled.is_none() {
            // What an earlier process wrote may be in the page cache alone, and then the other slot is all that there is.
            self.settle(directory, state)?;
        }
        let generation = state.now.generation + 1;
        let next = Stored { generation, changed_unix_ns: directory.storage().unix_nanos(), ..next };
        let other = 1 - state.slot;
        let file = open(directory, &mut state.file, &self.name)?;
        state.spoiled = true;
        directory.write_cursor(file, &next, other)?;
        state.spoiled = false;
        state.now = next;
        self.show_gate(state);
        Ok(())
    }

    /// Makes the slot in force durable, and copies it to the other one.
    fn settle(&self, directory: &Directory, state: &mut State) -> Outcome<()> {
        if state.settled.as_ref() == Some(&state.now) {
            return Ok(());
        }
        let file = open(directory, &mut state.file, &self.name)?;
        let slot = if state.settled.is_some() { 1 - state.slot } else { state.slot };
        if state.settled.is_none() || state.spoiled {
            // After an earlier process the kernel may take for written what is not; so it is written again, byte by byte
            // the same.
            directory.write_cursor(file, &state.now, slot)?;
            state.spoiled = false;
        }
        directory.sync_cursor(file, &self.name)?;
        state.slot = slot;
        state.settled = Some(state.now.clone());
        self.show_gate(state);
        // A twin, in the page cache. Without it a torn write costs no more.
        let file = open(directory, &mut state.file, &self.name)?;
        state.spoiled = directory.write_cursor(file, &state.now, 1 - slot).is_err();
        Ok(())
    }
}

fn open<'a>(directory: &Directory, file: &'a mut Option<File>, name: &str) -> Result<&'a dyn StorageFile> {
    if file.is_none() {
        *file = Some(directory.open_cursor(name)?);
    }
    file.as_deref().ok_or_else(Error::closed)
}
