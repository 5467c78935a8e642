//! A writing process is killed at any moment, again and again, and nothing that it was told is lost (G1, G3, G6).
//!
//! `TIDELOG_KILLS` sets how many kills, `TIDELOG_SEED` repeats a run's random choices.
#![allow(
    clippy::disallowed_types,
    reason = "the rule is for the library, which the model checker looks into"
)]

#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use support::{Leash, PATIENCE, Random, myself, payload, role, seed};
use tidelog::{Checksum, ErrorKind, LastClose, Log, LogReader, Lsn, Options, SyncPolicy};

const THREADS: u64 = 4;
/// Records of a batch at most.
const BATCH_MAX: u64 = 5;
/// The "thread" of the checking process.
const CHECKER: u64 = 15;

/// Which record: the round, thread and operation that wrote it, and its place in the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    round: u64,
    thread: u64,
    operation: u64,
    index: u64,
}

impl Key {
    /// In the payload's first bytes.
    fn id(self) -> u64 {
        self.round << 48 | self.thread << 44 | self.operation << 4 | self.index
    }

    fn of_id(id: u64) -> Self {
        Self { round: id >> 48, thread: id >> 44 & 15, operation: id >> 4 & ((1 << 40) - 1), index: id & 15 }
    }

    fn payload(self) -> Vec<u8> {
        let plan = Plan::of(self);
        payload(self.id(), plan.lengths[self.index as usize])
    }
}

/// What an operation does, told by its key alone.
struct Plan {
    with: bool,
    lengths: Vec<usize>,
}

impl Plan {
    fn of(key: Key) -> Self {
        let mut random = Random::new(Key { index: 0, ..key }.id() ^ 0x7469_6465);
        let batch = random.one_in(4);
        let count = if batch { 2 + random.below(BATCH_MAX - 1) } else { 1 };
        let length = |random: &mut Random| match random.below(4) {
            0 => random.below(24),
            1 | 2 => random.below(300),
            _ => random.below(3000),
        };
        let lengths = (0..count).map(|_| length(&mut random) as usize).collect();
        Self { with: !batch && random.one_in(3), lengths }
    }
}

fn policy(number: u64) -> SyncPolicy {
    match number % 4 {
        0 => SyncPolicy::None,
        1 => SyncPolicy::Immediate,
        2 => SyncPolicy::periodic(Duration::from_millis(2)),
        _ => SyncPolicy::grouped(),
    }
}

fn checksum(number: u64) -> Checksum {
    if number.is_multiple_of(2) { Checksum::Crc32c } else { Checksum::Crc64 }
}

// ---- The child ---------------------------------------------------------------------------------------

/// Appends until it is killed. Each acknowledgement is one line in one `write`, after the append returned.
#[test]
fn child_appends() {
    let Some(role) = role() else { return };
    let words: Vec<&str> = role.split('|').collect();
    let [directory, segment_bytes, round, policy_number, checksum_number, retire] = words[..] else {
        panic!("role {role}")
    };
    let number = |text: &str| text.parse::<u64>().unwrap();
    let options = Options::new()
        .segment_bytes(number(segment_bytes))
        .sync_policy(policy(number(policy_number)))
        .checksum(checksum(number(checksum_number)));
    let log = options.open(directory).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let log = &log;
            let round = number(round);
            scope.spawn(move || append_for_ever(log, round, thread, retire == "1"));
        }
    });
}

