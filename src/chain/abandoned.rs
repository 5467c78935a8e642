//! A log without those who look after it: what a forked child has of it, and one whose background thread panicked.

use super::Chain;
use crate::error::{Error, Result};

impl Chain {
    /// True in a forked child of the process that opened the log.
    #[inline]
    pub(crate) fn is_inherited(&self) -> bool {
        self.home.is_inherited()
    }

    /// Fails there: what the child has of the log are copies that nobody keeps up to date, of locks too, and the very
    /// files that its parent writes.
    #[inline]
    pub(crate) fn refuse_in_child(&self) -> Result<()> {
        if self.is_inherited() { Err(Error::forked()) } else { Ok(()) }
    }

    /// The thread that prepared segments is gone.
    pub(crate) fn abandon(&self, error: Error) {
        self.poison(error.clone());
        // A tail waits for the end of what was being prepared.
        self.attempt_failed(u64::MAX, error);
    }
}
