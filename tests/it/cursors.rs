//! Cursors: positions that survive, what they hold back, and what becomes of damaged ones.

use std::path::Path;

use tidelog::{Cursor, ErrorKind, Event, Events, Log, LogReader, Lsn, RetentionPolicy, SyncPolicy};

use crate::support::{
    SEGMENT, another_boot, crash, crash_files, eventually, files, fill, names, new_log, options, policies,
    restore, scratch,
};

fn open(dir: &Path) -> Log {
    options(SyncPolicy::None).open(dir).unwrap()
}

/// Reads `count` records from the cursor on, commits, and returns the LSN of the last one.
fn consume(cursor: &Cursor, count: usize) -> Lsn {
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

// ---- Damage

/// A log with a cursor in the middle, closed, as files; where the cursor stands, and where the log ends.
fn sample() -> (std::collections::BTreeMap<String, Vec<u8>>, Lsn, Lsn) {
    let dir = scratch();
    let log = open(dir.path());
    let expected = fill(&log, 200, 1000);
    let cursor = log.cursor("indexer").unwrap();
    cursor.set_gate(true).unwrap();
    consume(&cursor, 50);
    cursor.sync().unwrap();
    consume(&cursor, 50);
    let end = log.watermarks().claimed;
    log.close().unwrap();
    (files(dir.path()), expected[100].0, end)
}

/// What everybody is told of a cursor whose file does not read back, and what can be done.
fn assert_refused(dir: &Path, end: Lsn, what: &str) {
    let reader = LogReader::open(dir).unwrap();
    let told = reader.cursors().unwrap();
    assert_eq!(told.len(), 1, "{what}");
    assert!(told[0].state.as_ref().unwrap_err().is_corruption(), "{what}");
    let log = open(dir);
    let error = log.cursor("indexer").unwrap_err();
    assert!(error.is_corruption(), "{what}: {error}");
    assert!(error.path().unwrap().ends_with("indexer.cursor"), "{what}");
    assert!(error.to_string().contains("remove_cursor"), "{error}");
    assert!(log.cursors()[0].state.is_err());
    // It may be a gate, anywhere.
    assert!(log.retire_before(end).unwrap_err().is_corruption(), "{what}");
    assert!(log.remove_cursor("indexer").unwrap(), "{what}");
    assert!(log.retire_before(end).unwrap() > Lsn::ZERO, "{what}");
    let start = log.watermarks().start;
    assert_eq!(log.cursor("indexer").unwrap().position(), start, "{what}");
}

/// A damaged byte in one slot costs nothing, the same in both is an error: never another position.
#[test]
fn every_damaged_byte_is_survived_or_told() {
    let (files, position, end) = sample();
    let directory = restore(&files);
    let path = directory.path().join("indexer.cursor");
    let bytes = &files["indexer.cursor"];
    assert_eq!(bytes.len(), 8192);
    assert_eq!(bytes[..256], bytes[4096..4352], "twins");
    let reader = LogReader::open(directory.path()).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        std::fs::write(&path, &damaged).unwrap();
        let seen = reader.cursors().unwrap().remove(0);
        assert_eq!(seen.state.unwrap().position, position, "byte {at}");
        if at % 4096 < 256 {
            damaged[(at + 4096) % 8192] ^= 1 << (at % 8);
            std::fs::write(&path, &damaged).unwrap();
            let seen = reader.cursors().unwrap().remove(0);
            assert!(seen.state.unwrap_err().is_corruption(), "byte {at} twice");
        }
        if at % 509 == 3 {
            let mut one = files.clone();
            one.get_mut("indexer.cursor").unwrap()[at] ^= 1 << (at % 8);
            let log = restore(&one);
            assert_eq!(open(log.path()).cursor("indexer").unwrap().position(), position);
        }
    }
    for at in [0, 9, 13, 17, 33, 41, 49, 57, 65, 128, 255] {
        let mut both = files.clone();
        let bytes = both.get_mut("indexer.cursor").unwrap();
        bytes[at] ^= 1;
        bytes[at + 4096] ^= 1;
        assert_refused(restore(&both).path(), end, &format!("byte {at} twice"));
    }
}

