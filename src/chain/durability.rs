//! The durable watermark: who syncs, who waits, and what a failed sync does.
//!
//! A caller that waits and finds nobody leading leads: it carries out a sync, for everybody that is published by then.
//! So a lone caller hands nothing over, and groups form by themselves. Who comes while another leads joins a group:
//! that of the sync in flight if its target covers the caller, else the next one. Each group sleeps at a gate of its
//! own: a sync wakes those that it served, who return without taking a lock, and one of the next group, who leads.
//!
//! Tasks must not wait for a sync, so they are registered here, and a thread of the log's leads for them (`tasks`).

mod tasks;

pub(crate) use tasks::Wish;

use core::task::Waker;
use std::sync::OnceLock;

use crossbeam_utils::CachePadded;

use super::Page;
use crate::error::{Error, Result};
use crate::primitive::{AtomicU64, Gate, Mutex, MutexGuard, Ordering, lock};
use crate::signal::{Bed, Sleepers, Woken};

/// Two groups have members: that of the sync in flight, and the next one. With more gates than that, who is slow to
/// wake stands in nobody's way.
const GATES: u64 = if cfg!(any(tidelog_loom, tidelog_shuttle)) { 2 } else { 4 };

/// What a sync consists of, for the one who carries it out.
pub(crate) trait Flusher {
    /// Before a sync for which `joined` wait, this thread included, and for which the last one lets expect
    /// `expected`. True when others had a moment to come, and it is to be asked again.
    fn gather(&mut self, joined: u64, expected: u64) -> bool;

    /// How far the log is published. Where that is not beyond the durable watermark, it has waited a moment.
    fn target(&mut self) -> Result<u64>;

    /// Makes the log durable between the two.
    fn flush(&mut self, from: u64, to: u64) -> Result<()>;
}

#[derive(Debug)]
pub(crate) struct Durability {
    durable: CachePadded<AtomicU64>,
    state: CachePadded<Mutex<State>>,
    /// Where groups sleep, by their number.
    gates: [CachePadded<Gate>; GATES as usize],
    /// Where those sleep who never lead.
    onlookers: Gate,
    /// Where readers in other processes see it.
    page: OnceLock<std::sync::Arc<Page>>,
    /// Where the thread sleeps that leads for tasks.
    errands: Gate,
}

#[derive(Debug)]
struct State {
    /// A thread leads: it gathers, or carries out a sync.
    led: bool,
    /// The number of the sync in flight, or of the last one; and of its group.
    number: u64,
    /// How far it reaches.
    target: u64,
    /// How many have joined, by group.
    joined: [u64; GATES as usize],
    onlookers: u64,
    /// How many may want the next sync: those who were served by the last one, if all of them come back, and those who wait.
    expected: u64,
    /// Who wants to be told when the watermark has passed something: followers, watchers, tasks.
    sleepers: Sleepers,
    /// Tasks that want a sync and carry out none. What they wait for is not durable yet.
    tasks: Sleepers,
    /// The thread that leads for them sleeps, or is about to.
    deputy_sleeps: bool,
    /// It is to end.
    deputy_dismissed: bool,
    poison: Option<Error>,
}

impl Durability {
    pub(crate) fn new(tail: u64) -> Self {
        let state = State {
            led: false,
            number: 0,
            target: tail,
            joined: [0; GATES as usize],
            onlookers: 0,
            expected: 1,
            sleepers: Sleepers::default(),
            tasks: Sleepers::default(),
            deputy_sleeps: false,
            deputy_dismissed: false,
            poison: None,
        };
        Self {
            durable: CachePadded::new(AtomicU64::new(tail)),
            state: CachePadded::new(Mutex::new(state)),
            gates: Default::default(),
            onlookers: Gate::default(),
            page: OnceLock::new(),
            errands: Gate::default(),
        }
    }

    /// From now on readers in other processes see the watermark on `page`.
    pub(crate) fn show_on(&self, page: std::sync::Arc<Page>) {
        let _ = self.page.set(page);
    }

    /// Everything below is on stable storage.
    pub(crate) fn durable(&self) -> u64 {
        // DURABLE, acquire side: pairs with the release store in `finish`. Who sees it sees the published watermark
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
        self.wake_everybody(state);
    }

    fn wake_everybody(&self, mut state: MutexGuard<'_, State>) {
        let gates = || self.gates.iter().map(|gate| &**gate).chain([&self.onlookers]);
        gates().for_each(Gate::open);
        let tasks = state.tasks.take_all();
        let woken = state.sleepers.take_all();
        drop(state);
        gates().for_each(Gate::wake_all);
        tasks.wake();
        woken.wake();
    }

    /// From now on `waker` is woken when the watermark has passed `beyond`, or never will, in place of the one in `bed`.
    /// The caller looks at the watermark after this and before it sleeps: the lock orders that look after every change
    /// that did not find the sleeper.
    pub(crate) fn register(&self, bed: &mut Option<Bed>, beyond: u64, waker: &Waker) {
        let waker = waker.clone();
        let mut state = lock(&self.state);
        let old = bed.take().and_then(|bed| state.sleepers.remove(bed));
        *bed = Some(state.sleepers.add(beyond, waker));
        drop(state);
        drop(old);
    }

    /// The one in `bed` does not sleep any more.
    pub(crate) fn leave(&self, bed: Bed) {
        let waker = lock(&self.state).sleepers.remove(bed);
        drop(waker);
    }

