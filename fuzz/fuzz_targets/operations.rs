//! Chains of operations against the simplest log there is: a list.
#![no_main]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use tidelog::{Checksum, ErrorKind, Log, LogReader, Lsn, Options, SyncPolicy, Tail};

const SEGMENT: u64 = 1 << 16;

#[derive(Arbitrary, Clone, Copy, Debug)]
struct How {
    policy: u8,
    crc64: bool,
    recycle: u8,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Append(u16),
    Nowait(u16),
    With(u16),
    Panic(u16),
    Batch(Vec<u16>),
    Fill(u8),
    Sync,
    WaitDurable(u16),
    Read(u16),
    ReadAnywhere(u32),
    Range(u16, u16),
    Segments,
    Tail(u16),
    Follow,
    Retire(u16),
    Close(How),
    Drop(How),
    Crash(How),
    Reader,
}

impl How {
    fn options(self) -> Options {
        let policy = match self.policy % 4 {
            0 => SyncPolicy::None,
            1 => SyncPolicy::Immediate,
            2 => SyncPolicy::periodic(Duration::from_millis(1)),
            _ => SyncPolicy::grouped(),
        };
        let checksum = if self.crc64 { Checksum::Crc64 } else { Checksum::Crc32c };
        let options = Options::new().segment_bytes(SEGMENT).sync_policy(policy).checksum(checksum);
        options.recycle_max(usize::from(self.recycle % 4))
    }
}

struct World {
    dir: TempDir,
    /// Always there, but for the moment in which it is opened again.
    log: Option<Log>,
    all: Vec<(Lsn, Vec<u8>)>,
    start: Lsn,
    number: u8,
    tail: Option<(Tail, usize)>,
    reader: Option<LogReader>,
}

fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

impl World {
    fn new(how: How) -> Self {
        let dir = scratch();
        let log = how.options().open(dir.path()).unwrap();
        Self { dir, log: Some(log), all: Vec::new(), start: Lsn::ZERO, number: 0, tail: None, reader: None }
    }

    fn log(&self) -> &Log {
        self.log.as_ref().unwrap()
    }

    fn payload(&mut self, len: u16) -> Vec<u8> {
        self.number = self.number.wrapping_mul(5).wrapping_add(11);
        // Mostly short ones.
        let len = if len % 8 == 0 { len / 4 } else { len % 300 };
        vec![self.number; usize::from(len).min(self.log().record_bytes_max())]
    }

    fn push(&mut self, lsn: Lsn, bytes: Vec<u8>) {
        assert!(self.all.last().is_none_or(|(last, _)| *last < lsn));
        self.all.push((lsn, bytes));
    }

