//! Writes a new log of records that are there already: at LSNs of the caller's choice, or one behind the other.
//!
//! Tools stand on it that make a log from others: with other segments, with another checksum, of several. A [`Log`](crate::Log)
//! gives each record its LSN; here the caller may, so that what has noted LSNs stays right.
//!
//! The log is there when [`finish`](Rebuild::finish) returns, and not before: its metadata comes last, as when a log is
//! created. Records go through plain writes, by one thread, and are synced segment by segment. What comes out is a log like
//! any other, as [`Log::close`](crate::Log::close) leaves it; its segments count as sealed when they were rebuilt.
//!
//! ```
//! use tidelog::rebuild::{Rebuild, RebuildOptions};
//! use tidelog::{Lsn, Options};
//!
//! # let dir = tempfile::tempdir()?;
//! # let (old, new) = (dir.path().join("old"), dir.path().join("new"));
//! let log = Options::new().segment_bytes(1 << 16).open(&old)?;
//! log.append(b"one")?;
//! let two = log.append(b"two")?;
//!
//! let mut rebuild = Rebuild::create(&new, &RebuildOptions::new().segment_bytes(1 << 20))?;
//! for record in log.snapshot().range(two..) {
//!     let record = record?;
//!     rebuild.place(record.lsn(), record.payload())?;
//! }
//! let end = rebuild.position();
//! rebuild.finish(end)?;
//!
//! let log = Options::new().open(&new)?;
//! assert_eq!(log.read(two)?.payload(), b"two");
//! assert_eq!(log.snapshot().iter().count(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

mod options;
mod place;
mod segment;

pub use self::options::RebuildOptions;

use core::fmt;
use std::path::Path;

use self::segment::Unfinished;
use crate::append::BatchLsns;
use crate::error::{Error, Result};
use crate::format::cursor::Stored;
use crate::format::header::{Identity, Session};
use crate::format::meta::Meta;
use crate::format::name;
use crate::lsn::Lsn;
use crate::storage::Directory;

/// A log that is being written anew. From [`Rebuild::create`]; [`finish`](Self::finish) makes a log of it. Dropped before,
/// it takes what it wrote away again.
pub struct Rebuild {
    directory: Directory,
    meta: Meta,
    session: Session,
    claim_max: u64,
    /// Where the next frame goes.
    position: u64,
    /// The segment that `position` lies in, if anything was written to it.
    current: Option<Unfinished>,
    /// Segments whose files are complete and durable, ascending.
    complete: Vec<u64>,
    cursors: Vec<Stored>,
    /// Why nothing more can be done.
    failed: Option<Error>,
    finished: bool,
    /// The process that it is of.
    owner: u32,
}

impl Rebuild {
    /// Begins a log in `directory`, which is made where it is missing, and takes its writer's lock.
    ///
    /// # Errors
    /// * [`InvalidOption`](crate::ErrorKind::InvalidOption): the options make no sense, or there is a log in the directory, or
    ///   what an interrupted creation left.
    /// * [`Locked`](crate::ErrorKind::Locked): somebody else is at it.
    /// * [`Unsupported`](crate::ErrorKind::Unsupported): a file system without guarantees; see
    ///   [`RebuildOptions::allow_unsupported_file_system`].
    /// * [`StorageFull`](crate::ErrorKind::StorageFull), [`Io`](crate::ErrorKind::Io).
    pub fn create(directory: impl AsRef<Path>, options: &RebuildOptions) -> Result<Self> {
        options.validate()?;
        let any_file_system = options.inner.any_file_system;
        let directory =
            Directory::lock_for_writing(options.inner.storage(), directory.as_ref(), any_file_system)?;
        let place = directory.path().display();
        if directory.read_meta()?.is_some() {
            return Err(Error::invalid_option(format!(
                "there is a log in {place} already; name a directory that is empty or missing"
            )));
        }
        let listing = directory.list()?;
        if !(listing.segments.is_empty() && listing.spares.is_empty() && listing.cursors.is_empty()) {
            return Err(Error::invalid_option(format!(
                "there are segments, spares or cursors in {place} and no metadata: a creation was interrupted, or the log \
                 is damaged; name another directory, or remove the files if nothing in them is needed"
            )));
        }
        for path in &listing.temporaries {
            directory.remove(path)?;
        }
        let storage = directory.storage();
        let mut log_id = [0; 16];
        let (low, high) = log_id.split_at_mut(8);
        low.copy_from_slice(&storage.random().to_le_bytes());
        high.copy_from_slice(&storage.random().to_le_bytes());
        let start = options.start.get();
        let session = Session {
            start,
            number: 1,
            checksum: options.inner.checksum,
            // Nobody is told of a record before all are durable.
            acks_durable: true,
            nonce: storage.random(),
            boot: directory.boot().0,
            opened_unix_ns: storage.unix_nanos(),
        };
        let segment_bytes = options.inner.new_segment_bytes();
        let schema = options.inner.schema.unwrap_or_default();
        Ok(Self {
            meta: Meta { log_id, segment_bytes, start, generation: 0, proven: start, schema },
            directory,
            session,
            claim_max: crate::limits::claim_max(segment_bytes),
            position: start,
            current: None,
            complete: Vec::new(),
            cursors: Vec::new(),
            failed: None,
            finished: false,
            owner: std::process::id(),
        })
    }

