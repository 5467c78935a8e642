//! A log whose records are values: encoded by a codec, decoded where they lie.

mod follow;
mod scratch;
mod view;

use core::fmt;
use std::path::Path;

pub use self::follow::{TypedPinned, TypedTail};
pub use self::view::{Typed, TypedRecords, TypedSnapshot};
use crate::codec::{Codec, CodecError};
use crate::{Error, Log, LogReader, Lsn, Options, Result};

/// A [`Log`] of values that a [`Codec`] encodes. Clones are the same log.
///
/// Encoding needs no allocation once a thread has appended: it goes to a buffer of the thread, or is the value itself
/// ([`Codec::encoded`]). Reading decodes where the record lies.
///
/// A record that the codec cannot decode is an error of its own, [`Undecodable`](crate::ErrorKind::Undecodable), with its
/// LSN; iterations and tails go on behind it. It is not corruption: the bytes are those that were appended, perhaps by
/// another version of the program. [`Options::schema`] notices that when the log is opened.
///
/// ```
/// use tidelog::kv::{Entry, Kv};
/// use tidelog::{Options, TypedLog};
///
/// # let dir = tempfile::tempdir()?;
/// let log = TypedLog::open(Options::new().segment_bytes(1 << 16).schema(1), dir.path(), Kv)?;
/// log.append(&Entry::put(b"key", b"value", 0))?;
/// for record in &log.snapshot() {
///     let record = record?;
///     println!("{}: {:?}", record.lsn, record.value);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TypedLog<C> {
    log: Log,
    codec: C,
}

/// As [`TypedLog`], for processes that only read: over a [`LogReader`].
///
/// ```
/// use tidelog::kv::{Entry, Kv};
/// use tidelog::{LogReader, Options, TypedLog, TypedReader};
///
/// # let dir = tempfile::tempdir()?;
/// let log = TypedLog::open(Options::new().segment_bytes(1 << 16), dir.path(), Kv)?;
/// log.append(&Entry::delete(b"key", 0))?;
/// let reader = TypedReader::new(LogReader::open(dir.path())?, Kv);
/// assert_eq!(reader.snapshot()?.iter().count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TypedReader<C> {
    reader: LogReader,
    codec: C,
}

impl<C: Codec> TypedLog<C> {
    /// A log that is open, with the codec of its records.
    pub fn new(log: Log, codec: C) -> Self {
        Self { log, codec }
    }

    /// Opens the log in `directory`, or creates it.
    ///
    /// # Errors
    /// As [`Options::open`].
    pub fn open(
        options: impl core::borrow::Borrow<Options>,
        directory: impl AsRef<Path>,
        codec: C,
    ) -> Result<Self> {
        Ok(Self::new(options.borrow().open(directory)?, codec))
    }

    /// The log of bytes below: for all that has nothing to do with types.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The codec.
    #[must_use]
    pub fn codec(&self) -> &C {
        &self.codec
    }

    /// Appends a value, as [`Log::append`] does a payload.
    ///
    /// # Errors
    /// As [`Log::append`]; [`InvalidOption`](crate::ErrorKind::InvalidOption) when the codec cannot encode it.
    #[inline]
    pub fn append(&self, item: &C::Item<'_>) -> Result<Lsn> {
        self.encode(item, |payload| self.log.append(payload))
    }

    /// Appends a value, as [`Log::append_nowait`] does a payload.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    #[inline]
    pub fn append_nowait(&self, item: &C::Item<'_>) -> Result<Lsn> {
        self.encode(item, |payload| self.log.append_nowait(payload))
    }

    #[inline]
    fn encode(&self, item: &C::Item<'_>, append: impl FnOnce(&[u8]) -> Result<Lsn>) -> Result<Lsn> {
        if let Some(payload) = self.codec.encoded(item) {
            return append(payload);
        }
        scratch::with(|buffer| {
            self.codec.encode(item, buffer).map_err(|error| Error::not_encodable(&error))?;
            append(buffer)
        })
    }

