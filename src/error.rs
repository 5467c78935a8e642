//! The one error type.

use core::fmt;
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::lsn::Lsn;

/// What went wrong, for a program to decide on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused an operation; [`Error::source`](std::error::Error::source) has its error.
    Io,
    /// No room on the device or in the quota. Nothing that returned is lost; appending goes on when there is room.
    StorageFull,
    /// Bytes that were proven durable do not read back as they were written. Nothing was changed on disk.
    Corrupt,
    /// Another process, or another handle of this one, has the log open for writing.
    Locked,
    /// A record or a batch is larger than the log accepts.
    TooLarge,
    /// The log was closed.
    Closed,
    /// A sync failed. What was not durable by then may be lost; opening the log again recovers the rest.
    Poisoned,
    /// The LSN lies before the first record that is left.
    Retired,
    /// Nothing was appended at this LSN yet.
    NotWritten,
    /// The LSN lies inside the log, but no record begins there.
    NotARecord,
    /// An option or an argument is out of its range.
    InvalidOption,
    /// The log was written by another version of the format, or needs what this machine does not have.
    Unsupported,
    /// There is no log at this place.
    NotFound,
    /// More segments of a log would be mapped at once than a process can have: drop snapshots and records that hold what
    /// was read, or read through a [`Tail`](crate::Tail), which holds one segment at a time.
    TooManyMappings,
    /// As many partitions are open as may be, and somebody holds each of them.
    TooManyOpen,
    /// A cursor that gates retirement has not come as far; [`Error::path`] has its file, [`Error::lsn`] its position.
    Held,
    /// A cursor stands beyond where the log was found to end: a power cut took records that it had been committed for.
    /// [`Error::lsn`] has that end.
    CursorAhead,
    /// The call would wait for room in the log, which is being made.
    WouldBlock,
    /// The call would wait for a record that this same thread is still writing (a closure of `append_with`).
    WouldDeadlock,
    /// The log's schema tag is not the one that it was opened with ([`Options::schema`](crate::Options::schema)).
    SchemaMismatch,
    /// A record is as it was appended, and its codec makes no value of it; [`Error::lsn`] has its place. Iterations go on
    /// behind it.
    Undecodable,
    /// This process is a forked child of the one that opened the log, and has no part in it.
    Forked,
}

/// An error of tidelog: what happened, where, and what to do next.
///
/// It is one word wide and cheap to clone; every waiter of a failed sync receives the same error.
///
/// ```
/// use tidelog::{ErrorKind, Options};
///
/// let error = Options::new().segment_bytes(1000).open("never-created").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidOption);
/// assert!(!error.is_corruption());
/// assert!(error.to_string().contains("power of two"));
/// ```
#[derive(Clone)]
pub struct Error(Arc<Repr>);

struct Repr {
    kind: ErrorKind,
    what: String,
    path: Option<PathBuf>,
    offset: Option<u64>,
    lsn: Option<Lsn>,
    source: Option<io::Error>,
}

// An `io::Error` may carry a stranger's error, which may be neither. Here it is only ever shown, never changed.
impl UnwindSafe for Error {}
impl RefUnwindSafe for Error {}

/// A result with tidelog's [`Error`].
pub type Result<T> = core::result::Result<T, Error>;

