//! A directory in which a log is damaged, opened and put right again, many thousand times.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use tempfile::TempDir;
use tidelog::{Error, ErrorKind, LogReader, Record, Snapshot};

use crate::oracle::{Opening, Place, Reading, Report, looking, opening};
use crate::sample::{Files, Sample};
use crate::support;

/// What was seen, for the figures that a test prints.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) cases: u64,
    pub(crate) openings: u64,
    pub(crate) refused: u64,
    pub(crate) torn: u64,
    pub(crate) found_reading: u64,
    pub(crate) whole: u64,
}

impl Seen {
    pub(crate) fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.openings += other.openings;
        self.refused += other.refused;
        self.torn += other.torn;
        self.found_reading += other.found_reading;
        self.whole += other.whole;
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} cases, {} openings for writing: {} refused, {} torn tails reported, {} errors when reading, \
             {} without loss",
            self.cases, self.openings, self.refused, self.torn, self.found_reading, self.whole
        )
    }
}

/// A log in a directory of its own.
pub(crate) struct Bench<'a> {
    sample: &'a Sample,
    dir: TempDir,
    /// As the files are now.
    pub(crate) files: Files,
    handles: BTreeMap<String, File>,
    pub(crate) seen: Seen,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(sample: &'a Sample) -> Self {
        let mut bench = Self {
            sample,
            dir: support::scratch(),
            files: sample.files.clone(),
            handles: BTreeMap::new(),
            seen: Seen::default(),
        };
        bench.restore();
        bench
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Makes the directory hold `self.files` and nothing else.
    fn restore(&mut self) {
        for entry in std::fs::read_dir(self.dir.path()).unwrap().map(Result::unwrap) {
            if !self.files.contains_key(entry.file_name().to_str().unwrap()) {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
        self.handles.clear();
        for (name, bytes) in &self.files {
            let file =
                File::options().write(true).create(true).truncate(false).open(self.dir.path().join(name));
            let file = file.unwrap();
            file.write_all_at(bytes, 0).unwrap();
            file.set_len(bytes.len() as u64).unwrap();
            self.handles.insert(name.clone(), file);
        }
    }

    /// Writes `bytes` into a file, for one case.
    pub(crate) fn damage(&mut self, name: &str, at: usize, bytes: &[u8]) {
        self.files.get_mut(name).unwrap()[at..at + bytes.len()].copy_from_slice(bytes);
        self.handles[name].write_all_at(bytes, at as u64).unwrap();
    }

    /// Puts a range of a file right again.
    pub(crate) fn heal(&mut self, name: &str, at: usize, len: usize) {
        let was = self.sample.files[name][at..at + len].to_vec();
        self.damage(name, at, &was);
    }

    /// Other files in the place of these.
    pub(crate) fn replace(&mut self, files: Files) {
        self.files = files;
        self.restore();
    }

    /// Looks at the log without its lock, and demands what the oracle says.
    pub(crate) fn look(&mut self, what: &dyn std::fmt::Display) {
        let expected = looking(self.sample, &self.files);
        let actual = LogReader::open(self.path()).and_then(|reader| reader.snapshot());
        let actual = actual.map_err(|error| place(&error)).map(|snapshot| self.read(&snapshot, what));
        assert!(actual == expected, "{what}, looked at: {actual:?}\ninstead of {expected:?}");
        self.seen.cases += 1;
        match actual {
            Err(_) => self.seen.refused += 1,
            Ok(Reading { error: Some(_), .. }) => self.seen.found_reading += 1,
            Ok(_) => self.seen.whole += 1,
        }
    }

    /// Opens the log for writing, and demands what the oracle says. Afterwards it is damaged as before.
    pub(crate) fn open(&mut self, what: &dyn std::fmt::Display) {
        let expected = opening(self.sample, &self.files);
        let actual: Opening = match self.sample.options.open(self.path()) {
            Err(error) => Err(place(&error)),
            Ok(log) => {
                let report = log.recovery();
                let told = Report {
                    how: report.last_close,
                    end: report.end.get(),
                    torn: report.torn_tail,
                    truncated: report.truncated_bytes,
                    holes: report.holes_skipped,
                };
                Ok((told, self.read(&log.snapshot(), what)))
            }
        };
        assert!(actual == expected, "{what}, opened: {actual:?}\ninstead of {expected:?}");
        self.seen.cases += 1;
        self.seen.openings += 1;
        match actual {
            Err(_) => {
                self.seen.refused += 1;
                self.check_unchanged(what);
            }
            Ok((report, reading)) => {
                self.restore();
                match (report.torn, reading.error) {
                    (_, Some(_)) => self.seen.found_reading += 1,
                    (Some(_), _) => self.seen.torn += 1,
                    (None, None) => self.seen.whole += 1,
                }
            }
        }
    }

    /// A refused log was not changed.
    fn check_unchanged(&self, what: &dyn std::fmt::Display) {
        let now = support::files(self.path());
        assert!(now == self.files, "{what}: a refused log was changed");
    }

    /// Reads it all. Whatever comes was appended at that LSN; the LSNs are what the oracle judges.
    fn read(&self, snapshot: &Snapshot, what: &dyn std::fmt::Display) -> Reading {
        let mut reading = Reading { lsns: Vec::with_capacity(self.sample.elements.len()), error: None };
        for record in snapshot {
            match record {
                Ok(record) => {
                    self.check(&record, what);
                    reading.lsns.push(record.lsn().get());
                }
                Err(error) => reading.error = Some(place(&error)),
            }
        }
        reading
    }

    fn check(&self, record: &Record<'_>, what: &dyn std::fmt::Display) {
        let elements = &self.sample.elements;
        let found = elements.binary_search_by_key(&record.lsn().get(), |element| element.lsn);
        let payload = found.ok().and_then(|index| elements[index].payload.as_deref());
        assert!(payload == Some(record.payload()), "{what}: a record that was never appended: {record:?}");
    }
}

/// Where a corruption error points to.
pub(crate) fn place(error: &Error) -> Place {
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    Place {
        file: error.path().unwrap().file_name().unwrap().to_str().unwrap().to_owned(),
        offset: error.offset().unwrap(),
        lsn: error.lsn().map(tidelog::Lsn::get),
    }
}
