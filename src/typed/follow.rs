//! Following a log of values, and values that are kept.

use core::fmt;
use std::time::Duration;

use super::undecodable;
use super::view::{Typed, decode};
use crate::codec::Codec;
use crate::{Lsn, PinnedRecord, Result, Tail};

/// A [`Tail`] of a log of values.
///
/// [`Undecodable`](crate::ErrorKind::Undecodable) is said once of each record that the codec cannot decode; the next call
/// goes on behind it.
pub struct TypedTail<C> {
    tail: Tail,
    codec: C,
}

impl<C: Codec> TypedTail<C> {
    /// A tail of bytes, with the codec of its records.
    pub fn new(tail: Tail, codec: C) -> Self {
        Self { tail, codec }
    }

    /// Where the next record begins or will begin.
    #[must_use]
    pub fn position(&self) -> Lsn {
        self.tail.position()
    }

    /// The next value if it is there.
    ///
    /// # Errors
    /// As [`Tail::try_next`]; [`Undecodable`](crate::ErrorKind::Undecodable).
    pub fn try_next(&mut self) -> Result<Option<Typed<C::View<'_>>>> {
        let record = self.tail.try_next()?;
        record.map(|record| decode(&self.codec, &record)).transpose()
    }

    /// The next value; waits for it. `None` when the log has ended.
    ///
    /// # Errors
    /// As [`Tail::next`]; [`Undecodable`](crate::ErrorKind::Undecodable).
    #[allow(clippy::should_implement_trait, reason = "it lends, which Iterator cannot")]
    pub fn next(&mut self) -> Result<Option<Typed<C::View<'_>>>> {
        let record = self.tail.next()?;
        record.map(|record| decode(&self.codec, &record)).transpose()
    }

    /// The next value; waits for it for at most `timeout`.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Typed<C::View<'_>>>> {
        let record = self.tail.next_timeout(timeout)?;
        record.map(|record| decode(&self.codec, &record)).transpose()
    }

    /// As [`next`](Self::next), with a record that can be kept and sent.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn next_pinned(&mut self) -> Result<Option<TypedPinned<C>>> {
        let record = self.tail.next_pinned()?;
        record.map(|record| TypedPinned::new(record, self.codec.clone())).transpose()
    }

    /// The tail of bytes below.
    #[must_use]
    pub fn into_tail(self) -> Tail {
        self.tail
    }
}

/// A [`PinnedRecord`] that can be decoded: it may be kept, and sent to other threads.
#[derive(Clone)]
pub struct TypedPinned<C> {
    record: PinnedRecord,
    codec: C,
}

impl<C: Codec> TypedPinned<C> {
    /// A record, if the codec can decode it.
    ///
    /// # Errors
    /// [`Undecodable`](crate::ErrorKind::Undecodable).
    pub fn new(record: PinnedRecord, codec: C) -> Result<Self> {
        let pinned = Self { record, codec };
        pinned.view()?;
        Ok(pinned)
    }

    /// Where the record stands in the log.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.record.lsn()
    }

    /// What it says; decoded anew with each call.
    ///
    /// # Errors
    /// [`Undecodable`](crate::ErrorKind::Undecodable) from a codec that does not always say the same.
    pub fn view(&self) -> Result<C::View<'_>> {
        self.codec.decode(self.record.payload()).map_err(|error| undecodable(self.lsn(), &error))
    }

    /// The record of bytes below.
    #[must_use]
    pub fn record(&self) -> &PinnedRecord {
        &self.record
    }
}

impl<C> fmt::Debug for TypedTail<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedTail").field("tail", &self.tail).finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for TypedPinned<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedPinned").field("record", &self.record).finish_non_exhaustive()
    }
}
