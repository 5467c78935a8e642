//! Waiting, as a task, until a record is durable.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::chain::Wish;
use crate::error::{Error, Result};
use crate::lsn::Lsn;
use crate::primitive::Arc;
use crate::syncer::Deputy;

/// Ready when a record is durable, and everything before it. From [`Log::durable`](crate::Log::durable).
///
/// Polled again after it was ready, it gives the same again. Dropped, it wakes nobody any more; a sync that was begun
/// for it goes on.
#[must_use = "a future does nothing unless it is polled"]
pub struct Durable {
    wish: Wish,
    deputy: Arc<Deputy>,
    /// Something was appended there.
    known: bool,
}

impl Durable {
    pub(crate) fn new(deputy: Arc<Deputy>, lsn: Lsn) -> Self {
        let wish = Wish::new(Arc::clone(deputy.syncer().chain()), lsn.get());
        Self { wish, deputy, known: false }
    }

    /// The record that it waits for.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        Lsn::new(self.wish.position())
    }

    /// Once, unless the record is durable already: sees that something is there, and that somebody syncs.
    fn begin(&self) -> Result<()> {
        let end = self.wish.chain().written_end();
        if self.wish.position() >= end {
            return Err(Error::not_written(self.lsn(), Lsn::new(end)));
        }
        self.deputy.call(self.wish.position())
    }
}

impl Future for Durable {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.wish.chain().refuse_in_child()?;
        if !self.known && self.wish.chain().durability.durable() <= self.wish.position() {
            self.begin()?;
            self.known = true;
        }
        let outcome = self.wish.poll(context.waker());
        if outcome.is_pending() {
            // When it is registered: what comes before that may look and find nobody.
            self.deputy.nudge();
        }
        outcome
    }
}

impl fmt::Debug for Durable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Durable").field("lsn", &self.lsn()).finish()
    }
}
