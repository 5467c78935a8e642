//! Waking who sleeps until the log has grown, at no cost to the writers while nobody does.
//!
//! A writer that has published looks at one word, which says whether anybody sleeps. A sleeper sets that word and then
//! looks once more at the log. Between the store and the load each side passes a barrier, so either the sleeper sees what
//! was published or the writer sees that somebody sleeps (WAKE). The word is cleared by the first writer that sees it: one
//! wakes, for all of them, once for each sleep.
//!
//! A sleeper is a [`Waker`]: a thread's ([`Parker`]), a task's, or whatever else can be told.

use core::fmt;
use core::task::Waker;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Wake;
use std::time::{Duration, Instant};

use crate::primitive::{Gate, Mutex, Ordering, RawAtomicU64, barrier, lock};

/// Where the barrier cannot be had, a thread looks for itself so often.
const UNSURE_SLEEP: Duration = Duration::from_millis(1);

/// What a sleeper is found by: what must be passed, and a number of its own.
pub(crate) type Bed = (u64, u64);

/// Who sleeps, in the order of what they wait for.
#[derive(Default)]
pub(crate) struct Sleepers {
    wakers: BTreeMap<Bed, Waker>,
    /// Numbers that were given out.
    beds: u64,
}

impl Sleepers {
    /// One more, who waits until something has passed `beyond`.
    pub(crate) fn add(&mut self, beyond: u64, waker: Waker) -> Bed {
        self.beds += 1;
        let bed = (beyond, self.beds);
        self.wakers.insert(bed, waker);
        bed
    }

    /// The waker of one who goes, unless it was taken. To be dropped when no lock is held.
    pub(crate) fn remove(&mut self, bed: Bed) -> Option<Waker> {
        self.wakers.remove(&bed)
    }

    /// Those who waited for what is passed at `reached`, if any.
    pub(crate) fn take_reached(&mut self, reached: u64) -> Option<Woken> {
        if self.wakers.is_empty() {
            return None;
        }
        let left = self.wakers.split_off(&(reached, 0));
        Some(Woken(core::mem::replace(&mut self.wakers, left)))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.wakers.len() as u64
    }

    /// The most that somebody waits for.
    pub(crate) fn furthest(&self) -> Option<u64> {
        self.wakers.last_key_value().map(|((beyond, _), _)| *beyond)
    }

    pub(crate) fn take_all(&mut self) -> Woken {
        Woken(core::mem::take(&mut self.wakers))
    }
}

impl fmt::Debug for Sleepers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleepers").field("count", &self.wakers.len()).finish()
    }
}

/// Those who are to be woken now. Dropping it wakes them: a waker is somebody else's code, which may panic, and then the
/// others are woken while that goes on. So no lock is held when it is dropped.
#[must_use = "they are woken when this is dropped, which must not be under a lock"]
pub(crate) struct Woken(BTreeMap<Bed, Waker>);

impl Woken {
    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Wakes them.
    pub(crate) fn wake(self) {
        drop(self);
    }

    /// Wakes them on a thread that must go on, whatever a waker does.
    pub(crate) fn wake_and_go_on(self) {
        // A panic has told of itself by the panic hook; nothing of the log was touched by it.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(self)));
    }
}

impl Drop for Woken {
    fn drop(&mut self) {
        while let Some((_, waker)) = self.0.pop_first() {
            let rest = Self(core::mem::take(&mut self.0));
            waker.wake();
            self.0 = rest.into_inner();
        }
    }
}

impl Woken {
    fn into_inner(mut self) -> BTreeMap<Bed, Waker> {
        core::mem::take(&mut self.0)
    }
}

/// Tells that the log was published a little further.
#[derive(Debug)]
pub(crate) struct Signal {
    /// 1 while somebody may sleep. Written once for each sleep, and read by each append.
    awaited: RawAtomicU64,
    /// 1 when the barrier could not be had.
    unsure: RawAtomicU64,
    sleepers: Mutex<Sleepers>,
}

