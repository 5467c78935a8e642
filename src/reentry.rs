//! Keeps a thread from waiting for itself: inside a closure of `append_with` it has a claim open, which
//! nothing that waits for the log could get past.

use core::cell::Cell;

use crate::error::{Error, Result};

#[cfg(not(any(tidelog_loom, tidelog_shuttle)))]
thread_local! {
    /// This thread is inside a closure of `append_with`: waiting for the log would wait for itself.
    static IN_CLAIM: Cell<bool> = const { Cell::new(false) };
}

// A model checker's threads share one real thread, and have locals of their own.
#[cfg(tidelog_loom)]
loom::thread_local! {
    static IN_CLAIM: Cell<bool> = Cell::new(false);
}
#[cfg(tidelog_shuttle)]
shuttle::thread_local! {
    static IN_CLAIM: Cell<bool> = Cell::new(false);
}

/// Fails when this thread has a claim open.
pub(crate) fn refuse_inside_claim() -> Result<()> {
    if is_inside_claim() { Err(Error::would_deadlock()) } else { Ok(()) }
}

pub(crate) fn is_inside_claim() -> bool {
    IN_CLAIM.with(Cell::get)
}

/// While this lives, the thread has a claim open.
#[derive(Debug)]
pub(crate) struct InsideClaim {
    /// A batch inside a closure of `append_with` ends before the closure does.
    before: bool,
}

impl InsideClaim {
    pub(crate) fn enter() -> Self {
        Self { before: IN_CLAIM.with(|inside| inside.replace(true)) }
    }
}

impl Drop for InsideClaim {
    fn drop(&mut self) {
        IN_CLAIM.with(|inside| inside.set(self.before));
    }
}

/// Runs a stranger's code: what was plugged into the process to collect metrics or traces. A panic there ends neither
/// the calling thread nor what it is in the middle of; and the log is not waited for from there, as this thread may be what
/// others wait for.
#[cfg(any(feature = "metrics", feature = "tracing"))]
pub(crate) fn shielded<T>(run: impl FnOnce() -> T) -> Option<T> {
    let _inside = InsideClaim::enter();
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).ok()
}
