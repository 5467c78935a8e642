//! A consumer's position that survives restarts.

use core::fmt;

use super::Log;
use crate::cursors::{CursorInfo, CursorState, Entry, Outcome};
use crate::error::{Error, Result};
use crate::limits::FRAME_ALIGN;
use crate::lsn::Lsn;
use crate::primitive::Arc;
use crate::reentry::refuse_inside_claim;
use crate::tail::Tail;

/// A consumer's durable position in a log, by name. From [`Log::cursor`].
///
/// It promises *at least once*: a consumer that does its work, then commits, and after a restart goes on from
/// [`position`](Self::position), sees every record at least once. A commit may be forgotten by a power cut unless it was
/// synced; it is never ahead of what was committed.
///
/// | after | the position is |
/// |---|---|
/// | the process is killed | that of the last commit |
/// | [`sync`](Self::sync), [`reset`](Self::reset), [`set_gate`](Self::set_gate), [`Log::close`] | durable |
/// | power loss | that of the last commit, of the last that is durable, or of one in between |
///
/// It is stored in `NAME.cursor` in the log's directory. Handles of one name are the same cursor. A handle keeps the log
/// open as a clone of it does.
///
/// ```
/// let dir = tempfile::tempdir()?;
/// let options = tidelog::Options::new().segment_bytes(1 << 16);
/// let log = options.open(dir.path())?;
/// log.append(b"one")?;
/// log.append(b"two")?;
///
/// let cursor = log.cursor("indexer")?; // begins where the log begins
/// let mut tail = cursor.tail()?;
/// let record = tail.try_next()?.unwrap();
/// assert_eq!(record.payload(), b"one");
/// // ... index it, and then:
/// cursor.commit(tail.position())?;
/// drop(cursor);
/// log.close()?;
/// drop(log);
///
/// let log = options.open(dir.path())?;
/// let mut tail = log.cursor("indexer")?.tail()?;
/// assert_eq!(tail.try_next()?.unwrap().payload(), b"two");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Cursor {
    log: Log,
    entry: Arc<Entry>,
}

