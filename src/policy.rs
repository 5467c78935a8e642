//! The choices that a log is opened with: when it syncs, and how it checks what it reads.

use core::time::Duration;

/// When an append returns, and when the log is flushed to stable storage.
///
/// Under every policy a record whose append returned survives the death of the process (`kill -9`
/// included). The policies differ in what survives the death of the machine:
///
/// | Policy | `append` returns when | flushed |
/// |---|---|---|
/// | `None` | published | when the kernel likes; on `sync()` and on `close()` |
/// | `Periodic` | published | every `interval`, or sooner once so many `bytes` or `records` are unsynced |
/// | `Grouped` | durable | one sync for all that gathered in `window` after the first waiter |
/// | `Immediate` | durable | at once |
///
/// ```
/// use std::time::Duration;
/// use tidelog::SyncPolicy;
///
/// assert_eq!(SyncPolicy::default(), SyncPolicy::Grouped { window: Duration::ZERO });
/// let every_10_ms = SyncPolicy::periodic(Duration::from_millis(10));
/// assert!(!every_10_ms.acknowledges_durable());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Appends return when published; the kernel writes back when it likes. `sync()` and `close()` flush.
    None,
    /// Appends return when durable; a waiting append starts its sync at once, or joins one that covers it.
    Immediate,
    /// Appends return when published; a background thread syncs.
    Periodic {
        /// The longest time for which a published record stays unsynced, one sync aside.
        interval: Duration,
        /// Sync sooner once so many bytes of log, headers included, are unsynced. Writers wake nobody: the thread
        /// looks every sixteenth of the interval, at least every 5 ms, at most every 0.5 ms.
        bytes: Option<u64>,
        /// Sync sooner once so many records are unsynced. Looked for as `bytes` are.
        records: Option<u64>,
    },
    /// Appends return when durable; one sync serves all that gathered.
    Grouped {
        /// How long to gather after the first waiter. With zero (the default) groups form by themselves: who comes
        /// while a sync runs is served by the next one. That one begins as soon as those whom the last one served
        /// have come back; it waits some tens of microseconds for them, and a little longer for a hundred, where
        /// they used to come back at once. A lone caller never waits.
        window: Duration,
    },
}

impl SyncPolicy {
    /// `Periodic` with an interval alone.
    #[must_use]
    pub const fn periodic(interval: Duration) -> Self {
        Self::Periodic { interval, bytes: None, records: None }
    }

    /// `Grouped` without a window, where groups form by themselves: recommended to most users.
    #[must_use]
    pub const fn grouped() -> Self {
        Self::Grouped { window: Duration::ZERO }
    }

    /// True when `append` returns only after the record is durable.
    #[must_use]
    pub const fn acknowledges_durable(&self) -> bool {
        matches!(self, Self::Immediate | Self::Grouped { .. })
    }
}

impl Default for SyncPolicy {
    fn default() -> Self {
        Self::grouped()
    }
}

/// The checksum that guards every frame. Chosen per log, recorded on disk per opening: a log may
/// change it from one opening to the next and stays readable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Checksum {
    /// CRC-32C (Castagnoli, as in iSCSI and ext4): the fastest for small records.
    #[default]
    Crc32c,
    /// CRC-64/XZ (ECMA-182, reflected): for records of many kilobytes, or where 32 bits are too few.
    Crc64,
}
