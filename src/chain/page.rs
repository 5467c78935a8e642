//! The page by which a writer's process wakes readers in other processes: what the two sides say by it.
//!
//! A reader that finds nothing takes a ticket, notes where it waits, asks, and sleeps at the word that its ticket is of.
//! In the writer's process a thread, the [`Desk`](super::Desk), answers: it lies down among those who sleep
//! there, and then looks whether the log has passed the reader. Whatever wakes it, and what it finds by that look, is told
//! to all readers, who look again.
//!
//! So the writers' side of WAKE is the one that they have anyway. All of it is hints: at worst a reader looks in vain, or
//! later.

use std::time::Duration;

use super::Progress;
use crate::format::signal::{ANSWERED, ASKED, DURABLE, DURABLE_FROM, PUBLISHED_FROM, TOLD};
use crate::region::Words;

/// Nobody waits.
pub(crate) const NOWHERE: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Page {
    words: Words,
}

const fn place_of(progress: Progress) -> usize {
    match progress {
        Progress::Published => PUBLISHED_FROM,
        Progress::Durable => DURABLE_FROM,
    }
}

impl Page {
    pub(crate) fn new(words: Words) -> Self {
        Self { words }
    }

    // ---- The readers' side

    /// To be taken before asking; what is told after that ends a sleep.
    pub(crate) fn ticket(&self) -> u64 {
        // TELL, acquire side: pairs with the count in `tell`. Who has the ticket of what was told sees what that was about.
        self.words.load_acquire(TOLD)
    }

    /// Asks to be told when the log has passed `position`. Returns the question's number.
    pub(crate) fn ask(&self, progress: Progress, position: u64) -> u64 {
        // ASK, release side, both of them: pairs with `take_lowest` and `asked`. Who takes the position out has what this
        // reader had seen when it drew its ticket; who sees the number has the position, too.
        self.words.lower_to(place_of(progress), position);
        let number = self.words.count_up(ASKED);
        self.words.wake(ASKED);
        number
    }

    /// True when the question was answered: whatever comes will be told.
    pub(crate) fn is_answered(&self, number: u64) -> bool {
        self.words.load_acquire(ANSWERED) >= number
    }

    /// Sleeps until something is told that was not when the ticket was drawn, for `timeout` at most.
    pub(crate) fn sleep(&self, ticket: u64, timeout: Duration) {
        self.words.sleep(TOLD, ticket, timeout);
        // TELL, acquire side, as in `ticket`: the look that follows sees what was told.
        self.words.load_acquire(TOLD);
    }

    /// How far the writer says that the log is durable. TELL orders nothing here: what it covers is read by PUBLISH.
    pub(crate) fn durable(&self) -> u64 {
        self.words.load_acquire(DURABLE)
    }

    // ---- The writer's side

    /// A new opening of the log: who sleeps is to look, and to ask anew. Returns how many questions are not its own.
    pub(crate) fn begin(&self, durable: u64) -> u64 {
        self.store_durable(durable);
        let asked = self.asked();
        for progress in [Progress::Published, Progress::Durable] {
            // Before it is told: who asked is told, and asks again.
            let _ = self.take_lowest(progress);
        }
        self.tell();
        asked
    }

    /// It is worth a look.
    pub(crate) fn tell(&self) {
        // TELL, release side: pairs with the load in `ticket`.
        self.words.count_up(TOLD);
        self.words.wake(TOLD);
    }

    /// How many questions were asked.
    pub(crate) fn asked(&self) -> u64 {
        // ASK, acquire side.
        self.words.load_acquire(ASKED)
    }

    /// The lowest position of those who asked since the last time; `NOWHERE` for nobody.
    pub(crate) fn take_lowest(&self, progress: Progress) -> u64 {
        // ASK, acquire side.
        self.words.swap(place_of(progress), NOWHERE)
    }

    pub(crate) fn answer(&self, number: u64) {
        self.words.store_release(ANSWERED, number);
    }

    /// Sleeps until there are more questions than `seen`, for `timeout` at most.
    pub(crate) fn sleep_until_asked(&self, seen: u64, timeout: Duration) {
        self.words.sleep(ASKED, seen, timeout);
    }

    /// Ends that sleep.
    pub(crate) fn rouse(&self) {
        self.words.count_up(ASKED);
        self.words.wake(ASKED);
    }

    pub(crate) fn store_durable(&self, durable: u64) {
        self.words.store_release(DURABLE, durable);
    }
}
