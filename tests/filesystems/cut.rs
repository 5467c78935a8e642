//! Another process cuts a segment's file under a writer and under readers. That cannot be prevented: it ends in an error
//! or in the documented abort (`SIGBUS`), never in wrong data, and never in a record that was acknowledged as durable
//! and is missing without a word.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tidelog::{Error, ErrorKind, Log, LogReader, Lsn};

use crate::figures::Figures;
use crate::support::{finish, myself, quick_directory, role};
use crate::writer::{Journal, SEGMENT_BYTES, Setting, record};

const FILE_BYTES: u64 = 4096 + SEGMENT_BYTES;
const SIGBUS: i32 = 7;
/// Records before the cut: the fourth segment is the active one.
const BEFORE: u64 = 140;

/// What is cut, to which length, and whether the file is made as long as before.
fn cuts() -> Vec<(u64, u64, bool)> {
    let mut all = Vec::new();
    for segment in [1, 3] {
        for length in [0, 100, 4096, 8192, 4096 + SEGMENT_BYTES / 8, FILE_BYTES - 4096, FILE_BYTES - 8] {
            all.extend([(segment, length, false), (segment, length, true)]);
        }
    }
    all
}

/// Cuts as another process does.
fn cut(log: &Path, (segment, length, extend): (u64, u64, bool)) {
    let path = log.join(format!("{:020}.seg", segment * SEGMENT_BYTES));
    for length in [Some(length), extend.then_some(FILE_BYTES)].into_iter().flatten() {
        let done = Command::new("truncate").arg("-s").arg(length.to_string()).arg(&path).status().unwrap();
        assert!(done.success());
    }
}

/// An error that tells of the cut.
fn expect_cut(error: &Error) {
    assert!(matches!(error.kind(), ErrorKind::Poisoned | ErrorKind::Corrupt | ErrorKind::Io), "{error:?}");
    assert!(error.path().is_some(), "{error:?}");
}

/// Every payload that is given out is the one that was appended.
fn read<'a>(records: impl Iterator<Item = tidelog::Result<tidelog::Record<'a>>>, figures: &mut Figures) {
    for found in records {
        match found {
            Ok(found) => {
                let number = u64::from_le_bytes(found.payload()[..8].try_into().unwrap());
                assert!(found.payload() == record(number), "LSN {}: a wrong payload", found.lsn());
                figures.verified += 1;
            }
            Err(error) => {
                expect_cut(&error);
                figures.saw(&error);
            }
        }
    }
}

#[test]
fn child_is_cut() {
    let Some(role) = role() else { return };
    let words: Vec<&str> = role.split('|').collect();
    let (who, number) = (words[0], words[1].parse::<usize>().unwrap());
    let setting = Setting::of_role(&words[2..].join("|"));
    let beside = setting.device.join("journal");
    let which = cuts()[number];
    let mut journal = Journal::default();
    if who == "reader" {
        let reader = LogReader::open(setting.log()).unwrap();
        let mut tail = reader.tail(Lsn::ZERO).unwrap();
        for _ in 0..BEFORE / 2 {
            tail.try_next().unwrap().unwrap();
        }
        cut(&setting.log(), which);
        let mut following = std::iter::from_fn(|| {
            tail.try_next().map(|found| found.map(|found| found.payload().to_vec())).transpose()
        });
        for found in following.by_ref().take(BEFORE as usize) {
            match found {
                Ok(payload) => {
                    assert!(payload == record(u64::from_le_bytes(payload[..8].try_into().unwrap())));
                }
                Err(error) => {
                    expect_cut(&error);
                    break;
                }
            }
        }
        match reader.snapshot() {
            Ok(snapshot) => read(snapshot.iter(), &mut journal.figures),
            Err(error) => journal.figures.saw(&error),
        }
        journal.figures.print();
        return;
    }
    let log: Log = setting.options().open(setting.log()).unwrap();
    journal.go_on(&log, BEFORE);
    if setting.policy == 1 || setting.policy == 3 {
        log.sync().unwrap();
    }
    journal.save(&beside);
    cut(&setting.log(), which);
    if who == "handle" {
        read(log.snapshot().iter(), &mut journal.figures);
    }
    // The journal is saved before each acknowledgement is counted on: what is in it returned.
    for _ in 0..30 {
        match journal.append(&log) {
            Ok(_) => journal.save(&beside),
            Err(error) => {
                expect_cut(&error);
                break;
            }
        }
    }
    if let Err(error) = log.close() {
        expect_cut(&error);
        journal.figures.saw(&error);
    }
    journal.figures.print();
}

