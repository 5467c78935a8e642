//! What happens to a log, told to those who asked: one bounded queue for each, which never holds the log up.

use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Instant;

use crate::error::Error;
use crate::lsn::Lsn;
use crate::primitive::{Arc, AtomicU64, Condvar, Mutex, Ordering, lock, wait, wait_timeout};

/// Something that happened to a log. From [`Log::events`](crate::Log::events).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A segment was made ready and put into use: records will be written to it when those before it are full.
    SegmentOpened {
        /// Its first LSN.
        start: Lsn,
        /// The first LSN of the next one.
        end: Lsn,
        /// Its file.
        path: PathBuf,
        /// Whether it was made of the file of a retired one, or of a spare.
        recycled: bool,
    },
    /// Every record of a segment is published: its frames will not change any more. (Its header page may, once: when the
    /// segment is marked durable.) The file stays until the segment is retired; a cursor that gates retirement and stands
    /// at or before `start` keeps it.
    SegmentSealed {
        /// Its first LSN.
        start: Lsn,
        /// The first LSN of the next one.
        end: Lsn,
        /// Its file.
        path: PathBuf,
    },
    /// Segments left the log, and the new start is durable.
    Retired {
        /// Where the log began.
        from: Lsn,
        /// Where it begins now.
        to: Lsn,
    },
    /// The file of a retired segment was set aside to become a later one. Its old name is gone.
    SegmentRecycled {
        /// The first LSN of the retired segment.
        start: Lsn,
    },
    /// The file of a retired segment was removed.
    SegmentRemoved {
        /// The first LSN of the retired segment.
        start: Lsn,
    },
    /// A gate let go, because its cursor lagged more than [`RetentionPolicy::max_gate_bytes`] allows: records that it had
    /// not come to were retired.
    ///
    /// [`RetentionPolicy::max_gate_bytes`]: crate::RetentionPolicy::max_gate_bytes
    GateOverrun {
        /// The cursor's name.
        cursor: String,
        /// Where it stands.
        position: Lsn,
        /// Where the log begins now.
        start: Lsn,
    },
    /// A sync took as long as [`Options::slow_sync`](crate::Options::slow_sync), or longer.
    SyncSlow {
        /// How long it took.
        took: Duration,
        /// Everything before this is durable by it.
        durable: Lsn,
    },
    /// The device failed at a sync, of records or of the log's own files: the log takes no more appends
    /// ([`Poisoned`](crate::ErrorKind::Poisoned)).
    SyncFailed {
        /// What waiters were told.
        error: Error,
    },
    /// Damaged bytes were found: by the background, by a sync, or by [`Log::read`](crate::Log::read). (Who iterates is told
    /// by the iterator alone.)
    Corruption {
        /// File, offset and LSN.
        error: Error,
    },
    /// When the log was opened, what an interrupted writer left behind its end was cut away. Every subscriber gets it
    /// first.
    TornTail {
        /// Where the log ended.
        end: Lsn,
        /// How many bytes were cut away, at most.
        bytes: u64,
    },
    /// This subscriber's queue was full, and so many events are missing here.
    Missed {
        /// How many.
        count: u64,
    },
}

/// Receives what happens to a log, in order. From [`Log::events`](crate::Log::events).
///
/// The queue is bounded, and the log never waits for it: when it is full, events are counted instead, and
/// [`Event::Missed`] stands in their place.
pub struct Events {
    announcer: Arc<Announcer>,
    queue: Arc<Queue>,
}

impl Events {
    /// The next event; waits for it. `None` when the log was closed and everything was taken.
    #[allow(clippy::should_implement_trait, reason = "`iter` and `try_next` stand beside it")]
    pub fn next(&mut self) -> Option<Event> {
        self.queue.take(None)
    }

    /// The next event; waits for it for at most `timeout`.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Event> {
        self.queue.take(Instant::now().checked_add(timeout))
    }

    /// The next event, if there is one.
    pub fn try_next(&mut self) -> Option<Event> {
        lock(&self.queue.state).pop()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.queue.state);
        f.debug_struct("Events").field("waiting", &state.events.len()).field("missed", &state.missed).finish()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let mut queues = lock(&self.announcer.queues);
        queues.all.retain(|queue| !Arc::ptr_eq(queue, &self.queue));
        self.announcer.count(&queues);
    }
}

/// One subscriber's events.
#[derive(Debug)]
struct Queue {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug)]
struct Waiting {
    events: VecDeque<Event>,
    capacity: usize,
    /// Since the queue was full.
    missed: u64,
    closed: bool,
}

impl Waiting {
    fn push(&mut self, event: Event) {
        let marker = usize::from(self.missed > 0);
        if self.events.len() + marker >= self.capacity {
            self.missed += 1;
            return;
        }
        if self.missed > 0 {
            self.events.push_back(Event::Missed { count: core::mem::take(&mut self.missed) });
        }
        self.events.push_back(event);
    }

    fn pop(&mut self) -> Option<Event> {
        self.events.pop_front().or_else(|| {
            let count = core::mem::take(&mut self.missed);
            (count > 0).then_some(Event::Missed { count })
        })
    }
}

