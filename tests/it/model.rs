//! Random operations against the simplest log there is: a list.

use std::time::Duration;

use proptest::prelude::*;
use tidelog::{Checksum, ErrorKind, Log, LogReader, Lsn, Options, SyncPolicy};

use crate::support::{
    Expected, RECORD_MAX, SEGMENT, collect, crash_files, frame_bytes, payload, restore, scratch,
};

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    AppendWith(usize),
    AppendNowait(usize),
    Panic(usize),
    Batch(Vec<usize>),
    Sync,
    WaitDurable(prop::sample::Index),
    Range(prop::sample::Index),
    Read(u64),
    Retire(prop::sample::Index),
    /// Opens again with another policy and checksum; the first says whether it is closed or dropped.
    Reopen(bool, usize, bool),
    /// Goes on with a copy of the files of the open log, as a kill leaves them.
    Crash(usize, bool),
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0..200_usize, 2 => 200..5000_usize, 1 => RECORD_MAX - 60..=RECORD_MAX]
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => size().prop_map(Step::Append),
        3 => size().prop_map(Step::AppendWith),
        6 => size().prop_map(Step::AppendNowait),
        1 => size().prop_map(Step::Panic),
        4 => prop::collection::vec(0..3000_usize, 0..6).prop_map(Step::Batch),
        1 => Just(Step::Sync),
        1 => index().prop_map(Step::WaitDurable),
        2 => index().prop_map(Step::Range),
        2 => any::<u64>().prop_map(Step::Read),
        1 => index().prop_map(Step::Retire),
        1 => (any::<bool>(), 0..4_usize, any::<bool>()).prop_map(|(close, policy, crc)| Step::Reopen(close, policy, crc)),
        1 => (0..4_usize, any::<bool>()).prop_map(|(policy, crc)| Step::Crash(policy, crc)),
    ]
}

fn with(policy: usize, crc64: bool) -> Options {
    let policies = [
        SyncPolicy::None,
        SyncPolicy::Immediate,
        SyncPolicy::periodic(Duration::from_millis(1)),
        SyncPolicy::grouped(),
    ];
    let checksum = if crc64 { Checksum::Crc64 } else { Checksum::Crc32c };
    Options::new().segment_bytes(SEGMENT).sync_policy(policies[policy]).checksum(checksum)
}

struct World {
    dir: tempfile::TempDir,
    log: Log,
    expected: Expected,
    start: Lsn,
    /// Makes every payload another.
    seed: u64,
    /// Closed logs whose snapshots must stay as they were.
    old: Vec<(tidelog::Snapshot, Expected)>,
}

impl World {
    fn new() -> Self {
        let dir = scratch();
        let log = with(3, false).open(dir.path()).unwrap();
        Self { dir, log, expected: Vec::new(), start: Lsn::ZERO, seed: 0, old: Vec::new() }
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        self.seed += 1;
        payload(self.seed, len)
    }

    fn push(&mut self, lsn: Lsn, bytes: Vec<u8>) {
        assert!(
            self.expected
                .last()
                .is_none_or(|(last, bytes)| lsn.get() >= last.get() + frame_bytes(bytes.len()))
        );
        self.expected.push((lsn, bytes));
    }