/// What the child left is opened again: an error, or all that returned.
fn reopen(setting: &Setting, figures: &mut Figures) {
    let journal = Journal::load(&setting.device.join("journal"));
    match setting.options().open(setting.log()) {
        Err(error) => {
            expect_cut(&error);
            figures.saw(&error);
        }
        Ok(log) => {
            let before = figures.errors.values().sum::<u64>();
            read(log.snapshot().iter(), figures);
            let told = figures.errors.values().sum::<u64>() > before || log.recovery().torn_tail.is_some();
            let lost = journal.returned.keys().filter(|lsn| log.read(Lsn::new(**lsn)).is_err()).count();
            assert!(lost == 0 || told, "{lost} records that returned are gone without a word");
        }
    }
}

#[test]
fn a_file_that_is_cut_is_an_error_or_an_abort_and_never_wrong_data() {
    if role().is_some() {
        return;
    }
    let mut figures = Figures::default();
    for who in ["writer", "handle", "reader"] {
        for policy in 0..4 {
            for number in 0..cuts().len() {
                let scratch = quick_directory();
                let device: PathBuf = scratch.path().to_owned();
                let setting = Setting { device, policy, zero_fill: None };
                if who == "reader" {
                    let log = setting.options().open(setting.log()).unwrap();
                    let mut journal = Journal::default();
                    journal.go_on(&log, BEFORE);
                    log.close().unwrap();
                    journal.save(&setting.device.join("journal"));
                }
                let role = format!("{who}|{number}|{}", setting.to_role());
                let output = finish(myself("cut::child_is_cut", &role));
                let said = String::from_utf8_lossy(&output.stdout);
                figures.cases += 1;
                figures.add(&said);
                if output.status.signal() == Some(SIGBUS) {
                    figures.signals += 1;
                } else {
                    assert!(
                        output.status.success(),
                        "{who} {:?} {role}: {}\n{said}\n{}",
                        cuts()[number],
                        output.status,
                        String::from_utf8_lossy(&output.stderr)
                    );
                }
                reopen(&setting, &mut figures);
            }
        }
    }
    println!("cut files: {figures}");
    assert!(figures.signals > 0 && figures.errors["Poisoned"] > 0 && figures.errors["Corrupt"] > 0);
}

/// What was cut away, and what nobody will find again, is not told to be durable: a sync of the mapping succeeds.
#[test]
fn a_sync_of_a_file_that_was_cut_or_removed_is_an_error() {
    if role().is_some() {
        return;
    }
    for policy in 0..4 {
        for removed in [false, true] {
            let scratch = quick_directory();
            let setting = Setting { device: scratch.path().to_owned(), policy, zero_fill: None };
            // Nobody syncs but this test.
            let options = setting.options();
            let options = if policy == 2 {
                options.sync_policy(tidelog::SyncPolicy::periodic(std::time::Duration::from_secs(3600)))
            } else {
                options
            };
            let log = options.open(setting.log()).unwrap();
            let lsn = log.append_nowait(b"stored, and cut away").unwrap();
            assert!(log.watermarks().published > lsn);
            if removed {
                std::fs::remove_file(setting.log().join(format!("{:020}.seg", 0))).unwrap();
            } else {
                cut(&setting.log(), (0, 4096, true));
            }
            let error = log.sync().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
            assert!(log.watermarks().durable <= lsn);
            assert_eq!(log.append(b"more").unwrap_err().kind(), ErrorKind::Poisoned);
            assert_eq!(log.close().unwrap_err().kind(), ErrorKind::Poisoned);
        }
    }
}
