//! In the writer's process: answers readers in other processes who want to be woken.

use core::fmt;
use core::task::Waker;
use std::task::Wake;
use std::time::Duration;

use super::page::NOWHERE;
use super::{Chain, Page, Progress};
use crate::primitive::Arc;
use crate::signal::Bed;

/// Should somebody garble the page, it still looks so often whether it is to end.
const LOOK: Duration = Duration::from_secs(1);

/// Sleeps on behalf of readers in other processes, among those who sleep in this one.
pub(crate) struct Desk {
    chain: Arc<Chain>,
    page: std::sync::Arc<Page>,
    waker: Waker,
    published: Option<Bed>,
    durable: Option<Bed>,
}

/// Woken as a sleeper of this process is, and tells all the others.
struct Bell(std::sync::Arc<Page>);

impl Wake for Bell {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.tell();
    }

    fn wake_by_ref(self: &std::sync::Arc<Self>) {
        self.0.tell();
    }
}

impl Desk {
    pub(crate) fn new(chain: Arc<Chain>, page: std::sync::Arc<Page>) -> Self {
        let waker = Waker::from(std::sync::Arc::new(Bell(std::sync::Arc::clone(&page))));
        Self { chain, page, waker, published: None, durable: None }
    }

    /// Answers until `stopped` says so, which is asked after each sleep.
    pub(crate) fn run(&mut self, stopped: impl Fn() -> bool) {
        let mut answered = None;
        loop {
            let asked = self.page.asked();
            if stopped() {
                return;
            }
            if answered == Some(asked) {
                self.page.sleep_until_asked(asked, LOOK);
            } else {
                self.answer(asked);
                answered = Some(asked);
            }
        }
    }

    fn answer(&mut self, asked: u64) {
        let Self { chain, waker, .. } = self;
        // In this order: who asked before his position is taken out is looked for below. Who asks later raises the
        // number, and has his turn then.
        let lowest = self.page.take_lowest(Progress::Published);
        let mut passed = false;
        if lowest != NOWHERE {
            chain.grown.register(&mut self.published, lowest, waker);
            // What came before that woke nobody.
            passed |= chain.advance_published().map_or(true, |published| published.position() > lowest);
        }
        let lowest = self.page.take_lowest(Progress::Durable);
        if lowest != NOWHERE {
            // By the next sync, however far it reaches: others who asked before may wait for less.
            chain.durability.register(&mut self.durable, 0, waker);
            passed |= chain.durability.durable() > lowest || chain.catalog.start() > lowest;
        }
        if passed {
            self.page.tell();
        }
        self.page.answer(asked);
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(bed) = self.published.take() {
            self.chain.grown.leave(bed);
        }
        if let Some(bed) = self.durable.take() {
            self.chain.durability.leave(bed);
        }
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}