impl Signal {
    pub(crate) fn new() -> Self {
        Self {
            awaited: RawAtomicU64::new(0),
            unsure: RawAtomicU64::new(0),
            sleepers: Mutex::new(Sleepers::default()),
        }
    }

    /// A claim has ended. All that it costs while nobody sleeps is a look at one word.
    #[inline(always)]
    pub(crate) fn tell(&self) {
        // WAKE, the light side: the claim's last store comes before this, the look at the word after it. Pairs with
        // the heavy side in `register`.
        barrier::light();
        // Relaxed: the barrier orders it; and who goes on from here takes the lock.
        if self.awaited.load(Ordering::Relaxed) != 0 {
            self.wake();
        }
    }

    #[cold]
    #[inline(never)]
    fn wake(&self) {
        // Of several writers one wakes. Who lies down after this sets the word again, and then looks; or it comes before
        // the lock, and is woken for nothing.
        if self.awaited.swap(0, Ordering::Relaxed) != 0 {
            self.tell_everybody();
        }
    }

    /// Something rare has happened that sleepers must see: the log is closed, for example. The lock orders it: who
    /// lies down later sees it when it looks.
    pub(crate) fn tell_everybody(&self) {
        let woken = lock(&self.sleepers).take_all();
        woken.wake();
    }

    /// Where the barrier could not be had a writer may have overlooked a sleeper. Somebody calls this now and then.
    pub(crate) fn tell_overlooked(&self) {
        // Relaxed: hints. What is missed now is seen the next time.
        if self.unsure.load(Ordering::Relaxed) != 0 && self.awaited.load(Ordering::Relaxed) != 0 {
            self.wake();
        }
    }

    /// From now on `waker` is woken by the next claim that ends, in place of the one in `bed`. The caller looks at the
    /// log after this and before it sleeps.
    pub(crate) fn register(&self, bed: &mut Option<Bed>, beyond: u64, waker: &Waker) {
        let waker = waker.clone();
        let mut sleepers = lock(&self.sleepers);
        let old = bed.take().and_then(|bed| sleepers.remove(bed));
        *bed = Some(sleepers.add(beyond, waker));
        // Under the lock, so that who clears the word finds the sleeper in the list. Relaxed: the barrier orders it.
        self.awaited.store(1, Ordering::Relaxed);
        drop(sleepers);
        drop(old);
        // WAKE, the heavy side: the word's store comes before this, the caller's look after it. Pairs with the light side
        // in `tell`.
        if !barrier::heavy() {
            self.unsure.store(1, Ordering::Relaxed);
        }
    }

    /// The one in `bed` does not sleep any more.
    pub(crate) fn leave(&self, bed: Bed) {
        let waker = lock(&self.sleepers).remove(bed);
        drop(waker);
    }

    /// For how long a thread may sleep.
    fn sleep_max(&self) -> Option<Duration> {
        (self.unsure.load(Ordering::Relaxed) != 0).then_some(UNSURE_SLEEP)
    }
}

/// A thread that can be woken.
#[derive(Debug, Default)]
pub(crate) struct Parker {
    gate: Gate,
}

impl Parker {
    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    /// To be taken before the waker is handed out; a later wake-up ends the sleep.
    pub(crate) fn ticket(&self) -> u32 {
        self.gate.ticket()
    }

    /// Sleeps until it is woken, or until `deadline`; may return early.
    pub(crate) fn park(&self, ticket: u32, deadline: Option<Instant>, signal: &Signal) {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let most = match (left, signal.sleep_max()) {
            (Some(left), Some(most)) => Some(left.min(most)),
            (left, most) => left.or(most),
        };
        match most {
            Some(most) => self.gate.sleep_for(ticket, most),
            None => self.gate.sleep(ticket),
        }
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.gate.open();
        self.gate.wake_one();
    }
}
