//! A place where threads sleep until somebody opens it, without a lock that all of them want when they wake.

pub(crate) use imp::Gate;

// The protocol: under a lock of the caller's, who wants to sleep takes a ticket, and who has news opens the gate. Then,
// without the lock, the one sleeps and the other wakes. A ticket from before the opening does not sleep; one that
// sleeps already is woken. What the news is the caller's lock tells: nothing is ordered by a gate alone.

/// A futex: sleeping compares the ticket with the word in the kernel, as one step for whoever wakes.
#[cfg(all(target_os = "linux", not(any(tidelog_loom, tidelog_shuttle))))]
mod imp {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use rustix::thread::futex;

    #[derive(Debug, Default)]
    pub(crate) struct Gate {
        opened: AtomicU32,
    }

    impl Gate {
        /// To be taken under the lock under which the gate is opened.
        pub(crate) fn ticket(&self) -> u32 {
            // Relaxed, here and below: the caller's lock orders tickets and openings.
            self.opened.load(Ordering::Relaxed)
        }

        /// No ticket from before this sleeps any more. To be followed by waking, when the lock is given up.
        pub(crate) fn open(&self) {
            self.opened.fetch_add(1, Ordering::Relaxed);
        }

        /// Sleeps until it is woken, unless the gate was opened since the ticket was taken. May return early.
        pub(crate) fn sleep(&self, ticket: u32) {
            // An error says that the gate was opened, or that a signal came: the caller looks in any case.
            let _ = futex::wait(&self.opened, futex::Flags::PRIVATE, ticket, None);
        }

        /// The same, for `timeout` at most.
        pub(crate) fn sleep_for(&self, ticket: u32, timeout: Duration) {
            // What is too long for the system to count is for ever.
            let timeout = futex::Timespec::try_from(timeout).ok();
            let _ = futex::wait(&self.opened, futex::Flags::PRIVATE, ticket, timeout.as_ref());
        }

        /// Wakes one of those who sleep here.
        pub(crate) fn wake_one(&self) {
            let _ = futex::wake(&self.opened, futex::Flags::PRIVATE, 1);
        }

        /// Wakes all who sleep here.
        pub(crate) fn wake_all(&self) {
            let _ = futex::wake(&self.opened, futex::Flags::PRIVATE, i32::MAX as u32);
        }
    }
}

/// The same by a condition variable: for the model checkers, and where there is no futex.
#[cfg(any(not(target_os = "linux"), tidelog_loom, tidelog_shuttle))]
mod imp {
    use super::super::{AtomicU64, Condvar, Mutex, Ordering, lock, wait, wait_timeout};
    use std::time::Duration;

    #[derive(Debug)]
    pub(crate) struct Gate {
        opened: AtomicU64,
        sleeping: Mutex<()>,
        woken: Condvar,
    }

    impl Default for Gate {
        fn default() -> Self {
            Self { opened: AtomicU64::new(0), sleeping: Mutex::new(()), woken: Condvar::new() }
        }
    }

    impl Gate {
        pub(crate) fn ticket(&self) -> u32 {
            self.opened.load(Ordering::Relaxed) as u32
        }

        pub(crate) fn open(&self) {
            self.opened.fetch_add(1, Ordering::Relaxed);
        }

        pub(crate) fn sleep(&self, ticket: u32) {
            let sleeping = lock(&self.sleeping);
            // Who opened before this lock was taken and wakes later finds this thread asleep; who woke before is
            // ordered before by the lock, and seen here.
            if self.ticket() == ticket {
                drop(wait(&self.woken, sleeping));
            }
        }

        pub(crate) fn sleep_for(&self, ticket: u32, timeout: Duration) {
            let sleeping = lock(&self.sleeping);
            if self.ticket() == ticket {
                drop(wait_timeout(&self.woken, sleeping, timeout));
            }
        }

        pub(crate) fn wake_one(&self) {
            drop(lock(&self.sleeping));
            self.woken.notify_one();
        }

        pub(crate) fn wake_all(&self) {
            drop(lock(&self.sleeping));
            self.woken.notify_all();
        }
    }
}
