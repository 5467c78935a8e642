//! Appends and remembers what returned; checks that all of it is there.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tidelog::{Error, ErrorKind, Log, Lsn, Options, SyncPolicy};

use crate::figures::Figures;
use crate::support::payload;

pub(crate) const SEGMENT_BYTES: u64 = 64 << 10;
/// The largest record; others are shorter.
pub(crate) const RECORD_BYTES: usize = 3_000;

/// How a log is opened.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) device: PathBuf,
    pub(crate) policy: usize,
    /// `None` for the policy's default.
    pub(crate) zero_fill: Option<usize>,
}

pub(crate) const POLICIES: usize = 4;

impl Setting {
    pub(crate) fn log(&self) -> PathBuf {
        self.device.join("log")
    }

    pub(crate) fn options(&self) -> Options {
        let policy = match self.policy {
            0 => SyncPolicy::None,
            1 => SyncPolicy::Immediate,
            2 => SyncPolicy::periodic(Duration::from_millis(2)),
            _ => SyncPolicy::grouped(),
        };
        let options = Options::new().sync_policy(policy).segment_bytes(SEGMENT_BYTES);
        match self.zero_fill {
            Some(bytes) => options.zero_fill_bytes(bytes),
            None => options,
        }
    }

    pub(crate) fn to_role(&self) -> String {
        let zero_fill = self.zero_fill.map_or(-1, |bytes| bytes as i64);
        format!("{}|{zero_fill}|{}", self.policy, self.device.display())
    }

    pub(crate) fn of_role(role: &str) -> Self {
        let words: Vec<&str> = role.split('|').collect();
        let zero_fill = words[1].parse::<i64>().unwrap();
        Self {
            device: words[2].into(),
            policy: words[0].parse().unwrap(),
            zero_fill: usize::try_from(zero_fill).ok(),
        }
    }
}

/// What was appended: by LSN, which record. Outlives the log and, as a file, the process.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) returned: BTreeMap<u64, u64>,
    next: u64,
    pub(crate) figures: Figures,
}

/// The record with this number: of a length that follows from it.
pub(crate) fn record(number: u64) -> Vec<u8> {
    payload(number, 8 + (number.wrapping_mul(2_654_435_761) % (RECORD_BYTES as u64 - 8)) as usize)
}

impl Journal {
    /// Appends the next record. Under the policies that do not wait, every eighth is synced.
    pub(crate) fn append(&mut self, log: &Log) -> Result<Lsn, Error> {
        let bytes = record(self.next);
        let appended = match self.next % 3 {
            0 => log.append_with(bytes.len(), |buffer| buffer.copy_from_slice(&bytes)),
            1 => log.append_nowait(&bytes),
            _ => log.append(&bytes),
        };
        let appended = appended.and_then(|lsn| {
            if self.next % 8 == 7 {
                log.sync()?;
            }
            Ok(lsn)
        });
        match &appended {
            Ok(lsn) => {
                self.returned.insert(lsn.get(), self.next);
                self.next += 1;
                self.figures.appended += 1;
            }
            Err(error) => self.figures.saw(error),
        }
        appended
    }

    /// Appends until the device is full; anything else that goes wrong is a failure.
    pub(crate) fn fill(&mut self, log: &Log) {
        let error = (0..1_000_000).find_map(|_| self.append(log).err()).expect("a device without end");
        expect_full(&error);
    }

    /// Appends so many, each of which must succeed.
    pub(crate) fn go_on(&mut self, log: &Log, records: u64) {
        for _ in 0..records {
            self.append(log).unwrap_or_else(|error| panic!("there is room, and still: {error}"));
        }
    }

    /// Everything that returned and was not retired is there, each record whole; and nothing else is.
    pub(crate) fn check(&mut self, log: &Log) {
        log.sync().unwrap();
        let snapshot = log.snapshot();
        let mut missing: BTreeMap<u64, u64> =
            self.returned.range(snapshot.start().get()..).map(|(lsn, number)| (*lsn, *number)).collect();
        for found in &snapshot {
            let found = found.unwrap();
            let number = u64::from_le_bytes(found.payload()[..8].try_into().unwrap());
            assert!(found.payload() == record(number), "LSN {}: a wrong payload", found.lsn());
            if let Some(expected) = missing.remove(&found.lsn().get()) {
                assert_eq!(number, expected, "LSN {}", found.lsn());
            }
            self.figures.verified += 1;
        }
        assert!(
            missing.is_empty(),
            "{} records are lost, from LSN {:?}",
            missing.len(),
            missing.keys().next()
        );
    }

    pub(crate) fn save(&self, path: &Path) {
        let mut text = format!("{}\n", self.next);
        for (lsn, number) in &self.returned {
            writeln!(text, "{lsn} {number}").unwrap();
        }
        // Whole or not at all: another thread of this process may just be about to die.
        let unfinished = path.with_extension("unfinished");
        std::fs::write(&unfinished, text).unwrap();
        std::fs::rename(unfinished, path).unwrap();
    }

    pub(crate) fn load(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let mut lines = text.lines();
        let next = lines.next().unwrap().parse().unwrap();
        let returned = lines.map(|line| {
            let (lsn, number) = line.split_once(' ').unwrap();
            (lsn.parse().unwrap(), number.parse().unwrap())
        });
        Self { returned: returned.collect(), next, figures: Figures::default() }
    }

    /// A writer whose records are numbered from `next` on.
    pub(crate) fn starting_at(next: u64) -> Self {
        Self { next, ..Self::default() }
    }

    /// Takes over what another writer of the same log has done.
    pub(crate) fn merge(&mut self, other: Self) {
        self.returned.extend(other.returned);
        self.figures.merge(&other.figures);
    }

    /// Appends without waiting for anything: an earlier claim is open. A device that is full by then is no failure.
    pub(crate) fn append_behind_a_claim(&mut self, log: &Log) {
        match log.append_nowait(&record(self.next)) {
            Ok(lsn) => {
                self.returned.insert(lsn.get(), self.next);
                self.next += 1;
                self.figures.appended += 1;
            }
            Err(error) => expect_full(&error),
        }
    }

    /// Leaves a number out, for a record that is appended in another way.
    pub(crate) fn take_number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }
}

/// The one error of a full device: of its kind, with the file, and with what to do.
pub(crate) fn expect_full(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error:?}");
    assert!(error.path().is_some(), "{error:?}");
    assert!(error.to_string().contains("free space or retire old records"), "{error}");
}
