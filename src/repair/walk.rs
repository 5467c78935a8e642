//! The frames of one segment: what is kept, and what is not.

use super::Loss;
use crate::error::Error;
use crate::inspect::{FrameCounts, Frames, Stop};

/// How far a search for frames goes on behind bytes that the device does not give.
const BLOCK_BYTES: u64 = 4096;

/// What was found. Places are offsets from the segment's base.
#[derive(Clone, Debug, Default)]
pub(super) struct Walked {
    pub(super) counts: FrameCounts,
    /// Ranges with frames behind them.
    pub(super) lost: Vec<(u64, u64, Loss)>,
    /// Where the last frame ends that is kept; a batch that is not whole is none.
    pub(super) written: u64,
    /// How far the walk came.
    pub(super) reached: u64,
    /// What stands behind `written`; `None`: nothing but zeros, or the segment's end, or the limit.
    pub(super) rest: Option<Loss>,
    /// The first damage.
    pub(super) error: Option<Error>,
}

impl Walked {
    /// The ranges of `[0, to)` that are not kept.
    pub(super) fn gaps(&self, to: u64) -> Vec<(u64, u64, Loss)> {
        let mut gaps: Vec<_> = self.lost.iter().copied().filter(|(from, ..)| *from < to).collect();
        if self.written < to {
            gaps.push((self.written, to, self.rest.unwrap_or(Loss::Unwritten)));
        }
        gaps
    }

    /// The ranges that are kept.
    pub(super) fn kept(&self) -> Vec<(u64, u64)> {
        let mut at = 0;
        let mut kept = Vec::new();
        for (from, to) in self.lost.iter().map(|(from, to, _)| (*from, *to)).chain([(self.written, 0)]) {
            if at < from {
                kept.push((at, from));
            }
            at = to;
        }
        kept
    }
}

/// Goes over `frames` to the end, those behind damage included. `base` is the segment's, and `bytes` what it holds.
pub(super) fn walk(frames: &mut Frames, base: u64, bytes: u64) -> Walked {
    let mut walked = Walked::default();
    let mut resumed = 0;
    loop {
        let failed = frames.count(&mut walked.counts).err();
        let position = frames.position().get().saturating_sub(base);
        walked.reached = position;
        // A batch that is not whole is lost from its first record on.
        let from = frames.open_batch().map_or(position, |lsn| lsn.get().saturating_sub(base));
        if from > resumed {
            walked.written = from;
        }
        let loss = match (&failed, frames.stop()) {
            (Some(_), _) => Loss::Unreadable,
            (None, Some(Stop::Corrupt(_))) => Loss::Damaged,
            (None, Some(Stop::Hole(_) | Stop::Claimed(_))) => Loss::Unwritten,
            // The limit may lie in a batch; then all of that is behind it.
            (None, _) => return walked,
        };
        if walked.error.is_none() {
            walked.error = match (failed, frames.stop()) {
                (Some(error), _) => Some(error),
                (None, Some(Stop::Corrupt(error))) => Some(error.clone()),
                _ => None,
            };
        }
        match resume(frames, position, bytes) {
            Some(next) => {
                let next = next.saturating_sub(base);
                walked.lost.push((walked.written, next, loss));
                resumed = next;
            }
            None => {
                walked.rest = Some(loss);
                return walked;
            }
        }
    }
}

/// The LSN of the next frame that verifies. Blocks that cannot be read are passed over.
fn resume(frames: &mut Frames, position: u64, bytes: u64) -> Option<u64> {
    let mut found = frames.resume();
    let mut at = position;
    loop {
        match found {
            Ok(found) => return found.map(|lsn| lsn.get()),
            Err(_) => at = at.saturating_add(1).next_multiple_of(BLOCK_BYTES),
        }
        if at >= bytes {
            return None;
        }
        found = frames.resume_behind(at);
    }
}