#[test]
fn a_file_that_is_cut_or_another_is_told() {
    let (files, position, end) = sample();
    for len in [0, 1, 255, 256, 4096, 4351, 4352, 8191] {
        let mut cut = files.clone();
        cut.get_mut("indexer.cursor").unwrap().truncate(len);
        let dir = restore(&cut);
        if len < 256 {
            assert_refused(dir.path(), end, &format!("{len} bytes"));
        } else {
            let log = open(dir.path());
            let cursor = log.cursor("indexer").unwrap();
            assert_eq!(cursor.position(), position, "{len} bytes");
            cursor.commit(end).unwrap();
            cursor.sync().unwrap();
            drop((cursor, log));
            assert_eq!(open(dir.path()).cursor("indexer").unwrap().position(), end, "{len} bytes");
        }
    }
    // That of another cursor, and that of another log.
    let mut other = files.clone();
    let bytes = other.remove("indexer.cursor").unwrap();
    other.insert("renamed.cursor".to_owned(), bytes);
    let dir = restore(&other);
    let error = open(dir.path()).cursor("renamed").unwrap_err();
    assert!(error.is_corruption() && error.to_string().contains("\"indexer\""), "{error}");
    let mut foreign = files.clone();
    foreign.insert("indexer.cursor".to_owned(), sample().0.remove("indexer.cursor").unwrap());
    assert_refused(restore(&foreign).path(), end, "another log's");
    // No file at all under the name: it cannot be read, and that is no damage.
    let mut none = files.clone();
    none.remove("indexer.cursor");
    let dir = restore(&none);
    std::fs::create_dir(dir.path().join("indexer.cursor")).unwrap();
    let log = open(dir.path());
    assert_eq!(log.cursor("indexer").unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(log.retire_before(end).unwrap_err().kind(), ErrorKind::Io);
    log.append(b"the log goes on").unwrap();
    // A later version's.
    let mut newer = files.clone();
    let bytes = newer.get_mut("indexer.cursor").unwrap();
    bytes[8] = 2;
    let crc = crate::support::crc64(&bytes[..248]);
    bytes[248..256].copy_from_slice(&crc.to_le_bytes());
    let log = restore(&newer);
    assert_eq!(open(log.path()).cursor("indexer").unwrap_err().kind(), ErrorKind::Unsupported);
}

/// A damaged cursor may be a gate, so the policy retires nothing until somebody decides.
#[test]
fn the_policy_waits_for_a_damaged_cursor() {
    let (mut files, ..) = sample();
    for at in [40, 4136] {
        files.get_mut("indexer.cursor").unwrap()[at] ^= 1;
    }
    let dir = restore(&files);
    let policy = RetentionPolicy::new().max_segments(1).max_gate_bytes(0);
    let log = options(SyncPolicy::None).retention(policy).open(dir.path()).unwrap();
    fill(&log, 300, 1000);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(log.watermarks().start, Lsn::ZERO);
    log.remove_cursor("indexer").unwrap();
    eventually("it goes on", || log.watermarks().start > Lsn::ZERO);
}

/// A log that lost its tail: the cursor tells, for as long as nobody has decided where it is to go on.
#[test]
fn a_cursor_beyond_the_end_of_the_log_is_told_and_never_waits() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    fill(&log, 20, 1000);
    log.sync().unwrap();
    let durable = log.watermarks().durable;
    fill(&log, 20, 1000);
    let cursor = log.cursor("indexer").unwrap();
    cursor.commit(log.watermarks().published).unwrap();
    cursor.sync().unwrap();
    let beyond = cursor.position();
    let mut cut = crash_files(dir.path());
    another_boot(&mut cut);
    let segment = cut.get_mut(&crate::support::segment_name(0)).unwrap();
    segment[4096 + durable.get() as usize..].fill(0);
    let dir = restore(&cut);
    for _ in 0..3 {
        let log = open(dir.path());
        let cursor = log.cursor("indexer").unwrap();
        for error in [cursor.tail().unwrap_err(), cursor.commit(durable).unwrap_err()] {
            assert_eq!((error.kind(), error.lsn()), (ErrorKind::CursorAhead, Some(durable)), "{error}");
            assert!(error.to_string().contains("reset"), "{error}");
        }
        assert_eq!((cursor.position(), cursor.state().log_ended), (beyond, Some(durable)));
        // Also when the log has other records there.
        fill(&log, 30, 1000);
        assert!(log.watermarks().claimed > beyond);
        let seen = LogReader::open(dir.path()).unwrap().cursors().unwrap();
        assert_eq!(seen[0].state.as_ref().unwrap().log_ended, Some(durable));
    }
    let log = open(dir.path());
    let cursor = log.cursor("indexer").unwrap();
    cursor.set_gate(true).unwrap();
    assert_eq!(
        log.retire_before(log.watermarks().published).unwrap_err().lsn(),
        Some(durable),
        "from there on"
    );
    cursor.reset(durable).unwrap();
    assert_eq!(cursor.tail().unwrap().try_next().unwrap().unwrap().lsn(), durable);
    assert_eq!(cursor.state().log_ended, None);
}

