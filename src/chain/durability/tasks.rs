//! Tasks that wait for a sync, and the thread that leads for them.
//!
//! A task registers under the lock of the durable watermark. Under the same lock the thread looks whether there are tasks,
//! and lies down if there are none; who registers while it lies opens its gate. So no task is overlooked (ERRAND). The
//! thread waits for the furthest of them as any caller does: it leads, or joins the group of somebody who does.

use core::fmt;
use core::task::{Poll, Waker};

use super::Durability;
use crate::chain::Chain;
use crate::error::Result;
use crate::primitive::{Arc, lock};
use crate::signal::Bed;

impl Durability {
    /// Ready when the watermark has passed `beyond`, or never will. Else `waker` is woken then, in place of the one in
    /// `bed`, and the thread that serves tasks has a sync carried out.
    fn poll(&self, bed: &mut Option<Bed>, beyond: u64, waker: &Waker) -> Poll<Result<()>> {
        if self.durable() > beyond {
            self.give_up(bed);
            return Poll::Ready(Ok(()));
        }
        // Somebody else's code: not under the lock.
        let waker = waker.clone();
        let mut state = lock(&self.state);
        let old = bed.take().and_then(|bed| state.tasks.remove(bed));
        let mut called = false;
        let outcome = if self.durable() > beyond {
            Poll::Ready(Ok(()))
        } else if let Some(error) = &state.poison {
            Poll::Ready(Err(error.clone()))
        } else {
            *bed = Some(state.tasks.add(beyond, waker));
            called = core::mem::take(&mut state.deputy_sleeps);
            if called {
                self.errands.open();
            }
            Poll::Pending
        };
        drop(state);
        if called {
            self.errands.wake_one();
        }
        drop(old);
        outcome
    }

    /// The task in `bed` waits no more.
    fn give_up(&self, bed: &mut Option<Bed>) {
        if let Some(bed) = bed.take() {
            let waker = lock(&self.state).tasks.remove(bed);
            drop(waker);
        }
    }

    /// How far the log is to be made durable for tasks. Sleeps until there is one; `None` when there will be none.
    pub(crate) fn next_errand(&self) -> Option<u64> {
        let mut state = lock(&self.state);
        loop {
            if state.deputy_dismissed {
                return None;
            }
            if let Some(beyond) = state.tasks.furthest() {
                return Some(beyond + 1);
            }
            state.deputy_sleeps = true;
            let ticket = self.errands.ticket();
            drop(state);
            self.errands.sleep(ticket);
            state = lock(&self.state);
        }
    }

    /// The same for a thread that many logs share: it does not sleep here.
    pub(crate) fn errand(&self) -> Option<u64> {
        let state = lock(&self.state);
        if state.deputy_dismissed { None } else { state.tasks.furthest().map(|beyond| beyond + 1) }
    }

    /// Ends the thread that leads for tasks.
    pub(crate) fn dismiss(&self) {
        let mut state = lock(&self.state);
        state.deputy_dismissed = true;
        self.errands.open();
        drop(state);
        self.errands.wake_one();
    }
}

/// A task's wish that what lies at a position be durable. It is given up when this is dropped.
pub(crate) struct Wish {
    chain: Arc<Chain>,
    beyond: u64,
    bed: Option<Bed>,
}

impl Wish {
    /// For the frame that begins at `position`: the watermark stands at the ends of frames, so one that has passed a
    /// frame's beginning has passed its end, or its batch's.
    pub(crate) fn new(chain: Arc<Chain>, position: u64) -> Self {
        Self { chain, beyond: position, bed: None }
    }

    pub(crate) fn chain(&self) -> &Chain {
        &self.chain
    }

    pub(crate) fn position(&self) -> u64 {
        self.beyond
    }

    /// Ready when it has come true, or never will.
    pub(crate) fn poll(&mut self, waker: &Waker) -> Poll<Result<()>> {
        self.chain.durability.poll(&mut self.bed, self.beyond, waker)
    }
}

impl Drop for Wish {
    fn drop(&mut self) {
        // (In a forked child whoever held the lock is not there to give it up.)
        if !self.chain.is_inherited() {
            self.chain.durability.give_up(&mut self.bed);
        }
    }
}

impl fmt::Debug for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wish").field("position", &self.beyond).finish()
    }
}
