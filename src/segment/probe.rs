//! The scanner over bytes of any origin, for fuzzing.

use std::io;
use std::ops::Range;

use super::scan::{self, Found, Layout};
use crate::format::bytes::u64_at;
use crate::format::frame::Kind;
use crate::format::header::{Identity, Session};
use crate::format::verify::Verifiers;
use crate::policy::Checksum;

/// What the scanner finds at an offset of a segment's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The end of the segment.
    End,
    /// Nothing yet.
    Unwritten,
    /// A claim that is not published.
    Claimed {
        /// Where it ends.
        next: u64,
    },
    /// Padding.
    Padding {
        /// Where it ends.
        next: u64,
    },
    /// A record that verifies.
    Record {
        /// Its kind, as the format numbers them.
        kind: u8,
        /// The length of its payload.
        length: u64,
        /// The lag, or the way back.
        extra: u64,
    },
    /// Bytes that are no valid frame.
    Bad,
}

/// The frames of a segment, with the openings that wrote them: where each begins, its nonce, its checksum.
#[derive(Debug)]
pub struct Probe<'a> {
    frames: &'a [u8],
    base: u64,
    verifiers: Verifiers,
}

impl<'a> Probe<'a> {
    /// Segment `number` of the log `log_id`; as large as `frames`.
    #[must_use]
    pub fn new(log_id: [u8; 16], number: u64, openings: &[(u64, u64, Checksum)], frames: &'a [u8]) -> Self {
        let identity = Identity { log_id, number, segment_bytes: frames.len() as u64 };
        let session = |&(start, nonce, checksum)| Session {
            start,
            number: 0,
            checksum,
            acks_durable: false,
            nonce,
            boot: [0; 16],
            opened_unix_ns: 0,
        };
        let sessions: Vec<_> = openings.iter().map(session).collect();
        Self { frames, base: identity.base(), verifiers: Verifiers::new(&identity, &sessions) }
    }

    /// What stands at `offset`.
    ///
    /// # Panics
    /// When the scanner asks for bytes that are not there: it must not.
    #[must_use]
    pub fn examine(&self, offset: u64) -> Standing {
        let segment_bytes = self.frames.len() as u64;
        let layout = Layout { base: self.base, segment_bytes, verifiers: &self.verifiers };
        let found = scan::examine(&mut Bytes(self.frames), layout, offset);
        match found.expect("the scanner stays inside of the segment") {
            Found::End => Standing::End,
            Found::Unwritten => Standing::Unwritten,
            Found::Claimed { next } => Standing::Claimed { next },
            Found::Padding { next } => Standing::Padding { next },
            Found::Record(frame) => Standing::Record {
                kind: match frame.kind {
                    Kind::Claimed => 1,
                    Kind::Padding => 2,
                    Kind::Record => 3,
                    Kind::BatchFirst => 4,
                    Kind::BatchMiddle => 5,
                    Kind::BatchLast => 6,
                },
                length: frame.payload_len,
                extra: frame.extra,
            },
            Found::Bad(_) => Standing::Bad,
        }
    }
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn range(&self, range: Range<u64>) -> io::Result<&[u8]> {
        let range = range.start as usize..range.end as usize;
        self.0.get(range).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl scan::Source for Bytes<'_> {
    fn word(&mut self, offset: u64) -> io::Result<u64> {
        self.range(offset..offset + 8).map(|bytes| u64_at(bytes, 0))
    }

    fn bytes(&mut self, offset: u64, len: u64) -> io::Result<&[u8]> {
        self.range(offset..offset + len)
    }
}