impl Cursor {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.entry.name
    }

    /// Where it stands: everything before this was consumed.
    #[must_use]
    pub fn position(&self) -> Lsn {
        self.state().position
    }

    /// The position that a power cut leaves at least; `None` where nothing was written since the log was opened, so
    /// that it is not known.
    #[must_use]
    pub fn durable_position(&self) -> Option<Lsn> {
        self.entry.durable().map(Lsn::new)
    }

    /// All that there is to tell.
    #[must_use]
    pub fn state(&self) -> CursorState {
        self.entry.look(self.log.inner.chain.written_end())
    }

    /// Bytes of log from the position to the end, headers of records included.
    #[must_use]
    pub fn lag_bytes(&self) -> u64 {
        self.state().lag_bytes
    }

    /// Moves it on to `position`: where the first record begins that is not consumed yet, as
    /// [`Tail::position`] tells it.
    ///
    /// That is one small write to a file: it survives the death of the process at once, and power loss after the next
    /// [`sync`](Self::sync). (The first commit after opening the log syncs.) A commit that power loss takes back means that
    /// records are seen again, so most consumers need no sync for each.
    ///
    /// # Errors
    /// * [`InvalidOption`](crate::ErrorKind::InvalidOption): `position` is before the cursor's; see [`reset`](Self::reset).
    /// * [`NotWritten`](crate::ErrorKind::NotWritten): `position` is beyond what is published.
    ///   [`Retired`](crate::ErrorKind::Retired), [`NotARecord`](crate::ErrorKind::NotARecord): it is before the log's start;
    ///   it is no multiple of 8.
    /// * [`CursorAhead`](crate::ErrorKind::CursorAhead): the log lost records that it had been committed for.
    /// * [`NotFound`](crate::ErrorKind::NotFound): it was removed. [`Closed`](crate::ErrorKind::Closed): the log was.
    /// * [`Poisoned`](crate::ErrorKind::Poisoned), [`Io`](crate::ErrorKind::Io),
    ///   [`WouldDeadlock`](crate::ErrorKind::WouldDeadlock).
    pub fn commit(&self, position: Lsn) -> Result<()> {
        self.check(position)?;
        self.finish(self.entry.commit(&self.log.inner.directory, position.get()))
    }

    /// Makes the last commit durable: one `fdatasync` of its file. It does not make the log durable.
    ///
    /// A sync that fails ends the log as any other does ([`Poisoned`](crate::ErrorKind::Poisoned)): a device that failed at
    /// one file may have lost what it held of another.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io), and as [`commit`](Self::commit).
    pub fn sync(&self) -> Result<()> {
        self.healthy()?;
        self.finish(self.entry.sync(&self.log.inner.directory))
    }

    /// Moves it anywhere in the log, durably: back, to consume again; or away from where it cannot be, after
    /// [`Retired`](crate::ErrorKind::Retired) or [`CursorAhead`](crate::ErrorKind::CursorAhead).
    ///
    /// # Errors
    /// As [`commit`](Self::commit), but for those that say where it stands.
    pub fn reset(&self, position: Lsn) -> Result<()> {
        // Nothing is retired meanwhile, so that what a gate holds is there when it is moved back.
        self.healthy()?;
        let start = self.log.inner.keeper.retention.lock_meta();
        self.check(position)?;
        let outcome = self.entry.reset(&self.log.inner.directory, position.get());
        drop(start);
        self.finish(outcome)
    }

    /// Whether it gates retirement.
    #[must_use]
    pub fn gate(&self) -> bool {
        self.state().gate
    }

    /// Says, durably, whether it gates retirement. While it does, no record from its *durable* position on is retired: not
    /// by the [`RetentionPolicy`](crate::RetentionPolicy), and [`Log::retire_before`] fails with
    /// [`Held`](crate::ErrorKind::Held). Where only its not being durable stands in the way, whoever retires syncs it.
    ///
    /// A gate whose consumer is gone fills the disk: bound it with
    /// [`RetentionPolicy::max_gate_bytes`](crate::RetentionPolicy::max_gate_bytes), take it away, or remove the cursor.
    ///
    /// # Errors
    /// [`Retired`](crate::ErrorKind::Retired) when there is a gap already between its position and the log's start;
    /// [`StorageFull`](crate::ErrorKind::StorageFull), and as [`sync`](Self::sync).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// let archiver = log.cursor("archiver")?;
    /// archiver.set_gate(true)?;
    /// for _ in 0..100 {
    ///     log.append_nowait(&[0; 1000])?; // over more than one segment
    /// }
    /// let end = log.watermarks().published;
    /// let error = log.retire_before(end).unwrap_err();
    /// assert_eq!((error.kind(), error.lsn()), (tidelog::ErrorKind::Held, Some(archiver.position())));
    /// archiver.commit(end)?;
    /// assert!(log.retire_before(end)? > tidelog::Lsn::ZERO);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_gate(&self, gate: bool) -> Result<()> {
        self.healthy()?;
        // Nothing is retired meanwhile: when this returns, the gate holds.
        let start = self.log.inner.keeper.retention.lock_meta();
        let position = self.position();
        if gate && position.get() < start.start {
            return Err(Error::retired(position, Lsn::new(start.start)));
        }
        let outcome = self.entry.set_gate(&self.log.inner.directory, gate);
        drop(start);
        self.finish(outcome)
    }

    /// Follows the log from the position on.
    ///
    /// # Errors
    /// * [`Retired`](crate::ErrorKind::Retired): what comes next was retired; the error has the first LSN that is left.
    /// * [`CursorAhead`](crate::ErrorKind::CursorAhead): a power cut took records that it had been committed for. It never
    ///   waits for the log to grow up to there, as the records to come are others.
    /// * As [`Log::tail`].
    pub fn tail(&self) -> Result<Tail> {
        self.log.tail(Lsn::new(self.entry.position()?))
    }

    /// That a position is one of the log as it is.
    fn check(&self, position: Lsn) -> Result<()> {
        self.healthy()?;
        let chain = &self.log.inner.chain;
        if !position.get().is_multiple_of(FRAME_ALIGN) {
            return Err(Error::not_a_record(position));
        }
        if position.get() > chain.published().position() {
            let published = chain.advance_published()?.position();
            if position.get() > published {
                return Err(Error::not_written(position, Lsn::new(published)));
            }
        }
        let start = chain.catalog.start();
        if position.get() < start { Err(Error::retired(position, Lsn::new(start))) } else { Ok(()) }
    }

    fn healthy(&self) -> Result<()> {
        refuse_inside_claim()?;
        self.log.inner.chain.durability.poison().map_or(Ok(()), Err)
    }

    fn finish<T>(&self, outcome: Outcome<T>) -> Result<T> {
        outcome.map_err(|failure| self.log.inner.keeper.cursor_failed(failure))
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("name", &self.name()).field("state", &self.state()).finish()
    }
}