impl Error {
    /// The kind of failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// True when stored bytes are damaged, so that retrying cannot help and a backup or a replica is needed.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        self.0.kind == ErrorKind::Corrupt
    }

    /// The file or directory that the failure concerns.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The byte offset in [`path`](Self::path), where one can be told.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        self.0.offset
    }

    /// The name of the cursor that the failure concerns, where it concerns one's file.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.path()?.file_name()?.to_str()?.strip_suffix(".cursor")
    }

    /// The LSN that the failure concerns; for [`ErrorKind::Retired`] the first one that is left.
    #[must_use]
    pub fn lsn(&self) -> Option<Lsn> {
        self.0.lsn
    }

    /// The operating system's own error, for [`ErrorKind::Io`], [`ErrorKind::StorageFull`] and
    /// [`ErrorKind::Poisoned`].
    #[must_use]
    pub fn io_error(&self) -> Option<&io::Error> {
        self.0.source.as_ref()
    }

    fn plain(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self(Arc::new(Repr { kind, what: what.into(), path: None, offset: None, lsn: None, source: None }))
    }

    fn at_lsn(kind: ErrorKind, what: impl Into<String>, lsn: Lsn) -> Self {
        Self(Arc::new(Repr {
            kind,
            what: what.into(),
            path: None,
            offset: None,
            lsn: Some(lsn),
            source: None,
        }))
    }

    fn at_path(kind: ErrorKind, what: impl Into<String>, path: &Path) -> Self {
        Self(Arc::new(Repr {
            kind,
            what: what.into(),
            path: Some(path.to_owned()),
            offset: None,
            lsn: None,
            source: None,
        }))
    }

    pub(crate) fn io(what: impl Into<String>, path: &Path, source: io::Error) -> Self {
        let full = matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        );
        let (kind, what) = if full {
            let what = what.into();
            (ErrorKind::StorageFull, format!("{what}; free space or retire old records, then append again"))
        } else {
            (ErrorKind::Io, what.into())
        };
        Self(Arc::new(Repr {
            kind,
            what,
            path: Some(path.to_owned()),
            offset: None,
            lsn: None,
            source: Some(source),
        }))
    }

    pub(crate) fn corrupt(what: impl Into<String>, path: &Path, offset: u64, lsn: Option<Lsn>) -> Self {
        Self(Arc::new(Repr {
            kind: ErrorKind::Corrupt,
            what: format!(
                "{}; nothing was changed: restore the file from a backup or a replica, or salvage the rest (tidelog::repair)",
                what.into()
            ),
            path: Some(path.to_owned()),
            offset: Some(offset),
            lsn,
            source: None,
        }))
    }

    pub(crate) fn poisoned(path: &Path, source: io::Error) -> Self {
        Self(Arc::new(Repr {
            kind: ErrorKind::Poisoned,
            what: "a sync failed, so the log takes no more appends; \
                   close it, see to the device, and open it again to recover what is durable"
                .to_owned(),
            path: Some(path.to_owned()),
            offset: None,
            lsn: None,
            source: Some(source),
        }))
    }

    /// Poison because of a sync that was not one of the log's records.
    pub(crate) fn poisoned_by(cause: &Self) -> Self {
        let kind = cause.io_error().map_or(io::ErrorKind::Other, io::Error::kind);
        let path = cause.path().map(Path::to_owned).unwrap_or_default();
        Self::poisoned(&path, io::Error::new(kind, cause.clone()))
    }

    pub(crate) fn locked(path: &Path, holder: Option<u32>) -> Self {
        let who = holder.map_or_else(
            || "another writer holds the log".to_owned(),
            |pid| format!("the process with pid {pid} holds the log"),
        );
        Self::at_path(
            ErrorKind::Locked,
            format!("{who}; close it there, or read along with LogReader::open"),
            path,
        )
    }

    pub(crate) fn too_large(what: &str, bytes: u64, limit: u64) -> Self {
        Self::plain(
            ErrorKind::TooLarge,
            format!(
                "{what} of {bytes} bytes is over this log's limit of {limit} bytes; split it or use larger segments"
            ),
        )
    }

    pub(crate) fn closed() -> Self {
        Self::plain(ErrorKind::Closed, "the log is closed; open it again to go on")
    }

    pub(crate) fn retired(asked: Lsn, first: Lsn) -> Self {
        Self::at_lsn(
            ErrorKind::Retired,
            format!("LSN {asked} was retired; the first record that is left is at or after LSN {first}"),
            first,
        )
    }

    pub(crate) fn not_written(asked: Lsn, end: Lsn) -> Self {
        Self::at_lsn(
            ErrorKind::NotWritten,
            format!("nothing is written at LSN {asked} yet; the log ends at LSN {end}"),
            asked,
        )
    }

    pub(crate) fn not_a_record(asked: Lsn) -> Self {
        Self::at_lsn(
            ErrorKind::NotARecord,
            format!("no record begins at LSN {asked}; use an LSN that an append or an iteration gave"),
            asked,
        )
    }

    pub(crate) fn invalid_option(what: impl Into<String>) -> Self {
        Self::plain(ErrorKind::InvalidOption, what)
    }

    pub(crate) fn unsupported(what: impl Into<String>, path: &Path) -> Self {
        Self::at_path(ErrorKind::Unsupported, what, path)
    }

    pub(crate) fn not_found(path: &Path) -> Self {
        Self::at_path(ErrorKind::NotFound, "there is no log here; Log::open creates one", path)
    }

    pub(crate) fn too_many_mappings(path: &Path, source: Option<io::Error>) -> Self {
        Self(Arc::new(Repr {
            kind: ErrorKind::TooManyMappings,
            what: "too many segments are mapped at once; drop snapshots and records that are not needed, or read a long \
                   log through a tail"
                .to_owned(),
            path: Some(path.to_owned()),
            offset: None,
            lsn: None,
            source,
        }))
    }

    pub(crate) fn too_many_open(id: u64, most: usize, path: &Path) -> Self {
        let what = format!(
            "partition {id} cannot be opened: {most} are open, no more may be, and somebody holds each of them; let go of \
             some, or raise PartitionOptions::open_max and what else limits it"
        );
        Self::at_path(ErrorKind::TooManyOpen, what, path)
    }

    pub(crate) fn no_partition(id: u64, path: &Path) -> Self {
        let what = format!("there is no partition {id} here; Partitions::get creates one");
        Self::at_path(ErrorKind::NotFound, what, path)
    }

    pub(crate) fn partitions_closed() -> Self {
        Self::plain(ErrorKind::Closed, "the partitions are closed; open them again to go on")
    }

    pub(crate) fn would_block() -> Self {
        Self::plain(
            ErrorKind::WouldBlock,
            "the next segment is still being prepared; try again later, or use append_async, which waits for it, and \
             tells when it cannot be had",
        )
    }

    fn at(kind: ErrorKind, what: String, path: &Path, lsn: Option<Lsn>) -> Self {
        let path = Some(path.to_owned());
        Self(Arc::new(Repr { kind, what, path, offset: None, lsn, source: None }))
    }

    pub(crate) fn cursor_name(name: &str) -> Self {
        Self::invalid_option(format!(
            "{name:?} is no name for a cursor; give 1 to {} letters, digits, '_', '-' and '.' of ASCII, not '.' or '-' first",
            crate::limits::CURSOR_NAME_MAX
        ))
    }

    pub(crate) fn no_cursor(name: &str, path: &Path) -> Self {
        Self::at_path(
            ErrorKind::NotFound,
            format!("there is no cursor {name:?}; Log::cursor creates one"),
            path,
        )
    }

    /// A cursor's file does not read back. (Its damage says nothing about the log.)
    pub(crate) fn corrupt_cursor(what: &str, path: &Path) -> Self {
        let what = format!(
            "{what}; nothing was changed: restore the file, or remove the cursor with Log::remove_cursor and create it \
             anew where its consumer stands"
        );
        Self::at(ErrorKind::Corrupt, what, path, None)
    }

    pub(crate) fn held(name: &str, position: Lsn, asked: Lsn, path: &Path) -> Self {
        let what = format!(
            "the cursor {name:?} stands at LSN {position} and gates what lies from there on, so what is before LSN {asked} \
             was not retired; let its consumer commit, take the gate away with Cursor::set_gate, or remove it"
        );
        Self::at(ErrorKind::Held, what, path, Some(position))
    }

    pub(crate) fn cursor_ahead(name: &str, position: Lsn, end: Lsn, path: &Path) -> Self {
        let what = format!(
            "the cursor {name:?} was committed at LSN {position}, and the log was then found to end at LSN {end}: what lay \
             between was not durable and is lost, and other records may stand there now; undo what was done for it, and go \
             on with Cursor::reset at LSN {end}"
        );
        Self::at(ErrorKind::CursorAhead, what, path, Some(end))
    }

    pub(crate) fn cursor_behind(name: &str, position: Lsn, asked: Lsn) -> Self {
        Self::invalid_option(format!(
            "the cursor {name:?} stands at LSN {position} already, and a commit at LSN {asked} would move it back; \
             Cursor::reset does that"
        ))
    }

    pub(crate) fn would_deadlock() -> Self {
        Self::plain(
            ErrorKind::WouldDeadlock,
            "this thread is inside an append_with closure, so waiting for the log would wait for itself; \
             call this after append_with has returned",
        )
    }
}

