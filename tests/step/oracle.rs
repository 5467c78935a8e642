//! Whether a log that was left at some instruction is what was promised.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tidelog::{LastClose, Log, Options, RecoveryReport};

use crate::image::Image;
use crate::script::{Record, SEGMENT_BYTES};

/// A moment at which the process might have been killed.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub(crate) image: Image,
    pub(crate) options: Options,
    /// What returned, by LSN.
    pub(crate) acknowledged: Arc<BTreeMap<u64, Record>>,
    /// What is being appended: there as a whole, or not at all.
    pub(crate) in_flight: Vec<Record>,
    /// It has returned; only its LSN was not told yet.
    pub(crate) returned: bool,
    pub(crate) place: String,
}

/// What recoveries found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) recovered: u64,
    pub(crate) records: u64,
    /// The operation that had not returned was there, or not.
    pub(crate) whole: u64,
    pub(crate) absent: u64,
    pub(crate) holes: u64,
    pub(crate) truncated: u64,
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.recovered += other.recovered;
        self.records += other.records;
        self.whole += other.whole;
        self.absent += other.absent;
        self.holes += other.holes;
        self.truncated += other.truncated;
    }
}

impl Moment {
    /// Recovers a copy, looks whether it is right, appends to it, and looks again after it was closed.
    pub(crate) fn examine(&self) -> Seen {
        let copy = crate::support::quick_directory();
        self.image.write(copy.path());
        let log = self.open(copy.path());
        let report = log.recovery().clone();
        assert_eq!(report.last_close, LastClose::ProcessDied, "{}: {report}", self.place);
        let mut found = records(&log, &self.place);
        let whole = self.compare(&found, &report);
        self.demand_zeros(copy.path(), &report);
        let seen = Seen {
            recovered: 1,
            records: found.len() as u64,
            whole: u64::from(whole && !self.in_flight.is_empty()),
            absent: u64::from(!whole),
            holes: report.holes_skipped,
            truncated: u64::from(report.torn_tail.is_some()),
        };

        let later: [&[u8]; 3] = [b"", b"a record behind it", &[7; 100]];
        for lsn in log.append_batch(&later[1..]).unwrap() {
            assert!(lsn >= report.end, "{}: LSN {lsn} was given out before: {report}", self.place);
            found.push((lsn.get(), later[found.len() - seen.records as usize + 1].to_vec()));
        }
        found.push((log.append(later[0]).unwrap().get(), Vec::new()));
        assert!(records(&log, &self.place) == found, "{}: appending changed the log", self.place);
        log.close().unwrap_or_else(|error| panic!("{}: close: {error}", self.place));
        let log = self.open(copy.path());
        assert_eq!(log.recovery().last_close, LastClose::Clean, "{}", self.place);
        assert!(records(&log, &self.place) == found, "{}: closing changed the log", self.place);
        seen
    }

    fn open(&self, directory: &Path) -> Log {
        let log = self.options.open(directory);
        log.unwrap_or_else(|error| panic!("{}: recovery: {error}", self.place))
    }

    /// Everything that returned is there, at its place; what did not is there as a whole or not at all; nothing else
    /// is. Returns whether it is there.
    fn compare(&self, found: &[(u64, Vec<u8>)], report: &RecoveryReport) -> bool {
        let mut expected = self.acknowledged.iter().peekable();
        let mut others = Vec::new();
        for (lsn, bytes) in found {
            match expected.next_if(|(at, _)| *at <= lsn) {
                Some((at, record)) => {
                    assert_eq!(at, lsn, "{}: {record:?} is lost: {report}", self.place);
                    assert!(*bytes == record.payload(), "{}: {record:?} has other bytes", self.place);
                }
                None => others.push((*lsn, bytes)),
            }
        }
        assert_eq!(expected.next(), None, "{}: the last of what returned is lost: {report}", self.place);
        assert!(
            others.is_empty()
                || (others.len() == self.in_flight.len()
                    && others
                        .iter()
                        .zip(&self.in_flight)
                        .all(|((_, bytes), record)| **bytes == record.payload())),
            "{}: {:?} is neither there as a whole nor absent: {others:?}, {report}",
            self.place,
            self.in_flight
        );
        let whole = others.len() == self.in_flight.len();
        assert!(whole || !self.returned, "{}: {:?} had returned: {report}", self.place, self.in_flight);
        whole
    }

    /// What a later writer takes for unwritten must be so.
    fn demand_zeros(&self, directory: &Path, report: &RecoveryReport) {
        let end = report.end.get();
        let base = end / SEGMENT_BYTES * SEGMENT_BYTES;
        // At a segment's end the next one may not be there yet.
        let Ok(bytes) = std::fs::read(directory.join(format!("{base:020}.seg"))) else { return };
        let behind = &bytes[(4096 + end - base) as usize..];
        let left = behind.iter().position(|byte| *byte != 0);
        assert_eq!(left, None, "{}: bytes are left behind the end: {report}", self.place);
    }
}

fn records(log: &Log, place: &str) -> Vec<(u64, Vec<u8>)> {
    let snapshot = log.snapshot();
    let records =
        snapshot.iter().map(|record| record.map(|record| (record.lsn().get(), record.payload().to_vec())));
    records.collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{place}: replay: {error}"))
}
