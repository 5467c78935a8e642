//! Key-value records: put, put with a time to live, delete; and the map that they amount to.
//!
//! A log of them is a [`TypedLog`](crate::TypedLog) with the codec [`Kv`]; [`Entry::encode`] and [`Entry::decode`] do it for
//! bytes from elsewhere. `docs/FORMAT.md` tells every byte. Nothing here looks at a clock: whoever writes gives each entry
//! its time, and whoever replays says what time it is.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::time::Duration;
//! use tidelog::kv::{Entry, Kv, replay_into};
//! use tidelog::{Options, TypedLog};
//!
//! # let dir = tempfile::tempdir()?;
//! let log = TypedLog::open(Options::new().segment_bytes(1 << 16), dir.path(), Kv)?;
//! let now = 1_700_000_000_000_000_000; // nanoseconds since 1970, by the caller's clock
//! log.append_batch(&[
//!     Entry::put(b"kept", b"1", now),
//!     Entry::put(b"deleted", b"2", now),
//!     Entry::delete(b"deleted", now + 1),
//!     Entry::put_with_ttl(b"expired", b"3", now, Duration::from_secs(60)),
//! ])?;
//!
//! let snapshot = log.snapshot();
//! let mut map: BTreeMap<&[u8], &[u8]> = BTreeMap::new(); // keys and values stay in the mapping
//! let replayed = replay_into(&snapshot, now + 61_000_000_000, &mut map)?;
//! assert_eq!(map, BTreeMap::from([(&b"kept"[..], &b"1"[..])]));
//! assert_eq!((replayed.puts, replayed.expired, replayed.deletes), (2, 1, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod encoding;
mod replay;

use core::time::Duration;

pub use self::replay::{Replayed, Sink, replay_into};
use crate::codec::{Codec, CodecError};

/// One record of a key-value log: what was done to a key, and when.
///
/// ```
/// use tidelog::kv::{Action, Entry};
///
/// let mut bytes = Vec::new();
/// Entry::put(b"key", b"value", 5).encode(&mut bytes)?;
/// let entry = Entry::decode(&bytes)?;
/// assert_eq!((entry.key, entry.unix_ns), (&b"key"[..], 5));
/// assert_eq!(entry.action, Action::Put { value: b"value", expires_unix_ns: None });
/// # Ok::<(), tidelog::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The key; it may be empty.
    pub key: &'a [u8],
    /// When it was written, in nanoseconds since 1970, by the writer's clock. The order of entries is that of the log,
    /// whatever the clocks say.
    pub unix_ns: u64,
    /// What was done to the key.
    pub action: Action<'a>,
}

/// What an [`Entry`] does to its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action<'a> {
    /// The key has this value from now on.
    Put {
        /// The value; it may be empty. In a record that was read it begins at an address divisible by 8.
        value: &'a [u8],
        /// From then on the key has no value, in nanoseconds since 1970.
        expires_unix_ns: Option<u64>,
    },
    /// The key has no value any more.
    Delete,
    /// What a later version wrote, and marked as safe to pass over.
    Ignorable {
        /// The kind's number, 128 to 255.
        kind: u8,
    },
}

impl<'a> Entry<'a> {
    /// `key` has `value` from `unix_ns` on.
    #[must_use]
    pub const fn put(key: &'a [u8], value: &'a [u8], unix_ns: u64) -> Self {
        Self { key, unix_ns, action: Action::Put { value, expires_unix_ns: None } }
    }

    /// The same, until `ttl` has passed since `unix_ns`; a `ttl` that reaches beyond what 64 bits tell (the year 2554)
    /// ends there.
    #[must_use]
    pub fn put_with_ttl(key: &'a [u8], value: &'a [u8], unix_ns: u64, ttl: Duration) -> Self {
        let ttl_ns = u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX);
        let expires_unix_ns = Some(unix_ns.saturating_add(ttl_ns));
        Self { key, unix_ns, action: Action::Put { value, expires_unix_ns } }
    }

    /// `key` has no value from `unix_ns` on.
    #[must_use]
    pub const fn delete(key: &'a [u8], unix_ns: u64) -> Self {
        Self { key, unix_ns, action: Action::Delete }
    }

    /// The value that it puts.
    #[must_use]
    pub const fn value(&self) -> Option<&'a [u8]> {
        match self.action {
            Action::Put { value, .. } => Some(value),
            Action::Delete | Action::Ignorable { .. } => None,
        }
    }

    /// True for a put whose time is over at `now_unix_ns`: from the instant at which it expires.
    ///
    /// ```
    /// use std::time::Duration;
    /// let entry = tidelog::kv::Entry::put_with_ttl(b"key", b"value", 1_000, Duration::from_nanos(5));
    /// assert!(!entry.is_expired(1_004));
    /// assert!(entry.is_expired(1_005));
    /// ```
    #[must_use]
    pub const fn is_expired(&self, now_unix_ns: u64) -> bool {
        matches!(self.action, Action::Put { expires_unix_ns: Some(at), .. } if at <= now_unix_ns)
    }
}

/// The codec of key-value records: [`Entry`] in, [`Entry`] out, borrowed from the mapping.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kv;

impl Codec for Kv {
    type Item<'a> = Entry<'a>;
    type View<'a> = Entry<'a>;

    #[inline]
    fn encode(&self, item: &Entry<'_>, payload: &mut Vec<u8>) -> Result<(), CodecError> {
        item.encode(payload)
    }

    #[inline]
    fn decode<'a>(&self, payload: &'a [u8]) -> Result<Entry<'a>, CodecError> {
        Entry::decode(payload)
    }
}
