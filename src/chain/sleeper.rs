//! One who sleeps until the log has grown, has become durable, or has ended: a thread or a task.

use core::fmt;
use core::task::Waker;
use std::time::Instant;

use super::Chain;
use crate::primitive::Arc;
use crate::signal::{Bed, Parker};

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Published,
    Durable,
}

/// A place among those who are woken. It is given up when this is dropped.
///
/// Being woken says that it is worth a look, and nothing more: who sleeps for the published log is woken by every claim
/// that ends, who sleeps for the durable one when the watermark has passed what he named, and both when the log closes, is
/// poisoned, or is retired. So the way to wait is: look; [`register`](Self::register); look again; sleep.
pub(crate) struct Sleeper {
    chain: Arc<Chain>,
    progress: Progress,
    bed: Option<Bed>,
    parker: Option<std::sync::Arc<Parker>>,
}

impl Sleeper {
    pub(crate) fn new(chain: Arc<Chain>, progress: Progress) -> Self {
        Self { chain, progress, bed: None, parker: None }
    }

    pub(crate) fn chain(&self) -> &Chain {
        &self.chain
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress
    }

    /// From now on `waker` is woken, once, when the watermark may have passed `beyond`, or never will. What came before
    /// this wakes nobody: look again.
    pub(crate) fn register(&mut self, beyond: u64, waker: &Waker) {
        let Self { chain, progress, bed, .. } = self;
        match progress {
            Progress::Published => chain.grown.register(bed, beyond, waker),
            Progress::Durable => chain.durability.register(bed, beyond, waker),
        }
    }

    /// Wakes nobody any more.
    pub(crate) fn leave(&mut self) {
        let Some(bed) = self.bed.take() else { return };
        match self.progress {
            Progress::Published => self.chain.grown.leave(bed),
            Progress::Durable => self.chain.durability.leave(bed),
        }
    }

    /// Registers this thread. The ticket is for `sleep`.
    pub(crate) fn lie_down(&mut self, beyond: u64) -> u32 {
        let parker = std::sync::Arc::clone(self.parker.get_or_insert_default());
        let ticket = parker.ticket();
        self.register(beyond, &parker.waker());
        ticket
    }

    /// Sleeps until this thread is woken, or until `deadline`; may return early.
    pub(crate) fn sleep(&mut self, ticket: u32, deadline: Option<Instant>) {
        if let Some(parker) = &self.parker {
            parker.park(ticket, deadline, &self.chain.grown);
        }
        self.leave();
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Sleeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleeper").field("progress", &self.progress).finish()
    }
}