    /// Where the next record can be placed at the earliest.
    #[must_use]
    pub fn position(&self) -> Lsn {
        Lsn::new(self.position)
    }

    /// Where the log begins.
    #[must_use]
    pub fn start(&self) -> Lsn {
        Lsn::new(self.meta.start)
    }

    /// Bytes of log in each segment.
    #[must_use]
    pub fn segment_bytes(&self) -> u64 {
        self.meta.segment_bytes
    }

    /// The largest frame, or sum of a batch's frames, that the new segments take. A frame is a payload, 16 bytes before it,
    /// and up to 7 behind.
    #[must_use]
    pub fn frame_bytes_max(&self) -> u64 {
        self.claim_max
    }

    /// Writes a record at `lsn`. What lies between [`position`](Self::position) and there becomes padding.
    ///
    /// # Errors
    /// * [`InvalidOption`](crate::ErrorKind::InvalidOption): `lsn` lies before the position, or 8 bytes behind it inside of a
    ///   segment (padding takes 16), is no multiple of 8, or the record would cross the end of a segment.
    /// * [`TooLarge`](crate::ErrorKind::TooLarge).
    /// * [`StorageFull`](crate::ErrorKind::StorageFull), [`Io`](crate::ErrorKind::Io): the rebuild has failed; every later
    ///   call gives the same error. After the other errors it is as it was.
    pub fn place(&mut self, lsn: Lsn, payload: &[u8]) -> Result<()> {
        self.put(lsn.get(), &[payload])
    }

    /// Writes `records` as one batch, the first at `first`. No record is nothing, and one is a record like others.
    ///
    /// # Errors
    /// As [`place`](Self::place).
    pub fn place_batch<T: AsRef<[u8]>>(&mut self, first: Lsn, records: &[T]) -> Result<()> {
        self.put(first.get(), &slices(records))
    }

    /// Writes a record behind the last one, in the next segment where it does not fit into this one. Returns its LSN.
    ///
    /// # Errors
    /// [`TooLarge`](crate::ErrorKind::TooLarge), and as [`place`](Self::place) where the device fails.
    pub fn append(&mut self, payload: &[u8]) -> Result<Lsn> {
        let lsn = self.next_place(&[payload])?;
        self.put(lsn, &[payload])?;
        Ok(Lsn::new(lsn))
    }