#[cfg(any(feature = "lz4", feature = "zstd"))]
impl Error {
    /// A record whose envelope does not open; with its place where that is known.
    pub(crate) fn unpacking(kind: ErrorKind, what: &str, lsn: Option<Lsn>) -> Self {
        match lsn {
            Some(lsn) => Self::at_lsn(kind, format!("the record at LSN {lsn} does not unpack: {what}"), lsn),
            None => Self::plain(kind, format!("the record does not unpack: {what}")),
        }
    }
}

impl Error {
    pub(crate) fn forked() -> Self {
        Self::plain(
            ErrorKind::Forked,
            "the log was opened by the process that this one was forked from; append there, and to read here open a \
             LogReader",
        )
    }

    pub(crate) fn not_encodable(error: &impl fmt::Display) -> Self {
        Self::invalid_option(format!("the value cannot be encoded: {error}; nothing was appended"))
    }

    pub(crate) fn undecodable(lsn: Lsn, error: &impl fmt::Display) -> Self {
        let what = format!(
            "the record at LSN {lsn} is as it was appended, but cannot be decoded: {error}; go on behind it, or read it with \
             the codec that it was written with"
        );
        Self::at_lsn(ErrorKind::Undecodable, what, lsn)
    }

    pub(crate) fn schema_mismatch(found: u64, asked: u64, path: &Path) -> Self {
        let tag = |tag| if tag == 0 { "none".to_owned() } else { format!("{tag}") };
        let what = format!(
            "the log's schema tag is {}, and {} was asked for; open it with the program that wrote it, or without \
             Options::schema, convert its records, and call Log::set_schema",
            tag(found),
            tag(asked)
        );
        Self::at_path(ErrorKind::SchemaMismatch, what, path)
    }

