//! The first page of a segment file.

use super::bytes::{array_at, put, u32_at, u64_at};
use super::checksum::{crc64, mix, seed};
use crate::limits::{FRAME_ALIGN, HEADER_BYTES, SESSIONS_MAX};
use crate::policy::Checksum;

const MAGIC: [u8; 8] = *b"TIDELOG\n";

/// The version of the format that this code writes and reads.
pub(crate) const VERSION: u32 = 1;

/// The header page as an array length.
pub(crate) const PAGE: usize = 4096;
const _: () = assert!(HEADER_BYTES == 4096);

// Offsets in the page.
const AT_VERSION: usize = 8;
const AT_HEADER_BYTES: usize = 12;
const AT_LOG_ID: usize = 16;
const AT_NUMBER: usize = 32;
const AT_BASE: usize = 40;
const AT_SEGMENT_BYTES: usize = 48;
const AT_CREATED: usize = 56;
const AT_CRC: usize = 120;
/// The tail mark: how far the segment is known to be written, and whether that is durable.
pub(crate) const AT_TAIL_MARK: usize = 512;
/// The durable hint: one word that the running writer stores after each sync.
pub(crate) const AT_DURABLE_HINT: usize = 1024;
const AT_SESSIONS: usize = 2048;
const SESSION_BYTES: usize = 64;
pub(crate) const TAIL_MARK_BYTES: usize = 64;

/// What never changes in a segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) log_id: [u8; 16],
    pub(crate) number: u64,
    pub(crate) segment_bytes: u64,
}

impl Identity {
    pub(crate) const fn base(&self) -> u64 {
        self.number.saturating_mul(self.segment_bytes)
    }
}

/// One opening of the log, as the segments record it: how the frames from `start` on are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// The first LSN that it wrote, or could have written, in this segment.
    pub(crate) start: u64,
    /// Counts the openings of the log.
    pub(crate) number: u32,
    pub(crate) checksum: Checksum,
    /// True where appends returned only after they were durable.
    pub(crate) acks_durable: bool,
    /// Random; makes the frames of two openings differ.
    pub(crate) nonce: u64,
    /// The boot of the machine in which it ran.
    pub(crate) boot: [u8; 16],
    /// Nanoseconds since 1970, for people.
    pub(crate) opened_unix_ns: u64,
}

impl Session {
    /// The seed of this opening's checksums.
    pub(crate) fn seed(&self, log_id: [u8; 16]) -> u64 {
        seed(log_id, self.nonce)
    }

    fn encode(&self) -> [u8; SESSION_BYTES] {
        let mut out = [0; SESSION_BYTES];
        put(&mut out, 0, &self.start.to_le_bytes());
        put(&mut out, 8, &self.number.to_le_bytes());
        let checksum: u8 = match self.checksum {
            Checksum::Crc32c => 1,
            Checksum::Crc64 => 2,
        };
        put(&mut out, 12, &[checksum, u8::from(self.acks_durable)]);
        put(&mut out, 16, &self.nonce.to_le_bytes());
        put(&mut out, 24, &self.boot);
        put(&mut out, 40, &self.opened_unix_ns.to_le_bytes());
        let crc = crc64(out.get(..56).unwrap_or_default());
        put(&mut out, 56, &crc.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        if u64_at(bytes, 56) != crc64(bytes.get(..56)?) {
            return None;
        }
        let [checksum, acks] = array_at(bytes, 12);
        Some(Self {
            start: u64_at(bytes, 0),
            number: u32_at(bytes, 8),
            checksum: match checksum {
                1 => Checksum::Crc32c,
                2 => Checksum::Crc64,
                _ => return None,
            },
            acks_durable: acks != 0,
            nonce: u64_at(bytes, 16),
            boot: array_at(bytes, 24),
            opened_unix_ns: u64_at(bytes, 40),
        })
    }
}

/// "Every frame below `end` is written", set when a segment is sealed and when a log is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TailMark {
    pub(crate) end: u64,
    /// Everything below `end` was durable when the mark was made.
    pub(crate) durable: bool,
    /// A mark that is not durable counts only in the boot that made it.
    pub(crate) boot: [u8; 16],
    /// When the segment was seen to be full, nanoseconds since 1970; zero where that was not noted.
    pub(crate) sealed_unix_ns: u64,
}

