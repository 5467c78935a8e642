//! Which frames are meant.

use std::time::SystemTime;

use tidelog::inspect::{Frame, FrameKind, SegmentInfo};
use tidelog::kv::Entry;

use crate::args::{Kind, Select};

pub(crate) fn kind_word(kind: FrameKind) -> &'static str {
    match kind {
        FrameKind::Record => "record",
        FrameKind::BatchFirst => "batch-first",
        FrameKind::BatchMiddle => "batch-middle",
        FrameKind::BatchLast => "batch-last",
        FrameKind::Padding => "padding",
        _ => "unknown",
    }
}

/// A record of `tidelog::kv` whose key begins with `prefix`.
fn has_key(payload: &[u8], prefix: &[u8]) -> bool {
    Entry::decode(payload).is_ok_and(|entry| entry.key.starts_with(prefix))
}

impl Select {
    /// True where the segment may hold frames that are meant. A segment's time is from when it was made to when it was
    /// sealed; one that is not sealed reaches to now.
    pub(crate) fn may_lie_in(&self, segment: &SegmentInfo) -> bool {
        let header = segment.header.as_ref().ok();
        let made = header.and_then(|header| header.created);
        let sealed = header.and_then(|header| header.tail_mark).and_then(|mark| mark.sealed);
        let reaches = |since: SystemTime| sealed.is_none_or(|sealed| sealed >= since);
        let begins = |until: SystemTime| made.is_none_or(|made| made < until);
        self.from.is_none_or(|from| segment.end.get() > from)
            && self.to.is_none_or(|to| segment.base.get() < to)
            && self.since.is_none_or(reaches)
            && self.until.is_none_or(begins)
    }

    pub(crate) fn takes(&self, frame: &Frame<'_>) -> bool {
        self.takes_place(frame) && self.takes_payload(frame.payload)
    }

    /// By where it is, and what it is to its batch.
    pub(crate) fn takes_place(&self, frame: &Frame<'_>) -> bool {
        let lsn = frame.lsn.get();
        let kind = match self.kind {
            Kind::All => true,
            Kind::Records => frame.kind.is_record(),
            Kind::Single => frame.kind == FrameKind::Record,
            Kind::Padding => frame.kind == FrameKind::Padding,
            Kind::Batch => frame.kind.is_record() && frame.kind != FrameKind::Record,
        };
        kind && self.from.is_none_or(|from| lsn >= from) && self.to.is_none_or(|to| lsn < to)
    }

    pub(crate) fn takes_payload(&self, payload: &[u8]) -> bool {
        self.prefix.as_ref().is_none_or(|prefix| payload.starts_with(prefix.as_bytes()))
            && self.key_prefix.as_ref().is_none_or(|prefix| has_key(payload, prefix.as_bytes()))
            && self.grep.as_ref().is_none_or(|regex| regex.is_match(payload))
    }
}
