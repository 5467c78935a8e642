//! Reading a log that another process may be writing.

use core::fmt;
use std::path::Path;

use crate::chain::{Progress, Watch, next_boundary, read_published};
use crate::cursors::{self, CursorInfo};
use crate::error::{Error, Result};
use crate::lsn::Lsn;
use crate::options::Options;
use crate::primitive::Arc;
use crate::record::PinnedRecord;
use crate::snapshot::Snapshot;
use crate::storage::{Directory, SharedStorage};
use crate::tail::Tail;

/// Reads a log without its lock, in any process, while its writer goes on. It never blocks the writer, and
/// the writer never recycles a file that a reader has mapped.
///
/// It writes to nothing but `log.signal` in the log's directory, by which a [`Tail`] that waits asks the writer's process to
/// be woken. A process that may not write to that file gets the same records; its tails look for themselves, up to a thousand
/// times a second. (The writer makes the file with the leave that its umask gives, and keeps one that is there: give a
/// group of readers leave with `chmod g+w`.)
///
/// Only what it has looked at is kept for it: a segment that it has not read from may be retired, and then reading there
/// gives [`Retired`](crate::ErrorKind::Retired), in a snapshot too.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
/// let reader = tidelog::LogReader::open(dir.path())?;
/// let lsn = log.append(b"seen")?;
/// assert_eq!(reader.read(lsn)?.payload(), b"seen");
/// assert_eq!(reader.snapshot()?.iter().count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct LogReader {
    directory: Arc<Directory>,
    watch: Arc<Watch>,
}

impl Options {
    /// Opens a [`LogReader`], on any file system where
    /// [`allow_unsupported_file_system`](Self::allow_unsupported_file_system) says so, and of the
    /// [`schema`](Self::schema) that is asked for. The other options are the writer's.
    ///
    /// # Errors
    /// As [`LogReader::open`]; [`SchemaMismatch`](crate::ErrorKind::SchemaMismatch).
    pub fn open_reader(&self, directory: impl AsRef<Path>) -> Result<LogReader> {
        let reader = LogReader::look(self.storage(), directory.as_ref(), self.any_file_system)?;
        self.check_schema(reader.schema()?, reader.directory())?;
        Ok(reader)
    }
}

impl LogReader {
    /// Looks at the log in `directory`; creates and changes nothing.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) where there is no log; [`Corrupt`](crate::ErrorKind::Corrupt),
    /// [`Unsupported`](crate::ErrorKind::Unsupported), [`Io`](crate::ErrorKind::Io).
    pub fn open(directory: impl AsRef<Path>) -> Result<Self> {
        Options::new().open_reader(directory)
    }

    /// Looks at a log on a simulated disk.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    #[cfg(feature = "testing")]
    pub fn open_on(disk: &crate::sim::Disk, directory: impl AsRef<Path>) -> Result<Self> {
        Options::new().disk(disk).open_reader(directory)
    }

    fn look(storage: SharedStorage, directory: &Path, any_file_system: bool) -> Result<Self> {
        let directory = Arc::new(Directory::look(storage, directory, any_file_system)?);
        let watch = Arc::new(Watch::new(Arc::clone(&directory))?);
        Ok(Self { directory, watch })
    }

    /// The log as it is now, up to the first record that is not published.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io), [`Corrupt`](crate::ErrorKind::Corrupt).
    pub fn snapshot(&self) -> Result<Snapshot> {
        let (segments, end) = self.watch.look()?;
        Ok(Snapshot::new(segments, end))
    }

    /// The record at `lsn`.
    ///
    /// # Errors
    /// As [`Log::read`](crate::Log::read).
    pub fn read(&self, lsn: Lsn) -> Result<PinnedRecord> {
        if lsn.get() < self.watch.published().position()
            && let Ok(record) = read_published(&self.watch.catalog, lsn.get())
        {
            return Ok(record);
        }
        // Not there when we last looked, or checked in a way that we do not know yet.
        let (_, end) = self.watch.look()?;
        if lsn.get() >= end.position() {
            return self.watch.read_beyond(lsn.get(), end.position());
        }
        read_published(&self.watch.catalog, lsn.get())
    }

