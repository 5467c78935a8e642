//! What a log does by itself, and how it is told.

use super::Log;
use crate::event::{Announcer, Events};
use crate::retention::RetentionPolicy;

/// Events that wait for a subscriber.
const EVENTS_DEFAULT: usize = 1024;

impl Log {
    /// Nobody else has it: only a clone makes another, so who keeps this one for himself can rely on it.
    pub(crate) fn is_held_once(&self) -> bool {
        std::sync::Arc::strong_count(&self.inner) == 1
    }

    /// It was closed.
    pub(crate) fn is_finished(&self) -> bool {
        self.inner.is_finished()
    }

    /// It takes no appends any more, and may be opened again: it was closed, or it has failed and nobody else has it.
    pub(crate) fn is_over(&self) -> bool {
        self.inner.chain.is_closed() && (self.is_held_once() || self.is_finished())
    }

    /// Something was appended that is not durable.
    pub(crate) fn is_dirty(&self) -> bool {
        let chain = &self.inner.chain;
        chain.written_end() > chain.durability.durable()
    }

    /// Replaces the [`RetentionPolicy`] that the log was opened with. It is not stored: the next opening has its own.
    ///
    /// A Raft log can tell the background so what its last snapshot covers, without waiting for the retirement:
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// # let covered = log.append_nowait(b"covered by a snapshot")?;
    /// log.set_retention(log.retention().before(covered));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_retention(&self, policy: RetentionPolicy) {
        self.inner.retention().set(policy);
        self.inner.chain.supply().poke();
    }

    /// The policy in force.
    #[must_use]
    pub fn retention(&self) -> RetentionPolicy {
        self.inner.retention().policy()
    }

    /// What happens to the log from now on, to be received: segments that come and go, syncs that fail. For archivers, and
    /// for alarms. The queue holds 1024 events; see [`events_with_capacity`](Self::events_with_capacity).
    ///
    /// Nothing is told for each append, and nothing is spent where nobody asked.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// use tidelog::Event;
    ///
    /// let archiver = log.cursor("archiver")?;
    /// archiver.set_gate(true)?; // files stay until it has come by
    /// let mut events = log.events();
    /// for _ in 0..100 {
    ///     log.append_nowait(&[0; 1000])?; // over more than one segment
    /// }
    /// while let Some(event) = events.next() {
    ///     if let Event::SegmentSealed { path, end, .. } = event {
    ///         println!("archive {}", path.display());
    ///         archiver.commit(end)?;
    ///         break;
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn events(&self) -> Events {
        self.events_with_capacity(EVENTS_DEFAULT)
    }

    /// As [`events`](Self::events), with room for so many events that were not taken yet, at least one.
    #[must_use]
    pub fn events_with_capacity(&self, capacity: usize) -> Events {
        Announcer::subscribe(&self.inner.announcer, capacity)
    }

    /// Does what the background would do by now, for a log on a simulated disk without threads: prepares segments,
    /// marks those that are full, and lets go of retired ones.
    #[cfg(feature = "testing")]
    pub fn upkeep(&self) {
        self.inner.upkeep();
    }
}
