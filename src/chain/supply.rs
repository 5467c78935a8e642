//! Prepared segments: how far they reach, who waits for more, and why none came.

mod tasks;

pub(crate) use tasks::Turn;

use crate::crew::Bell;
use crate::error::Result;
use crate::primitive::{Condvar, Mutex, MutexGuard, lock, wait, wait_timeout};
use crate::signal::Sleepers;
use std::time::Duration;

/// Claims wait here for segments, the preparer for demand. Nobody comes here while the next segment is ready.
#[derive(Debug)]
pub(crate) struct Supply {
    state: Mutex<State>,
    /// Segments, a failure, or the end of the log.
    changed: Condvar,
    /// Something to do for the preparer.
    wanted: Condvar,
    /// Where the preparer is a thread that other logs share: it sleeps elsewhere.
    bell: std::sync::OnceLock<Bell>,
    /// Where there is no preparer's thread: what whoever waits does instead.
    #[cfg(feature = "testing")]
    inline: std::sync::OnceLock<Inline>,
}

#[cfg(feature = "testing")]
struct Inline(Box<dyn Fn() + Send + Sync>);

// It takes the locks that the keeper's thread would, and those say what a panic leaves.
#[cfg(feature = "testing")]
impl std::panic::UnwindSafe for Inline {}
#[cfg(feature = "testing")]
impl std::panic::RefUnwindSafe for Inline {}

#[cfg(feature = "testing")]
impl core::fmt::Debug for Inline {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Inline")
    }
}

#[derive(Debug)]
struct State {
    /// End of the prepared segments.
    prepared_end: u64,
    /// Attempts to prepare a segment, counted when they begin.
    begun: u64,
    /// The last attempt has not ended.
    preparing: bool,
    /// The last attempt that ended, if it failed: its number and why.
    failed: Option<(u64, crate::error::Error)>,
    /// Somebody waits for an attempt.
    demand: bool,
    /// Something changed that the preparer should look at soon.
    poked: bool,
    /// Claims beyond the prepared segments whose writers gave up; the preparer pads them.
    orphans: Vec<(u64, u64)>,
    /// Where the cursor stood when it was closed.
    end: u64,
    closed: bool,
    /// The preparer is to stop.
    stop: bool,
    /// Tasks that wait for room.
    tasks: Sleepers,
}

/// What the preparer woke for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// Look whether there is something to do.
    Routine,
    /// Somebody waits for a segment.
    Waiting,
    /// The log closes.
    Stop,
}

impl Supply {
    pub(crate) fn new(prepared_end: u64) -> Self {
        Self {
            state: Mutex::new(State {
                prepared_end,
                begun: 0,
                preparing: false,
                failed: None,
                demand: false,
                poked: false,
                orphans: Vec::new(),
                end: 0,
                closed: false,
                stop: false,
                tasks: Sleepers::default(),
            }),
            changed: Condvar::new(),
            wanted: Condvar::new(),
            bell: std::sync::OnceLock::new(),
            #[cfg(feature = "testing")]
            inline: std::sync::OnceLock::new(),
        }
    }

    pub(crate) fn prepared_end(&self) -> u64 {
        lock(&self.state).prepared_end
    }

    /// Closes the cursor and notes where it stood, as one step for all who ask for the end. Tasks are to be told when no
    /// lock is held: `tell_tasks`.
    pub(crate) fn close(&self, close_cursor: impl FnOnce() -> Option<u64>) -> bool {
        let mut state = lock(&self.state);
        let end = close_cursor();
        if let Some(end) = end {
            state.end = end;
            state.closed = true;
        }
        drop(state);
        self.changed.notify_all();
        self.wanted.notify_all();
        end.is_some()
    }

    /// Where the cursor stood when it was closed; only to be asked after that.
    pub(crate) fn end(&self) -> u64 {
        lock(&self.state).end
    }

    /// Where the claims that have a segment end, once the log is closed and no segment is on its way any more.
    pub(crate) fn final_end(&self) -> Option<u64> {
        let state = lock(&self.state);
        (state.closed && !state.preparing).then(|| state.end.min(state.prepared_end))
    }

    /// Waits until `ready` gives a result, asking the preparer for segments meanwhile. Fails with the reason
    /// when an attempt that began after the call could not prepare one.
    pub(crate) fn wait_until(&self, mut ready: impl FnMut() -> Option<Result<()>>) -> Result<()> {
        let mut state = lock(&self.state);
        let enough = state.begun + 1;
        loop {
            if let Some(result) = ready() {
                return result;
            }
            if let Some((attempt, error)) = &state.failed
                && *attempt >= enough
            {
                return Err(error.clone());
            }
            state.demand = true;
            self.call();
            state = self.await_change(state);
        }
    }