    fn index(&self, index: u16) -> Option<usize> {
        (!self.all.is_empty()).then(|| usize::from(index) % self.all.len())
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Append(len) | Step::Nowait(len) => {
                let bytes = self.payload(*len);
                let waits = matches!(step, Step::Append(_));
                let lsn = if waits { self.log().append(&bytes) } else { self.log().append_nowait(&bytes) };
                self.push(lsn.unwrap(), bytes);
            }
            Step::With(len) => {
                let bytes = self.payload(*len);
                let lsn = self.log().append_with(bytes.len(), |to| to.copy_from_slice(&bytes)).unwrap();
                self.push(lsn, bytes);
            }
            Step::Panic(len) => {
                let bytes = self.payload(*len);
                let append =
                    || self.log().append_with(bytes.len(), |_| std::panic::resume_unwind(Box::new(())));
                assert!(catch_unwind(AssertUnwindSafe(append)).is_err());
            }
            Step::Batch(lens) => {
                let batch: Vec<_> = lens.iter().take(8).map(|len| self.payload(*len / 8)).collect();
                let lsns: Vec<_> = self.log().append_batch(&batch).unwrap().collect();
                lsns.into_iter().zip(batch).for_each(|(lsn, bytes)| self.push(lsn, bytes));
            }
            Step::Fill(count) => {
                for _ in 0..count % 8 {
                    let bytes = vec![*count; 12_000];
                    let lsn = self.log().append_nowait(&bytes).unwrap();
                    self.push(lsn, bytes);
                }
            }
            Step::Sync => {
                self.log().sync().unwrap();
                assert_eq!(self.log().watermarks().durable, self.log().watermarks().claimed);
            }
            Step::WaitDurable(index) => {
                if let Some(index) = self.index(*index) {
                    self.log().wait_durable(self.all[index].0).unwrap();
                    assert!(self.log().watermarks().durable > self.all[index].0);
                }
            }
            Step::Read(index) => {
                if let Some((lsn, bytes)) = self.index(*index).map(|index| &self.all[index]) {
                    assert_eq!(self.log().read(*lsn).unwrap().payload(), bytes);
                }
            }
            Step::ReadAnywhere(at) => {
                let lsn = Lsn::new(u64::from(*at) % (self.log().watermarks().claimed.get() + 64));
                match self.log().read(lsn) {
                    Ok(record) => assert!(self.all.iter().any(|(at, b)| *at == lsn && b == record.payload())),
                    Err(error) => {
                        let kinds = [ErrorKind::NotARecord, ErrorKind::NotWritten, ErrorKind::Retired];
                        assert!(kinds.contains(&error.kind()), "{lsn}: {error}");
                        assert!(self.all.iter().all(|(at, _)| *at != lsn), "{lsn}: {error}");
                    }
                }
            }
            Step::Range(from, to) => {
                if let (Some(from), Some(to)) = (self.index(*from), self.index(*to)) {
                    let expected = self.all.get(from..to).unwrap_or_default();
                    let bounds = self.all[from].0..self.all[to].0;
                    let snapshot = self.log().snapshot();
                    let found = snapshot.range(bounds).map(Result::unwrap);
                    let found: Vec<_> = found.map(|r| (r.lsn(), r.payload().to_vec())).collect();
                    assert!(found == expected);
                }
            }
            Step::Segments => {
                let snapshot = self.log().snapshot();
                let records = snapshot.segments().flat_map(|segment| segment.iter().collect::<Vec<_>>());
                assert_eq!(records.map(Result::unwrap).count(), self.all.len());
            }
            Step::Tail(index) => {
                self.tail = self.index(*index).map(|at| (self.log().tail(self.all[at].0).unwrap(), at));
            }
            Step::Follow => {
                if let Some((tail, next)) = &mut self.tail {
                    while let Some(record) = tail.try_next().unwrap() {
                        let (lsn, bytes) = &self.all[*next];
                        assert_eq!((record.lsn(), record.payload()), (*lsn, &bytes[..]));
                        *next += 1;
                    }
                    assert_eq!(*next, self.all.len());
                }
            }
            Step::Retire(index) => {
                if let Some(index) = self.index(*index) {
                    self.start = self.log().retire_before(self.all[index].0).unwrap();
                    self.all.retain(|(lsn, _)| *lsn >= self.start);
                    self.tail = None;
                    self.check();
                }
            }
            Step::Close(how) => {
                self.log().close().unwrap();
                self.reopen(*how);
            }
            Step::Drop(how) => self.reopen(*how),
            Step::Crash(how) => {
                let copy = copy(self.dir.path());
                self.tail = None;
                self.reader = None;
                let log = how.options().open(copy.path()).unwrap();
                (self.log, self.dir) = (Some(log), copy);
                self.check();
            }
            Step::Reader => {
                let reader = self.reader.take();
                let reader = reader.unwrap_or_else(|| LogReader::open(self.dir.path()).unwrap());
                let snapshot = reader.snapshot().unwrap();
                let found = snapshot.iter().map(Result::unwrap);
                let found: Vec<_> = found.map(|r| (r.lsn(), r.payload().to_vec())).collect();
                assert!(found == self.all);
                self.reader = Some(reader);
            }
        }
    }

    fn reopen(&mut self, how: How) {
        self.tail = None;
        self.log = None;
        self.log = Some(how.options().open(self.dir.path()).unwrap());
        self.check();
    }

    fn check(&self) {
        let snapshot = self.log().snapshot();
        let found: Vec<_> =
            snapshot.iter().map(Result::unwrap).map(|r| (r.lsn(), r.payload().to_vec())).collect();
        assert!(found == self.all, "{}", self.log().recovery());
    }
}

/// What a kill leaves, taken when the set of files stands still.
fn copy(from: &Path) -> TempDir {
    let names = || -> Vec<_> {
        let entries = std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.collect();
        names.sort();
        names
    };
    loop {
        let to = scratch();
        let before = names();
        let moving = |name: &std::ffi::OsString| name.to_string_lossy().ends_with(".seg.tmp");
        let copied = before
            .iter()
            .filter(|name| *name != "log.lock")
            .all(|name| !moving(name) && std::fs::copy(from.join(name), to.path().join(name)).is_ok());
        if copied && names() == before {
            return to;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

fuzz_target!(|input: (How, Vec<Step>)| {
    let (how, steps) = input;
    let mut world = World::new(how);
    for step in steps.iter().take(60) {
        world.step(step);
    }
    world.check();
});