    /// Wakes all who registered: what they have to see is not the watermark.
    pub(crate) fn tell_everybody(&self) {
        let woken: Woken = lock(&self.state).sleepers.take_all();
        woken.wake();
    }

    fn gate(&self, number: u64) -> &Gate {
        &self.gates[(number % GATES) as usize]
    }

    /// Returns when everything below `position` is durable. Unless somebody leads, this thread does, with `flusher`.
    ///
    /// # Errors
    /// What poisoned the log, unless the position was durable before.
    pub(crate) fn wait(&self, position: u64, flusher: &mut impl Flusher) -> Result<()> {
        if self.durable() >= position {
            return Ok(());
        }
        let mut state = lock(&self.state);
        // The group that this thread is counted in.
        let mut group = None;
        loop {
            if self.durable() >= position {
                return Ok(());
            }
            if let Some(error) = &state.poison {
                return Err(error.clone());
            }
            if !state.led {
                self.lead(state, group.take(), flusher);
                state = lock(&self.state);
                continue;
            }
            let number = state.join(position, &mut group);
            let gate = self.gate(number);
            let ticket = gate.ticket();
            drop(state);
            gate.sleep(ticket);
            // Who was served returns without the lock, for which all the others would queue. Nobody relies on it to
            // lead: see `State::join`.
            if self.durable() >= position {
                return Ok(());
            }
            state = lock(&self.state);
        }
    }

    /// Carries out one sync. This thread was a member of `group`.
    fn lead<'a>(&'a self, mut state: MutexGuard<'a, State>, group: Option<u64>, flusher: &mut impl Flusher) {
        state.led = true;
        let next = state.number + 1;
        match group {
            Some(number) if number == next => *state.members(next) -= 1,
            Some(_) => state.expect_one_less(),
            None => {}
        }
        loop {
            let (joined, expected) = (*state.members(next) + 1 + state.tasks.len(), state.expected);
            drop(state);
            if !flusher.gather(joined, expected) {
                break;
            }
            state = lock(&self.state);
        }
        let durable = self.durable();
        let outcome = self.take_off(durable, flusher);
        let outcome = outcome.and_then(|target| flusher.flush(durable, target).map(|()| target));
        self.finish(outcome);
    }

    /// Takes the target of the next sync, when there is something to sync. From then on its group is closed to those
    /// who lie beyond.
    fn take_off(&self, durable: u64, flusher: &mut impl Flusher) -> Result<u64> {
        loop {
            let target = flusher.target()?;
            let mut state = lock(&self.state);
            if target > durable {
                state.number += 1;
                state.target = target;
                return Ok(target);
            }
            // A claim before that of this thread is still open; poison can keep it so for ever.
            if let Some(error) = &state.poison {
                return Err(error.clone());
            }
        }
    }

    /// Moves the watermark, wakes the sync's group and, before that, who leads the next.
    fn finish(&self, outcome: Result<u64>) {
        let mut state = lock(&self.state);
        state.led = false;
        match outcome {
            // The watermark never moves again once a sync has failed.
            Ok(target) if state.poison.is_none() => {
                // DURABLE, release side: pairs with the acquire load in `durable`.
                self.durable.store(target, Ordering::Release);
                if let Some(page) = self.page.get() {
                    page.store_durable(target);
                }
            }
            Ok(_) => return,
            Err(error) => {
                state.poison.get_or_insert(error);
                return self.wake_everybody(state);
            }
        }
        let (served, next) = (self.gate(state.number), self.gate(state.number + 1));
        let number = state.number;
        let members = core::mem::take(state.members(number));
        let heirs = *state.members(number + 1);
        let onlookers = core::mem::take(&mut state.onlookers);
        let reached = self.durable();
        let tasks = state.tasks.take_reached(reached);
        let served_tasks = tasks.as_ref().map_or(0, Woken::len);
        state.expected = heirs + members + 1 + served_tasks + state.tasks.len();
        let woken = state.sleepers.take_reached(reached);
        // Openings under the lock, wake-ups without it; and no system call where nobody sleeps.
        if heirs > 0 {
            next.open();
        }
        if members > 0 {
            served.open();
        }
        if onlookers > 0 {
            self.onlookers.open();
        }
        drop(state);
        if heirs > 0 {
            next.wake_one();
        }
        if members > 0 {
            served.wake_all();
        }
        if onlookers > 0 {
            self.onlookers.wake_all();
        }
        if let Some(tasks) = tasks {
            tasks.wake();
        }
        if let Some(woken) = woken {
            woken.wake();
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
            state.onlookers += 1;
            let ticket = self.onlookers.ticket();
            drop(state);
            self.onlookers.sleep(ticket);
            state = lock(&self.state);
        }
    }
}

impl State {
    fn members(&mut self, number: u64) -> &mut u64 {
        &mut self.joined[(number % GATES) as usize]
    }

    /// Counts a thread among the group that will be served first of those that cover `position`, once. So members of
    /// the next group are covered by the next sync and not by the one in flight: when that one ends, whichever of them
    /// is woken still needs a sync, and leads it.
    fn join(&mut self, position: u64, group: &mut Option<u64>) -> u64 {
        let number = self.number + u64::from(position > self.target);
        if *group != Some(number) {
            if group.replace(number).is_some() {
                self.expect_one_less();
            }
            *self.members(number) += 1;
        }
        number
    }

    /// A member of an earlier group, which came just when the target was taken and was not covered, is counted twice.
    fn expect_one_less(&mut self) {
        self.expected = self.expected.saturating_sub(1);
    }
}
