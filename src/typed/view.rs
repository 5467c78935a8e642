//! The log at one moment, as values.

use core::fmt;
use core::ops::RangeBounds;

use super::undecodable;
use crate::codec::Codec;
use crate::{Lsn, Record, Records, Result, Snapshot};

/// A record that was decoded: where it stands, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Typed<V> {
    /// Where the record stands in the log.
    pub lsn: Lsn,
    /// What the codec made of its payload.
    pub value: V,
}

#[inline]
pub(super) fn decode<'a, C: Codec>(codec: &C, record: &Record<'a>) -> Result<Typed<C::View<'a>>> {
    let lsn = record.lsn();
    match codec.decode(record.payload()) {
        Ok(value) => Ok(Typed { lsn, value }),
        Err(error) => Err(undecodable(lsn, &error)),
    }
}

/// A [`Snapshot`] of a log of values. From [`TypedLog::snapshot`](crate::TypedLog::snapshot).
///
/// What is read may borrow from it, as from the snapshot.
#[derive(Clone)]
pub struct TypedSnapshot<C> {
    snapshot: Snapshot,
    codec: C,
}

impl<C: Codec> TypedSnapshot<C> {
    /// A snapshot of bytes, with the codec of its records.
    pub fn new(snapshot: Snapshot, codec: C) -> Self {
        Self { snapshot, codec }
    }

    /// The snapshot of bytes below.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// All records, oldest first.
    #[must_use]
    pub fn iter(&self) -> TypedRecords<'_, C> {
        TypedRecords { records: self.snapshot.iter(), codec: &self.codec }
    }

    /// The records in a range of LSNs, as [`Snapshot::range`] gives them.
    #[must_use]
    pub fn range(&self, range: impl RangeBounds<Lsn>) -> TypedRecords<'_, C> {
        TypedRecords { records: self.snapshot.range(range), codec: &self.codec }
    }

    /// The record at `lsn`, as [`Snapshot::read`] gives it.
    ///
    /// # Errors
    /// As [`Snapshot::read`]; [`Undecodable`](crate::ErrorKind::Undecodable).
    #[inline]
    pub fn read(&self, lsn: Lsn) -> Result<Typed<C::View<'_>>> {
        decode(&self.codec, &self.snapshot.read(lsn)?)
    }
}

impl<'a, C: Codec> IntoIterator for &'a TypedSnapshot<C> {
    type Item = Result<Typed<C::View<'a>>>;
    type IntoIter = TypedRecords<'a, C>;

    fn into_iter(self) -> TypedRecords<'a, C> {
        self.iter()
    }
}

/// Iterates over the values of a [`TypedSnapshot`], oldest first.
///
/// A record that cannot be decoded is an item with [`Undecodable`](crate::ErrorKind::Undecodable), and the iteration goes
/// on behind it. After any other error it ends, as [`Records`] does.
#[derive(Clone)]
pub struct TypedRecords<'a, C> {
    records: Records<'a>,
    codec: &'a C,
}

impl<'a, C: Codec> Iterator for TypedRecords<'a, C> {
    type Item = Result<Typed<C::View<'a>>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let record = self.records.next()?;
        Some(record.and_then(|record| decode(self.codec, &record)))
    }

    /// As the records below are fastest gone through.
    fn fold<B, F: FnMut(B, Self::Item) -> B>(self, begin: B, mut f: F) -> B {
        let codec = self.codec;
        self.records.fold(begin, |folded, record| f(folded, record.and_then(|record| decode(codec, &record))))
    }
}

impl<C: Codec> core::iter::FusedIterator for TypedRecords<'_, C> {}

impl<C> fmt::Debug for TypedSnapshot<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedSnapshot").field("snapshot", &self.snapshot).finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for TypedRecords<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedRecords").field("records", &self.records).finish_non_exhaustive()
    }
}
