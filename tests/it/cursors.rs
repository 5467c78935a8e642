//! Cursors: positions that survive, what they hold back, and what becomes of damaged ones.

use std::path::Path;

use tidelog::{Cursor, ErrorKind, Event, Log, LogReader, Lsn, RetentionPolicy, SyncPolicy};

use crate::support::{SEGMENT, crash, eventually, fill, names, new_log, options, policies};

pub(crate) fn open(dir: &Path) -> Log {
    options(SyncPolicy::None).open(dir).unwrap()
}

/// Reads `count` records from the cursor on, commits, and returns the LSN of the last one.
pub(crate) fn consume(cursor: &Cursor, count: usize) -> Lsn {
    let mut tail = cursor.tail().unwrap();
    let mut last = None;
    for _ in 0..count {
        last = Some(tail.try_next().unwrap().expect("a record").lsn());
    }
    cursor.commit(tail.position()).unwrap();
    last.unwrap()
}

#[test]
fn a_position_survives_closing_and_kills_under_every_policy() {
    for policy in policies() {
        let dir = tempfile::tempdir().unwrap();
        let log = options(policy).open(dir.path()).unwrap();
        let expected = fill(&log, 200, 1000);
        let cursor = log.cursor("indexer").unwrap();
        assert_eq!((cursor.position(), cursor.name()), (Lsn::ZERO, "indexer"));
        assert_eq!(consume(&cursor, 70), expected[69].0);
        assert_eq!(cursor.position(), expected[70].0);
        assert_eq!(cursor.lag_bytes(), log.watermarks().claimed.get() - expected[70].0.get());
        // A kill: the commit was not synced, and is there.
        let killed = crash(dir.path());
        let again = options(policy).open(killed.path()).unwrap();
        let found = again.cursor("indexer").unwrap();
        assert_eq!((found.position(), found.durable_position()), (expected[70].0, None));
        assert_eq!(consume(&found, 1), expected[70].0);
        // Its other handles, and the log's other clones, see the same.
        let other = log.clone().cursor("indexer").unwrap();
        consume(&other, 30);
        assert_eq!(cursor.position(), expected[100].0);
        assert!(cursor.durable_position().unwrap() < expected[100].0);
        cursor.sync().unwrap();
        assert_eq!(cursor.durable_position(), Some(expected[100].0));
        consume(&cursor, 50);
        log.close().unwrap();
        assert_eq!(cursor.durable_position(), Some(expected[150].0), "closing makes it durable");
        assert_eq!(cursor.commit(expected[160].0).unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(cursor.sync().unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(log.cursor("another").unwrap_err().kind(), ErrorKind::Closed);
        drop((log, cursor, other));
        let log = options(policy).open(dir.path()).unwrap();
        assert_eq!(log.cursor("indexer").unwrap().position(), expected[150].0);
        assert_eq!(log.cursors().len(), 1);
    }
}

#[test]
fn a_commit_is_checked_and_says_what_is_wrong() {
    let (_dir, log) = new_log();
    let expected = fill(&log, 300, 1000);
    let end = log.watermarks().published;
    let cursor = log.cursor_from("a", expected[10].0).unwrap();
    assert_eq!(cursor.position(), expected[10].0);
    assert_eq!(log.cursor_from("a", end).unwrap().position(), expected[10].0, "it is there already");
    assert_eq!(log.cursor_from("news", end).unwrap().lag_bytes(), 0);
    assert_eq!(log.cursor_from("b", Lsn::new(end.get() + 8)).unwrap_err().kind(), ErrorKind::NotWritten);
    assert_eq!(log.cursor_from("b", Lsn::new(8)).unwrap_err().kind(), ErrorKind::NotARecord);
    cursor.commit(expected[10].0).unwrap();
    let error = cursor.commit(expected[9].0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
    assert!(error.to_string().contains("\"a\"") && error.to_string().contains("reset"), "{error}");
    assert_eq!(cursor.commit(Lsn::new(end.get() + 8)).unwrap_err().kind(), ErrorKind::NotWritten);
    assert_eq!(cursor.commit(Lsn::new(u64::MAX - 7)).unwrap_err().kind(), ErrorKind::NotWritten);
    assert_eq!(cursor.commit(Lsn::new(expected[20].0.get() + 1)).unwrap_err().kind(), ErrorKind::NotARecord);
    assert_eq!(cursor.position(), expected[10].0);
    cursor.commit(end).unwrap();
    cursor.reset(expected[5].0).unwrap();
    assert_eq!(cursor.durable_position(), Some(expected[5].0));
    // What it comes to next goes.
    let start = log.retire_before(expected[200].0).unwrap();
    let error = cursor.tail().unwrap_err();
    assert_eq!((error.kind(), error.lsn()), (ErrorKind::Retired, Some(start)));
    let error = cursor.commit(expected[50].0).unwrap_err();
    assert_eq!((error.kind(), error.lsn()), (ErrorKind::Retired, Some(start)));
    assert_eq!(cursor.position(), expected[5].0, "it is told, and not moved");
    cursor.reset(start).unwrap();
    assert!(cursor.tail().unwrap().try_next().unwrap().is_some());
    let inside = log.append_with(8, |_| {
        assert_eq!(cursor.commit(end).unwrap_err().kind(), ErrorKind::WouldDeadlock);
        assert_eq!(cursor.sync().unwrap_err().kind(), ErrorKind::WouldDeadlock);
        assert_eq!(log.cursor("x").unwrap_err().kind(), ErrorKind::WouldDeadlock);
    });
    inside.unwrap();
}

#[test]
fn names_are_those_of_files() {
    let (dir, log) = new_log();
    let longest = "x".repeat(64);
    for good in ["a", "A-b_c.9", "log.meta", "00000000000000000000.seg", "x.tmp", "x.cursor", &longest] {
        log.cursor(good).unwrap();
    }
    let too_long = "x".repeat(65);
    for bad in ["", ".", "..", ".a", "-a", "a/b", "../a", "a b", "a\0", "ä", "a\n", &too_long] {
        let error = log.cursor(bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption, "{bad:?}");
        assert_eq!(log.remove_cursor(bad).unwrap_err().kind(), ErrorKind::InvalidOption, "{bad:?}");
    }
    let told: Vec<_> = log.cursors().into_iter().map(|cursor| cursor.name).collect();
    assert_eq!(told.len(), 7);
    let seen = LogReader::open(dir.path()).unwrap().cursors().unwrap();
    assert_eq!(seen.into_iter().map(|cursor| cursor.name).collect::<Vec<_>>(), told);
    log.close().unwrap();
    drop(log);
    std::fs::write(dir.path().join("a.cursor.tmp"), "left over").unwrap();
    let log = open(dir.path());
    assert_eq!(log.cursors().len(), 7);
    assert!(names(dir.path(), ".tmp").is_empty());
}

#[test]
fn a_removed_cursor_is_gone_for_all_its_handles() {
    let (dir, log) = new_log();
    let expected = fill(&log, 10, 100);
    let cursor = log.cursor("a").unwrap();
    consume(&cursor, 3);
    assert!(log.remove_cursor("a").unwrap());
    assert!(!log.remove_cursor("a").unwrap());
    assert_eq!(cursor.commit(expected[5].0).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(cursor.sync().unwrap_err().kind(), ErrorKind::NotFound);
    assert!(names(dir.path(), ".cursor").is_empty());
    // Another one of the name begins anew, and the old handle has nothing to do with it.
    let next = log.cursor("a").unwrap();
    assert_eq!(next.position(), Lsn::ZERO);
    assert_eq!(cursor.set_gate(true).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!next.gate());
}

/// A reader, also in another process, sees what there is, and never a part of it.
#[test]
fn readers_see_positions_while_they_change() {
    let (dir, log) = new_log();
    let expected = fill(&log, 2000, 100);
    let cursor = log.cursor("busy").unwrap();
    let reader = LogReader::open(dir.path()).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for (index, (lsn, _)) in expected.iter().enumerate() {
                cursor.commit(*lsn).unwrap();
                if index % 100 == 0 {
                    cursor.sync().unwrap();
                }
            }
        });
        while !writer.is_finished() {
            for cursor in reader.cursors().unwrap() {
                let state = cursor.state.unwrap();
                assert!(expected.binary_search_by_key(&state.position, |(lsn, _)| *lsn).is_ok());
            }
        }
    });
    let seen = reader.cursors().unwrap().remove(0);
    let state = seen.state.unwrap();
    assert_eq!((state, seen.name.as_str()), (cursor.state(), "busy"));
    assert_eq!(state.lag_bytes, log.watermarks().claimed.get() - expected[1999].0.get());
    assert!(state.committed > std::time::UNIX_EPOCH && !state.gate && state.log_ended.is_none());
}

