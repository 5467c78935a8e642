//! The two sides of a barrier that costs one of them nothing.
//!
//! Each side stores, passes its barrier, and loads what the other stores. Then at least one of them sees the other's
//! store. That takes a full fence on both sides, unless one of them can have the other execute its fence when it is
//! needed: the heavy side makes every thread of the process pass one, so all that is left to the light side is to keep
//! the compiler from exchanging its store and its load.

pub(crate) use imp::{heavy, light};

#[cfg(all(target_os = "linux", not(any(tidelog_loom, tidelog_shuttle))))]
mod imp {
    use std::sync::atomic::{Ordering, compiler_fence, fence};

    use rustix::thread::{MembarrierCommand, membarrier};

    /// The side that often passes here: no instruction.
    #[inline(always)]
    pub(crate) fn light() {
        compiler_fence(Ordering::SeqCst);
    }

    /// The side that seldom passes here: a system call, of a microsecond or some. False where the system has none (a
    /// kernel before 4.14, a sandbox): then both sides may miss each other, by as little as a store takes to arrive.
    pub(crate) fn heavy() -> bool {
        fence(Ordering::SeqCst);
        let pass = || membarrier(MembarrierCommand::PrivateExpedited);
        // It fails where the process has not said yet that it wants this: before the first follower.
        pass()
            .or_else(|_| membarrier(MembarrierCommand::RegisterPrivateExpedited).and_then(|()| pass()))
            .is_ok()
    }
}

/// A fence on both sides: for loom, and for systems without `membarrier`.
#[cfg(all(any(not(target_os = "linux"), tidelog_loom), not(tidelog_shuttle)))]
mod imp {
    use super::super::{Ordering, fence};

    #[inline(always)]
    pub(crate) fn light() {
        fence(Ordering::SeqCst);
    }

    pub(crate) fn heavy() -> bool {
        fence(Ordering::SeqCst);
        true
    }
}

/// Nothing: shuttle takes every access as sequentially consistent.
#[cfg(tidelog_shuttle)]
mod imp {
    pub(crate) fn light() {}

    pub(crate) fn heavy() -> bool {
        true
    }
}
