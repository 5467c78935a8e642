//! Threads that many logs share. A log has a chore for such a thread: a step that is due at times, or when its bell rings.
//!
//! Chores are done in the order in which they fall due; between any two of these comes one whose bell rang, if there is
//! any, and those come in the order in which their bells rang. So none waits for more than one step of each other,
//! however often another's bell rings. One that panics is told so, and is not done again.

use core::fmt;
use core::mem::ManuallyDrop;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::primitive::{Condvar, Mutex, MutexGuard, lock, wait, wait_timeout};

/// A thread that has nothing to do sleeps this long at least unless a bell rings, so that chores which fall due one
/// shortly after another are done in one go.
const NAP: Duration = Duration::from_micros(500);

/// What is to be done for a log now and then.
pub(crate) trait Chore: Send {
    /// Does what is to be done now. What blocks here holds up the other logs of the thread.
    fn step(&mut self) -> Next;

    /// A step panicked. Who waits for such steps is to be told.
    fn panicked(&mut self);
}

/// When a chore is to be done again. A bell brings that forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    After(Duration),
    WhenCalled,
    Never,
}

/// Threads that do the chores of whoever has a seat.
#[derive(Debug)]
pub(crate) struct Crew {
    shared: std::sync::Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Something is to be done sooner than was known.
    wanted: Condvar,
    /// A step has ended that somebody waits for.
    left: Condvar,
}

#[derive(Default)]
struct State {
    places: HashMap<u64, Place>,
    /// When, and whose place.
    due: BTreeSet<(Instant, u64)>,
    /// Those whose bells rang.
    called: VecDeque<u64>,
    /// The next turn is one of those whose bells rang.
    called_next: bool,
    next_place: u64,
    stopped: bool,
}

struct Place {
    /// Not here while it is being done, and where it is over.
    chore: Option<Box<dyn Chore>>,
    /// The thread that is at it.
    at_it: Option<ThreadId>,
    due: Option<Instant>,
    called: bool,
    leaving: bool,
}

impl Crew {
    /// # Errors
    /// `Io`: not one thread could be started. Fewer than were asked for will do.
    pub(crate) fn start(name: &str, threads: usize, path: &Path) -> Result<Self> {
        let state = Mutex::new(State::default());
        let shared = std::sync::Arc::new(Shared { state, wanted: Condvar::new(), left: Condvar::new() });
        let mut started: Vec<JoinHandle<()>> = Vec::new();
        for _ in 0..threads.max(1) {
            let shared = std::sync::Arc::clone(&shared);
            match std::thread::Builder::new().name(name.to_owned()).spawn(move || shared.work()) {
                Ok(thread) => started.push(thread),
                Err(_) if !started.is_empty() => break,
                Err(error) => return Err(Error::io("cannot start a thread", path, error)),
            }
        }
        Ok(Self { shared, threads: Mutex::new(started) })
    }

    /// The chore is done for the first time soon, and from then on as it says, until the seat is dropped.
    pub(crate) fn seat(&self, chore: Box<dyn Chore>) -> Seat {
        let mut state = lock(&self.shared.state);
        let place = state.next_place;
        state.next_place += 1;
        let chore = Some(chore);
        state.places.insert(place, Place { chore, at_it: None, due: None, called: false, leaving: false });
        state.plan(place, Instant::now());
        drop(state);
        self.shared.wanted.notify_one();
        Seat { bell: Bell { shared: std::sync::Arc::clone(&self.shared), place } }
    }

    /// Ends the threads, when those who have seats are gone.
    pub(crate) fn stop(&self) {
        lock(&self.shared.state).stopped = true;
        self.shared.wanted.notify_all();
        let me = std::thread::current().id();
        for thread in lock(&self.threads).drain(..).filter(|thread| thread.thread().id() != me) {
            // No step's panic gets as far.
            let _ = thread.join();
        }
    }

    /// In a forked child the threads are not here to be waited for, nor even to be let go of.
    pub(crate) fn abandon(&self) {
        if let Ok(mut threads) = self.threads.try_lock() {
            let _never_dropped = ManuallyDrop::new(core::mem::take(&mut *threads));
        }
    }
}

/// A place among those whose chores are done. It is given up when this is dropped, which waits for a step that is under
/// way, unless that is what drops it.
#[derive(Debug)]
pub(crate) struct Seat {
    bell: Bell,
}

impl Seat {
    pub(crate) fn bell(&self) -> Bell {
        self.bell.clone()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Bell { shared, place } = &self.bell;
        let me = std::thread::current().id();
        let mut state = lock(&shared.state);
        let chore = loop {
            let Some(found) = state.places.get_mut(place) else { return };
            match found.at_it {
                None => break state.remove(*place),
                Some(thread) => {
                    found.leaving = true;
                    if thread == me {
                        return;
                    }
                }
            }
            state = wait(&shared.left, state);
        };
        // Without the lock: it may be the last that holds a part of the log.
        drop(state);
        drop(chore);
    }
}