    /// The same for a batch.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_batch<'a, T: AsRef<[u8]>>(&mut self, records: &'a [T]) -> Result<BatchLsns<'a, T>> {
        let slices = slices(records);
        let lsn = self.next_place(&slices)?;
        self.put(lsn, &slices)?;
        Ok(BatchLsns::new(lsn, records))
    }

    /// The log gets a cursor of this name, which stands at `position`.
    ///
    /// # Errors
    /// [`InvalidOption`](crate::ErrorKind::InvalidOption): this is no name for a cursor, it was given before, or the position
    /// is no multiple of 8. (That it lies in the log is seen by [`finish`](Self::finish).)
    pub fn cursor(&mut self, name: &str, position: Lsn, gate: bool) -> Result<()> {
        if !name::is_cursor_name(name) {
            return Err(Error::cursor_name(name));
        }
        if self.cursors.iter().any(|cursor| cursor.name == name) {
            return Err(Error::invalid_option(format!("there is a cursor {name:?} already; name each once")));
        }
        place::check_aligned(position.get())?;
        self.cursors.push(Stored {
            log_id: self.meta.log_id,
            name: name.to_owned(),
            position: position.get(),
            generation: 0,
            gate,
            cut: None,
            changed_unix_ns: self.directory.storage().unix_nanos(),
        });
        Ok(())
    }

    /// Ends the log at `end`, with padding up to there, and makes it one: from when this returns it is there, durably, and
    /// closed. (After a crash in here it is there or it is not.)
    ///
    /// # Errors
    /// * [`InvalidOption`](crate::ErrorKind::InvalidOption): `end` lies before the position, or where no padding can end, or a
    ///   cursor stands outside of the log.
    /// * [`StorageFull`](crate::ErrorKind::StorageFull), [`Io`](crate::ErrorKind::Io).
    ///
    /// After any error there is no log, and what was written is taken away.
    pub fn finish(mut self, end: Lsn) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.check_gap(end.get())?;
        let log = self.meta.start..=end.get();
        if let Some(cursor) = self.cursors.iter().find(|cursor| !log.contains(&cursor.position)) {
            return Err(Error::invalid_option(format!(
                "the cursor {:?} would stand at LSN {}, and the log is from LSN {} to {end}",
                cursor.name, cursor.position, self.meta.start
            )));
        }
        self.pad_to(end.get())?;
        if self.current.is_none() && self.complete.is_empty() {
            self.current = Some(self.begin(self.position)?);
        }
        self.seal()?;
        for base in &self.complete {
            let (from, to) = (self.temporary(*base), self.directory.segment_path(*base));
            let named = self.directory.storage().rename(&from, &to);
            named.map_err(|error| Error::io("cannot name a segment", &to, error))?;
        }
        self.directory.sync()?;
        for cursor in &self.cursors {
            self.directory.create_cursor(cursor).map_err(|failure| failure.error)?;
        }
        self.meta.proven = self.position;
        self.directory.create_meta(&self.meta)?;
        if self.directory.found_poisoned() {
            // All that is here was written and synced by this opening.
            self.directory.note_healed()?;
        }
        self.finished = true;
        Ok(())
    }

    fn identity(&self, base: u64) -> Identity {
        let segment_bytes = self.meta.segment_bytes;
        let number = base.checked_div(segment_bytes).unwrap_or_default();
        Identity { log_id: self.meta.log_id, number, segment_bytes }
    }

    /// Takes away what was written: the metadata first, so that no log is ever there in part.
    fn take_away(&mut self) {
        self.complete.extend(self.current.take().map(|segment| segment.base()));
        let metadata = self.directory.path().join(name::META);
        let cursors = self.cursors.iter().map(|cursor| self.directory.cursor_path(&cursor.name));
        let segments =
            self.complete.iter().flat_map(|base| [self.directory.segment_path(*base), self.temporary(*base)]);
        for path in [metadata].into_iter().chain(cursors).chain(segments) {
            // Most are not there.
            let _ = self.directory.remove(&path);
        }
    }
}

/// Each record is asked once for its bytes, so that what was measured is what is written.
fn slices<T: AsRef<[u8]>>(records: &[T]) -> Vec<&[u8]> {
    records.iter().map(AsRef::as_ref).collect()
}

impl Drop for Rebuild {
    fn drop(&mut self) {
        // In a forked child nothing of it is this process' to take away.
        if !self.finished && self.owner == std::process::id() {
            self.take_away();
        }
    }
}

impl fmt::Debug for Rebuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rebuild")
            .field("directory", &self.directory.path())
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}