#[test]
fn several_threads_share_a_cursor() {
    let (_dir, log) = new_log();
    let expected = fill(&log, 400, 100);
    let cursor = log.cursor("shared").unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (cursor, expected, log) = (&cursor, &expected, &log);
            scope.spawn(move || {
                for (index, (lsn, _)) in expected.iter().enumerate().skip(thread).step_by(4) {
                    match cursor.commit(*lsn) {
                        Ok(()) => assert!(cursor.position() >= *lsn),
                        Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidOption, "{error}"),
                    }
                    if index % 50 == 0 {
                        cursor.sync().unwrap();
                        assert!(
                            cursor.durable_position().unwrap() >= expected[index.saturating_sub(4)].0
                                || index < 8
                        );
                        drop(log.cursors());
                    }
                }
            });
        }
    });
    assert!(cursor.position() >= expected[396].0);
}

// ---- Gates

#[test]
fn a_gate_holds_and_lets_go() {
    let (dir, log) = new_log();
    let expected = fill(&log, 300, 1000);
    let (archive, index) = (log.cursor("archive").unwrap(), log.cursor("index").unwrap());
    index.set_gate(true).unwrap();
    archive.set_gate(true).unwrap();
    consume(&archive, 200);
    consume(&index, 100);
    let newest = expected[299].0;
    let error = log.retire_before(newest).unwrap_err();
    assert_eq!((error.kind(), error.lsn()), (ErrorKind::Held, Some(index.position())));
    assert!(error.path().unwrap().ends_with("index.cursor"), "{error}");
    assert_eq!(error.cursor(), Some("index"));
    assert!(error.to_string().contains("\"index\"") && error.to_string().contains("set_gate"), "{error}");
    assert_eq!(log.watermarks().start, Lsn::ZERO, "all or nothing");
    // As far as it has come, it goes; the commit was made durable for that.
    let start = log.retire_before(index.position()).unwrap();
    assert_eq!(start.get(), index.position().get() / SEGMENT * SEGMENT);
    assert_eq!(index.durable_position(), Some(index.position()));
    index.set_gate(false).unwrap();
    assert_eq!(log.retire_before(newest).unwrap_err().lsn(), Some(archive.position()));
    // A gate is kept over a kill, and a removal takes it away.
    let killed = crash(dir.path());
    let again = open(killed.path());
    assert!(again.cursor("archive").unwrap().gate());
    assert_eq!(again.retire_before(newest).unwrap_err().kind(), ErrorKind::Held);
    again.remove_cursor("archive").unwrap();
    assert!(again.retire_before(newest).unwrap() > archive.position());
    // Where there is a gap already, no gate is set; and none is moved back over one.
    let late = again.cursor("index").unwrap();
    assert_eq!(late.set_gate(true).unwrap_err().kind(), ErrorKind::Retired);
    assert!(!late.gate());
    late.reset(again.watermarks().start).unwrap();
    late.set_gate(true).unwrap();
    assert_eq!(late.reset(Lsn::ZERO).unwrap_err().kind(), ErrorKind::Retired);
}

