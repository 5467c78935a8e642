//! The atomics, locks and threads that the protocol uses: std's, loom's under `cfg(tidelog_loom)`, or shuttle's
//! under `cfg(tidelog_shuttle)`.
//!
//! Nothing else in the crate names them (clippy's `disallowed_types` holds that), so the model checkers
//! run the production protocol and not a copy of it. They are type aliases because that lint sees
//! through re-exports.
#![allow(clippy::disallowed_types)]

pub(crate) mod barrier;
mod gate;

pub(crate) use gate::Gate;

use std::sync::PoisonError;

#[cfg(not(any(tidelog_loom, tidelog_shuttle)))]
mod imp {
    pub(crate) type Arc<T> = std::sync::Arc<T>;
    pub(crate) type AtomicU64 = std::sync::atomic::AtomicU64;
    pub(crate) type RawAtomicU64 = AtomicU64;
    pub(crate) type Condvar = std::sync::Condvar;
    pub(crate) type Mutex<T> = std::sync::Mutex<T>;
    pub(crate) type MutexGuard<'a, T> = std::sync::MutexGuard<'a, T>;
    /// Of several locks, of which a reader takes its thread's own: readers on different cores share no cache line.
    pub(crate) type RwLock<T> = crossbeam_utils::sync::ShardedLock<T>;
    pub(crate) type RwLockWriteGuard<'a, T> = crossbeam_utils::sync::ShardedLockWriteGuard<'a, T>;
    pub(crate) type UnsafeCell<T> = super::cell::UnsafeCell<T>;
}

// shuttle takes every atomic access as sequentially consistent, its `Arc` is std's, and it has no cells.
#[cfg(tidelog_shuttle)]
mod imp {
    pub(crate) type Arc<T> = shuttle::sync::Arc<T>;
    pub(crate) type AtomicU64 = shuttle::sync::atomic::AtomicU64;
    pub(crate) type RawAtomicU64 = AtomicU64;
    pub(crate) type Condvar = shuttle::sync::Condvar;
    pub(crate) type Mutex<T> = shuttle::sync::Mutex<T>;
    pub(crate) type MutexGuard<'a, T> = shuttle::sync::MutexGuard<'a, T>;
    pub(crate) type RwLock<T> = shuttle::sync::RwLock<T>;
    pub(crate) type RwLockWriteGuard<'a, T> = shuttle::sync::RwLockWriteGuard<'a, T>;
    pub(crate) type UnsafeCell<T> = super::cell::UnsafeCell<T>;
}

#[cfg(not(tidelog_loom))]
mod cell {
    /// `core::cell::UnsafeCell` with loom's interface.
    #[derive(Debug)]
    pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }

        #[inline]
        pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        #[inline]
        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

#[cfg(tidelog_loom)]
mod imp {
    use std::sync::atomic::Ordering;

    pub(crate) type Arc<T> = loom::sync::Arc<T>;
    pub(crate) type RawAtomicU64 = loom::sync::atomic::AtomicU64;
    pub(crate) type Condvar = loom::sync::Condvar;
    pub(crate) type Mutex<T> = loom::sync::Mutex<T>;
    pub(crate) type MutexGuard<'a, T> = loom::sync::MutexGuard<'a, T>;
    pub(crate) type RwLock<T> = loom::sync::RwLock<T>;
    pub(crate) type RwLockWriteGuard<'a, T> = loom::sync::RwLockWriteGuard<'a, T>;
    pub(crate) type UnsafeCell<T> = loom::cell::UnsafeCell<T>;

    /// loom's atomic, with every order of accesses explored.
    ///
    /// loom compares an access with the last one of the same variable only. So where a thread loads and then
    /// stores, its own load hides from loom that the store could have come before another thread's load. Here
    /// each load is announced by an access that depends on every other; it is relaxed, and orders nothing.
    #[derive(Debug)]
    pub(crate) struct AtomicU64 {
        value: RawAtomicU64,
        announced: RawAtomicU64,
    }

    impl AtomicU64 {
        pub(crate) fn new(value: u64) -> Self {
            Self { value: RawAtomicU64::new(value), announced: RawAtomicU64::new(0) }
        }

        pub(crate) fn load(&self, ordering: Ordering) -> u64 {
            self.announced.fetch_add(0, Ordering::Relaxed);
            self.value.load(ordering)
        }

        pub(crate) fn store(&self, value: u64, ordering: Ordering) {
            self.value.store(value, ordering);
        }