fn append_for_ever(log: &Log, round: u64, thread: u64, retire: bool) {
    let mut out = File::from(std::io::stderr().as_fd().try_clone_to_owned().unwrap());
    let mut earlier = Vec::new();
    for operation in 0.. {
        let key = Key { round, thread, operation, index: 0 };
        let plan = Plan::of(key);
        let payloads: Vec<Vec<u8>> =
            (0..plan.lengths.len() as u64).map(|index| Key { index, ..key }.payload()).collect();
        let mut line = format!("@append {round} {thread} {operation}");
        match &payloads[..] {
            [only] => {
                let lsn = if plan.with {
                    log.append_with(only.len(), |buffer| buffer.copy_from_slice(only)).unwrap()
                } else {
                    log.append(only).unwrap()
                };
                line += &format!(" {lsn}");
                earlier.push(lsn);
            }
            batch => {
                for lsn in log.append_batch(batch).unwrap() {
                    line += &format!(" {lsn}");
                }
            }
        }
        line.push('\n');
        out.write_all(line.as_bytes()).unwrap();
        if retire && thread == 0 && operation % 50 == 49 {
            let start = log.retire_before(earlier[earlier.len() / 2]).unwrap();
            out.write_all(format!("@retired {start}\n").as_bytes()).unwrap();
        }
    }
}

// ---- The parent --------------------------------------------------------------------------------------

/// One killed writer: what it acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    records: Vec<(u64, Key)>,
    start: u64,
    other_lines: Vec<String>,
}

impl Acknowledged {
    fn read(&mut self, line: &str) {
        let mut words = line.split(' ');
        match words.next() {
            Some("@append") => {
                let numbers: Vec<u64> = words.map(|word| word.parse().unwrap()).collect();
                let [round, thread, operation, lsns @ ..] = &numbers[..] else { panic!("{line}") };
                for (index, lsn) in (0..).zip(lsns) {
                    self.records
                        .push((*lsn, Key { round: *round, thread: *thread, operation: *operation, index }));
                }
            }
            Some("@retired") => self.start = words.next().unwrap().parse().unwrap(),
            _ => self.other_lines.push(line.to_owned()),
        }
    }
}

/// A directory, and everything that is known to be in its log.
struct Victim {
    directory: tempfile::TempDir,
    segment_bytes: u64,
    retire: bool,
    /// By LSN.
    records: BTreeMap<u64, Key>,
    /// The start is at least here.
    start: u64,
    round: u64,
    /// Rounds that were not looked at yet: their writers' last operations may be there without having returned.
    unseen_rounds: Vec<u64>,
}

/// How far one thread of one round is.
#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    operation: u64,
    index: u64,
    /// An operation that did not return was seen: it is the thread's last.
    over: Option<u64>,
}

