//! Following the live log.

use core::fmt;
use std::time::{Duration, Instant};

use crate::chain::{Chain, Watch, check_boundary};
use crate::error::{Error, Result};
use crate::lsn::Lsn;
use crate::primitive::{Arc, Patience};
use crate::record::Record;
use crate::reentry::refuse_inside_claim;
use crate::segment::Segment;
use crate::segment::scan::{Found, Frame, Mapped};

/// Follows a log as it grows, record by record, in LSN order. From [`Log::tail`](crate::Log::tail).
///
/// It sees published records, durable or not, and waits at a record that is still being written. A record is
/// borrowed until the next call. Several tails are independent.
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
pub struct Tail {
    source: Source,
    position: u64,
    segment: Option<Arc<Segment>>,
}

/// Whose log is followed.
enum Source {
    /// This process writes it.
    Own(Arc<Chain>),
    /// Another process may write it.
    Watched(Arc<Watch>),
}

impl Source {
    fn find_at(&self, position: u64) -> Result<Option<Arc<Segment>>> {
        match self {
            Self::Own(chain) => Ok(chain.catalog.find_at(position)),
            Self::Watched(watch) => watch.find_at(position),
        }
    }

    fn start(&self) -> u64 {
        match self {
            Self::Own(chain) => chain.catalog.start(),
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
            Self::Own(chain) => chain.published().position(),
            Self::Watched(watch) => watch.published().position(),
        }
    }

    /// In a forked child nothing comes any more: it would wait for ever.
    fn refuse_in_child(&self) -> Result<()> {
        match self {
            Self::Own(chain) => chain.refuse_in_child(),
            Self::Watched(_) => Ok(()),
        }
    }

    /// Where the log ends for good; `None` while it may grow.
    fn final_end(&self) -> Option<u64> {
        match self {
            Self::Own(chain) => chain.final_end(),
            Self::Watched(_) => None,
        }
    }
}

impl Tail {
    pub(crate) fn new(chain: Arc<Chain>, from: Lsn) -> Result<Self> {
        check_boundary(&chain, from.get())?;
        Ok(Self { source: Source::Own(chain), position: from.get(), segment: None })
    }

    /// Follows another process' log from a position that was checked.
    pub(crate) fn watch(watch: Arc<Watch>, from: Lsn) -> Self {
        Self { source: Source::Watched(watch), position: from.get(), segment: None }
    }

    /// Where the next record begins or will begin.
    #[must_use]
    pub fn position(&self) -> Lsn {
        Lsn::new(self.position)
    }

    /// The next record if it is there.
    ///
    /// # Errors
    /// [`Retired`](crate::ErrorKind::Retired) when the log was retired beyond this tail;
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when a record does not verify.
    pub fn try_next(&mut self) -> Result<Option<Record<'_>>> {
        let found = self.advance()?;
        self.record(found)
    }

    /// The next record; waits for it. `None` when the log was closed and everything was read.
    ///
    /// # Errors
    /// As [`try_next`](Self::try_next), and `WouldDeadlock` inside a closure of `append_with`.
    #[allow(clippy::should_implement_trait, reason = "it lends, which Iterator cannot")]
    pub fn next(&mut self) -> Result<Option<Record<'_>>> {
        let found = self.wait(None)?;
        self.record(found)
    }

    /// The next record; waits for it for at most `timeout`. `None` when none came, or the log was closed.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Record<'_>>> {
        let found = self.wait(Instant::now().checked_add(timeout))?;
        self.record(found)
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Result<Option<(u64, Frame)>> {
        let mut patience = Patience::new();
        loop {
            let final_end = self.source.final_end();
            if let Some(found) = self.advance()? {
                return Ok(Some(found));
            }
            if final_end.is_some_and(|end| self.position >= end) {
                return Ok(None);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(None);
            }
            refuse_inside_claim()?;
            self.source.refuse_in_child()?;
            patience.pause();
        }
    }

    /// Steps over the next record, if it is published.
    fn advance(&mut self) -> Result<Option<(u64, Frame)>> {
        loop {
            if self.segment.as_ref().is_none_or(|segment| self.position >= segment.end()) {
                self.segment = self.source.find_at(self.position)?;
            }
            let Some(segment) = &self.segment else {
                let start = self.source.start();
                if self.position < start {
                    return Err(Error::retired(self.position(), Lsn::new(start)));
                }
                return Ok(None);
            };
            let base = segment.base();
            // Before the frame is looked at, which may be published in between.
            let published = self.source.published();
            match Mapped::new(segment)?.examine(self.position - base) {
                Found::Unwritten | Found::Claimed { .. } if self.position >= published => return Ok(None),
                Found::Unwritten | Found::Claimed { .. } => {
                    return Err(segment.corrupt(self.position, "a frame that was published is gone"));
                }
                Found::Padding { next } => self.position = base + next,
                Found::End => self.position = segment.end(),
                Found::Record(frame) => {
                    let lsn = self.position;
                    self.position = base + frame.next();
                    return Ok(Some((lsn, frame)));
                }
                Found::Bad(damage) => match self.source.renewed(segment, self.position)? {
                    Some(renewed) => self.segment = Some(renewed),
                    None => return Err(segment.corrupt(self.position, damage.describe())),
                },
            }
        }
    }

    fn record(&self, found: Option<(u64, Frame)>) -> Result<Option<Record<'_>>> {
        match (found, &self.segment) {
            (Some((lsn, frame)), Some(segment)) => {
                Ok(Some(Record::new(lsn, Mapped::new(segment)?.payload(&frame))))
            }
            _ => Ok(None),
        }
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").field("position", &self.position).finish()
    }
}