    /// Waits for the segment of a claim that ran past the prepared ones. When none can be prepared, or `refused`
    /// tells why not to wait, the claim is left to the preparer, which pads it as soon as it can, and the reason
    /// is returned.
    #[cold]
    pub(crate) fn wait_installed(
        &self,
        position: u64,
        bytes: u64,
        installed: impl Fn() -> bool,
        refused: impl Fn() -> Option<crate::error::Error>,
    ) -> Result<()> {
        let mut state = lock(&self.state);
        let enough = state.begun + 1;
        loop {
            if installed() {
                return Ok(());
            }
            let failed = match &state.failed {
                Some((attempt, error)) if *attempt >= enough => Some(error.clone()),
                _ => refused(),
            };
            if let Some(error) = failed {
                state.orphans.push((position, bytes));
                return Err(error);
            }
            state.demand = true;
            self.call();
            state = self.await_change(state);
        }
    }

    /// There will be no preparer's thread: `run` does its work.
    #[cfg(feature = "testing")]
    pub(crate) fn prepare_inline(&self, run: impl Fn() + Send + Sync + 'static) {
        let _ = self.inline.set(Inline(Box::new(run)));
    }

    fn await_change<'a>(&'a self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        #[cfg(feature = "testing")]
        if let Some(Inline(run)) = self.inline.get() {
            drop(state);
            run();
            return lock(&self.state);
        }
        wait(&self.changed, state)
    }

    /// Puts a segment into use by `admit`, pads the claims that were left in it, then lets the log grow into it. As one
    /// step for all who ask for the end: a claim that was waiting may return as soon as it is admitted.
    pub(crate) fn install(
        &self,
        end: u64,
        admit: impl FnOnce(),
        pad: impl Fn(u64, u64),
        raise_limit: impl FnOnce(),
    ) {
        let mut state = lock(&self.state);
        admit();
        state.prepared_end = end;
        state.preparing = false;
        state.failed = None;
        let (here, beyond): (Vec<_>, Vec<_>) =
            state.orphans.drain(..).partition(|(position, _)| *position < end);
        state.orphans = beyond;
        for (position, bytes) in here {
            pad(position, bytes);
        }
        let tasks = state.tasks.take_all();
        raise_limit();
        drop(state);
        self.changed.notify_all();
        tasks.wake_and_go_on();
    }

    /// The preparer begins an attempt; the number is for `attempt_failed`. `None` when the log is closed.
    pub(crate) fn begin_attempt(&self) -> Option<u64> {
        let mut state = lock(&self.state);
        if state.closed {
            return None;
        }
        state.begun += 1;
        state.demand = false;
        state.preparing = true;
        Some(state.begun)
    }

    pub(crate) fn attempt_failed(&self, attempt: u64, error: crate::error::Error) {
        let mut state = lock(&self.state);
        state.preparing = false;
        let tasks = state.tasks.take_all();
        state.failed = Some((attempt, error));
        drop(state);
        self.changed.notify_all();
        tasks.wake_and_go_on();
    }

    /// Asks the preparer to look at once.
    pub(crate) fn poke(&self) {
        lock(&self.state).poked = true;
        self.call();
    }

    /// Ends the preparer. Who waits for segments was woken by `close`, which comes before.
    pub(crate) fn stop(&self) {
        lock(&self.state).stop = true;
        self.wanted.notify_all();
    }

    /// From now on the preparer is whoever hears `bell`.
    pub(crate) fn call_by(&self, bell: Bell) {
        let _ = self.bell.set(bell);
    }

    fn call(&self) {
        match self.bell.get() {
            Some(bell) => bell.ring(),
            None => self.wanted.notify_all(),
        }
    }

    /// The preparer waits for something to do, for at most `timeout`.
    pub(crate) fn wait_demand(&self, timeout: Duration) -> Demand {
        let mut state = lock(&self.state);
        if !state.stop && !state.demand && !state.poked {
            state = wait_timeout(&self.wanted, state, timeout);
        }
        Self::take(&mut state)
    }

    /// The same for a preparer that others share: it does not wait.
    pub(crate) fn look_for_demand(&self) -> Demand {
        Self::take(&mut lock(&self.state))
    }

    fn take(state: &mut State) -> Demand {
        state.poked = false;
        if state.stop {
            Demand::Stop
        } else if state.demand {
            Demand::Waiting
        } else {
            Demand::Routine
        }
    }
}
