//! Watching a watermark move.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::chain::{Chain, Progress, Sleeper};
use crate::error::Result;
use crate::lsn::Lsn;
use crate::primitive::{Arc, Moment};
use crate::reentry::refuse_inside_claim;

/// Tells when a watermark moves: how far the log is published ([`Log::watch_published`](crate::Log::watch_published)),
/// or durable ([`Log::watch_durable`](crate::Log::watch_durable)). For replication, for example.
///
/// Each wait begins where the one before ended: it gives the watermark when that is beyond the one that was given
/// last. So nothing is missed, and moves that come together are told together. A thread waits with
/// [`wait`](Self::wait), a task by awaiting the watcher, or a `&mut` to it, again and again; no runtime is needed. It
/// costs nobody anything while it waits, but that each sync or, for the published watermark, the next append wakes it.
///
/// A watcher does not move anything: without somebody who syncs, nothing becomes durable.
///
/// Dropping it, or a future that waits for it, loses nothing.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
/// use tidelog::ErrorKind;
///
/// let mut watcher = log.watch_durable(log.watermarks().durable);
/// assert_eq!(watcher.try_wait()?, None);
/// log.append(b"durable when this returns")?;
/// let durable = watcher.wait()?;
/// assert_eq!(durable, log.watermarks().durable);
/// log.close()?;
/// assert_eq!(watcher.wait().unwrap_err().kind(), ErrorKind::Closed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Watcher {
    sleeper: Sleeper,
    /// The watermark must be beyond this.
    beyond: u64,
}

impl Watcher {
    pub(crate) fn new(chain: Arc<Chain>, progress: Progress, beyond: Lsn) -> Self {
        Self { sleeper: Sleeper::new(chain, progress), beyond: beyond.get() }
    }

    /// What the watermark has to pass for the next wait to end.
    #[must_use]
    pub fn beyond(&self) -> Lsn {
        Lsn::new(self.beyond)
    }

    /// The watermark, if it has moved on.
    ///
    /// # Errors
    /// As [`wait`](Self::wait), but never `WouldDeadlock`.
    pub fn try_wait(&mut self) -> Result<Option<Lsn>> {
        self.look()
    }

    /// Waits until the watermark moves on, and returns it.
    ///
    /// # Errors
    /// * [`Closed`](crate::ErrorKind::Closed): the log was closed, and the watermark has reached its end.
    /// * [`Poisoned`](crate::ErrorKind::Poisoned): a sync failed; the durable watermark never moves again, and the
    ///   published one is of no use.
    /// * [`Corrupt`](crate::ErrorKind::Corrupt): a header word in memory is damaged, so that the published watermark
    ///   cannot move on.
    /// * [`WouldDeadlock`](crate::ErrorKind::WouldDeadlock): inside a closure of `append_with`.
    pub fn wait(&mut self) -> Result<Lsn> {
        loop {
            if let Some(moved) = self.wait_until(None)? {
                return Ok(moved);
            }
        }
    }

    /// The same, for at most `timeout`; `None` when it did not move.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Option<Lsn>> {
        self.wait_until(Instant::now().checked_add(timeout))
    }

    fn wait_until(&mut self, deadline: Option<Instant>) -> Result<Option<Lsn>> {
        let mut moment = Moment::new();
        loop {
            let moved = self.look()?;
            if moved.is_some() || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(moved);
            }
            refuse_inside_claim()?;
            self.sleeper.chain().refuse_in_child()?;
            if moment.goes_by() {
                continue;
            }
            let ticket = self.sleeper.lie_down(self.beyond);
            // What came before that woke nobody.
            let look = self.look();
            if !matches!(look, Ok(None)) {
                self.sleeper.leave();
                return look;
            }
            self.sleeper.sleep(ticket, deadline);
            moment = Moment::new();
        }
    }

    fn look(&mut self) -> Result<Option<Lsn>> {
        let chain = self.sleeper.chain();
        // Before the look at the watermark: what was there by then is seen.
        let final_end = chain.final_end();
        let poison = final_end.and_then(|_| chain.durability.poison());
        let now = match self.sleeper.progress() {
            Progress::Published => chain.advance_published()?.position(),
            Progress::Durable => chain.durability.durable(),
        };
        if now > self.beyond {
            self.beyond = now;
            return Ok(Some(Lsn::new(now)));
        }
        if let Some(error) = poison {
            return Err(error);
        }
        if final_end.is_some_and(|end| now >= end) {
            return Err(chain.closed_error());
        }
        Ok(None)
    }
}

/// Ready when the watermark moves on. May be polled again after that, for the next move.
impl Future for Watcher {
    type Output = Result<Lsn>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Lsn>> {
        if let Some(outcome) = self.look().transpose() {
            return Poll::Ready(outcome);
        }
        if let Err(error) = self.sleeper.chain().refuse_in_child() {
            return Poll::Ready(Err(error));
        }
        let beyond = self.beyond;
        self.sleeper.register(beyond, context.waker());
        // What came before that woke nobody.
        let Some(outcome) = self.look().transpose() else { return Poll::Pending };
        self.sleeper.leave();
        Poll::Ready(outcome)
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("sleeper", &self.sleeper).field("beyond", &self.beyond).finish()
    }
}
