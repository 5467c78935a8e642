//! What a child does to a log on a device that fills up: one function for each moment at which it does.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tidelog::{LastClose, Log, Lsn};

use crate::ballast::Ballast;
use crate::support::names;
use crate::writer::{Journal, SEGMENT_BYTES, Setting, expect_full};

/// Records that take more than two segments: those that were prepared ahead are not enough for them.
pub(crate) const TWO_SEGMENTS: u64 = 100;

/// What a stage does, given a directory beside the device.
type Stage = fn(&Setting, &Path);

pub(crate) const STAGES: [(&str, Stage); 11] = [
    ("before-open", before_open),
    ("after-open", after_open),
    ("while-preparing", while_preparing),
    ("at-roll", at_roll),
    ("retire-recycle", retire_and_recycle),
    ("retire-delete", retire_and_delete),
    ("retire-held", retire_while_held),
    ("close", close),
    ("threads", threads),
    ("die", die),
    ("recover", recover),
];

#[track_caller]
fn open(setting: &Setting) -> Log {
    match setting.options().open(setting.log()) {
        Ok(log) => log,
        Err(error) => panic!("opening: {error}"),
    }
}

/// The log is closed and opened again while the device is full, and once more when it is not.
#[track_caller]
fn close_and_reopen(setting: &Setting, journal: &mut Journal, log: Log, ballast: &Ballast) {
    ballast.fill();
    log.close().unwrap_or_else(|error| panic!("closing: {error}"));
    drop(log);
    let log = open(setting);
    assert_eq!(log.recovery().last_close, LastClose::Clean);
    journal.check(&log);
    journal.fill(&log);
    journal.check(&log);
    ballast.remove();
    journal.go_on(&log, TWO_SEGMENTS);
    log.close().unwrap();
    drop(log);
    let log = open(setting);
    journal.check(&log);
    log.close().unwrap();
}

fn before_open(setting: &Setting, _: &Path) {
    let mut journal = Journal::default();
    let ballast = Ballast::new(&setting.device);
    for made in [false, true] {
        if made {
            std::fs::create_dir_all(setting.log()).unwrap();
        }
        ballast.fill();
        let error = setting.options().open(setting.log()).expect_err("there is no room for a log");
        journal.figures.saw(&error);
        expect_full(&error);
        ballast.remove();
    }
    let log = open(setting);
    journal.go_on(&log, TWO_SEGMENTS);
    close_and_reopen(setting, &mut journal, log, &ballast);
    journal.figures.print();
}

fn after_open(setting: &Setting, _: &Path) {
    let mut journal = Journal::default();
    let ballast = Ballast::new(&setting.device);
    let log = open(setting);
    ballast.fill();
    journal.fill(&log);
    journal.check(&log);
    ballast.remove();
    journal.go_on(&log, TWO_SEGMENTS);
    journal.check(&log);
    close_and_reopen(setting, &mut journal, log, &ballast);
    journal.figures.print();
}

/// Room comes and goes while segments are being prepared.
fn while_preparing(setting: &Setting, _: &Path) {
    let mut journal = Journal::default();
    let ballast = Ballast::new(&setting.device);
    let log = open(setting);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let other = Ballast::new(&setting.device);
            while !stop.load(Ordering::Relaxed) {
                other.fill_roughly();
                std::thread::sleep(Duration::from_millis(1));
                other.remove();
            }
        });
        for _ in 0..4 * TWO_SEGMENTS {
            if let Err(error) = journal.append(&log) {
                expect_full(&error);
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    journal.go_on(&log, TWO_SEGMENTS);
    journal.check(&log);
    close_and_reopen(setting, &mut journal, log, &ballast);
    journal.figures.print();
}

/// The next segment is needed and there is none, again and again.
fn at_roll(setting: &Setting, _: &Path) {
    let mut journal = Journal::default();
    let ballast = Ballast::new(&setting.device);
    let log = open(setting);
    for _ in 0..3 {
        ballast.fill();
        journal.fill(&log);
        let largest = vec![1; log.record_bytes_max()];
        for _ in 0..5 {
            expect_full(&log.append(&largest).unwrap_err());
            expect_full(&log.append_batch(&[&largest[..4_000], &largest[..8_000]]).unwrap_err());
        }
        journal.check(&log);
        nothing_half_made(setting);
        ballast.remove();
        journal.go_on(&log, TWO_SEGMENTS / 2);
    }
    journal.check(&log);
    log.close().unwrap();
    journal.figures.print();
}

/// A file that was allocated in part does not stay: it would keep the very room that is missing.
fn nothing_half_made(setting: &Setting) {
    // One may be there for a moment, while the log tries again.
    let half_made = || names(&setting.log()).into_iter().find(|name| name.ends_with(".tmp"));
    let gone = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(2));
        half_made().is_none()
    });
    assert!(gone, "{:?} stays", half_made());
}

