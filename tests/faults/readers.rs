//! Readers in other processes at the worst moment.

use std::path::Path;
use std::time::{Duration, Instant};

use tidelog::{LogReader, Lsn, Options, SyncPolicy};

use crate::support::{
    Leash, PATIENCE, lacks_strace, myself, quick_directory, ready_to_be_traced, role, skip, trace, wait,
};

fn options() -> Options {
    Options::new().segment_bytes(1 << 16).sync_policy(SyncPolicy::None)
}

fn wait_for(path: &Path) {
    let deadline = Instant::now() + PATIENCE;
    while !path.exists() {
        assert!(Instant::now() < deadline, "{} never comes", path.display());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Looks once, then again while it is held up.
#[test]
fn child_looks_twice() {
    let Some(directory) = role() else { return };
    let reader = LogReader::open(&directory).unwrap();
    assert_eq!(reader.snapshot().unwrap().iter().map(Result::unwrap).count(), 10);
    ready_to_be_traced();
    std::fs::write(Path::new(&directory).join("looking"), "").unwrap();
    let snapshot = reader.snapshot().unwrap();
    let records = snapshot.iter().collect::<Result<Vec<_>, _>>().unwrap();
    println!("\nrecords {}", records.len());
    assert!(records.len() >= 10);
}

/// Between a look at the headers and the walk over the frames, the next opening fills the segment.
#[test]
fn a_reader_knows_an_opening_that_filled_the_segment_while_it_looked() {
    let name = "a_reader_knows_an_opening_that_filled_the_segment_while_it_looked";
    if role().is_some() || skip(name, lacks_strace()) {
        return;
    }
    let directory = quick_directory();
    let log = options().open(directory.path()).unwrap();
    (0..10).for_each(|_| assert!(log.append(&[1; 100]).is_ok()));
    log.close().unwrap();
    let said = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let held_up = ["-e", "trace=pread64", "-e", "inject=pread64:delay_exit=1500000:when=1"];
            let role = directory.path().to_str().unwrap();
            trace(&held_up, "readers::child_looks_twice", role).succeeded()
        });
        wait_for(&directory.path().join("looking"));
        std::thread::sleep(Duration::from_millis(200));
        let log = options().open(directory.path()).unwrap();
        (0..3_000).for_each(|_| assert!(log.append(&[2; 100]).is_ok()));
        log.close().unwrap();
        reader.join().unwrap()
    });
    let records = said.lines().find_map(|line| line.strip_prefix("records ")).unwrap();
    // To the end of the segment at least; the next ones were not there when it looked.
    assert!(records.parse::<u32>().unwrap() > 500, "it was to see the second opening's records: {said}");
}

/// Fills segments to the brim, then is killed in the middle of the next record.
#[test]
fn child_is_held_up_in_a_record() {
    let Some(directory) = role() else { return };
    let log = options().open(&directory).unwrap();
    for _ in 0..4 {
        log.append(&vec![1; (16 << 10) - 16]).unwrap();
    }
    let _ = log.append_with(100, |buffer| {
        buffer.fill(2);
        std::fs::write(Path::new(&directory).join("claimed"), "").unwrap();
        loop {
            std::thread::park();
        }
    });
}

/// The first claim of a segment never returned, and a reader stands there: it gets what comes after recovery.
#[test]
fn a_tail_at_the_beginning_of_a_segment_goes_on_after_a_kill() {
    if role().is_some() {
        return;
    }
    let directory = quick_directory();
    let mut command = myself("readers::child_is_held_up_in_a_record", directory.path().to_str().unwrap());
    let mut writer = Leash(command.spawn().unwrap());
    wait_for(&directory.path().join("claimed"));
    let reader = LogReader::open(directory.path()).unwrap();
    let mut tail = reader.tail(Lsn::ZERO).unwrap();
    for _ in 0..4 {
        assert_eq!(tail.next_timeout(PATIENCE).unwrap().unwrap().payload(), vec![1; (16 << 10) - 16]);
    }
    assert!(tail.try_next().unwrap().is_none());
    assert_eq!(tail.position(), Lsn::new(1 << 16));
    writer.0.kill().unwrap();
    assert!(wait(&mut writer.0, PATIENCE).is_some());
    for _ in 0..2 {
        let log = options().open(directory.path()).unwrap();
        assert_eq!(log.recovery().end, tail.position(), "{}", log.recovery());
        let lsn = log.append(b"after").unwrap();
        let record = tail.next_timeout(PATIENCE).unwrap().expect("the tail stands still");
        assert_eq!((record.lsn(), record.payload()), (lsn, &b"after"[..]));
        log.close().unwrap();
    }
}