impl Victim {
    fn new(random: &mut Random) -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            segment_bytes: if random.one_in(4) { 1 << 20 } else { 1 << 16 },
            retire: random.one_in(2),
            records: BTreeMap::new(),
            start: 0,
            round: 0,
            unseen_rounds: Vec::new(),
        }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Starts a writer in its next round.
    fn start_writer(&mut self, random: &mut Random) -> (Leash, mpsc::Receiver<String>) {
        self.round += 1;
        self.unseen_rounds.push(self.round);
        let role = format!(
            "{}|{}|{}|{}|{}|{}",
            self.path().display(),
            self.segment_bytes,
            self.round,
            random.below(4),
            random.below(2),
            u8::from(self.retire)
        );
        let mut command = myself("child_appends", &role);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let pipe = BufReader::new(child.stderr.take().unwrap());
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut pipe = pipe;
            let mut line = String::new();
            // What ends without a newline was not written as a whole, so it was not said.
            while pipe.read_line(&mut line).is_ok_and(|count| count > 0) && line.ends_with('\n') {
                line.pop();
                if sender.send(std::mem::take(&mut line)).is_err() {
                    return;
                }
            }
        });
        (Leash(child), receiver)
    }

    /// Runs a writer and kills it: `delay` after its first acknowledgement, or after its start.
    fn kill_a_writer(&mut self, random: &mut Random) -> bool {
        let (mut leash, lines) = self.start_writer(random);
        let mut acknowledged = Acknowledged::default();
        let while_opening = random.one_in(6);
        if !while_opening {
            let first = lines.recv_timeout(PATIENCE);
            acknowledged.read(&first.unwrap_or_else(|error| panic!("no first acknowledgement: {error}")));
        }
        let micros = if while_opening { 12_000 } else { 40_000 };
        std::thread::sleep(Duration::from_micros(random.below(micros)));
        leash.0.kill().unwrap();
        let status = leash.0.wait().unwrap();
        for line in lines {
            acknowledged.read(&line);
        }
        assert!(
            status.signal() == Some(9) && acknowledged.other_lines.is_empty(),
            "the writer ended by itself: {status}: {:?}",
            acknowledged.other_lines
        );
        let any = !acknowledged.records.is_empty();
        self.learn(acknowledged);
        any
    }

    fn learn(&mut self, acknowledged: Acknowledged) {
        for (lsn, key) in acknowledged.records {
            let before = self.records.insert(lsn, key);
            assert_eq!(before, None, "LSN {lsn} was given twice: {key:?}");
        }
        self.start = self.start.max(acknowledged.start);
    }

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

    /// The key of a record that nobody acknowledged: it can only be a thread's next.
    fn identify(&self, bytes: &[u8], streams: &HashMap<(u64, u64), Stream>) -> Option<Key> {
        if let Some(id) = bytes.first_chunk() {
            return Some(Key::of_id(u64::from_le_bytes(*id)));
        }
        let next =
            streams.iter().filter(|(_, stream)| stream.over.is_none_or(|last| last == stream.operation));
        let mut keys = next.map(|((round, thread), stream)| Key {
            round: *round,
            thread: *thread,
            operation: stream.operation,
            index: stream.index,
        });
        let acknowledged: std::collections::HashSet<Key> = self.records.values().copied().collect();
        keys.find(|key| !acknowledged.contains(key) && key.payload() == bytes)
    }

    /// Checks every record that `found` gives. With `complete`, everything that was acknowledged must be there.
    /// Returns the records that were not known.
    fn check(&self, start: u64, found: &[(u64, Vec<u8>)], complete: bool) -> Vec<(u64, Key)> {
        let mut streams = self.streams(start);
        let mut expected = self.records.range(start..).peekable();
        let mut unknown = Vec::new();
        for (lsn, bytes) in found {
            let known = expected.next_if(|(at, _)| *at <= lsn);
            let key = match known {
                Some((at, key)) => {
                    assert_eq!(at, lsn, "lost: {key:?} at LSN {at}; the next is at {lsn}");
                    *key
                }
                None => {
                    let key = self.identify(bytes, &streams);
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

    fn options(&self, random: &mut Random) -> Options {
        let options = Options::new().sync_policy(policy(random.next())).checksum(checksum(random.next()));
        if random.one_in(2) { options.segment_bytes(self.segment_bytes) } else { options }
    }

    /// What a reader sees that takes no part in recovery: a part of the log, all of it right.
    fn look(&self) {
        let reader = match LogReader::open(self.path()) {
            Ok(reader) => reader,
            // Killed before there was a log.
            Err(error) if error.kind() == ErrorKind::NotFound && self.records.is_empty() => return,
            Err(error) => panic!("a reader of {:?}: {error}", support::names(self.path())),
        };
        let snapshot = reader.snapshot().unwrap();
        let found = records(&snapshot);
        self.check(snapshot.start().get(), &found, false);
    }

    /// Opens the log and checks it; appends, closes, and checks it again. Returns how many records were checked.
    fn examine(&mut self, random: &mut Random, any_acknowledged: bool) -> u64 {
        self.look();
        let log = self.options(random).segment_bytes(self.segment_bytes).open(self.path());
        let log =
            log.unwrap_or_else(|error| panic!("recovery of {:?}: {error}", support::names(self.path())));
        let report = log.recovery().clone();
        let died = report.last_close == LastClose::ProcessDied;
        // Killed while it was opening, it may have left no trace.
        assert!(died || !any_acknowledged, "{report}");
        assert_ne!(report.last_close, LastClose::MachineRestarted, "{report}");
        assert!(report.start.get() >= self.start && report.start <= report.end, "{report}");
        assert_eq!(report.segments_rewritten, 0, "{report}");

        let snapshot = log.snapshot();
        let found = records(&snapshot);
        assert_eq!((snapshot.start(), snapshot.end()), (report.start, report.end));
        let unknown = self.check(report.start.get(), &found, true);
        let mut checked = found.len() as u64;
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
        checked += found.len() as u64;
        for (lsn, key) in self.records.iter().skip(random.below(7) as usize).step_by(7) {
            let record = log.read(Lsn::new(*lsn)).unwrap();
            assert!(record.payload() == key.payload(), "read({lsn}) is not {key:?}");
        }
        log.close().unwrap();

        let log = self.options(random).open(self.path()).unwrap();
        assert_eq!(log.recovery().last_close, LastClose::Clean, "{}", log.recovery());
        let found = records(&log.snapshot());
        assert!(self.check(self.start, &found, true).is_empty());
        checked += found.len() as u64;
        log.close().unwrap();
        checked
    }
}

fn records(snapshot: &tidelog::Snapshot) -> Vec<(u64, Vec<u8>)> {
    let records =
        snapshot.iter().map(|record| record.map(|record| (record.lsn().get(), record.payload().to_vec())));
    records.collect::<Result<_, _>>().unwrap_or_else(|error| panic!("replay: {error}"))
}

#[test]
fn nothing_acknowledged_is_lost_however_often_the_writer_is_killed() {
    if role().is_some() {
        return;
    }
    let wanted: u64 = std::env::var("TIDELOG_KILLS").map_or(210, |text| text.parse().unwrap());
    let began = std::time::Instant::now();
    let mut random = Random::new(seed("kill"));
    let (mut kills, mut checked, mut acknowledged, mut unacknowledged) = (0, 0, 0, 0);
    while kills < wanted {
        let mut victim = Victim::new(&mut random);
        for _ in 0..3 + random.below(8) {
            // Up to three deaths in a row, the later ones over what the earlier left unrepaired by anyone else.
            let mut any = false;
            loop {
                let before = victim.records.len();
                any |= victim.kill_a_writer(&mut random);
                acknowledged += (victim.records.len() - before) as u64;
                kills += 1;
                if !random.one_in(3) || victim.unseen_rounds.len() == 3 {
                    break;
                }
            }
            let before = victim.records.len();
            checked += victim.examine(&mut random, any);
            unacknowledged += victim.records.len().saturating_sub(before) as u64;
        }
    }
    println!(
        "{kills} kills, {checked} records verified, {acknowledged} of them acknowledged by writers that were killed, \
         {unacknowledged} found or added besides, in {:.1?}",
        began.elapsed()
    );
    assert!(acknowledged > kills, "the writers were killed before they wrote anything worth the name");
}

// ---- A reader in another process ---------------------------------------------------------------------

/// Everything that a tail gives is right and in order, whoever is killed meanwhile; and it gives everything that
/// was acknowledged.
#[test]
fn a_reader_follows_writers_that_are_killed() {
    if role().is_some() {
        return;
    }
    let mut random = Random::new(seed("reader"));
    let (mut kills, mut delivered) = (0, 0);
    for _ in 0..6 {
        let mut victim = Victim { retire: false, segment_bytes: 1 << 16, ..Victim::new(&mut random) };
        // The log must be there before it can be read.
        victim.options(&mut random).segment_bytes(1 << 16).open(victim.path()).unwrap().close().unwrap();
        let reader = LogReader::open(victim.path()).unwrap();
        let mut tail = reader.tail(Lsn::ZERO).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        let found = std::thread::scope(|scope| {
            let follower = scope.spawn(|| {
                let mut found: Vec<(u64, Vec<u8>)> = Vec::new();
                let mut snapshots = 0_u64;
                loop {
                    let ending = done.load(std::sync::atomic::Ordering::Acquire);
                    match tail
                        .next_timeout(Duration::from_millis(5))
                        .unwrap_or_else(|error| panic!("tail: {error}"))
                    {
                        Some(record) => {
                            let lsn = record.lsn().get();
                            assert!(found.last().is_none_or(|(last, _)| *last < lsn), "LSN {lsn} comes late");
                            found.push((lsn, record.payload().to_vec()));
                        }
                        None if ending => return (found, snapshots),
                        None => {
                            // All at once, too: it begins at the start and ends no earlier than the tail did.
                            let snapshot = reader.snapshot().unwrap();
                            assert!(snapshot.end() >= tail.position() || found.is_empty());
                            let again = records(&snapshot);
                            assert!(again.len() >= found.len() && again[..found.len()] == found);
                            snapshots += 1;
                        }
                    }
                }
            });
            for _ in 0..6 {
                victim.kill_a_writer(&mut random);
                kills += 1;
                if random.one_in(2) {
                    let log = victim.options(&mut random).open(victim.path()).unwrap();
                    let found = records(&log.snapshot());
                    let unknown = victim.check(0, &found, true);
                    victim.records.extend(unknown);
                    victim.unseen_rounds.clear();
                    log.close().unwrap();
                }
            }
            // What the last one left becomes readable to the end by recovery.
            victim.options(&mut random).open(victim.path()).unwrap().close().unwrap();
            done.store(true, std::sync::atomic::Ordering::Release);
            let (found, snapshots) = follower.join().unwrap();
            assert!(snapshots > 0);
            found
        });
        victim.check(0, &found, true);
        delivered += found.len();
    }
    println!("{kills} kills, {delivered} records delivered to a reader");
    assert!(delivered > 1000);
}

/// Readers that are slower than the writer retires: they are told so, and never get anything wrong.
#[test]
fn a_reader_of_a_log_that_is_retired_and_recycled_sees_nothing_wrong() {
    if role().is_some() {
        return;
    }
    let mut random = Random::new(seed("recycling"));
    let (mut delivered, mut overtaken) = (0_u64, 0_u64);
    for _ in 0..3 {
        let mut victim = Victim { retire: true, segment_bytes: 1 << 16, ..Victim::new(&mut random) };
        let (mut leash, lines) = victim.start_writer(&mut random);
        let mut acknowledged = Acknowledged::default();
        acknowledged.read(&lines.recv_timeout(PATIENCE).unwrap());
        let reader = LogReader::open(victim.path()).unwrap();
        let until = std::time::Instant::now() + Duration::from_secs(2);
        let mut tail = reader.tail(reader.snapshot().unwrap().start());
        while std::time::Instant::now() < until {
            let step = tail.as_mut().map_err(|error| error.clone()).and_then(|tail| {
                let record = tail.next_timeout(Duration::from_millis(5))?;
                Ok(record.map(|record| record.payload().to_vec()))
            });
            match step {
                Ok(Some(bytes)) => {
                    delivered += 1;
                    if random.one_in(1000) {
                        std::thread::sleep(Duration::from_millis(random.below(60)));
                    }
                    if let Some(id) = bytes.first_chunk() {
                        let key = Key::of_id(u64::from_le_bytes(*id));
                        assert!(key.payload() == bytes, "{key:?}");
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Retired, "{error}");
                    overtaken += 1;
                    tail = reader.snapshot().and_then(|snapshot| reader.tail(snapshot.start()));
                }
            }
            acknowledged.other_lines.extend(lines.try_iter().filter(|line| !line.starts_with('@')));
        }
        assert_eq!(leash.0.try_wait().unwrap(), None, "the writer ended: {:?}", acknowledged.other_lines);
        leash.0.kill().unwrap();
        leash.0.wait().unwrap();
    }
    println!("{delivered} records delivered, overtaken {overtaken} times");
    assert!(delivered > 1000);
}
