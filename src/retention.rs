//! What a log keeps by itself.

use core::time::Duration;

use crate::lsn::Lsn;

/// What a log keeps: the background retires the rest, so that no append and no caller pays for it. For
/// [`Options::retention`](crate::Options::retention) and [`Log::set_retention`](crate::Log::set_retention).
///
/// The limits can be combined; a segment goes as soon as **one** of them lets it go. What
/// [`keep_from`](Self::keep_from) names, and what a cursor gates ([`Cursor::set_gate`](crate::Cursor::set_gate)), stays
/// whatever the limits say. Without a limit everything stays.
///
/// Whole segments are retired, oldest first, as by [`Log::retire_before`](crate::Log::retire_before): readers that are
/// at them keep what they hold, and their files are recycled. The segment with the newest record always stays.
///
/// The limits are kept up with, not enforced to the byte: what is retired together costs one sync, so up to four more
/// segments may be there, for a fraction of a second when the log stops growing. On a full disk nothing is waited for. When the log is next opened, what the
/// last process left above the limits is retired.
///
/// ```
/// use std::time::Duration;
/// use tidelog::{Options, RetentionPolicy};
///
/// let dir = tempfile::tempdir()?;
/// // A week, but never more than about 10 GiB.
/// let policy = RetentionPolicy::new().max_age(Duration::from_secs(7 * 86400)).max_bytes(10 << 30);
/// let log = Options::new().segment_bytes(1 << 16).retention(policy).open(dir.path())?;
/// assert_eq!(log.retention(), policy);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionPolicy {
    pub(crate) max_bytes: Option<u64>,
    pub(crate) max_age: Option<Duration>,
    pub(crate) max_segments: Option<u64>,
    pub(crate) before: Option<Lsn>,
    pub(crate) keep_from: Option<Lsn>,
    pub(crate) max_gate_bytes: Option<u64>,
}

impl RetentionPolicy {
    /// Everything is kept.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_bytes: None,
            max_age: None,
            max_segments: None,
            before: None,
            keep_from: None,
            max_gate_bytes: None,
        }
    }

    /// A segment goes when what was written after it takes `bytes` or more, headers of records included. So the newest
    /// `bytes` always stay, and up to a segment more.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// A segment goes when its *newest* record is older than `age`, so no record goes before it has that age.
    ///
    /// A segment's time is noted in its header when it is seen to be full, within 100 ms, by the system's clock. One
    /// whose writer died before it noted it has the time of the next opening. A clock that is set back makes segments
    /// stay longer, one that is set forward lets them go sooner.
    #[must_use]
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// The newest `segments` segments that records were written to stay, the one that is being written included; at
    /// least that one. Those that are prepared ahead and spares do not count.
    #[must_use]
    pub const fn max_segments(mut self, segments: u64) -> Self {
        self.max_segments = Some(segments);
        self
    }

    /// A segment goes when it ends at or before `lsn`: what [`Log::retire_before`](crate::Log::retire_before) does, in the
    /// background. One beyond the log's end counts when the log has grown there.
    #[must_use]
    pub const fn before(mut self, lsn: Lsn) -> Self {
        self.before = Some(lsn);
        self
    }

    /// Records from `lsn` on stay, whatever the limits say.
    #[must_use]
    pub const fn keep_from(mut self, lsn: Lsn) -> Self {
        self.keep_from = Some(lsn);
        self
    }

    /// A cursor that gates retirement ([`Cursor::set_gate`](crate::Cursor::set_gate)) and lags by more than `bytes` behind
    /// the log's end holds nothing back any more, also from [`Log::retire_before`](crate::Log::retire_before): a consumer
    /// that is gone does not fill the disk. What it loses by that is told by
    /// [`Event::GateOverrun`](crate::Event::GateOverrun), and to itself when it comes back
    /// ([`Retired`](crate::ErrorKind::Retired)). Without this, gates hold whatever it takes.
    #[must_use]
    pub const fn max_gate_bytes(mut self, bytes: u64) -> Self {
        self.max_gate_bytes = Some(bytes);
        self
    }

    /// True when there is a limit.
    pub(crate) const fn retires(&self) -> bool {
        self.max_bytes.is_some()
            || self.max_age.is_some()
            || self.max_segments.is_some()
            || self.before.is_some()
    }

    /// How many of the oldest segments may go, by all but their age: those with numbers below what is returned. The
    /// log is written up to `end`, and its newest record lies in segment `newest`.
    pub(crate) fn first_kept(&self, end: u64, newest: u64, segment_bytes: u64) -> u64 {
        let number = |position: u64| position.checked_div(segment_bytes).unwrap_or(0);
        let by_bytes = self.max_bytes.map(|bytes| number(end.saturating_sub(bytes)));
        let by_count = self.max_segments.map(|segments| newest.saturating_add(1).saturating_sub(segments));
        let by_lsn = self.before.map(|lsn| number(lsn.get()));
        by_bytes.max(by_count).max(by_lsn).unwrap_or(0)
    }

    /// The number of the first segment that no limit takes.
    pub(crate) fn floor(&self, newest: u64, segment_bytes: u64) -> u64 {
        let kept = self.keep_from.map(|lsn| lsn.get().checked_div(segment_bytes).unwrap_or(0));
        kept.map_or(newest, |kept| kept.min(newest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_lets_go_of_what_it_says_and_no_more() {
        let policy = RetentionPolicy::new();
        assert!(!policy.retires() && !policy.keep_from(Lsn::new(5)).retires());
        assert_eq!(policy.first_kept(1000, 9, 100), 0);
        // Written to 1000: segments 0 to 9 are full, and the newest record lies in 9.
        for (bytes, first) in [(0, 10), (1, 9), (99, 9), (100, 9), (101, 8), (1000, 0), (u64::MAX, 0)] {
            assert_eq!(policy.max_bytes(bytes).first_kept(1000, 9, 100), first, "{bytes} bytes");
        }
        for (segments, first) in [(0, 10), (1, 9), (2, 8), (10, 0), (11, 0), (u64::MAX, 0)] {
            assert_eq!(policy.max_segments(segments).first_kept(1000, 9, 100), first, "{segments} segments");
        }
        for (lsn, first) in [(0, 0), (99, 0), (100, 1), (250, 2), (u64::MAX, u64::MAX / 100)] {
            assert_eq!(policy.before(Lsn::new(lsn)).first_kept(1000, 9, 100), first, "LSN {lsn}");
        }
        // One of them is enough.
        let all = policy.max_bytes(300).max_segments(2).before(Lsn::new(400));
        assert_eq!(all.first_kept(1000, 9, 100), 8);
        assert!(all.retires());
        // And whatever they say, the newest record's segment stays, and what is to be kept.
        assert_eq!(all.floor(9, 100), 9);
        assert_eq!(all.keep_from(Lsn::new(350)).floor(9, 100), 3);
        assert_eq!(all.keep_from(Lsn::new(u64::MAX)).floor(9, 100), 9);
    }
}
