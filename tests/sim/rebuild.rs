//! A log that is rebuilt is there as a whole or not at all: the power goes at every moment, and every call fails once.

use std::collections::HashSet;

use tidelog::rebuild::{Rebuild, RebuildOptions};
use tidelog::testing::{Disk, Fault, Operation, Pick};
use tidelog::{ErrorKind, LastClose, LogReader, Lsn, Result, SyncPolicy};

use crate::support::{PLACE, SEGMENT, nothing, options, payload, payloads};

const RECORDS: u64 = 60;

/// A cursor's file is made, and the directory synced, between the segments and the metadata: so with one, and without.
fn rebuild(disk: &Disk, cursor: bool) -> Result<()> {
    let options = RebuildOptions::new().segment_bytes(SEGMENT).schema(7).start(Lsn::new(SEGMENT)).disk(disk);
    let mut rebuild = Rebuild::create(PLACE, &options)?;
    for n in 0..RECORDS {
        rebuild.append(&payload(n))?;
    }
    if cursor {
        rebuild.cursor("indexer", rebuild.position(), true)?;
    }
    let end = rebuild.position().get() + 64;
    rebuild.finish(Lsn::new(end))
}

/// Whether the log is there; then it is whole.
fn is_there(disk: &Disk, what: &str) -> bool {
    match LogReader::open_on(disk, PLACE) {
        Ok(_) => {
            let log = options(disk, SyncPolicy::Immediate).schema(7).open(PLACE).unwrap();
            assert_eq!(log.recovery().last_close, LastClose::Clean, "{what}");
            assert!(payloads(&log).into_iter().eq((0..RECORDS).map(payload)), "{what}");
            for cursor in log.cursors() {
                let state = cursor.state.unwrap();
                assert!(state.gate && state.position <= log.watermarks().published, "{what}");
            }
            true
        }
        Err(error) => {
            // (What is there of segments counts for nothing without the metadata.)
            let none = error.kind() == ErrorKind::NotFound
                || error.kind() == ErrorKind::Corrupt && error.to_string().contains("no metadata");
            assert!(none, "{what}: {error}");
            false
        }
    }
}

/// The next attempt works, or says what is in its way.
fn try_again(disk: &Disk, what: &str) -> bool {
    match rebuild(disk, true) {
        Ok(()) => is_there(disk, what),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidOption, "{what}: {error}");
            assert!(error.to_string().contains("remove the files"), "{what}: {error}");
            false
        }
    }
}

#[test]
fn the_power_goes_at_every_moment() {
    for cursor in [false, true] {
        let disk = Disk::new(5);
        rebuild(&disk, cursor).unwrap();
        let (mut seen, mut there, mut again, mut stuck) = (HashSet::new(), 0, 0, 0);
        for moment in 0..=disk.moment() {
            let possibilities = disk.possibilities_at(moment);
            let all = possibilities.cut(|_, versions| Pick::Version(versions - 1), |_| true);
            let mut cuts = vec![nothing(&possibilities), all];
            let newest = |_, versions| Pick::Version(versions - 1);
            cuts.extend(
                (0..possibilities.changes()).map(|gone| possibilities.cut(newest, |change| change != gone)),
            );
            cuts.extend((0..20).map(|seed| possibilities.cut_at_random(moment * 100 + seed)));
            for cut in cuts.into_iter().filter(|cut| seen.insert(cut.key())) {
                let what = format!("moment {moment}");
                let disk = cut.disk();
                if is_there(&disk, &what) {
                    there += 1;
                } else if try_again(&disk, &what) {
                    again += 1;
                } else {
                    stuck += 1;
                }
            }
        }
        println!("{there} whole, {again} rebuilt again, {stuck} with something in the way");
        assert!(there > 3 && again > 20 && stuck > 3, "{there} {again} {stuck}");
        assert!(is_there(&nothing(&disk.possibilities()).disk(), "after it has returned"));
    }
}

#[test]
fn every_call_fails_once_and_leaves_nothing() {
    let operations = [
        Operation::Open,
        Operation::Allocate,
        Operation::Write,
        Operation::Sync,
        Operation::Rename,
        Operation::SyncDirectory,
    ];
    let whole = Disk::new(1);
    rebuild(&whole, true).unwrap();
    for operation in operations {
        let calls = whole.calls(operation);
        assert!(calls > 0, "{operation:?}");
        for nth in 1..=calls {
            let disk = Disk::new(nth);
            disk.fail(Fault::nth(operation, nth));
            let what = format!("{operation:?} {nth}");
            let error = rebuild(&disk, true).expect_err(&what);
            assert_eq!(error.kind(), ErrorKind::Io, "{what}: {error}");
            disk.heal();
            let left: Vec<_> =
                disk.files().into_iter().filter(|(path, _)| !path.ends_with("log.lock")).collect();
            assert!(left.is_empty(), "{what}: {left:?}");
            assert!(try_again(&disk, &what), "{what}");
        }
    }
}

#[test]
fn a_full_device_is_an_error_and_is_left_empty() {
    let whole = Disk::new(1);
    rebuild(&whole, true).unwrap();
    for pages in 1..whole.used() / 4096 {
        let disk = Disk::new(pages);
        disk.set_capacity(pages * 4096);
        let error = rebuild(&disk, true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{pages} pages: {error}");
        assert!(disk.used() <= 4096, "{pages} pages: {:?}", disk.files());
        disk.set_capacity(u64::MAX);
        assert!(try_again(&disk, "with room"));
    }
}