fn newest(journal: &Journal) -> Lsn {
    Lsn::new(*journal.returned.keys().next_back().unwrap())
}

/// Retiring makes room on a device that has none: files are used again.
fn retire_and_recycle(setting: &Setting, _: &Path) {
    let mut journal = Journal::default();
    let ballast = Ballast::new(&setting.device);
    let log = open(setting);
    journal.go_on(&log, TWO_SEGMENTS);
    ballast.fill();
    for _ in 0..3 {
        journal.fill(&log);
        let start = log.retire_before(newest(&journal)).unwrap_or_else(|error| panic!("retiring: {error}"));
        assert!(start > Lsn::ZERO);
        go_on_after_retiring(setting, &mut journal, &log);
        journal.check(&log);
    }
    close_and_reopen(setting, &mut journal, log, &ballast);
    journal.figures.print();
}

/// Retiring makes room on a device that has none: files are deleted.
fn retire_and_delete(setting: &Setting, _: &Path) {
    let mut journal = Journal::default();
    let ballast = Ballast::new(&setting.device);
    let log = setting.options().recycle_max(0).open(setting.log()).unwrap();
    journal.go_on(&log, 2 * TWO_SEGMENTS);
    ballast.fill();
    journal.fill(&log);
    log.retire_before(newest(&journal)).unwrap_or_else(|error| panic!("retiring: {error}"));
    // What was freed may come back with the file system's next commit.
    File::open(&setting.device).and_then(|device| Ok(rustix::fs::syncfs(&device)?)).unwrap();
    go_on_after_retiring(setting, &mut journal, &log);
    journal.check(&log);
    close_and_reopen(setting, &mut journal, log, &ballast);
    journal.figures.print();
}

/// What was retired gave room. (XFS fills its own reserve up first, and a new name may need a block of the directory; so
/// there it may not be enough.)
fn go_on_after_retiring(setting: &Setting, journal: &mut Journal, log: &Log) {
    if rustix::fs::statfs(&setting.device).unwrap().f_type == 0x5846_5342 {
        for _ in 0..5 {
            if let Err(error) = journal.append(log) {
                expect_full(&error);
            }
        }
    } else {
        // A background thread may have held what was retired for a moment: it is freed when that looks again.
        let went_on = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(2));
            journal.append(log).map_err(|error| expect_full(&error)).is_ok()
        });
        assert!(went_on, "retiring gave no room");
        journal.go_on(log, 4);
    }
}

/// A snapshot holds what is retired: there is room when it goes.
fn retire_while_held(setting: &Setting, _: &Path) {
    let mut journal = Journal::default();
    let ballast = Ballast::new(&setting.device);
    let log = open(setting);
    journal.go_on(&log, TWO_SEGMENTS);
    ballast.fill();
    journal.fill(&log);
    let snapshot = log.snapshot();
    let held = snapshot.iter().count();
    log.retire_before(newest(&journal)).unwrap();
    expect_full(&log.append(&vec![1; log.record_bytes_max()]).unwrap_err());
    assert_eq!(snapshot.iter().map(Result::unwrap).count(), held);
    drop(snapshot);
    ballast.remove();
    journal.go_on(&log, TWO_SEGMENTS);
    journal.check(&log);
    log.close().unwrap();
    journal.figures.print();
}

