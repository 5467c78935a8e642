//! Tasks that wait for a segment. All that they wait for is changed under the lock under which they register.

use core::task::{Poll, Waker};

use super::{State, Supply};
use crate::error::{Error, Result};
use crate::primitive::lock;
use crate::signal::Bed;

/// What a task that waits for room is known by.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// An attempt to prepare a segment that fails ends the wait when its number is this or a later one: it began after
    /// the task came.
    enough: Option<u64>,
    bed: Option<Bed>,
}

impl Supply {
    /// Asks for a segment unless `ready` gives a result, and does not wait for it.
    pub(crate) fn ask(&self, mut ready: impl FnMut() -> Option<Result<()>>) -> Result<()> {
        let mut state = lock(&self.state);
        if let Some(result) = ready() {
            return result;
        }
        state.demand = true;
        self.call();
        Err(Error::would_block())
    }

    /// As `wait_until`, for a task: it is woken when it is worth another look.
    pub(crate) fn poll_until(
        &self,
        turn: &mut Turn,
        waker: &Waker,
        mut ready: impl FnMut() -> Option<Result<()>>,
    ) -> Poll<Result<()>> {
        // Somebody else's code: not under the lock.
        let waker = waker.clone();
        let mut state = lock(&self.state);
        let old = turn.bed.take().and_then(|bed| state.tasks.remove(bed));
        let enough = *turn.enough.get_or_insert(state.begun + 1);
        let mut look = |state: &State| {
            let failed = state.failed.as_ref().filter(|(attempt, _)| *attempt >= enough);
            ready().or_else(|| failed.map(|(_, error)| Err(error.clone())))
        };
        #[cfg_attr(not(feature = "testing"), allow(unused_mut, reason = "only then it looks again"))]
        let mut outcome = look(&state);
        #[cfg(feature = "testing")]
        while outcome.is_none()
            && let Some(super::Inline(run)) = self.inline.get()
        {
            state.demand = true;
            drop(state);
            run();
            state = lock(&self.state);
            outcome = look(&state);
        }
        if outcome.is_some() {
            turn.enough = None;
        } else {
            state.demand = true;
            turn.bed = Some(state.tasks.add(0, waker));
            self.call();
        }
        drop(state);
        drop(old);
        outcome.map_or(Poll::Pending, Poll::Ready)
    }

    /// Wakes the tasks, which see for themselves that the log is closed. No lock is held.
    pub(crate) fn tell_tasks(&self) {
        let tasks = lock(&self.state).tasks.take_all();
        tasks.wake();
    }

    /// The task waits no more.
    pub(crate) fn give_up(&self, turn: &mut Turn) {
        if let Some(bed) = turn.bed.take() {
            let waker = lock(&self.state).tasks.remove(bed);
            drop(waker);
        }
    }
}
