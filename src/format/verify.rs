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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_frame_has_the_verifier_of_its_opening_until_the_next_one_begins() {
        let identity = Identity { log_id: [3; 16], number: 0, segment_bytes: 1 << 16 };
        let opening = |start, nonce| Session {
            start,
            number: 0,
            checksum: Checksum::Crc32c,
            acks_durable: false,
            nonce,
            boot: [0; 16],
            opened_unix_ns: 0,
        };
        // The second wrote nothing.
        let openings = [opening(0, 1), opening(104, 2), opening(104, 3), opening(304, 4)];
        let seeds = openings.map(|opening| opening.seed(identity.log_id));
        let verifiers = Verifiers::new(&identity, &openings);
        for (lsn, by, until) in [(0, 0, 104), (96, 0, 104), (104, 2, 304), (296, 2, 304), (304, 3, u64::MAX)]
        {
            assert_eq!(verifiers.at(lsn).seed, seeds[by], "{lsn}");
            assert_eq!(verifiers.from(lsn), (verifiers.at(lsn), until), "{lsn}");
        }
    }
}
