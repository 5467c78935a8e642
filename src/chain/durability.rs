//! The durable watermark: who syncs, who waits, and what a failed sync does.
//!
//! A caller that waits and finds no sync running carries one out itself, for everybody that is published by
//! then; those who come meanwhile wait, and one of them carries out the next. So a lone caller hands nothing
//! over, and groups form by themselves.

use std::time::Duration;

use crossbeam_utils::CachePadded;

use crate::error::{Error, Result};
use crate::primitive::{AtomicU64, Condvar, Mutex, Ordering, lock, wait};

#[derive(Debug)]
pub(crate) struct Durability {
    durable: CachePadded<AtomicU64>,
    state: Mutex<State>,
    /// The watermark moved, a sync ended, or the log was poisoned.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// A thread is carrying out a sync.
    running: bool,
    /// Threads that sleep on `changed`.
    sleepers: u64,
    poison: Option<Error>,
}

impl Durability {
    pub(crate) fn new(tail: u64) -> Self {
        Self {
            durable: CachePadded::new(AtomicU64::new(tail)),
            state: Mutex::new(State { running: false, sleepers: 0, poison: None }),
            changed: Condvar::new(),
        }
    }

    /// Everything below is on stable storage.
    pub(crate) fn durable(&self) -> u64 {
        // DURABLE, acquire side: pairs with the release store in `wait`. Who sees it sees the published watermark
        // at least as far, and what was published below.
        self.durable.load(Ordering::Acquire)
    }

    /// A value that the watermark had, for the lag of a frame. Relaxed: any earlier value is a true bound.
    #[inline]
    pub(crate) fn hint(&self) -> u64 {
        self.durable.load(Ordering::Relaxed)
    }

    pub(crate) fn poison(&self) -> Option<Error> {
        lock(&self.state).poison.clone()
    }

    /// The first failure stays: every waiter and every later caller gets it. `refuse` ends the appends, and tells why;
    /// no sync ends while it runs.
    pub(crate) fn set_poison(&self, refuse: impl FnOnce() -> Error) {
        let mut state = lock(&self.state);
        let error = refuse();
        state.poison.get_or_insert(error);
        drop(state);
        self.changed.notify_all();
    }

    /// Returns when everything below `position` is durable. Unless a sync is running, this thread gathers for
    /// `window` and carries one out: `sync` makes the published log durable and returns how far it went.
    ///
    /// # Errors
    /// What poisoned the log, unless the position was durable before.
    pub(crate) fn wait(
        &self,
        position: u64,
        mut window: Duration,
        mut sync: impl FnMut() -> Result<u64>,
    ) -> Result<()> {
        if self.durable() >= position {
            return Ok(());
        }
        let mut state = lock(&self.state);
        loop {
            if self.durable() >= position {
                return Ok(());
            }
            if let Some(error) = &state.poison {
                return Err(error.clone());
            }
            if state.running {
                state = self.sleep(state);
                continue;
            }
            state.running = true;
            drop(state);
            if !window.is_zero() {
                std::thread::sleep(window);
                window = Duration::ZERO;
            }
            let outcome = sync();
            state = lock(&self.state);
            state.running = false;
            let news = match outcome {
                // The watermark never moves again once a sync has failed.
                Ok(reached) if state.poison.is_none() && reached > self.hint() => {
                    // DURABLE, release side: pairs with the acquire load in `durable`.
                    self.durable.store(reached, Ordering::Release);
                    true
                }
                // Nothing new was published: this thread tries again, so nobody needs to be told.
                Ok(_) => false,
                Err(error) => {
                    state.poison.get_or_insert(error);
                    true
                }
            };
            if news && state.sleepers > 0 {
                self.changed.notify_all();
            }
        }
    }

    /// Waits for a sync that somebody else carries out.
    pub(crate) fn wait_for_others(&self, position: u64) -> Result<()> {
        let mut state = lock(&self.state);
        loop {
            if self.durable() >= position {
                return Ok(());
            }
            if let Some(error) = &state.poison {
                return Err(error.clone());
            }
            state = self.sleep(state);
        }
    }

    fn sleep<'a>(
        &'a self,
        mut state: crate::primitive::MutexGuard<'a, State>,
    ) -> crate::primitive::MutexGuard<'a, State> {
        state.sleepers += 1;
        let mut state = wait(&self.changed, state);
        state.sleepers -= 1;
        state
    }
}
