//! Readers in another process, while writers are killed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tidelog::{ErrorKind, LogReader, Lsn, Tail};

use crate::checker::records;
use crate::child::Life;
use crate::record::Key;
use crate::support::{PATIENCE, Random, role, seed};
use crate::victim::{Acknowledged, Victim, start, wait_for};

/// Readers of a log whose writers are killed.
const FOLLOWERS: usize = 3;

type Found = Vec<(u64, Vec<u8>)>;

/// Follows the log until `done`, and looks at all of it now and then. Returns what came, and how often it looked.
fn follow(reader: &LogReader, mut tail: Tail, done: &AtomicBool) -> (Found, u64) {
    let mut found: Found = Vec::new();
    let mut snapshots = 0;
    loop {
        let ending = done.load(Ordering::Acquire);
        match tail.next_timeout(Duration::from_millis(5)).unwrap_or_else(|error| panic!("tail: {error}")) {
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
}

/// Ends the followers, also when a test fails.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Everything that a tail gives is right and in order, whoever is killed meanwhile; and it gives everything that
/// was acknowledged.
#[test]
fn readers_follow_writers_that_are_killed() {
    if role().is_some() {
        return;
    }
    let mut random = Random::new(seed("reader"));
    let (mut kills, mut delivered) = (0, 0);
    for _ in 0..6 {
        let mut victim = Victim { retire: false, segment_bytes: 1 << 16, ..Victim::new(&mut random) };
        // The log must be there before it can be read.
        victim.options(&mut random).segment_bytes(1 << 16).open(victim.path()).unwrap().close().unwrap();
        let done = AtomicBool::new(false);
        let all = std::thread::scope(|scope| {
            let followers = [(); FOLLOWERS].map(|()| {
                let reader = LogReader::open(victim.path()).unwrap();
                let tail = reader.tail(Lsn::ZERO).unwrap();
                let done = &done;
                scope.spawn(move || follow(&reader, tail, done))
            });
            let ending = Ending(&done);
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
            drop(ending);
            followers.map(|follower| follower.join().unwrap())
        });
        for (found, snapshots) in all {
            assert!(snapshots > 0);
            victim.check(0, &found, true);
            delivered += found.len();
        }
    }
    println!("{kills} kills, {delivered} records delivered to {FOLLOWERS} readers at a time");
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
        let (mut leash, lines) = start(&Life { parked: 0, ..victim.next_life(&mut random) });
        let mut acknowledged = Acknowledged::default();
        wait_for(&lines, &mut acknowledged, "@append", PATIENCE).unwrap();
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