// ---- Events

fn drain(events: &mut Events) -> Vec<Event> {
    std::iter::from_fn(|| events.try_next()).collect()
}

/// Every segment is opened, sealed and retired once, in order, and its file is recycled or removed.
#[test]
fn the_lives_of_segments_are_told() {
    for (policy, recycle_max) in [(SyncPolicy::None, 4), (SyncPolicy::grouped(), 0)] {
        let dir = tempfile::tempdir().unwrap();
        let log = options(policy).recycle_max(recycle_max).open(dir.path()).unwrap();
        let mut events = log.events_with_capacity(10_000);
        for _ in 0..10 {
            let more = fill(&log, 100, 1000);
            log.retire_before(more[0].0).unwrap();
        }
        let start = log.retire_before(log.watermarks().published).unwrap();
        eventually("all are sealed", || log.stats().segments_sealed * SEGMENT == start.get());
        log.close().unwrap();
        let (mut opened, mut sealed, mut retired, mut recycled, mut removed) = (0, 0, 0, 0, 0);
        let mut reused = 0;
        while let Some(event) = events.next() {
            match event {
                Event::SegmentOpened { start, end, path, recycled } => {
                    // The first was there before anybody could subscribe, and maybe those after it.
                    opened = if opened == 0 { start.get() } else { opened };
                    assert_eq!((start.get(), end.get()), (opened, opened + SEGMENT));
                    assert!(path.ends_with(crate::support::segment_name(start.get() / SEGMENT)));
                    opened += SEGMENT;
                    reused += u64::from(recycled);
                }
                Event::SegmentSealed { start, end, path } => {
                    assert!(start.get() >= sealed && start < end, "in order, once");
                    assert!(path.ends_with(crate::support::segment_name(start.get() / SEGMENT)));
                    sealed = end.get();
                }
                Event::Retired { from, to } => {
                    assert_eq!(from.get(), retired);
                    retired = to.get();
                }
                Event::SegmentRecycled { .. } => recycled += 1,
                Event::SegmentRemoved { .. } => removed += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(retired, start.get());
        assert!(opened > retired);
        assert_eq!(reused, log.stats().segments_recycled);
        assert!(recycled + removed <= retired / SEGMENT && recycled + removed > 0);
        assert_eq!(recycle_max == 0, recycled == 0);
    }
}

/// What an archiver relies on: a sealed file is whole, and stays until its gate has passed it.
#[test]
fn an_archiver_gets_every_segment_whole() {
    let dir = tempfile::tempdir().unwrap();
    let policy = RetentionPolicy::new().max_segments(1);
    let log = options(SyncPolicy::None).retention(policy).open(dir.path()).unwrap();
    let archiver = log.cursor("archiver").unwrap();
    archiver.set_gate(true).unwrap();
    let mut events = log.events();
    let archived = std::thread::scope(|scope| {
        let archiver = scope.spawn(|| {
            let mut archived = 0;
            while let Some(event) = events.next() {
                let Event::SegmentSealed { start, end, path } = event else { continue };
                assert_eq!(start.get(), archived, "one after the other");
                let bytes = std::fs::read(path).unwrap();
                assert_eq!(bytes.len() as u64, SEGMENT + 4096);
                assert!(bytes[4096..].chunks(8).any(|word| word != [0; 8]));
                archived = end.get();
                archiver.commit(end).unwrap();
                if archived >= 30 * SEGMENT {
                    break;
                }
            }
            archived
        });
        while !archiver.is_finished() {
            fill(&log, 20, 1000);
            std::thread::yield_now();
        }
        archiver.join().unwrap()
    });
    assert!(archived >= 30 * SEGMENT);
    eventually("what was archived goes", || log.watermarks().start.get() >= 30 * SEGMENT);
}

#[test]
fn slow_syncs_torn_tails_and_damage_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let always = options(SyncPolicy::None).slow_sync(std::time::Duration::ZERO).open(dir.path()).unwrap();
    let mut events = always.events();
    let expected = fill(&always, 3, 100);
    always.sync().unwrap();
    let durable = always.watermarks().durable;
    let told = drain(&mut events);
    assert!(
        told.iter().any(|event| matches!(event, Event::SyncSlow { durable: to, .. } if *to == durable)),
        "{told:?}"
    );
    let name = crate::support::segment_name(0);
    always.close().unwrap();
    // A torn tail, found by opening: every subscriber is told.
    let mut torn = crash_files(dir.path());
    another_boot(&mut torn);
    let bytes = torn.get_mut(&name).unwrap();
    bytes[512..576].fill(0);
    bytes[4096 + durable.get() as usize + 64] = 1;
    let torn = restore(&torn);
    let log = open(torn.path());
    assert!(log.recovery().torn_tail.is_some(), "{}", log.recovery());
    for _ in 0..2 {
        let told = drain(&mut log.events());
        let [Event::TornTail { end, bytes }] = told[..] else { panic!("{told:?}") };
        assert_eq!((end, bytes), (log.recovery().end, log.recovery().truncated_bytes));
    }
    drop(log);
    let log = open(torn.path());
    let mut events = log.events();
    assert!(drain(&mut events).is_empty(), "no torn tail any more");
    // Damage, found by reading.
    let mapped = std::fs::OpenOptions::new().write(true).open(torn.path().join(&name)).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&mapped, b"X", 4096 + expected[1].0.get() + 20).unwrap();
    let error = log.read(expected[1].0).unwrap_err();
    assert!(error.is_corruption());
    let told = drain(&mut events);
    assert!(
        told.iter()
            .any(|event| matches!(event, Event::Corruption { error: told } if told.lsn() == error.lsn())),
        "{told:?}"
    );
}

/// Who does not take events holds nothing up, and learns how many are missing.
#[test]
fn a_full_queue_counts_what_it_misses() {
    let (_dir, log) = new_log();
    let mut slow = log.events_with_capacity(5);
    let mut quick = log.events_with_capacity(100_000);
    for _ in 0..20 {
        let more = fill(&log, 100, 1000);
        log.retire_before(more[0].0).unwrap();
    }
    log.close().unwrap();
    let all = std::iter::from_fn(|| quick.next()).count() as u64;
    let mut count = 0;
    let mut missed = 0;
    while let Some(event) = slow.next() {
        match event {
            Event::Missed { count } => missed += count,
            _ => count += 1,
        }
    }
    assert!(missed > 0 && count == 5, "{count} events, {missed} missed");
    assert_eq!(count + missed, all);
}
