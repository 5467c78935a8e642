//! From the log to the map.

use core::hash::BuildHasher;
use std::collections::{BTreeMap, HashMap};

use super::{Action, Entry};
use crate::{Lsn, Result, Typed};

/// What a log of key-value records is replayed into. `'a` is how long what is replayed stays borrowed: a map of borrowed
/// slices is a sink too, as long as the snapshot lives.
///
/// The maps of the standard library are sinks; a sink of one's own can keep the LSN or the time at which a key expires.
///
/// ```
/// use std::collections::BTreeMap;
/// use tidelog::Lsn;
/// use tidelog::kv::{Entry, Sink};
///
/// /// Where the newest value of each key stands.
/// #[derive(Default)]
/// struct Index(BTreeMap<Vec<u8>, Lsn>);
///
/// impl Sink<'_> for Index {
///     fn put(&mut self, lsn: Lsn, entry: &Entry<'_>, _value: &[u8]) {
///         self.0.insert(entry.key.to_vec(), lsn);
///     }
///     fn remove(&mut self, _lsn: Lsn, entry: &Entry<'_>) {
///         self.0.remove(entry.key);
///     }
/// }
/// ```
pub trait Sink<'a> {
    /// The key of `entry` has `value`.
    fn put(&mut self, lsn: Lsn, entry: &Entry<'a>, value: &'a [u8]);

    /// The key of `entry` has no value: it was deleted, or put with a time that is over.
    fn remove(&mut self, lsn: Lsn, entry: &Entry<'a>);
}

/// What [`replay_into`] went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replayed {
    /// Puts that had not expired.
    pub puts: u64,
    /// Puts that had.
    pub expired: u64,
    /// Deletes.
    pub deletes: u64,
    /// Records of later versions that were passed over.
    pub ignored: u64,
}

/// Replays key-value records, in the order of the log, into `sink`. A put that has expired at `now_unix_ns` removes its
/// key, as what it replaced was replaced.
///
/// The records are a [`TypedSnapshot`](crate::TypedSnapshot)'s, or a range of it, with whatever adapters.
///
/// # Errors
/// The first error of `records`; what came before it is in the sink. To go on behind a record that cannot be decoded,
/// filter its error out:
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # use std::collections::HashMap;
/// # use tidelog::kv::{Entry, Kv, replay_into};
/// # use tidelog::{ErrorKind, Options, TypedLog};
/// # let log = TypedLog::open(Options::new().segment_bytes(1 << 16), dir.path(), Kv)?;
/// log.log().append(b"somebody else's")?;
/// log.append(&Entry::put(b"key", b"value", 0))?;
/// let snapshot = log.snapshot();
/// let mut map: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
/// assert_eq!(replay_into(&snapshot, 0, &mut map).unwrap_err().kind(), ErrorKind::Undecodable);
///
/// let decodable = snapshot.iter().filter(|record| {
///     !record.as_ref().is_err_and(|error| error.kind() == ErrorKind::Undecodable)
/// });
/// assert_eq!(replay_into(decodable, 0, &mut map)?.puts, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn replay_into<'a>(
    records: impl IntoIterator<Item = Result<Typed<Entry<'a>>>>,
    now_unix_ns: u64,
    sink: &mut impl Sink<'a>,
) -> Result<Replayed> {
    let mut replayed = Replayed::default();
    for record in records {
        let Typed { lsn, value: entry } = record?;
        let count = match entry.action {
            Action::Put { .. } if entry.is_expired(now_unix_ns) => {
                sink.remove(lsn, &entry);
                &mut replayed.expired
            }
            Action::Put { value, .. } => {
                sink.put(lsn, &entry, value);
                &mut replayed.puts
            }
            Action::Delete => {
                sink.remove(lsn, &entry);
                &mut replayed.deletes
            }
            Action::Ignorable { .. } => &mut replayed.ignored,
        };
        *count += 1;
    }
    Ok(replayed)
}

impl<'a> Sink<'a> for BTreeMap<&'a [u8], &'a [u8]> {
    fn put(&mut self, _lsn: Lsn, entry: &Entry<'a>, value: &'a [u8]) {
        self.insert(entry.key, value);
    }

    fn remove(&mut self, _lsn: Lsn, entry: &Entry<'a>) {
        self.remove(entry.key);
    }
}

impl<'a, S: BuildHasher> Sink<'a> for HashMap<&'a [u8], &'a [u8], S> {
    fn put(&mut self, _lsn: Lsn, entry: &Entry<'a>, value: &'a [u8]) {
        self.insert(entry.key, value);
    }

    fn remove(&mut self, _lsn: Lsn, entry: &Entry<'a>) {
        self.remove(entry.key);
    }
}

impl<'a> Sink<'a> for BTreeMap<Vec<u8>, Vec<u8>> {
    fn put(&mut self, _lsn: Lsn, entry: &Entry<'a>, value: &'a [u8]) {
        // A key that is there keeps its memory, and its value's.
        if let Some(place) = self.get_mut(entry.key) {
            replace(place, value);
        } else {
            self.insert(entry.key.to_vec(), value.to_vec());
        }
    }

    fn remove(&mut self, _lsn: Lsn, entry: &Entry<'a>) {
        self.remove(entry.key);
    }
}

impl<'a, S: BuildHasher> Sink<'a> for HashMap<Vec<u8>, Vec<u8>, S> {
    fn put(&mut self, _lsn: Lsn, entry: &Entry<'a>, value: &'a [u8]) {
        if let Some(place) = self.get_mut(entry.key) {
            replace(place, value);
        } else {
            self.insert(entry.key.to_vec(), value.to_vec());
        }
    }

    fn remove(&mut self, _lsn: Lsn, entry: &Entry<'a>) {
        self.remove(entry.key);
    }
}

fn replace(place: &mut Vec<u8>, value: &[u8]) {
    place.clear();
    place.extend_from_slice(value);
}
