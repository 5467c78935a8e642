//! One who sleeps until another process' log has grown, or has become durable.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Page, Progress};
use crate::primitive::Patience;

/// Nobody tells that a process has died. So who sleeps looks by itself now and then.
const SLOW_LOOK: Duration = Duration::from_millis(100);
/// The same until the writer's process has answered, which may have to start the thread that does it.
const QUICK_LOOK: Duration = Duration::from_millis(1);
/// After so many of those nobody is there who could answer. A new writer tells when it comes.
const QUICK_LOOKS: u32 = 256;

#[derive(Debug)]
pub(crate) struct Caller {
    progress: Progress,
    page: Option<Arc<Page>>,
    asked: Option<Asked>,
    /// Looks since somebody answered.
    unanswered: u32,
}

/// A question that is in force until something is told.
#[derive(Clone, Copy, Debug)]
struct Asked {
    ticket: u64,
    position: u64,
    number: u64,
}

impl Caller {
    pub(crate) fn new(progress: Progress) -> Self {
        Self { progress, page: None, asked: None, unanswered: 0 }
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress
    }

    /// How far the log is durable, as far as the writer's process says so.
    pub(crate) fn durable(&mut self, find: impl FnOnce() -> Option<Arc<Page>>) -> u64 {
        if self.page.is_none() && self.unanswered.is_multiple_of(QUICK_LOOKS) {
            self.page = find();
        }
        self.page.as_ref().map_or(0, |page| page.durable())
    }

    /// Something has come, so somebody writes: the next wait begins anew.
    pub(crate) fn rested(&mut self) {
        self.unanswered = 0;
    }

    /// Waits until the log may have passed `position`, where nothing was found; returns when it is worth a look, or at
    /// `deadline`. `find` opens the page by which readers are woken, if there is one; else `patience` is what there is.
    pub(crate) fn pause(
        &mut self,
        position: u64,
        deadline: Option<Instant>,
        patience: &mut Patience,
        find: impl FnOnce() -> Option<Arc<Page>>,
    ) {
        // Where nobody answers, the page may be one that nobody has any more.
        if self.page.is_none() || self.unanswered > QUICK_LOOKS {
            if self.unanswered.is_multiple_of(QUICK_LOOKS) || self.page.is_some() {
                self.page = find();
                self.asked = None;
            }
            if self.page.is_none() {
                self.unanswered = self.unanswered.wrapping_add(1);
                return patience.pause();
            }
        }
        let Some(page) = &self.page else { return };
        // Before the question, so that the answer to it ends the sleep.
        let ticket = page.ticket();
        let asked = match self.asked {
            Some(asked) if asked.ticket == ticket && asked.position == position => asked,
            _ => Asked { ticket, position, number: page.ask(self.progress, position) },
        };
        self.asked = Some(asked);
        let mut most = if page.is_answered(asked.number) || self.unanswered >= QUICK_LOOKS {
            SLOW_LOOK
        } else {
            QUICK_LOOK
        };
        if let Some(deadline) = deadline {
            most = most.min(deadline.saturating_duration_since(Instant::now()));
        }
        page.sleep(ticket, most);
        self.unanswered = if page.is_answered(asked.number) { 0 } else { self.unanswered.saturating_add(1) };
    }
}
