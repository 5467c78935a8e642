//! A snapshot: the published log at one moment, from end to end. Zero-copy, verified.

mod owned;

pub use self::owned::PinnedRecords;
#[cfg(feature = "bytes")]
pub use self::owned::RecordBytes;

use core::fmt;
use core::ops::{Bound, RangeBounds};

use crate::chain::{Chain, List, View, frame_in, next_boundary, segment_at};
use crate::error::{Error, Result};
use crate::lsn::Lsn;
use crate::primitive::Arc;
use crate::record::Record;
use crate::reentry::is_inside_claim;
use crate::segment::Segment;
use crate::segment::scan::{Found, Mapped, Published, Run};

/// The log as it was at one moment. It pins its segments: they stay readable when they are retired.
///
/// (One of a [`LogReader`](crate::LogReader) pins those that it has read from. Of the others it gives
/// [`Retired`](crate::ErrorKind::Retired) once their writer has retired them.)
///
/// What was read through it stays mapped as long as it lives, as its records are borrowed. A process has a bounded number
/// of mappings, so one snapshot reads from no more than some 32,000 segments
/// ([`TooManyMappings`](crate::ErrorKind::TooManyMappings)); of a longer log take several snapshots, or follow it with a
/// [`Tail`](crate::Tail).
///
/// Obtained from [`Log::snapshot`](crate::Log::snapshot) or [`LogReader::snapshot`](crate::LogReader::snapshot).
#[derive(Clone)]
pub struct Snapshot {
    segments: View,
    start: u64,
    end: Published,
}

impl Snapshot {
    /// The log of this process as it is now.
    pub(crate) fn of(chain: &Chain) -> Self {
        let seen = if is_inside_claim() || chain.is_inherited() {
            chain.advance_published()
        } else {
            chain.wait_published(chain.written_end())
        };
        // A damaged header word is reported by whoever reads or syncs that far; up to there all is well.
        let end = seen.unwrap_or_else(|_| chain.published());
        Self::new(chain.catalog.view(), end)
    }

    pub(crate) fn new(segments: View, end: Published) -> Self {
        let start = segments.start().min(end.position());
        Self { segments, start, end }
    }

    /// The first LSN that can be read.
    #[must_use]
    pub fn start(&self) -> Lsn {
        Lsn::new(self.start)
    }

    /// Where the next record after the snapshot begins, or will begin.
    #[must_use]
    pub fn end(&self) -> Lsn {
        Lsn::new(self.end.position())
    }