#[test]
fn the_policy_waits_for_gates_and_goes_on_with_their_commits() {
    let dir = tempfile::tempdir().unwrap();
    let policy = RetentionPolicy::new().max_segments(1);
    let log = options(SyncPolicy::None).retention(policy).open(dir.path()).unwrap();
    let cursor = log.cursor("slow").unwrap();
    cursor.set_gate(true).unwrap();
    let expected = fill(&log, 500, 1000);
    for position in [100, 250, 251, 400] {
        cursor.commit(expected[position].0).unwrap();
        let held = Lsn::new(expected[position].0.get() / SEGMENT * SEGMENT);
        eventually("what was consumed goes", || log.watermarks().start == held);
        assert!(cursor.tail().unwrap().try_next().unwrap().unwrap().lsn() == expected[position].0);
    }
    // Which needed no sync of the consumer's own.
    let newest = Lsn::new((log.watermarks().claimed.get() - 1) / SEGMENT * SEGMENT);
    log.remove_cursor("slow").unwrap();
    eventually("nobody holds it any more", || log.watermarks().start == newest);
}

#[test]
fn a_gate_that_lags_too_far_is_overrun_and_that_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let policy = RetentionPolicy::new().max_segments(1).max_gate_bytes(5 * SEGMENT);
    let log = options(SyncPolicy::None).retention(policy).open(dir.path()).unwrap();
    let mut events = log.events();
    let (gone, alive) = (log.cursor("gone").unwrap(), log.cursor("alive").unwrap());
    gone.set_gate(true).unwrap();
    alive.set_gate(true).unwrap();
    fill(&log, 100, 1000);
    assert_eq!(log.watermarks().start, Lsn::ZERO, "it may lag as much");
    let expected = fill(&log, 400, 1000);
    alive.commit(expected[300].0).unwrap();
    let held = Lsn::new(expected[300].0.get() / SEGMENT * SEGMENT);
    eventually("what it held goes", || log.watermarks().start == held);
    let mut overrun = Vec::new();
    while let Some(event) = events.try_next() {
        if let Event::GateOverrun { cursor, position, start } = event {
            overrun.push((cursor, position, start > Lsn::ZERO));
        }
    }
    assert_eq!(overrun, [("gone".to_owned(), Lsn::ZERO, true)]);
    let error = gone.tail().unwrap_err();
    assert_eq!((error.kind(), error.lsn()), (ErrorKind::Retired, Some(held)));
}