    /// Appends all of `items` as one batch, as [`Log::append_batch`] does, and returns their LSNs. (It allocates the list
    /// of the payloads and that of the LSNs.)
    ///
    /// # Errors
    /// As [`Log::append_batch`]; [`InvalidOption`](crate::ErrorKind::InvalidOption) when the codec cannot encode one of
    /// them, and then nothing is appended.
    pub fn append_batch(&self, items: &[C::Item<'_>]) -> Result<Vec<Lsn>> {
        scratch::with(|buffer| {
            let mut ends = Vec::with_capacity(items.len());
            for item in items {
                self.codec.encode(item, buffer).map_err(|error| Error::not_encodable(&error))?;
                ends.push(buffer.len());
            }
            let begins = core::iter::once(0).chain(ends.iter().copied());
            let payloads = begins.zip(&ends).map(|(begin, end)| buffer.get(begin..*end).unwrap_or_default());
            let payloads: Vec<&[u8]> = payloads.collect();
            Ok(self.log.append_batch(&payloads)?.collect())
        })
    }

    /// The log as it is now; see [`Log::snapshot`].
    #[must_use]
    pub fn snapshot(&self) -> TypedSnapshot<C> {
        TypedSnapshot::new(self.log.snapshot(), self.codec.clone())
    }

    /// The record at `lsn`, to be kept as long as one likes; see [`Log::read`]. It was decoded once, so that it is known
    /// to be decodable.
    ///
    /// # Errors
    /// As [`Log::read`]; [`Undecodable`](crate::ErrorKind::Undecodable).
    pub fn read(&self, lsn: Lsn) -> Result<TypedPinned<C>> {
        TypedPinned::new(self.log.read(lsn)?, self.codec.clone())
    }

    /// Follows the log from `from` on; see [`Log::tail`].
    ///
    /// # Errors
    /// As [`Log::tail`].
    pub fn tail(&self, from: Lsn) -> Result<TypedTail<C>> {
        Ok(TypedTail::new(self.log.tail(from)?, self.codec.clone()))
    }

    /// The same, of durable records; see [`Log::tail_durable`].
    ///
    /// # Errors
    /// As [`Log::tail_durable`].
    pub fn tail_durable(&self, from: Lsn) -> Result<TypedTail<C>> {
        Ok(TypedTail::new(self.log.tail_durable(from)?, self.codec.clone()))
    }
}

impl<C: Codec> TypedReader<C> {
    /// A reader that is open, with the codec of the log's records.
    pub fn new(reader: LogReader, codec: C) -> Self {
        Self { reader, codec }
    }

    /// The reader of bytes below.
    #[must_use]
    pub fn reader(&self) -> &LogReader {
        &self.reader
    }

    /// The log as it is now; see [`LogReader::snapshot`].
    ///
    /// # Errors
    /// As [`LogReader::snapshot`].
    pub fn snapshot(&self) -> Result<TypedSnapshot<C>> {
        Ok(TypedSnapshot::new(self.reader.snapshot()?, self.codec.clone()))
    }

    /// The record at `lsn`; see [`LogReader::read`].
    ///
    /// # Errors
    /// As [`LogReader::read`]; [`Undecodable`](crate::ErrorKind::Undecodable).
    pub fn read(&self, lsn: Lsn) -> Result<TypedPinned<C>> {
        TypedPinned::new(self.reader.read(lsn)?, self.codec.clone())
    }

    /// Follows the log from `from` on; see [`LogReader::tail`].
    ///
    /// # Errors
    /// As [`LogReader::tail`].
    pub fn tail(&self, from: Lsn) -> Result<TypedTail<C>> {
        Ok(TypedTail::new(self.reader.tail(from)?, self.codec.clone()))
    }

    /// The same, of durable records; see [`LogReader::tail_durable`].
    ///
    /// # Errors
    /// As [`LogReader::tail_durable`].
    pub fn tail_durable(&self, from: Lsn) -> Result<TypedTail<C>> {
        Ok(TypedTail::new(self.reader.tail_durable(from)?, self.codec.clone()))
    }
}

#[cold]
fn undecodable(lsn: Lsn, error: &CodecError) -> Error {
    Error::undecodable(lsn, error)
}

impl<C> fmt::Debug for TypedLog<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedLog").field("log", &self.log).finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for TypedReader<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedReader").field("reader", &self.reader).finish_non_exhaustive()
    }
}