    pub(crate) fn thread_panicked(name: &str, path: &Path) -> Self {
        let what = format!("the thread {name} panicked; open the log again, and report the panic");
        Self::at_path(ErrorKind::Poisoned, what, path)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)?;
        if let Some(path) = &self.0.path {
            write!(f, " [{}", path.display())?;
            if let Some(offset) = self.0.offset {
                write!(f, ", offset {offset}")?;
            }
            if let (ErrorKind::Corrupt, Some(lsn)) = (self.0.kind, self.0.lsn) {
                write!(f, ", LSN {lsn}")?;
            }
            f.write_str("]")?;
        }
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("what", &self.0.what)
            .field("path", &self.0.path)
            .field("offset", &self.0.offset)
            .field("lsn", &self.0.lsn)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::StorageFull => io::ErrorKind::StorageFull,
            ErrorKind::Corrupt => io::ErrorKind::InvalidData,
            ErrorKind::Locked => io::ErrorKind::ResourceBusy,
            ErrorKind::TooLarge | ErrorKind::InvalidOption | ErrorKind::NotARecord => {
                io::ErrorKind::InvalidInput
            }
            ErrorKind::Unsupported | ErrorKind::Forked => io::ErrorKind::Unsupported,
            ErrorKind::NotFound | ErrorKind::Retired | ErrorKind::NotWritten => io::ErrorKind::NotFound,
            ErrorKind::WouldBlock => io::ErrorKind::WouldBlock,
            ErrorKind::WouldDeadlock => io::ErrorKind::Deadlock,
            ErrorKind::Held | ErrorKind::TooManyOpen => io::ErrorKind::ResourceBusy,
            ErrorKind::CursorAhead | ErrorKind::SchemaMismatch | ErrorKind::Undecodable => {
                io::ErrorKind::InvalidData
            }
            ErrorKind::TooManyMappings => io::ErrorKind::OutOfMemory,
            ErrorKind::Io | ErrorKind::Poisoned | ErrorKind::Closed => {
                error.io_error().map_or(io::ErrorKind::Other, io::Error::kind)
            }
        };
        Self::new(kind, error)
    }
}
