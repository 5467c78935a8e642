//! The cursors of a log: consumers' positions that survive restarts, and what they hold back.
//!
//! A cursor's file has two slots. The *settled* slot is on the device; a commit writes the other one, in place, and again
//! and again until a sync makes that one the settled one. So a torn write always leaves a slot that was synced, however many
//! commits went unsynced. After a sync the slot that it settled is copied to the other: a slot that rots leaves its twin.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};
use crate::format::cursor::Stored;
use crate::format::name::is_cursor_name;
use crate::lsn::Lsn;
use crate::primitive::{Arc, AtomicU64, Mutex, MutexGuard, Ordering, lock};
use crate::storage::{Directory, Failure, File};

/// What an operation on a cursor's file gives.
pub(crate) type Outcome<T> = core::result::Result<T, Failure>;

/// A cursor, as a list of them tells it. From [`Log::cursors`](crate::Log::cursors) and
/// [`LogReader::cursors`](crate::LogReader::cursors).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CursorInfo {
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// Where it stands; the error where its file cannot be read, or is damaged
    /// ([`Corrupt`](crate::ErrorKind::Corrupt)).
    pub state: Result<CursorState>,
}

/// Where a cursor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CursorState {
    /// Everything before it was consumed.
    pub position: Lsn,
    /// Whether it gates retirement.
    pub gate: bool,
    /// Where the log was found to end, before the position: see [`ErrorKind::CursorAhead`](crate::ErrorKind::CursorAhead).
    pub log_ended: Option<Lsn>,
    /// When it was last committed, by the system's clock; for people.
    pub committed: SystemTime,
    /// Bytes of log from the position to the end, headers of records included.
    pub lag_bytes: u64,
}

impl CursorState {
    fn new(stored: &Stored, end: u64) -> Self {
        let committed = UNIX_EPOCH.checked_add(Duration::from_nanos(stored.changed_unix_ns));
        Self {
            position: Lsn::new(stored.position),
            gate: stored.gate,
            log_ended: stored.cut.map(Lsn::new),
            committed: committed.unwrap_or(UNIX_EPOCH),
            lag_bytes: end.saturating_sub(stored.position),
        }
    }
}

/// What the cursors in a directory say, for whoever has no registry of them.
pub(crate) fn look(directory: &Directory, log_id: [u8; 16], end: u64) -> Result<Vec<CursorInfo>> {
    let mut found = Vec::new();
    for name in directory.list()?.cursors {
        let path = directory.cursor_path(&name);
        let state = match directory.read_cursor(&name, log_id) {
            Ok(Some((stored, _))) => Ok(CursorState::new(&stored, end)),
            // Removed meanwhile.
            Ok(None) => continue,
            Err(error) => Err(error),
        };
        found.push(CursorInfo { name, path, state });
    }
    Ok(found)
}

/// The cursors of a log that is open for writing.
#[derive(Debug)]
pub(crate) struct Cursors {
    directory: Arc<Directory>,
    log_id: [u8; 16],
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    entries: BTreeMap<String, Arc<Entry>>,
    /// Those whose files do not read back, and why.
    unreadable: BTreeMap<String, Error>,
    closed: bool,
}

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
struct State {
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

/// Who holds back what was to be retired.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) position: u64,
    /// Why its position is not known.
    pub(crate) unreadable: Option<Error>,
}

impl Holder {
    pub(crate) fn error(&self, asked: u64) -> Error {
        let position = Lsn::new(self.position);
        self.unreadable
            .clone()
            .unwrap_or_else(|| Error::held(&self.name, position, Lsn::new(asked), &self.path))
    }
}

impl Cursors {
    /// The cursors with these names. One beyond `end`, where the log was found to end, is noted as such, durably, before
    /// anything is appended there.
    pub(crate) fn open(
        directory: &Arc<Directory>,
        log_id: [u8; 16],
        names: Vec<String>,
        end: u64,
    ) -> Outcome<Self> {
        let mut known = Known::default();
        for name in names {
            match directory.read_cursor(&name, log_id) {
                Ok(Some((stored, slot))) => {
                    let entry = Entry::new(directory, stored, slot, None);
                    entry.note_end(directory, end)?;
                    known.entries.insert(name, Arc::new(entry));
                }
                Ok(None) => {}
                // It keeps nobody from opening the log; whoever asks for the cursor is told.
                Err(error) => drop(known.unreadable.insert(name, error)),
            }
        }
        Ok(Self { directory: Arc::clone(directory), log_id, known: Mutex::new(known) })
    }

    /// The cursor with this name; made at `position` where there is none.
    pub(crate) fn open_or_create(
        &self,
        name: &str,
        position: impl FnOnce() -> Result<u64>,
    ) -> Outcome<Arc<Entry>> {
        if !is_cursor_name(name) {
            return Err(Error::cursor_name(name).into());
        }
        let mut known = lock(&self.known);
        if known.closed {
            return Err(Error::closed().into());
        }
        if let Some(error) = known.unreadable.get(name) {
            return Err(error.clone().into());
        }
        if let Some(entry) = known.entries.get(name) {
            return Ok(Arc::clone(entry));
        }
        let stored = Stored {
            log_id: self.log_id,
            name: name.to_owned(),
            position: position()?,
            generation: 0,
            gate: false,
            cut: None,
            changed_unix_ns: self.directory.storage().unix_nanos(),
        };
        self.directory.create_cursor(&stored)?;
        let entry = Arc::new(Entry::new(&self.directory, stored.clone(), 0, Some(stored)));
        known.entries.insert(name.to_owned(), Arc::clone(&entry));
        Ok(entry)
    }