impl Queue {
    fn take(&self, deadline: Option<Instant>) -> Option<Event> {
        let mut state = lock(&self.state);
        loop {
            let event = state.pop();
            if event.is_some() || state.closed {
                return event;
            }
            state = match deadline {
                None => wait(&self.changed, state),
                Some(deadline) => {
                    let left =
                        deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
                    wait_timeout(&self.changed, state, left)
                }
            };
        }
    }
}

/// Tells everybody who subscribed.
#[derive(Debug)]
pub(crate) struct Announcer {
    /// How many subscribed.
    subscribers: AtomicU64,
    queues: Mutex<Queues>,
}

#[derive(Debug, Default)]
struct Queues {
    all: Vec<Arc<Queue>>,
    /// What happened before anybody could subscribe.
    first: Vec<Event>,
    closed: bool,
}

impl Announcer {
    /// `first` is told to everybody who subscribes.
    pub(crate) fn new(first: Vec<Event>) -> Self {
        let queues = Queues { all: Vec::new(), first, closed: false };
        Self { subscribers: AtomicU64::new(0), queues: Mutex::new(queues) }
    }

    pub(crate) fn subscribe(announcer: &Arc<Self>, capacity: usize) -> Events {
        let mut queues = lock(&announcer.queues);
        let mut waiting =
            Waiting { events: VecDeque::new(), capacity: capacity.max(1), missed: 0, closed: queues.closed };
        for event in &queues.first {
            waiting.push(event.clone());
        }
        let queue = Arc::new(Queue { state: Mutex::new(waiting), changed: Condvar::new() });
        queues.all.push(Arc::clone(&queue));
        announcer.count(&queues);
        drop(queues);
        Events { announcer: Arc::clone(announcer), queue }
    }

    fn count(&self, queues: &Queues) {
        // Relaxed: who is told is decided under the lock; with an old number an event that happens at the same time as a
        // subscription begins, or ends, is told or is not.
        self.subscribers.store(queues.all.len() as u64, Ordering::Relaxed);
    }

    /// Tells what `event` gives, which is asked only when somebody subscribed. Takes no lock that anybody waits under.
    pub(crate) fn tell(&self, event: impl FnOnce() -> Event) {
        if self.subscribers.load(Ordering::Relaxed) == 0 {
            return;
        }
        let event = event();
        for queue in &lock(&self.queues).all {
            lock(&queue.state).push(event.clone());
            queue.changed.notify_all();
        }
    }

    /// Tells why the log takes no more appends, or what was found damaged.
    pub(crate) fn tell_failure(&self, error: &Error) {
        self.tell(|| {
            let error = error.clone();
            if error.is_corruption() { Event::Corruption { error } } else { Event::SyncFailed { error } }
        });
    }

    /// There will be no more.
    pub(crate) fn close(&self) {
        let mut queues = lock(&self.queues);
        queues.closed = true;
        for queue in &queues.all {
            lock(&queue.state).closed = true;
            queue.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(start: u64) -> Event {
        Event::SegmentRemoved { start: Lsn::new(start) }
    }

    fn text(events: &mut Events) -> String {
        let mut text = String::new();
        while let Some(event) = events.try_next() {
            text += &match event {
                Event::SegmentRemoved { start } => format!("{start} "),
                Event::Missed { count } => format!("-{count} "),
                other => format!("{other:?} "),
            };
        }
        text
    }

    #[test]
    fn everybody_gets_all_and_who_is_slow_learns_how_many_are_missing() {
        let announcer = Arc::new(Announcer::new(vec![event(0)]));
        announcer.tell(|| panic!("nobody asked"));
        let mut quick = Announcer::subscribe(&announcer, 100);
        let mut slow = Announcer::subscribe(&announcer, 3);
        for start in 1..8 {
            announcer.tell(|| event(start));
        }
        assert_eq!(text(&mut quick), "0 1 2 3 4 5 6 7 ");
        // One is taken, so that there is room for the marker but for nothing behind it.
        assert!(matches!(slow.try_next(), Some(Event::SegmentRemoved { start }) if start == Lsn::ZERO));
        announcer.tell(|| event(8));
        assert!(slow.try_next().is_some());
        announcer.tell(|| event(9));
        assert_eq!(text(&mut slow), "2 -6 9 ");
        for start in 10..20 {
            announcer.tell(|| event(start));
        }
        assert_eq!(text(&mut slow), "10 11 12 -7 ");
        announcer.tell(|| event(20));
        assert_eq!(text(&mut slow), "20 ");
        let mut one = Announcer::subscribe(&announcer, 0);
        announcer.tell(|| event(21));
        assert_eq!(text(&mut one), "0 -1 ");
        drop((slow, one));
        drop(quick);
        announcer.tell(|| panic!("nobody is left"));
    }

    #[test]
    fn waiting_ends_with_an_event_a_timeout_or_the_log() {
        let announcer = Arc::new(Announcer::new(Vec::new()));
        let mut events = Announcer::subscribe(&announcer, 2);
        assert!(events.next_timeout(Duration::from_millis(1)).is_none());
        let waiter = std::thread::spawn(move || {
            assert!(events.next().is_some());
            assert!(events.next().is_some());
            assert!(events.next().is_none());
            events
        });
        for start in 0..2 {
            announcer.tell(|| event(start));
        }
        announcer.close();
        let mut events = waiter.join().unwrap();
        assert!(events.next_timeout(Duration::MAX).is_none());
        assert!(Announcer::subscribe(&announcer, 1).next().is_none(), "after the end");
    }
}