    fn some_lsn(&self, index: &prop::sample::Index) -> Option<Lsn> {
        (!self.expected.is_empty()).then(|| index.get(&self.expected).0)
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Append(len) => {
                let bytes = self.bytes(*len);
                let lsn = self.log.append(&bytes).unwrap();
                assert!(
                    !self.log.sync_policy().acknowledges_durable() || self.log.watermarks().durable > lsn
                );
                self.push(lsn, bytes);
            }
            Step::AppendNowait(len) => {
                let bytes = self.bytes(*len);
                let lsn = self.log.append_nowait(&bytes).unwrap();
                self.push(lsn, bytes);
            }
            Step::AppendWith(len) => {
                let bytes = self.bytes(*len);
                let fill = |buffer: &mut [u8]| {
                    assert!(buffer.iter().all(|byte| *byte == 0));
                    buffer.copy_from_slice(&bytes);
                };
                let lsn = self.log.append_with(*len, fill).unwrap();
                self.push(lsn, bytes);
            }
            Step::Panic(len) => {
                let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    let _ = self.log.append_with(*len, |buffer| {
                        buffer.fill(0xaa);
                        std::panic::resume_unwind(Box::new(()));
                    });
                }));
                assert!(outcome.is_err());
            }
            Step::Batch(sizes) => {
                let records: Vec<_> = sizes.iter().map(|len| self.bytes(*len)).collect();
                let lsns: Vec<_> = self.log.append_batch(&records).unwrap().collect();
                for (lsn, bytes) in lsns.into_iter().zip(records) {
                    self.push(lsn, bytes);
                }
            }
            Step::Sync => {
                self.log.sync().unwrap();
                assert_eq!(self.log.watermarks().durable, self.log.watermarks().claimed);
            }
            Step::WaitDurable(index) => {
                if let Some(lsn) = self.some_lsn(index) {
                    self.log.wait_durable(lsn).unwrap();
                    assert!(self.log.watermarks().durable > lsn);
                }
            }
            Step::Range(index) => {
                if let Some(lsn) = self.some_lsn(index) {
                    let snapshot = self.log.snapshot();
                    let found = snapshot.range(lsn..).map(|record| record.unwrap());
                    let expected = self.expected.iter().filter(|(at, _)| *at >= lsn);
                    assert!(found.eq_by_parts(expected));
                }
            }
            Step::Read(number) => self.read(Lsn::new(number % (self.log.watermarks().claimed.get() + 100))),
            Step::Retire(index) => {
                if let Some(lsn) = self.some_lsn(index) {
                    let start = self.log.retire_before(lsn).unwrap();
                    assert!(start >= self.start && start <= lsn && lsn.get() - start.get() < SEGMENT);
                    self.start = start;
                    self.expected.retain(|(lsn, _)| *lsn >= start);
                }
            }
            Step::Reopen(close, policy, crc64) => {
                let snapshot = self.log.snapshot();
                self.old.push((snapshot, self.expected.clone()));
                let end = self.log.watermarks().claimed;
                if *close {
                    self.log.close().unwrap();
                }
                // The handle that is replaced must be gone before the lock can be taken.
                let parked = with(0, false).open(scratch().path()).unwrap();
                drop(std::mem::replace(&mut self.log, parked));
                self.log = with(*policy, *crc64).open(self.dir.path()).unwrap();
                assert_eq!(self.log.recovery().last_close, tidelog::LastClose::Clean);
                assert!(self.log.watermarks().claimed >= end);
            }
            Step::Crash(policy, crc64) => {
                let copy = restore(&crash_files(self.dir.path()));
                self.log = with(*policy, *crc64).open(copy.path()).unwrap();
                self.dir = copy;
                let report = self.log.recovery();
                assert_eq!(report.last_close, tidelog::LastClose::ProcessDied);
                assert_eq!((report.truncated_bytes, report.holes_skipped), (0, 0), "{report}");
            }
        }
    }

    /// What stands at any place: a record, or an error of the right kind.
    fn read(&self, lsn: Lsn) {
        let found = self.log.read(lsn);
        match self.expected.iter().find(|(at, _)| *at == lsn) {
            Some((_, bytes)) => assert_eq!(found.unwrap().payload(), bytes),
            None => {
                let kind = found.unwrap_err().kind();
                let right = if lsn < self.start {
                    ErrorKind::Retired
                } else if lsn < self.log.watermarks().claimed {
                    ErrorKind::NotARecord
                } else {
                    ErrorKind::NotWritten
                };
                assert_eq!(kind, right, "at {lsn}");
            }
        }
    }

    fn check(&self) {
        assert!(collect(&self.log.snapshot()).unwrap() == self.expected);
        let marks = self.log.watermarks();
        assert_eq!((marks.start, marks.published), (self.start, marks.claimed));
        assert!(marks.durable <= marks.published);
        if let Some((lsn, _)) = self.expected.last() {
            self.read(*lsn);
        }
    }

    fn check_all(&self) {
        let reader = LogReader::open(self.dir.path()).unwrap();
        assert!(collect(&reader.snapshot().unwrap()).unwrap() == self.expected);
        let mut tail = self.log.tail(self.start).unwrap();
        for (lsn, bytes) in &self.expected {
            let record = tail.try_next().unwrap().unwrap();
            assert_eq!((record.lsn(), record.payload()), (*lsn, &bytes[..]));
        }
        assert!(tail.try_next().unwrap().is_none());
        for (snapshot, expected) in &self.old {
            assert!(collect(snapshot).unwrap() == *expected);
        }
    }
}

/// Compares records with what was expected.
trait EqByParts {
    fn eq_by_parts<'e>(self, expected: impl Iterator<Item = &'e (Lsn, Vec<u8>)>) -> bool;
}

impl<'a, I: Iterator<Item = tidelog::Record<'a>>> EqByParts for I {
    fn eq_by_parts<'e>(self, expected: impl Iterator<Item = &'e (Lsn, Vec<u8>)>) -> bool {
        self.map(|record| (record.lsn(), record.payload()))
            .eq(expected.map(|(lsn, bytes)| (*lsn, &bytes[..])))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_is_a_list(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in &steps {
            world.apply(step);
            world.check();
        }
        world.check_all();
    }
}

#[test]
fn a_log_that_is_opened_more_often_than_a_header_can_record_goes_on() {
    let mut world = World::new();
    for round in 0..100 {
        world.apply(&Step::Append(round));
        world.apply(&if round % 3 == 0 {
            Step::Crash(3, false)
        } else {
            Step::Reopen(round % 2 == 0, 0, true)
        });
        world.check();
    }
    world.check_all();
    assert!(world.log.watermarks().claimed.get() > 3 * SEGMENT, "three headers are full");
}