        pub(crate) fn fetch_add(&self, value: u64, ordering: Ordering) -> u64 {
            self.value.fetch_add(value, ordering)
        }

        pub(crate) fn fetch_or(&self, value: u64, ordering: Ordering) -> u64 {
            self.value.fetch_or(value, ordering)
        }
    }
}

pub(crate) use imp::*;
#[cfg(tidelog_loom)]
use loom::sync::atomic::fence;

/// A count for people. Nothing is ordered by it and nothing is decided by it, so the model checkers need not explore it:
/// it is the standard one everywhere.
pub(crate) type Tally = std::sync::atomic::AtomicU64;
pub(crate) use std::sync::atomic::Ordering;
#[cfg(not(any(target_os = "linux", tidelog_loom, tidelog_shuttle)))]
use std::sync::atomic::fence;

/// The value for this thread alone: as it is where nobody else has it, and else a copy that takes its place.
#[cfg(not(tidelog_loom))]
pub(crate) fn own<T: Clone>(shared: &mut Arc<T>) -> &mut T {
    Arc::make_mut(shared)
}

/// The same (loom's `Arc` has no `make_mut`).
#[cfg(tidelog_loom)]
pub(crate) fn own<T: Clone>(shared: &mut Arc<T>) -> &mut T {
    if Arc::get_mut(shared).is_none() {
        *shared = Arc::new(T::clone(shared));
    }
    Arc::get_mut(shared).expect("a copy that nobody else has")
}

/// Locks, whatever happened to earlier holders: no lock of this crate is held while user code runs, and
/// each guarded value is valid between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks, unless somebody holds it.
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(std::sync::TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(std::sync::TryLockError::WouldBlock) => None,
    }
}

/// Waits on `condvar`, giving up `guard` meanwhile.
pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// Waits on `condvar` for at most `timeout`. (Under shuttle, which has no time, every timeout but the longest is over
/// at once.)
pub(crate) fn wait_timeout<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    timeout: std::time::Duration,
) -> MutexGuard<'a, T> {
    #[cfg(tidelog_shuttle)]
    if timeout < std::time::Duration::MAX {
        shuttle::thread::yield_now();
        return guard;
    }
    condvar.wait_timeout(guard, timeout).unwrap_or_else(PoisonError::into_inner).0
}

/// Lets other threads run.
pub(crate) fn yield_now() {
    #[cfg(not(any(tidelog_loom, tidelog_shuttle)))]
    std::thread::yield_now();
    #[cfg(tidelog_loom)]
    loom::thread::yield_now();
    #[cfg(tidelog_shuttle)]
    shuttle::thread::yield_now();
}

/// Waiting for another thread's progress that nobody announces: spins, then yields, then sleeps for
/// up to a millisecond at a time.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    #[cfg(not(any(tidelog_loom, tidelog_shuttle)))]
    backoff: crossbeam_utils::Backoff,
    #[cfg(not(any(tidelog_loom, tidelog_shuttle)))]
    sleep_micros: u64,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Waits a little, and longer each time; never longer than a millisecond.
    #[cfg(not(any(tidelog_loom, tidelog_shuttle)))]
    pub(crate) fn pause(&mut self) {
        if self.backoff.is_completed() {
            self.sleep_micros = (self.sleep_micros * 2).clamp(50, 1000);
            std::thread::sleep(std::time::Duration::from_micros(self.sleep_micros));
        } else {
            self.backoff.snooze();
        }
    }

    #[cfg(any(tidelog_loom, tidelog_shuttle))]
    pub(crate) fn pause(&mut self) {
        yield_now();
    }

    /// Progress was seen: the next pause is short again.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// A moment before going to sleep: some microseconds, in which what is waited for often comes.
#[derive(Debug)]
pub(crate) struct Moment {
    #[cfg(not(any(tidelog_loom, tidelog_shuttle)))]
    backoff: crossbeam_utils::Backoff,
}

impl Moment {
    pub(crate) fn new() -> Self {
        Self {
            #[cfg(not(any(tidelog_loom, tidelog_shuttle)))]
            backoff: crossbeam_utils::Backoff::new(),
        }
    }

    /// Lets a part of it go by; false when it is over. (Under a model checker at once: it explores that anyway.)
    pub(crate) fn goes_by(&mut self) -> bool {
        #[cfg(not(any(tidelog_loom, tidelog_shuttle)))]
        if !self.backoff.is_completed() {
            self.backoff.snooze();
            return true;
        }
        false
    }
}
