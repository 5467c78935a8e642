//! What must be in a log whose writers were killed, and what may.

use std::collections::{HashMap, HashSet};

use tidelog::{ErrorKind, LastClose, LogReader, Lsn, Options};

use crate::record::{CHECKER, Key, Plan, THREADS, checksum, policy};
use crate::support::{Random, names};
use crate::victim::Victim;

/// How far one thread of one round is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stream {
    operation: u64,
    index: u64,
    /// An operation that did not return was seen: it is the thread's last.
    over: Option<u64>,
}

/// What an examination saw.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Examined {
    pub(crate) checked: u64,
    /// Records that nobody was told of, but that were there.
    pub(crate) unacknowledged: u64,
    pub(crate) holes: u64,
    pub(crate) torn: u64,
}

impl std::ops::AddAssign for Examined {
    fn add_assign(&mut self, other: Self) {
        self.checked += other.checked;
        self.unacknowledged += other.unacknowledged;
        self.holes += other.holes;
        self.torn += other.torn;
    }
}

impl Victim {
    /// Where each thread of the unseen rounds is, before the first record that is left.
    fn streams(&self, start: u64) -> HashMap<(u64, u64), Stream> {
        let mut streams = HashMap::new();
        for round in &self.unseen_rounds {
            for thread in 0..THREADS {
                streams.insert((*round, thread), Stream::default());
            }
        }
        for key in self.records.range(..start).map(|(_, key)| key) {
            if let Some(stream) = streams.get_mut(&(key.round, key.thread)) {
                stream.operation = key.operation + 1;
            }
        }
        streams
    }

    /// The key of the first record of `found`, which nobody acknowledged: it can only be a thread's next.
    fn identify(&self, found: &[(u64, Vec<u8>)], streams: &HashMap<(u64, u64), Stream>) -> Option<Key> {
        let (_, bytes) = found.first()?;
        if let Some(id) = bytes.first_chunk() {
            return Some(Key::of_id(u64::from_le_bytes(*id)));
        }
        let next =
            streams.iter().filter(|(_, stream)| stream.over.is_none_or(|last| last == stream.operation));
        let next = next.map(|((round, thread), stream)| Key {
            round: *round,
            thread: *thread,
            operation: stream.operation,
            index: stream.index,
        });
        // A record of a few bytes may be several threads' next by its bytes; the whole of a batch is needed to tell.
        let follows = |key: &Key| {
            let rest = (key.index..Plan::of(*key).lengths.len() as u64).map(|index| Key { index, ..*key });
            rest.zip(0..)
                .all(|(key, place)| found.get(place).is_some_and(|(_, bytes)| *bytes == key.payload()))
        };
        let acknowledged: HashSet<Key> = self.records.values().copied().collect();
        let possible: Vec<Key> =
            next.filter(|key| !acknowledged.contains(key) && key.payload() == *bytes).collect();
        // Where no batch is whole, one that is not will be reported. Of two that are, the longer one: somebody else's next, of
        // one record, may have the bytes of the first.
        let whole = possible.iter().filter(|key| follows(key));
        let explains = |key: &&Key| (key.index, Plan::of(**key).lengths.len());
        whole.max_by_key(explains).or(possible.first()).copied()
    }

    /// Checks every record that `found` gives. With `complete`, everything that was acknowledged must be there.
    /// Returns the records that were not known.
    pub(crate) fn check(&self, start: u64, found: &[(u64, Vec<u8>)], complete: bool) -> Vec<(u64, Key)> {
        let mut streams = self.streams(start);
        let mut expected = self.records.range(start..).peekable();
        let mut unknown = Vec::new();
        for (place, (lsn, bytes)) in found.iter().enumerate() {
            let known = expected.next_if(|(at, _)| *at <= lsn);
            let key = match known {
                Some((at, key)) => {
                    assert_eq!(at, lsn, "lost: {key:?} at LSN {at}; the next is at {lsn}");
                    *key
                }
                None => {
                    let key = self.identify(&found[place..], &streams);
                    let key = key.unwrap_or_else(|| panic!("nobody wrote {bytes:?} at LSN {lsn}"));
                    let stream = streams.get_mut(&(key.round, key.thread));
                    let stream = stream.unwrap_or_else(|| panic!("{key:?} appears at LSN {lsn} only now"));
                    assert!(
                        stream.over.is_none_or(|last| last == key.operation),
                        "a second operation that did not return: {key:?} after {stream:?}"
                    );
                    stream.over = Some(key.operation);
                    unknown.push((*lsn, key));
                    key
                }
            };
            assert!(*bytes == key.payload(), "wrong bytes for {key:?} at LSN {lsn}");
            if let Some(stream) = streams.get_mut(&(key.round, key.thread)) {
                assert_eq!(
                    (key.operation, key.index),
                    (stream.operation, stream.index),
                    "out of order at LSN {lsn}: {key:?} in {stream:?}"
                );
                let last = key.index + 1 == Plan::of(key).lengths.len() as u64;
                (stream.operation, stream.index) =
                    if last { (key.operation + 1, 0) } else { (key.operation, key.index + 1) };
            }
        }
        if complete {
            assert_eq!(expected.next(), None, "lost: the last of what was acknowledged");
        }
        for (who, stream) in streams {
            assert_eq!(stream.index, 0, "a batch is not whole: {who:?} {stream:?}");
        }
        unknown
    }

