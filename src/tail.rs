//! Following the live log.

use core::fmt;
use core::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::chain::{Chain, Progress, Sleeper, Watch, check_boundary};
use crate::error::{Error, Result};
use crate::lsn::Lsn;
use crate::primitive::{Arc, Moment, Patience};
use crate::record::{PinnedRecord, Record};
use crate::reentry::refuse_inside_claim;
use crate::segment::Segment;
use crate::segment::scan::{Found, Frame, Mapped};

/// Follows a log as it grows, record by record, in LSN order. From [`Log::tail`](crate::Log::tail), which gives what is
/// published, durable or not, and [`Log::tail_durable`](crate::Log::tail_durable), which gives what is on stable storage.
///
/// It waits at a record that is still being written. Several tails are independent. A tail that waits sleeps, and costs
/// nobody anything until something is appended; a writer that finds a tail asleep wakes it, which takes some two
/// microseconds, once for each time that it fell asleep. (One of a [`LogReader`](crate::LogReader) looks again and
/// again, up to a thousand times a second.)
///
/// A record comes in two forms: borrowed until the next call, from [`next`](Self::next) and its like, at no cost; or as
/// a [`PinnedRecord`], from [`next_pinned`](Self::next_pinned) and its like and from the iterator, to be kept or sent
/// to another thread.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
/// use std::time::Duration;
///
/// let mut tail = log.tail(log.watermarks().published)?;
/// assert!(tail.try_next()?.is_none());
/// log.append(b"news")?;
/// assert_eq!(tail.next()?.unwrap().payload(), b"news");
/// assert!(tail.next_timeout(Duration::from_millis(1))?.is_none());
/// log.close()?;
/// assert!(tail.next()?.is_none(), "a closed log gives no more");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// As an iterator over a channel's end:
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
/// use tidelog::{Lsn, PinnedRecord};
///
/// let (sender, receiver) = std::sync::mpsc::channel::<PinnedRecord>();
/// let tail = log.tail_durable(Lsn::ZERO)?;
/// let follower = std::thread::spawn(move || {
///     for record in tail {
///         sender.send(record?).expect("somebody receives");
///     }
///     tidelog::Result::Ok(())
/// });
/// log.append(b"durable when it is received")?;
/// assert_eq!(receiver.recv()?.payload(), b"durable when it is received");
/// log.close()?;
/// follower.join().expect("no panic")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Tail {
    source: Source,
    position: u64,
    /// Records below this may be given: as far as the log was seen durable, or everything.
    limit: u64,
    segment: Option<Arc<Segment>>,
}

/// Whose log is followed.
enum Source {
    /// This process writes it.
    Own(Sleeper),
    /// Another process may write it.
    Watched(Arc<Watch>),
}

/// What a look at the log found.
enum Look {
    Record(u64, Frame),
    /// Nothing yet.
    Nothing,
    /// Nothing, and nothing will come.
    End,
}

impl Source {
    fn find_at(&self, position: u64) -> Result<Option<Arc<Segment>>> {
        match self {
            Self::Own(sleeper) => Ok(sleeper.chain().catalog.find_at(position)),
            Self::Watched(watch) => watch.find_at(position),
        }
    }

    fn start(&self) -> u64 {
        match self {
            Self::Own(sleeper) => sleeper.chain().catalog.start(),
            Self::Watched(watch) => watch.catalog.start(),
        }
    }

    /// The segment with its header read again, if it has changed since.
    ///
    /// # Errors
    /// `Retired` where the segment is gone: its header, which would tell, cannot be read again.
    fn renewed(&self, segment: &Arc<Segment>, position: u64) -> Result<Option<Arc<Segment>>> {
        let Self::Watched(watch) = self else { return Ok(None) };
        watch.refresh()?;
        let start = watch.catalog.start();
        if position < start {
            return Err(Error::retired(Lsn::new(position), Lsn::new(start)));
        }
        let now = watch.catalog.find(segment.number());
        Ok(now.filter(|now| !Arc::ptr_eq(now, segment)))
    }

    /// How far the log was seen published.
    fn published(&self) -> u64 {
        match self {
            Self::Own(sleeper) => sleeper.chain().published().position(),
            Self::Watched(watch) => watch.published().position(),
        }
    }

    /// In a forked child nothing comes any more: it would wait for ever.
    fn refuse_in_child(&self) -> Result<()> {
        match self {
            Self::Own(sleeper) => sleeper.chain().refuse_in_child(),
            Self::Watched(_) => Ok(()),
        }
    }

    /// Where the log ends for good; `None` while it may grow.
    fn final_end(&self) -> Option<u64> {
        match self {
            Self::Own(sleeper) => sleeper.chain().final_end(),
            Self::Watched(_) => None,
        }
    }

    /// Only durable records are wanted.
    fn waits_for_syncs(&self) -> Option<&Chain> {
        match self {
            Self::Own(sleeper) if sleeper.progress() == Progress::Durable => Some(sleeper.chain()),
            _ => None,
        }
    }
}

