//! The cursors of a log: consumers' positions that survive restarts, and what they hold back.

mod entry;

pub(crate) use self::entry::Entry;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};
use crate::format::cursor::Stored;
use crate::format::name::is_cursor_name;
use crate::lsn::Lsn;
use crate::primitive::{Arc, Mutex, lock};
use crate::storage::{Directory, Failure};

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
        let mut state = entry.as_ref().map(|entry| entry.lock());
        let removed = self.directory.remove_cursor(name)?;
        known.unreadable.remove(name);
        known.entries.remove(name);
        if let (Some(entry), Some(state)) = (&entry, &mut state) {
            entry.remove(state);
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
            let (mut from, soon) = entry.holds();
            if from < until && soon > from {
                if sync {
                    entry.sync(&self.directory)?;
                    (from, _) = entry.holds();
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
        let at = |entry: &Entry| entry.holds().0;
        let passed = known.entries.values().filter(|entry| (from..to).contains(&at(entry)));
        passed.map(|entry| (entry.name.clone(), at(entry))).collect()
    }

    /// Makes all commits durable; no more are taken. Returns the first failure.
    pub(crate) fn close(&self) -> Outcome<()> {
        let mut known = lock(&self.known);
        known.closed = true;
        let mut outcome = Ok(());
        for entry in known.entries.values() {
            let closed = entry.close(&self.directory, outcome.is_ok());
            outcome = outcome.and(closed);
        }
        outcome
    }
}