/// Calls for a step.
#[derive(Clone)]
pub(crate) struct Bell {
    shared: std::sync::Arc<Shared>,
    place: u64,
}

impl Bell {
    /// The chore is done soon, or once more where it is being done. Takes the crew's lock for a moment.
    pub(crate) fn ring(&self) {
        let mut state = lock(&self.shared.state);
        let Some(place) = state.places.get_mut(&self.place) else { return };
        if core::mem::replace(&mut place.called, true) || place.at_it.is_some() || place.chore.is_none() {
            return;
        }
        state.called.push_back(self.place);
        drop(state);
        self.shared.wanted.notify_one();
    }
}

impl State {
    fn plan(&mut self, place: u64, at: Instant) {
        if let Some(found) = self.places.get_mut(&place) {
            found.due = Some(at);
            self.due.insert((at, place));
        }
    }

    /// Takes the chore whose turn it is.
    fn begin(&mut self, now: Instant) -> Option<(u64, Box<dyn Chore>)> {
        let due = self.due.first().filter(|(at, _)| *at <= now).map(|(_, place)| *place);
        let turn = if self.called_next || due.is_none() { self.called.front().copied().or(due) } else { due };
        let place = turn?;
        self.called_next = Some(place) == due;
        let found = self.places.get_mut(&place)?;
        if let Some(at) = found.due.take() {
            self.due.remove(&(at, place));
        }
        if core::mem::take(&mut found.called) {
            self.called.retain(|other| *other != place);
        }
        found.at_it = Some(std::thread::current().id());
        found.chore.take().map(|chore| (place, chore))
    }

    /// Puts it back. What it gives is to be dropped without the lock.
    fn end(&mut self, place: u64, chore: Box<dyn Chore>, next: Next) -> Option<Box<dyn Chore>> {
        let found = self.places.get_mut(&place)?;
        found.at_it = None;
        if found.leaving {
            self.remove(place);
            return Some(chore);
        }
        if next == Next::Never {
            return Some(chore);
        }
        found.chore = Some(chore);
        if found.called {
            self.called.push_back(place);
        } else if let Next::After(wait) = next
            && let Some(at) = Instant::now().checked_add(wait)
        {
            // (What is further away than the clock can tell is due when it is called.)
            self.plan(place, at);
        }
        None
    }

    fn remove(&mut self, place: u64) -> Option<Box<dyn Chore>> {
        let found = self.places.remove(&place)?;
        if let Some(at) = found.due {
            self.due.remove(&(at, place));
        }
        if found.called {
            self.called.retain(|other| *other != place);
        }
        found.chore
    }
}

impl Shared {
    /// What a thread of the crew does.
    fn work(&self) {
        let mut state = lock(&self.state);
        while !state.stopped {
            let now = Instant::now();
            let Some((place, mut chore)) = state.begin(now) else {
                state = self.sleep(state, now);
                continue;
            };
            let more = !state.called.is_empty();
            drop(state);
            if more {
                // Another thread, where there are several.
                self.wanted.notify_one();
            }
            let next = catch_unwind(AssertUnwindSafe(|| chore.step())).unwrap_or_else(|_| {
                let _ = catch_unwind(AssertUnwindSafe(|| chore.panicked()));
                Next::Never
            });
            state = lock(&self.state);
            let over = state.end(place, chore, next);
            self.left.notify_all();
            if over.is_some() {
                drop(state);
                let _ = catch_unwind(AssertUnwindSafe(|| drop(over)));
                state = lock(&self.state);
            }
        }
    }

    fn sleep<'a>(&self, state: MutexGuard<'a, State>, now: Instant) -> MutexGuard<'a, State> {
        match state.due.first() {
            Some((at, _)) => {
                let timeout = at.saturating_duration_since(now).max(NAP);
                wait_timeout(&self.wanted, state, timeout)
            }
            None => wait(&self.wanted, state),
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("places", &self.places.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").field("place", &self.place).finish()
    }
}

/// The crews of the partitions under one root.
#[derive(Clone, Debug)]
pub(crate) struct Crews {
    /// Prepares, marks, retires, recycles.
    pub(crate) keepers: std::sync::Arc<Crew>,
    /// Syncs: what the policy wants, and for tasks.
    pub(crate) syncers: std::sync::Arc<Crew>,
}

#[cfg(all(test, not(any(tidelog_loom, tidelog_shuttle))))]
mod tests;