    /// All records, oldest first.
    #[must_use]
    pub fn iter(&self) -> Records<'_> {
        Records::new(self, self.start, self.end.position())
    }

    /// The records in a range of LSNs, oldest first. `..` begins at the first that is left.
    ///
    /// # Errors
    /// The iterator's first item is an error when the range begins where no record can: before
    /// [`start`](Self::start) ([`Retired`](crate::ErrorKind::Retired)), after [`end`](Self::end)
    /// ([`NotWritten`](crate::ErrorKind::NotWritten)), or inside a record
    /// ([`NotARecord`](crate::ErrorKind::NotARecord)).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// use std::ops::Bound;
    ///
    /// let lsns: Vec<_> = log.append_batch(&["a", "b", "c"])?.collect();
    /// let snapshot = log.snapshot();
    /// assert_eq!(snapshot.range(lsns[1]..).count(), 2);
    /// assert_eq!(snapshot.range(..lsns[1]).count(), 1);
    /// let after_a = (Bound::Excluded(lsns[0]), Bound::Unbounded);
    /// assert_eq!(snapshot.range(after_a).next().unwrap()?.payload(), b"b");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn range(&self, range: impl RangeBounds<Lsn>) -> Records<'_> {
        let from = match range.start_bound() {
            Bound::Included(lsn) => lsn.get(),
            Bound::Excluded(lsn) => lsn.get().saturating_add(1),
            Bound::Unbounded => self.start,
        };
        let to = match range.end_bound() {
            Bound::Included(lsn) => lsn.get().saturating_add(1),
            Bound::Excluded(lsn) => lsn.get(),
            Bound::Unbounded => self.end.position(),
        };
        let mut records = Records::new(self, from, to.min(self.end.position()));
        // After a record comes whatever begins behind it, so only the exact form must hit a boundary.
        let exact = matches!(range.start_bound(), Bound::Included(_));
        records.pending_error = self.check_start(from, exact, &mut records.position).err();
        records
    }

    /// The record at `lsn`, in constant time. It is borrowed: unlike [`Log::read`](crate::Log::read) this touches no
    /// count that threads share.
    ///
    /// # Errors
    /// [`Retired`](crate::ErrorKind::Retired), [`NotWritten`](crate::ErrorKind::NotWritten) at
    /// [`end`](Self::end) and beyond, [`NotARecord`](crate::ErrorKind::NotARecord) when no record begins there,
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when it does not verify;
    /// [`Io`](crate::ErrorKind::Io) and [`TooManyMappings`](crate::ErrorKind::TooManyMappings) when its segment cannot
    /// be mapped.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// let lsns: Vec<_> = log.append_batch(&["a", "b", "c"])?.collect();
    /// let snapshot = log.snapshot();
    /// let records = lsns.iter().map(|lsn| snapshot.read(*lsn)).collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(records[1].payload(), b"b");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn read(&self, lsn: Lsn) -> Result<Record<'_>> {
        let position = lsn.get();
        if position < self.start {
            return Err(Error::retired(lsn, self.start()));
        }
        if position >= self.end.position() {
            return Err(Error::not_written(lsn, self.end()));
        }
        let segment = segment_at(&self.segments, position)?;
        segment.prefetch(position);
        let frame = frame_in(segment, position)?;
        Ok(Record::new(position, Mapped::new(segment)?.payload(&frame)))
    }

    /// The part that lies in one segment, from its beginning to `end`.
    fn part(&self, start: u64, end: u64) -> Result<Self> {
        let segment = segment_at(&self.segments, start)?;
        // Mapped now, so that the part is not lost when another process retires it.
        segment.body()?;
        Ok(Self::new(View::new(List::of(Arc::clone(segment))), self.end.at_most(end)))
    }

    fn check_start(&self, from: u64, exact: bool, position: &mut u64) -> Result<()> {
        if from < self.start {
            return Err(Error::retired(Lsn::new(from), self.start()));
        }
        let end = self.end.position();
        if from > end && exact {
            return Err(Error::not_written(Lsn::new(from), self.end()));
        }
        if from >= end {
            return Ok(());
        }
        let boundary = next_boundary(&self.segments, from)?;
        if exact && boundary != from {
            return Err(Error::not_a_record(Lsn::new(from)));
        }
        *position = boundary;
        Ok(())
    }

    /// The snapshot segment by segment, oldest first, so that several threads can replay it.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// # for n in 0..5_000_u32 { log.append_nowait(&n.to_le_bytes())?; }
    /// let snapshot = log.snapshot();
    /// let records: usize = std::thread::scope(|scope| {
    ///     let threads: Vec<_> =
    ///         snapshot.segments().map(|part| scope.spawn(move || part.iter().count())).collect();
    ///     threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    /// });
    /// assert_eq!(records, 5_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = SegmentSnapshot<'_>> + '_ {
        let end = self.end.position();
        let ranges = self.segments.ranges_below(end);
        ranges.map(move |(base, segment_end)| SegmentSnapshot {
            snapshot: self,
            start: base,
            end: segment_end.min(end),
        })
    }
}

impl<'a> IntoIterator for &'a Snapshot {
    type Item = Result<Record<'a>>;
    type IntoIter = Records<'a>;

    fn into_iter(self) -> Records<'a> {
        self.iter()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("start", &self.start()).field("end", &self.end()).finish()
    }
}

/// One segment's part of a [`Snapshot`].
#[derive(Clone, Copy, Debug)]
pub struct SegmentSnapshot<'a> {
    snapshot: &'a Snapshot,
    start: u64,
    end: u64,
}

impl<'a> SegmentSnapshot<'a> {
    /// The first LSN of the segment.
    #[must_use]
    pub fn start(&self) -> Lsn {
        Lsn::new(self.start)
    }

    /// The first LSN behind the segment, or the end of the snapshot inside it.
    #[must_use]
    pub fn end(&self) -> Lsn {
        Lsn::new(self.end)
    }