    pub(crate) fn options(&self, random: &mut Random) -> Options {
        let options = Options::new().sync_policy(policy(random.next())).checksum(checksum(random.next()));
        if random.one_in(2) { options.segment_bytes(self.segment_bytes) } else { options }
    }

    /// What a reader sees that takes no part in recovery: a part of the log, all of it right.
    pub(crate) fn look(&self) {
        let reader = match LogReader::open(self.path()) {
            Ok(reader) => reader,
            // Killed before there was a log.
            Err(error) if error.kind() == ErrorKind::NotFound && self.records.is_empty() => return,
            Err(error) => panic!("a reader of {:?}: {error}", names(self.path())),
        };
        let snapshot = reader.snapshot().unwrap();
        let found = records(&snapshot);
        self.check(snapshot.start().get(), &found, false);
    }

    /// Opens the log and checks it; appends, closes, and checks it again.
    pub(crate) fn examine(&mut self, random: &mut Random) -> Examined {
        self.look();
        let log = self.options(random).segment_bytes(self.segment_bytes).open(self.path());
        let log = log.unwrap_or_else(|error| panic!("recovery of {:?}: {error}", names(self.path())));
        let report = log.recovery().clone();
        let died = report.last_close == LastClose::ProcessDied;
        // Killed while it was opening or closing, it may have left no trace.
        assert!(died || !self.in_use, "{report}");
        assert_ne!(report.last_close, LastClose::MachineRestarted, "{report}");
        assert!(report.start.get() >= self.start && report.start <= report.end, "{report}");
        assert_eq!(report.segments_rewritten, 0, "{report}");

        let snapshot = log.snapshot();
        let found = records(&snapshot);
        assert_eq!((snapshot.start(), snapshot.end()), (report.start, report.end));
        let unknown = self.check(report.start.get(), &found, true);
        let mut examined = Examined {
            checked: found.len() as u64,
            unacknowledged: unknown.len() as u64,
            holes: report.holes_skipped,
            torn: u64::from(report.torn_tail.is_some()),
        };
        self.records.extend(unknown);
        self.records = self.records.split_off(&report.start.get());
        self.start = report.start.get();
        self.unseen_rounds.clear();

        for operation in 0..random.below(40) {
            let key = Key { round: self.round, thread: CHECKER, operation, index: 0 };
            let lengths = Plan::of(key).lengths;
            let batch: Vec<Vec<u8>> =
                (0..lengths.len() as u64).map(|index| Key { index, ..key }.payload()).collect();
            let lsns = log.append_batch(&batch).unwrap();
            for (index, lsn) in (0..).zip(lsns) {
                assert!(lsn >= report.end, "LSN {lsn} lies before the end: {report}");
                assert_eq!(self.records.insert(lsn.get(), Key { index, ..key }), None, "LSN {lsn} again");
            }
        }
        let found = records(&log.snapshot());
        assert!(self.check(self.start, &found, true).is_empty());
        examined.checked += found.len() as u64;
        for (lsn, key) in self.records.iter().skip(random.below(7) as usize).step_by(7) {
            let record = log.read(Lsn::new(*lsn)).unwrap();
            assert!(record.payload() == key.payload(), "read({lsn}) is not {key:?}");
        }
        log.close().unwrap();

        let log = self.options(random).open(self.path()).unwrap();
        assert_eq!(log.recovery().last_close, LastClose::Clean, "{}", log.recovery());
        let found = records(&log.snapshot());
        assert!(self.check(self.start, &found, true).is_empty());
        examined.checked += found.len() as u64;
        log.close().unwrap();
        self.in_use = false;
        examined
    }
}

pub(crate) fn records(snapshot: &tidelog::Snapshot) -> Vec<(u64, Vec<u8>)> {
    let records =
        snapshot.iter().map(|record| record.map(|record| (record.lsn().get(), record.payload().to_vec())));
    records.collect::<Result<_, _>>().unwrap_or_else(|error| panic!("replay: {error}"))
}
