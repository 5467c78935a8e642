//! The openings that wrote to a segment whose header is damaged: from what is left of it, and from its neighbours, as an
//! opening often reaches over several segments. They are tried on its frames.

use super::walk::{self, Walked};
use crate::format::header::{Identity, Session};
use crate::format::verify::Verifiers;
use crate::inspect::Frames;
use crate::limits::SESSIONS_MAX;

/// Of the candidates those that explain frames, as a table for the segment; empty where none does. `frames` gives a walk over
/// the segment's frames.
pub(super) fn find(
    identity: &Identity,
    candidates: &[Session],
    frames: impl Fn(Verifiers) -> Frames,
) -> Vec<Session> {
    let base = identity.base();
    let mut runs: Vec<(u64, u64, Session)> = Vec::new();
    for candidate in candidates {
        let session = Session { start: base, ..*candidate };
        let mut frames = frames(Verifiers::new(identity, &[session]));
        let walked = walk::walk(&mut frames, base, identity.segment_bytes);
        if walked.counts.records > 0 || walked.counts.padding_bytes > 8 {
            runs.extend(kept(&walked, base).map(|(from, to)| (from, to, session)));
        }
    }
    runs.sort_by_key(|(from, ..)| *from);
    let mut table: Vec<Session> = Vec::new();
    let mut end = base;
    for (from, to, session) in runs {
        // Two openings cannot have written the same place: eight bytes of padding have no checksum, and pass for anybody's.
        if from < end {
            continue;
        }
        end = to;
        if table.last().is_none_or(|last| last.nonce != session.nonce) {
            let start = if table.is_empty() { base } else { from };
            table.push(Session { start, ..session });
        }
    }
    table.truncate(SESSIONS_MAX);
    table
}

fn kept(walked: &Walked, base: u64) -> impl Iterator<Item = (u64, u64)> {
    walked.kept().into_iter().map(move |(from, to)| (base.saturating_add(from), base.saturating_add(to)))
}