    /// Removes a cursor, damaged or not. False when there was none.
    pub(crate) fn remove(&self, name: &str) -> Outcome<bool> {
        if !is_cursor_name(name) {
            return Err(Error::cursor_name(name).into());
        }
        let mut known = lock(&self.known);
        if known.closed {
            return Err(Error::closed().into());
        }
        let entry = known.entries.get(name).map(Arc::clone);
        let mut state = entry.as_ref().map(|entry| lock(&entry.state));
        let removed = self.directory.remove_cursor(name)?;
        known.unreadable.remove(name);
        known.entries.remove(name);
        if let (Some(entry), Some(state)) = (&entry, &mut state) {
            state.gone = Some(Gone::Removed);
            entry.show_gate(state);
        }
        Ok(removed)
    }

    pub(crate) fn list(&self, end: u64) -> Vec<CursorInfo> {
        let known = lock(&self.known);
        let readable = known.entries.values().map(|entry| CursorInfo {
            name: entry.name.clone(),
            path: entry.path.clone(),
            state: Ok(entry.look(end)),
        });
        let unreadable = known.unreadable.iter().map(|(name, error)| CursorInfo {
            name: name.clone(),
            path: self.directory.cursor_path(name),
            state: Err(error.clone()),
        });
        let mut all: Vec<_> = readable.chain(unreadable).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// Who holds back most of what lies before `until`; cursors that lag by more than `lag_max` behind `end` do not count.
    /// With `sync`, commits that are not on the device yet are brought there, where that lets more go.
    pub(crate) fn holder(
        &self,
        until: u64,
        end: u64,
        lag_max: Option<u64>,
        sync: bool,
    ) -> Outcome<Option<Holder>> {
        let (entries, unreadable) = {
            let known = lock(&self.known);
            (
                known.entries.values().map(Arc::clone).collect::<Vec<_>>(),
                known.unreadable.iter().next().map(|(name, error)| (name.clone(), error.clone())),
            )
        };
        if let Some((name, error)) = unreadable {
            // It may be a gate, at any place.
            let path = self.directory.cursor_path(&name);
            return Ok(Some(Holder { name, path, position: 0, unreadable: Some(error) }));
        }
        let mut first: Option<Holder> = None;
        for entry in entries {
            // Relaxed, here and in `show_gate`: values, which only grow but under the lock of the log's metadata, which
            // whoever retires holds too. With an old one less is retired.
            let mut from = entry.held_from.load(Ordering::Relaxed);
            let soon = entry.will_hold_from.load(Ordering::Relaxed);
            if from < until && soon > from {
                if sync {
                    entry.sync(&self.directory)?;
                    from = entry.held_from.load(Ordering::Relaxed);
                } else {
                    from = soon;
                }
            }
            let ignored = lag_max.is_some_and(|lag_max| end.saturating_sub(from) > lag_max);
            if from < until && !ignored && first.as_ref().is_none_or(|first| from < first.position) {
                let (name, path) = (entry.name.clone(), entry.path.clone());
                first = Some(Holder { name, path, position: from, unreadable: None });
            }
        }
        Ok(first)
    }

    /// The gates between two positions: what they held back was retired all the same.
    pub(crate) fn passed(&self, from: u64, to: u64) -> Vec<(String, u64)> {
        let known = lock(&self.known);
        let at = |entry: &Entry| entry.held_from.load(Ordering::Relaxed);
        let passed = known.entries.values().filter(|entry| (from..to).contains(&at(entry)));
        passed.map(|entry| (entry.name.clone(), at(entry))).collect()
    }

    /// Makes all commits durable; no more are taken. Returns the first failure.
    pub(crate) fn close(&self) -> Outcome<()> {
        let mut known = lock(&self.known);
        known.closed = true;
        let mut outcome = Ok(());
        for entry in known.entries.values() {
            let mut state = lock(&entry.state);
            if state.file.is_some() && outcome.is_ok() {
                outcome = entry.settle(&self.directory, &mut state);
            }
            state.gone = state.gone.or(Some(Gone::Closed));
        }
        outcome
    }
}

impl Entry {
    fn new(directory: &Directory, stored: Stored, slot: usize, settled: Option<Stored>) -> Self {
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
        // Relaxed: see `Cursors::holder`.
        self.held_from.store(settled.min(held(&state.now)), Ordering::Relaxed);
        self.will_hold_from.store(held(&state.now), Ordering::Relaxed);
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
    fn note_end(&self, directory: &Directory, end: u64) -> Outcome<()> {
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

fn open<'a>(
    directory: &Directory,
    file: &'a mut Option<File>,
    name: &str,
) -> Result<&'a dyn crate::storage::StorageFile> {
    if file.is_none() {
        *file = Some(directory.open_cursor(name)?);
    }
    file.as_deref().ok_or_else(Error::closed)
}