    /// Its records, oldest first.
    #[must_use]
    pub fn iter(&self) -> Records<'a> {
        Records::new(self.snapshot, self.start, self.end)
    }
}

/// Iterates over records, oldest first, verifying each. From [`Snapshot::iter`], [`Snapshot::range`] and
/// [`SegmentSnapshot::iter`].
///
/// Its items are errors where a record does not verify ([`Corrupt`](crate::ErrorKind::Corrupt)) or a segment cannot be
/// mapped ([`Io`](crate::ErrorKind::Io), [`TooManyMappings`](crate::ErrorKind::TooManyMappings)). After an error it ends; `Snapshot::range` goes on behind the damage, from
/// an LSN that is known.
#[derive(Clone)]
pub struct Records<'a> {
    snapshot: &'a Snapshot,
    position: u64,
    end: u64,
    current: Option<(Mapped<'a>, &'a Arc<Segment>)>,
    /// What `position` lies in, unless it has just left it.
    run: Option<Run<'a>>,
    pending_error: Option<Error>,
}

impl<'a> Records<'a> {
    fn new(snapshot: &'a Snapshot, position: u64, end: u64) -> Self {
        Self { snapshot, position, end, current: None, run: None, pending_error: None }
    }

    /// A record right here, which is what nearly every step finds.
    #[inline(always)]
    fn here(&mut self) -> Option<Record<'a>> {
        let lsn = self.position;
        let (payload, next) = self.run.as_ref()?.record(lsn)?;
        self.position = next;
        Some(Record::new(lsn, payload))
    }

    /// Whatever is here.
    #[cold]
    #[inline(never)]
    fn step(&mut self) -> Result<Option<Record<'a>>> {
        while self.position < self.end {
            let (mapped, segment) = match self.current {
                Some(current) if self.position < current.1.end() => current,
                _ => self.enter()?,
            };
            self.run = Some(Run::new(&mapped, self.position, self.end));
            match mapped.examine(self.position - segment.base()) {
                Found::Record(frame) => {
                    let lsn = self.position;
                    self.position = segment.base() + frame.next();
                    return Ok(Some(Record::new(lsn, mapped.payload(&frame))));
                }
                Found::Padding { next } => self.position = segment.base() + next,
                Found::End => self.position = segment.end(),
                Found::Bad(damage) => return Err(segment.corrupt(self.position, damage.describe())),
                // Below the end of a snapshot everything was published.
                Found::Unwritten | Found::Claimed { .. } => {
                    return Err(segment.corrupt(self.position, "a frame that was published is gone"));
                }
            }
        }
        Ok(None)
    }

    fn enter(&mut self) -> Result<(Mapped<'a>, &'a Arc<Segment>)> {
        let segment = segment_at(&self.snapshot.segments, self.position)?;
        let current = (Mapped::new(segment)?, segment);
        self.current = Some(current);
        Ok(current)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if let Some(record) = self.here() {
            return Some(Ok(record));
        }
        self.next_cold()
    }

    /// As `next` again and again, but with all that a step needs in registers.
    fn fold<B, F: FnMut(B, Self::Item) -> B>(mut self, begin: B, mut f: F) -> B {
        let mut folded = begin;
        loop {
            if let Some(run) = self.run {
                let mut lsn = self.position;
                while let Some((payload, next)) = run.record(lsn) {
                    folded = f(folded, Ok(Record::new(lsn, payload)));
                    lsn = next;
                }
                self.position = lsn;
            }
            let Some(item) = self.next_cold() else { return folded };
            folded = f(folded, item);
        }
    }
}

impl<'a> Records<'a> {
    #[cold]
    #[inline(never)]
    fn next_cold(&mut self) -> Option<Result<Record<'a>>> {
        if let Some(error) = self.pending_error.take() {
            self.position = self.end;
            return Some(Err(error));
        }
        match self.step() {
            Ok(record) => record.map(Ok),
            Err(error) => {
                self.position = self.end;
                Some(Err(error))
            }
        }
    }
}

impl core::iter::FusedIterator for Records<'_> {}

impl fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("position", &self.position).field("end", &self.end).finish()
    }
}