    /// Follows the log from `from` on. The writer may be killed and restarted meanwhile. A wait ends with a record or its
    /// timeout: that a writer has closed cannot be seen from here, so [`Tail::next`] waits until there is a record.
    ///
    /// A tail that waits sleeps, and an append of the writer's process wakes it; on Linux, and where it may write to
    /// `log.signal`. It looks for itself ten times a second, should nobody be there to wake it.
    ///
    /// # Errors
    /// As [`Log::tail`](crate::Log::tail).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// use std::time::Duration;
    /// use tidelog::{LogReader, Lsn};
    ///
    /// let mut tail = LogReader::open(dir.path())?.tail(Lsn::ZERO)?;
    /// log.append(b"from the writer")?;
    /// while let Some(record) = tail.next_timeout(Duration::from_millis(20))? {
    ///     println!("{record:?}");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tail(&self, from: Lsn) -> Result<Tail> {
        self.follow(from, Progress::Published)
    }

    /// The same, but it sees records when they are durable, as [`Log::tail_durable`](crate::Log::tail_durable) does.
    ///
    /// How far that is the writer notes after each sync, in memory that the processes share. So after its death, or the
    /// machine's, this tail stands where the note stood, or before; the next opening of the log moves it on.
    ///
    /// # Errors
    /// As [`Log::tail`](crate::Log::tail).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// use tidelog::{LogReader, Lsn};
    ///
    /// let mut tail = LogReader::open(dir.path())?.tail_durable(Lsn::ZERO)?;
    /// log.append_nowait(b"published")?;
    /// assert!(tail.try_next()?.is_none());
    /// log.sync()?;
    /// assert_eq!(tail.next()?.unwrap().payload(), b"published");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tail_durable(&self, from: Lsn) -> Result<Tail> {
        self.follow(from, Progress::Durable)
    }

    fn follow(&self, from: Lsn, progress: Progress) -> Result<Tail> {
        let (segments, end) = self.watch.look()?;
        let start = self.watch.catalog.start();
        if from.get() < start {
            return Err(Error::retired(from, Lsn::new(start)));
        }
        if from.get() > end.position() {
            self.watch.read_beyond(from.get(), end.position())?;
        } else if from.get() < end.position() && next_boundary(&segments, from.get())? != from.get() {
            return Err(Error::not_a_record(from));
        }
        Ok(Tail::watch(Arc::clone(&self.watch), from, progress))
    }

    /// All cursors of the log, by name, as their files tell now, damaged ones too. For people and tools: the writer may move
    /// them on at any time.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io), [`Corrupt`](crate::ErrorKind::Corrupt) when the log itself cannot be read; what is
    /// wrong with one cursor stands with it.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// log.cursor("indexer")?;
    /// log.append(b"not indexed yet")?;
    /// for cursor in tidelog::LogReader::open(dir.path())?.cursors()? {
    ///     match cursor.state {
    ///         Ok(state) => println!("{}: at {}, {} bytes behind", cursor.name, state.position, state.lag_bytes),
    ///         Err(error) => println!("{}: {error}", cursor.name),
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cursors(&self) -> Result<Vec<CursorInfo>> {
        let (_, end) = self.watch.look()?;
        cursors::look(&self.directory, self.watch.log_id()?, end.position())
    }

    /// The log's schema tag as it is now; 0 where it has none. The writer may change it
    /// ([`Log::set_schema`](crate::Log::set_schema)).
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io), [`Corrupt`](crate::ErrorKind::Corrupt) when the metadata cannot be read.
    pub fn schema(&self) -> Result<u64> {
        self.watch.schema()
    }

    /// Where the log lies.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl fmt::Debug for LogReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogReader").field("directory", &self.directory()).finish()
    }
}