impl TailMark {
    /// The mark's bytes; an absent mark is zeros.
    pub(crate) fn encode(mark: Option<Self>, identity: &Identity) -> [u8; TAIL_MARK_BYTES] {
        let mut out = [0; TAIL_MARK_BYTES];
        if let Some(mark) = mark {
            put(&mut out, 0, &mark.end.to_le_bytes());
            put(&mut out, 8, &u64::from(mark.durable).to_le_bytes());
            put(&mut out, 16, &mark.boot);
            put(&mut out, 32, &mark.sealed_unix_ns.to_le_bytes());
            let crc = crc64(out.get(..56).unwrap_or_default()) ^ place_seed(identity);
            put(&mut out, 56, &crc.to_le_bytes());
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8], identity: &Identity) -> Option<Self> {
        let crc = u64_at(bytes, 56) ^ place_seed(identity);
        let mark = Self {
            end: u64_at(bytes, 0),
            durable: u64_at(bytes, 8) != 0,
            boot: array_at(bytes, 16),
            sealed_unix_ns: u64_at(bytes, 32),
        };
        // Between two words, as frames are.
        let inside = mark.end.is_multiple_of(FRAME_ALIGN)
            && mark.end >= identity.base()
            && mark.end <= identity.base().saturating_add(identity.segment_bytes);
        (crc == crc64(bytes.get(..56)?) && inside).then_some(mark)
    }
}

/// Binds the marks in a header to their segment.
fn place_seed(identity: &Identity) -> u64 {
    seed(identity.log_id, mix(identity.number))
}

/// The durable hint as one word: the durable offset, guarded by 32 bits of hash. Zero is no hint.
pub(crate) fn durable_hint(identity: &Identity, durable: u64) -> u64 {
    let offset = durable.saturating_sub(identity.base()).min(identity.segment_bytes);
    offset | (mix(place_seed(identity) ^ offset) << 32)
}

fn decode_durable_hint(word: u64, identity: &Identity) -> Option<u64> {
    let durable = identity.base().saturating_add(word & 0xffff_ffff);
    let known = word != 0 && durable.is_multiple_of(FRAME_ALIGN);
    (known && durable_hint(identity, durable) == word).then_some(durable)
}

/// A header page, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) identity: Identity,
    pub(crate) tail_mark: Option<TailMark>,
    pub(crate) durable_hint: Option<u64>,
    /// When the segment was made, nanoseconds since 1970, for people.
    pub(crate) created_unix_ns: u64,
    /// In order of their start; never empty.
    pub(crate) sessions: Vec<Session>,
    /// An entry after the last valid one holds bytes that are not an entry.
    pub(crate) torn_session: bool,
}

/// Why a header page was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// Not a segment of tidelog, or damaged.
    Corrupt(&'static str),
    /// Written by another version.
    Version(u32),
}

impl Header {
    /// A header for a segment that begins in `session`.
    pub(crate) fn encode_new(
        identity: &Identity,
        session: &Session,
        created_unix_ns: u64,
    ) -> Box<[u8; PAGE]> {
        let mut page = Box::new([0; PAGE]);
        let out = page.as_mut_slice();
        put(out, 0, &MAGIC);
        put(out, AT_VERSION, &VERSION.to_le_bytes());
        put(out, AT_HEADER_BYTES, &u32::try_from(PAGE).unwrap_or_default().to_le_bytes());
        put(out, AT_LOG_ID, &identity.log_id);
        put(out, AT_NUMBER, &identity.number.to_le_bytes());
        put(out, AT_BASE, &identity.base().to_le_bytes());
        put(out, AT_SEGMENT_BYTES, &identity.segment_bytes.to_le_bytes());
        put(out, AT_CREATED, &created_unix_ns.to_le_bytes());
        let crc = crc64(out.get(..AT_CRC).unwrap_or_default());
        put(out, AT_CRC, &crc.to_le_bytes());
        put(out, AT_SESSIONS, &session.encode());
        page
    }

    /// Reads a page.
    pub(crate) fn decode(page: &[u8]) -> Result<Self, HeaderError> {
        if page.len() < PAGE || array_at::<8>(page, 0) != MAGIC {
            return Err(HeaderError::Corrupt("this is not the header of a tidelog segment"));
        }
        if u64_at(page, AT_CRC) != crc64(page.get(..AT_CRC).unwrap_or_default()) {
            return Err(HeaderError::Corrupt("the segment header's checksum does not hold"));
        }
        let version = u32_at(page, AT_VERSION);
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let identity = Identity {
            log_id: array_at(page, AT_LOG_ID),
            number: u64_at(page, AT_NUMBER),
            segment_bytes: u64_at(page, AT_SEGMENT_BYTES),
        };
        if u64_at(page, AT_BASE) != identity.base() {
            return Err(HeaderError::Corrupt("the segment header contradicts itself"));
        }
        let (sessions, torn_session) = decode_sessions(page, &identity)?;
        Ok(Self {
            tail_mark: TailMark::decode(
                page.get(AT_TAIL_MARK..AT_TAIL_MARK.saturating_add(TAIL_MARK_BYTES)).unwrap_or_default(),
                &identity,
            ),
            durable_hint: decode_durable_hint(u64_at(page, AT_DURABLE_HINT), &identity),
            created_unix_ns: u64_at(page, AT_CREATED),
            identity,
            sessions,
            torn_session,
        })
    }

