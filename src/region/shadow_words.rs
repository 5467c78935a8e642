//! The model checkers' page of shared words. A sleep has no end of its own there, so that a lost wake-up is found.

use std::fs::File;
use std::io;
use std::time::Duration;

use crate::limits::SIGNAL_BYTES;
use crate::primitive::{Condvar, Mutex, Ordering, RawAtomicU64, lock, wait};

#[derive(Debug)]
pub(crate) struct Words {
    words: Vec<RawAtomicU64>,
    sleeping: Mutex<()>,
    woken: Condvar,
}

impl Words {
    pub(crate) fn zeroed() -> Self {
        // As many as the page's fields take.
        let words = (0..SIGNAL_BYTES / 128).map(|_| RawAtomicU64::new(0)).collect();
        Self { words, sleeping: Mutex::new(()), woken: Condvar::new() }
    }

    /// Files are not modelled.
    pub(crate) fn map(_file: &File) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn word(&self, offset: usize) -> &RawAtomicU64 {
        &self.words[offset / 8]
    }

    pub(crate) fn load_acquire(&self, offset: usize) -> u64 {
        self.word(offset).load(Ordering::Acquire)
    }

    pub(crate) fn store_release(&self, offset: usize, value: u64) {
        self.word(offset).store(value, Ordering::Release);
    }

    pub(crate) fn count_up(&self, offset: usize) -> u64 {
        self.word(offset).fetch_add(1, Ordering::AcqRel).wrapping_add(1)
    }

    pub(crate) fn lower_to(&self, offset: usize, value: u64) {
        self.word(offset).fetch_min(value, Ordering::AcqRel);
    }

    pub(crate) fn swap(&self, offset: usize, value: u64) -> u64 {
        self.word(offset).swap(value, Ordering::AcqRel)
    }

    pub(crate) fn sleep(&self, offset: usize, seen: u64, _timeout: Duration) {
        let sleeping = lock(&self.sleeping);
        // Relaxed: as the kernel does it. Who wakes takes the lock after the word has changed.
        if self.word(offset).load(Ordering::Relaxed) == seen {
            drop(wait(&self.woken, sleeping));
        }
    }

    pub(crate) fn wake(&self, _offset: usize) {
        drop(lock(&self.sleeping));
        self.woken.notify_all();
    }
}