impl Log {
    /// The cursor with this name. One that is not there is created, durably, where the log begins now.
    ///
    /// A name has 1 to 64 letters, digits, `_`, `-` and `.` of ASCII, and does not begin with `.` or `-`.
    ///
    /// # Errors
    /// * [`InvalidOption`](crate::ErrorKind::InvalidOption): that is no name for a cursor.
    /// * [`Corrupt`](crate::ErrorKind::Corrupt): its file is damaged. It is not replaced: where the consumer stands must be
    ///   known from elsewhere, or it begins anew after [`remove_cursor`](Self::remove_cursor).
    ///   [`Unsupported`](crate::ErrorKind::Unsupported): a later version wrote it.
    /// * [`StorageFull`](crate::ErrorKind::StorageFull): no room for a new one. (One that is there never needs room.)
    /// * [`Closed`](crate::ErrorKind::Closed), [`Poisoned`](crate::ErrorKind::Poisoned), [`Io`](crate::ErrorKind::Io),
    ///   [`WouldDeadlock`](crate::ErrorKind::WouldDeadlock).
    pub fn cursor(&self, name: &str) -> Result<Cursor> {
        self.open_cursor(name, || Ok(self.inner.chain.catalog.start()))
    }

    /// As [`cursor`](Self::cursor), but one that is not there is created at `position`: at the log's end, for example,
    /// for a consumer of news.
    ///
    /// # Errors
    /// As [`cursor`](Self::cursor); when it is created also as [`tail`](Self::tail).
    pub fn cursor_from(&self, name: &str, position: Lsn) -> Result<Cursor> {
        self.open_cursor(name, || self.tail(position).map(|tail| tail.position().get()))
    }

    fn open_cursor(&self, name: &str, position: impl FnOnce() -> Result<u64>) -> Result<Cursor> {
        refuse_inside_claim()?;
        if let Some(error) = self.inner.chain.durability.poison() {
            return Err(error);
        }
        let entry = self.inner.cursors.open_or_create(name, position);
        let entry = entry.map_err(|failure| self.inner.keeper.cursor_failed(failure))?;
        Ok(Cursor { log: self.clone(), entry })
    }

    /// All cursors, by name, damaged ones too.
    #[must_use]
    pub fn cursors(&self) -> Vec<CursorInfo> {
        self.inner.cursors.list(self.inner.chain.written_end())
    }

    /// Removes a cursor durably, damaged or not, and its gate with it. Handles of it fail from now on. False when there was
    /// none.
    ///
    /// # Errors
    /// [`InvalidOption`](crate::ErrorKind::InvalidOption): that is no name for a cursor;
    /// [`Closed`](crate::ErrorKind::Closed), [`Io`](crate::ErrorKind::Io),
    /// [`WouldDeadlock`](crate::ErrorKind::WouldDeadlock).
    pub fn remove_cursor(&self, name: &str) -> Result<bool> {
        refuse_inside_claim()?;
        self.inner.cursors.remove(name).map_err(|failure| self.inner.keeper.cursor_failed(failure))
    }
}
