//! A log with everything in it, and what must hold after any repair.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tidelog::inspect::{Inspector, Stop};
use tidelog::repair::{self, Action, Plan, Way};
use tidelog::{Checksum, LastClose, Log, Lsn, SyncPolicy};

use crate::support::{
    Expected, HEADER, SEGMENT, crash_files, files, options, payload, restore, segment_name,
};

pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// What was appended; and which of it came in one batch.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) files: Files,
    pub(crate) records: Expected,
    pub(crate) batches: Vec<Vec<Lsn>>,
    pub(crate) end: Lsn,
}

/// Two openings with different checksums, four segments and a piece, batches, an aborted claim, a cursor.
fn fill(dir: &Path) -> (Log, World) {
    let mut records = Vec::new();
    let mut batches = Vec::new();
    let mut log = options(SyncPolicy::None).checksum(Checksum::Crc64).open(dir).unwrap();
    for round in 0..2 {
        for number in 0..220_u64 {
            let bytes = payload(round * 1000 + number, (number * 37 % 900) as usize);
            records.push((log.append(&bytes).unwrap(), bytes));
            if number % 50 == 7 {
                let batch: Vec<_> = (0..3).map(|part| payload(number * 9 + part, 100)).collect();
                let lsns: Vec<Lsn> = log.append_batch(&batch).unwrap().collect();
                records.extend(lsns.iter().copied().zip(batch));
                batches.push(lsns);
            }
        }
        if round == 0 {
            log.cursor_from("indexer", records[50].0).unwrap();
            log.close().unwrap();
            log = options(SyncPolicy::None).open(dir).unwrap();
        }
    }
    let end = log.watermarks().published;
    (log, World { files: Files::new(), records, batches, end })
}

impl World {
    pub(crate) fn closed() -> Self {
        let dir = crate::support::scratch();
        let (log, mut world) = fill(dir.path());
        log.close().unwrap();
        drop(log);
        world.files = files(dir.path());
        world
    }

    /// Its writer died.
    pub(crate) fn killed() -> Self {
        let dir = crate::support::scratch();
        let (log, mut world) = fill(dir.path());
        world.files = crash_files(dir.path());
        drop(log);
        world
    }

    /// Where the record with that index stands.
    pub(crate) fn place(&self, index: usize) -> (String, usize) {
        let lsn = self.records[index].0.get();
        (segment_name(lsn / SEGMENT), (HEADER + lsn % SEGMENT) as usize)
    }

    /// The records that go when those with these indices do: whole batches.
    pub(crate) fn with_batches(&self, gone: impl IntoIterator<Item = usize>) -> BTreeSet<Lsn> {
        let mut all = BTreeSet::new();
        for index in gone {
            let lsn = self.records[index].0;
            match self.batches.iter().find(|batch| batch.contains(&lsn)) {
                Some(batch) => all.extend(batch.iter().copied()),
                None => {
                    all.insert(lsn);
                }
            }
        }
        all
    }

    pub(crate) fn without(&self, gone: &BTreeSet<Lsn>) -> Expected {
        self.records.iter().filter(|(lsn, _)| !gone.contains(lsn)).cloned().collect()
    }

    /// The records of a segment.
    pub(crate) fn inside(&self, number: u64) -> Vec<usize> {
        let inside = |index: &usize| self.records[*index].0.get() / SEGMENT == number;
        (0..self.records.len()).filter(inside).collect()
    }
}

/// Repairs damaged files, and checks what must hold whatever the damage: the foretelling changes nothing and is true, the
/// originals are kept, the log is clean, what is left is a part of what was, and it goes on behind its end.
pub(crate) fn salvage(what: &str, world: &World, damaged: &Files) -> (Plan, Expected) {
    let dir = restore(damaged);
    let foretold = repair::plan(dir.path(), Way::Salvage).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(files(dir.path()) == *damaged, "{what}: the foretelling changed something");
    let done = repair::apply(dir.path(), Way::Salvage).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_same(what, &foretold, &done);
    check_quarantine(what, damaged, dir.path(), &done);
    let again = repair::plan(dir.path(), Way::Salvage).unwrap();
    assert!(again.is_empty() && again.lost().is_empty(), "{what}: after the repair: {again:?}");
    if !done.is_empty() {
        let inspector = Inspector::open(dir.path()).unwrap();
        assert_eq!(inspector.foresee().unwrap().last_close, LastClose::Clean, "{what}");
        assert_clean(what, &inspector, done.end());
    }
    let log = Log::open(dir.path()).unwrap_or_else(|error| panic!("{what}: {error}"));
    let left: Expected = log
        .snapshot()
        .iter()
        .map(|record| record.map(|record| (record.lsn(), record.payload().to_vec())))
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let known: BTreeMap<_, _> = world.records.iter().cloned().collect();
    for (lsn, bytes) in &left {
        assert_eq!(known.get(lsn), Some(bytes), "{what}: at {lsn}");
    }
    assert_eq!(done.kept().records, left.len() as u64, "{what}: {done:?}");
    let lsn = log.append(b"goes on").unwrap();
    assert!(lsn >= done.end(), "{what}");
    assert!(lsn >= left.last().map_or(Lsn::ZERO, |(lsn, _)| *lsn), "{what}");
    log.close().unwrap();
    drop(log);
    assert_eq!(Log::open(dir.path()).unwrap().read(lsn).unwrap().payload(), b"goes on", "{what}");
    (done, left)
}

pub(crate) fn assert_same(what: &str, foretold: &Plan, done: &Plan) {
    assert_eq!(foretold.actions(), done.actions(), "{what}");
    assert_eq!(foretold.lost(), done.lost(), "{what}");
    assert_eq!(
        (foretold.kept(), foretold.start(), foretold.end()),
        (done.kept(), done.start(), done.end()),
        "{what}"
    );
}

pub(crate) fn check_quarantine(what: &str, before: &Files, dir: &Path, done: &Plan) {
    let now = files(dir);
    let Some(quarantine) = done.quarantine() else {
        assert!(done.is_empty() && now == *before, "{what}: {done:?}");
        return;
    };
    let kept = files(quarantine);
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let acted: BTreeMap<String, Action> =
        done.actions().iter().map(|(path, action)| (name(path), *action)).collect();
    for (file, bytes) in before {
        match acted.get(file) {
            Some(Action::Correct | Action::Remove) => {
                assert!(kept.get(file) == Some(bytes), "{what}: {file} is not kept as it was");
            }
            Some(Action::Recycle) => assert!(bytes[4096..].iter().all(|byte| *byte == 0), "{what}: {file}"),
            _ => assert!(now.get(file) == Some(bytes), "{what}: {file} changed, and nothing said so"),
        }
    }
    assert!(kept.contains_key("README"), "{what}");
}

/// Every byte of the log is a frame that verifies, up to its end.
fn assert_clean(what: &str, inspector: &Inspector, end: Lsn) {
    let found = inspector.files().unwrap();
    assert!(found.missing.is_empty() && found.temporaries.is_empty(), "{what}: {found:?}");
    for segment in found.segments.iter().filter(|segment| segment.base < end) {
        let mut frames = inspector.frames(segment.base).unwrap().until(end);
        while frames.next_frame().unwrap().is_some() {}
        assert!(
            matches!(frames.stop(), Some(Stop::SegmentEnd | Stop::Limit)),
            "{what}: {} of {}: {:?}",
            frames.position(),
            segment.base,
            frames.stop()
        );
    }
}