fn close(setting: &Setting, _: &Path) {
    let mut journal = Journal::default();
    let ballast = Ballast::new(&setting.device);
    let log = open(setting);
    journal.go_on(&log, 3);
    for _ in 0..2 {
        ballast.fill();
        log.close().unwrap_or_else(|error| panic!("closing: {error}"));
        ballast.remove();
    }
    drop(log);
    ballast.fill();
    // A dozen openings and closings need no room.
    for _ in 0..12 {
        let log = open(setting);
        journal.go_on(&log, 1);
        log.close().unwrap_or_else(|error| panic!("closing: {error}"));
    }
    ballast.remove();
    let log = open(setting);
    journal.check(&log);
    log.close().unwrap();
    journal.figures.print();
}

/// Several writers find the device full at once, and all go on.
fn threads(setting: &Setting, _: &Path) {
    let mut journal = Journal::default();
    let ballast = Ballast::new(&setting.device);
    let log = open(setting);
    for full in [true, false] {
        if full {
            ballast.fill();
        } else {
            ballast.remove();
        }
        let parts: Vec<Journal> = std::thread::scope(|scope| {
            let threads: Vec<_> = (1..4_u64)
                .map(|thread| {
                    let mut part = Journal::starting_at((thread * 10 + u64::from(full)) << 32);
                    let log = &log;
                    scope.spawn(move || {
                        if full {
                            part.fill(log);
                        } else {
                            part.go_on(log, TWO_SEGMENTS / 3);
                        }
                        part
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        parts.into_iter().for_each(|part| journal.merge(part));
        journal.check(&log);
    }
    close_and_reopen(setting, &mut journal, log, &ballast);
    journal.figures.print();
}

/// Waits until the segments ahead are ready: then there is room for some more records.
fn wait_for_prepared(log: &Log) {
    let needed = log.watermarks().claimed.get() / SEGMENT_BYTES + 3;
    while log.stats().segments_prepared < needed {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Dies on a full device with a claim that never returns, and records behind it. (First half of `recover`.)
fn die(setting: &Setting, beside: &Path) {
    let mut journal = Journal::default();
    let log = open(setting);
    journal.go_on(&log, TWO_SEGMENTS / 2);
    wait_for_prepared(&log);
    Ballast::new(&setting.device).fill();
    let claimed = AtomicBool::new(false);
    let number = journal.take_number();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _ = log.append_with(2_000, |buffer| {
                buffer[..8].copy_from_slice(&number.to_le_bytes());
                claimed.store(true, Ordering::Release);
                loop {
                    std::thread::park();
                }
            });
        });
        while !claimed.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        for _ in 0..5 {
            journal.append_behind_a_claim(&log);
        }
        journal.save(&beside.join("journal"));
        journal.figures.print();
        std::process::exit(0);
    });
}

/// Opens what `die` left, on a device that is as full as before: recovery repairs in place.
fn recover(setting: &Setting, beside: &Path) {
    let mut journal = Journal::load(&beside.join("journal"));
    let ballast = Ballast::new(&setting.device);
    ballast.fill();
    let log = open(setting);
    let report = log.recovery();
    assert_eq!((report.last_close, report.holes_skipped), (LastClose::ProcessDied, 1), "{report}");
    journal.check(&log);
    journal.fill(&log);
    journal.check(&log);
    let end = log.watermarks().published.get();
    drop(log);
    // Half a record behind the log's end, and no mark of a closing: a torn tail.
    tear(setting, end);
    ballast.fill();
    let log = open(setting);
    let report = log.recovery();
    assert!(report.torn_tail.is_some() && report.truncated_bytes > 0, "{report}");
    journal.check(&log);
    close_and_reopen(setting, &mut journal, log, &ballast);
    journal.figures.print();
}

/// Makes of a log that was closed one whose writer was killed in the middle of a record: no mark of the closing, and
/// behind the end a header with half of what it tells.
fn tear(setting: &Setting, end: u64) {
    let segment = |base: u64| setting.log().join(format!("{base:020}.seg"));
    let mut first = [0; 8];
    File::open(segment(0)).unwrap().read_exact_at(&mut first, 4096).unwrap();
    let base = end - end % SEGMENT_BYTES;
    let file = OpenOptions::new().write(true).open(segment(base)).unwrap();
    file.write_all_at(&[0; 64], 512).unwrap();
    let torn = [&first[..], &[0xa5; 300]].concat();
    file.write_all_at(&torn, 4096 + end - base).unwrap();
    file.sync_all().unwrap();
}
