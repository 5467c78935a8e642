//! Which seed and checksum the frames of a segment are checked with.

use super::header::{Identity, Session};
use crate::policy::Checksum;

/// How the frames of one opening are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verifier {
    pub(crate) seed: u64,
    pub(crate) checksum: Checksum,
}

/// The openings that wrote to a segment, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verifiers(Vec<(u64, Verifier)>);

impl Verifiers {
    /// From the session table of a header, which is never empty.
    pub(crate) fn new(identity: &Identity, sessions: &[Session]) -> Self {
        let entry = |session: &Session| {
            let verifier = Verifier { seed: session.seed(identity.log_id), checksum: session.checksum };
            (session.start, verifier)
        };
        Self(sessions.iter().map(entry).collect())
    }

    /// The one for the frame at `lsn`. A later opening that starts at the same place replaces an earlier one.
    #[inline]
    pub(crate) fn at(&self, lsn: u64) -> Verifier {
        let mut entries = self.0.iter().rev();
        let found = entries.find(|(start, _)| *start <= lsn).or_else(|| self.0.first());
        found.map_or(Verifier { seed: 0, checksum: Checksum::Crc32c }, |(_, verifier)| *verifier)
    }

    /// The one for the frame at `lsn` and for those behind it, up to the position that comes with it.
    pub(crate) fn from(&self, lsn: u64) -> (Verifier, u64) {
        let next = self.0.iter().map(|(start, _)| *start).find(|start| *start > lsn);
        (self.at(lsn), next.unwrap_or(u64::MAX))
    }
}