    /// The page, with nothing but what this tells.
    pub(crate) fn encode(&self) -> Box<[u8; PAGE]> {
        let mut sessions = self.sessions.iter();
        // A header has one at least.
        let Some(first) = sessions.next() else { return Box::new([0; PAGE]) };
        let mut page = Self::encode_new(&self.identity, first, self.created_unix_ns);
        let out = page.as_mut_slice();
        put(out, AT_TAIL_MARK, &TailMark::encode(self.tail_mark, &self.identity));
        let mut at = AT_SESSIONS;
        for session in sessions.take(SESSIONS_MAX.saturating_sub(1)) {
            at = at.saturating_add(SESSION_BYTES);
            put(out, at, &session.encode());
        }
        if let Some(durable) = self.durable_hint {
            put(out, AT_DURABLE_HINT, &durable_hint(&self.identity, durable).to_le_bytes());
        }
        page
    }

    /// Adds `session` as the last entry, or gives `None` when the table is full.
    pub(crate) fn session_slot(&self, session: &Session) -> Option<(usize, [u8; SESSION_BYTES])> {
        (self.sessions.len() < SESSIONS_MAX).then(|| {
            let offset = AT_SESSIONS.saturating_add(self.sessions.len().saturating_mul(SESSION_BYTES));
            (offset, session.encode())
        })
    }
}

/// What still reads back of a damaged page.
#[derive(Clone, Debug)]
pub(crate) struct Remains {
    /// Which segment it was; the part that tells has a checksum of its own, and so has each of the others.
    pub(crate) identity: Option<Identity>,
    pub(crate) created_unix_ns: u64,
    pub(crate) tail_mark: Option<TailMark>,
    pub(crate) durable_hint: Option<u64>,
    /// Entries of the session table, in its order.
    pub(crate) sessions: Vec<Session>,
}

impl Remains {
    /// Of the page of the segment `expected`.
    pub(crate) fn of(page: &[u8; PAGE], expected: &Identity) -> Self {
        let whole = array_at::<8>(page, 0) == MAGIC
            && u64_at(page, AT_CRC) == crc64(page.get(..AT_CRC).unwrap_or_default());
        let identity = whole.then(|| Identity {
            log_id: array_at(page, AT_LOG_ID),
            number: u64_at(page, AT_NUMBER),
            segment_bytes: u64_at(page, AT_SEGMENT_BYTES),
        });
        let mark = page.get(AT_TAIL_MARK..AT_TAIL_MARK.saturating_add(TAIL_MARK_BYTES)).unwrap_or_default();
        let table = page.get(AT_SESSIONS..).unwrap_or_default();
        let entries = table.chunks_exact(SESSION_BYTES).take(SESSIONS_MAX);
        Self {
            identity,
            created_unix_ns: if whole { u64_at(page, AT_CREATED) } else { 0 },
            tail_mark: TailMark::decode(mark, expected),
            durable_hint: decode_durable_hint(u64_at(page, AT_DURABLE_HINT), expected),
            sessions: entries.filter_map(Session::decode).collect(),
        }
    }
}

fn decode_sessions(page: &[u8], identity: &Identity) -> Result<(Vec<Session>, bool), HeaderError> {
    let mut sessions: Vec<Session> = Vec::new();
    let (mut torn, mut gap) = (false, false);
    let table = page.get(AT_SESSIONS..).unwrap_or_default();
    for entry in table.chunks_exact(SESSION_BYTES).take(SESSIONS_MAX) {
        let written = entry.iter().any(|byte| *byte != 0);
        match Session::decode(entry) {
            _ if !written => gap = true,
            // A valid entry behind a damaged or an empty one: no torn write leaves that.
            Some(_) if torn || gap => {
                return Err(HeaderError::Corrupt("an entry of the session table is damaged"));
            }
            Some(session) => {
                let earliest = sessions.last().map_or(identity.base(), |last| last.start);
                let end = identity.base().saturating_add(identity.segment_bytes);
                if session.start < earliest || session.start > end {
                    return Err(HeaderError::Corrupt("the session table is out of order"));
                }
                sessions.push(session);
            }
            None => torn = true,
        }
    }
    if sessions.first().is_none_or(|first| first.start != identity.base()) {
        return Err(HeaderError::Corrupt("the first entry of the session table is damaged"));
    }
    Ok((sessions, torn))
}

#[cfg(test)]
mod tests;