impl Tail {
    pub(crate) fn new(chain: Arc<Chain>, from: Lsn, progress: Progress) -> Result<Self> {
        check_boundary(&chain, from.get())?;
        let limit = if progress == Progress::Durable { 0 } else { u64::MAX };
        let source = Source::Own(Sleeper::new(chain, progress));
        Ok(Self { source, position: from.get(), limit, segment: None })
    }

    /// Follows another process' log from a position that was checked.
    pub(crate) fn watch(watch: Arc<Watch>, from: Lsn) -> Self {
        Self { source: Source::Watched(watch), position: from.get(), limit: u64::MAX, segment: None }
    }

    /// Where the next record begins or will begin.
    #[must_use]
    pub fn position(&self) -> Lsn {
        Lsn::new(self.position)
    }

    /// The next record if it is there.
    ///
    /// # Errors
    /// * [`Retired`](crate::ErrorKind::Retired): the log was retired beyond this tail. The error has the first LSN that is
    ///   left ([`Error::lsn`]); a new tail can begin there.
    /// * [`Corrupt`](crate::ErrorKind::Corrupt): a record does not verify.
    /// * [`Io`](crate::ErrorKind::Io), [`TooManyMappings`](crate::ErrorKind::TooManyMappings): its segment cannot be
    ///   mapped.
    pub fn try_next(&mut self) -> Result<Option<Record<'_>>> {
        let look = self.advance()?;
        self.record(&look)
    }

    /// The next record; waits for it. `None` when the log has ended, by a close or by poison, and everything was read.
    ///
    /// # Errors
    /// As [`try_next`](Self::try_next); `WouldDeadlock` inside a closure of `append_with`; and for a tail of durable
    /// records [`Poisoned`](crate::ErrorKind::Poisoned), when a sync has failed and there are published records left
    /// that are not durable.
    #[allow(clippy::should_implement_trait, reason = "it lends, which Iterator cannot")]
    pub fn next(&mut self) -> Result<Option<Record<'_>>> {
        let look = self.wait(None)?;
        self.record(&look)
    }

    /// The next record; waits for it for at most `timeout`. `None` when none came, or the log has ended.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Record<'_>>> {
        let look = self.wait(Instant::now().checked_add(timeout))?;
        self.record(&look)
    }

    /// As [`try_next`](Self::try_next), with a record that can be kept and sent.
    ///
    /// # Errors
    /// As [`try_next`](Self::try_next).
    pub fn try_next_pinned(&mut self) -> Result<Option<PinnedRecord>> {
        let look = self.advance()?;
        Ok(self.pinned(&look))
    }

    /// As [`next`](Self::next), with a record that can be kept and sent.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn next_pinned(&mut self) -> Result<Option<PinnedRecord>> {
        let look = self.wait(None)?;
        Ok(self.pinned(&look))
    }

    /// As [`next_timeout`](Self::next_timeout), with a record that can be kept and sent.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn next_pinned_timeout(&mut self, timeout: Duration) -> Result<Option<PinnedRecord>> {
        let look = self.wait(Instant::now().checked_add(timeout))?;
        Ok(self.pinned(&look))
    }

    /// As [`next_pinned`](Self::next_pinned), for a task: where it would wait it returns `Pending`, and the task is woken
    /// when it is worth another try. It never blocks, and nothing is lost when the task is dropped or asks no more.
    ///
    /// # Errors
    /// As [`next`](Self::next), but never `WouldDeadlock`. [`InvalidOption`](crate::ErrorKind::InvalidOption) for a tail
    /// of a [`LogReader`](crate::LogReader), which nobody wakes.
    pub fn poll_next_pinned(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<PinnedRecord>>> {
        match self.look() {
            Ok(Look::Nothing) => {}
            other => return Poll::Ready(other.map(|look| self.pinned(&look))),
        }
        if let Err(error) = self.source.refuse_in_child() {
            return Poll::Ready(Err(error));
        }
        let position = self.position;
        let Source::Own(sleeper) = &mut self.source else {
            return Poll::Ready(Err(Error::invalid_option(
                "the tail of a LogReader cannot be awaited; use a thread and next_timeout",
            )));
        };
        sleeper.register(position, context.waker());
        // What came before that woke nobody.
        match self.look() {
            Ok(Look::Nothing) => Poll::Pending,
            other => {
                self.leave();
                Poll::Ready(other.map(|look| self.pinned(&look)))
            }
        }
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Result<Look> {
        let mut patience = Patience::new();
        let mut moment = Moment::new();
        loop {
            let look = self.look()?;
            if !matches!(look, Look::Nothing) || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(look);
            }
            refuse_inside_claim()?;
            self.source.refuse_in_child()?;
            let position = self.position;
            match &mut self.source {
                Source::Watched(_) => patience.pause(),
                Source::Own(_) if moment.goes_by() => {}
                Source::Own(sleeper) => {
                    let ticket = sleeper.lie_down(position);
                    // What came before that woke nobody.
                    let look = self.look();
                    if !matches!(look, Ok(Look::Nothing)) {
                        self.leave();
                        return look;
                    }
                    if let Source::Own(sleeper) = &mut self.source {
                        sleeper.sleep(ticket, deadline);
                    }
                    moment = Moment::new();
                }
            }
        }
    }

    /// Wakes this tail's task or thread no more.
    fn leave(&mut self) {
        if let Source::Own(sleeper) = &mut self.source {
            sleeper.leave();
        }
    }

    /// Steps over the next record if it is there, and else sees whether there will be one.
    fn look(&mut self) -> Result<Look> {
        let look = self.advance()?;
        if !matches!(look, Look::Nothing) {
            return Ok(look);
        }
        // Not for each record: it looks at the writers' cursor.
        let Some(end) = self.source.final_end() else { return Ok(Look::Nothing) };
        let poison = self.source.waits_for_syncs().and_then(|chain| chain.durability.poison());
        // Once more: what was there by then is seen.
        let look = self.advance()?;
        match look {
            Look::Nothing if self.position >= end => Ok(Look::End),
            Look::Nothing => poison.map_or(Ok(look), Err),
            _ => Ok(look),
        }
    }

    /// Sees how far the log is durable, when more than what was known is wanted. False when it is not so far.
    fn is_within_limit(&mut self) -> Result<bool> {
        if self.position < self.limit {
            return Ok(true);
        }
        let Some(chain) = self.source.waits_for_syncs() else { return Ok(false) };
        // A frame's end, so whatever begins below it ends at or below it, batches too.
        self.limit = chain.durability.durable();
        if self.position >= self.limit {
            let start = chain.catalog.start();
            if self.position < start {
                return Err(Error::retired(self.position(), Lsn::new(start)));
            }
        }
        Ok(self.position < self.limit)
    }

    /// Steps over the next record, if it is there.
    fn advance(&mut self) -> Result<Look> {
        loop {
            if !self.is_within_limit()? {
                return Ok(Look::Nothing);
            }
            if self.segment.as_ref().is_none_or(|segment| self.position >= segment.end()) {
                self.segment = self.source.find_at(self.position)?;
            }
            let Some(segment) = &self.segment else {
                let start = self.source.start();
                if self.position < start {
                    return Err(Error::retired(self.position(), Lsn::new(start)));
                }
                return Ok(Look::Nothing);
            };
            let base = segment.base();
            // Before the frame is looked at, which may be published in between.
            let published = self.source.published();
            match Mapped::new(segment)?.examine(self.position - base) {
                Found::Unwritten | Found::Claimed { .. } if self.position >= published => {
                    return Ok(Look::Nothing);
                }
                Found::Unwritten | Found::Claimed { .. } => {
                    return Err(segment.corrupt(self.position, "a frame that was published is gone"));
                }
                Found::Padding { next } => self.position = base + next,
                Found::End => self.position = segment.end(),
                Found::Record(frame) => {
                    let lsn = self.position;
                    self.position = base + frame.next();
                    return Ok(Look::Record(lsn, frame));
                }
                Found::Bad(damage) => match self.source.renewed(segment, self.position)? {
                    Some(renewed) => self.segment = Some(renewed),
                    None => return Err(segment.corrupt(self.position, damage.describe())),
                },
            }
        }
    }

    fn record(&self, look: &Look) -> Result<Option<Record<'_>>> {
        match (look, &self.segment) {
            (Look::Record(lsn, frame), Some(segment)) => {
                Ok(Some(Record::new(*lsn, Mapped::new(segment)?.payload(frame))))
            }
            _ => Ok(None),
        }
    }

    fn pinned(&self, look: &Look) -> Option<PinnedRecord> {
        match (look, &self.segment) {
            (Look::Record(lsn, frame), Some(segment)) => {
                Some(PinnedRecord::new(*lsn, *frame, Arc::clone(segment)))
            }
            _ => None,
        }
    }
}

/// Waits for each record, and ends when the log has ended and everything was read, or after an error.
impl IntoIterator for Tail {
    type Item = Result<PinnedRecord>;
    type IntoIter = TailRecords;

    fn into_iter(self) -> TailRecords {
        TailRecords { tail: Some(self) }
    }
}

/// Iterates over the records that a [`Tail`] follows, waiting for each. It ends when the log has ended and everything was
/// read, or after an error.
#[derive(Debug)]
pub struct TailRecords {
    tail: Option<Tail>,
}

impl Iterator for TailRecords {
    type Item = Result<PinnedRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.tail.as_mut()?.next_pinned().transpose();
        if !matches!(item, Some(Ok(_))) {
            self.tail = None;
        }
        item
    }
}

impl core::iter::FusedIterator for TailRecords {}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").field("position", &self.position).finish()
    }
}
