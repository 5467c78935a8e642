//! The thread that answers readers in other processes.

use std::thread::JoinHandle;

use crate::chain::{Chain, Desk, Page};
use crate::primitive::{Arc, AtomicU64, Ordering};

/// Runs a [`Desk`] until this is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    page: std::sync::Arc<Page>,
    stopped: std::sync::Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// `None` where there is no thread to be had.
    pub(crate) fn start(chain: &Arc<Chain>, page: &std::sync::Arc<Page>) -> Option<Self> {
        let stopped = std::sync::Arc::new(AtomicU64::new(0));
        let ends = std::sync::Arc::clone(&stopped);
        let mut desk = Desk::new(Arc::clone(chain), std::sync::Arc::clone(page));
        let builder = std::thread::Builder::new().name("tidelog-listener".to_owned());
        // Relaxed: a flag that carries nothing; `rouse` comes after it, and orders it by its count.
        let thread = builder.spawn(move || desk.run(|| ends.load(Ordering::Relaxed) != 0)).ok()?;
        Some(Self { page: std::sync::Arc::clone(page), stopped, thread: Some(thread) })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stopped.store(1, Ordering::Relaxed);
        self.page.rouse();
        if let Some(thread) = self.thread.take() {
            // One that panicked has told so by itself.
            let _ = thread.join();
        }
    }
}
