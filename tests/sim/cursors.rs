//! Cursors on the simulated disk: the power goes at every moment.

use tidelog::testing::{Disk, Pick};
use tidelog::{Cursor, ErrorKind, Lsn, RetentionPolicy, SyncPolicy};

use crate::support::{PLACE, SEGMENT, nothing, options, payload};

/// What is known of a cursor at a moment.
#[derive(Clone, Copy, Debug)]
struct Known {
    moment: u64,
    /// It is there, beyond doubt.
    exists: bool,
    /// It stands there at least, whatever happens.
    durable: u64,
    /// And not further than this.
    committed: u64,
    /// Its gate, where that is durable.
    gate: Option<bool>,
}

/// A cursor, with everything that its operations promise.
struct Watched<'a> {
    disk: &'a Disk,
    cursor: &'a Cursor,
    known: Vec<Known>,
}

impl Watched<'_> {
    fn last(&self) -> Known {
        self.known[self.known.len() - 1]
    }

    fn note(&mut self, change: impl FnOnce(&mut Known)) {
        let mut known = Known { moment: self.disk.moment(), ..self.last() };
        change(&mut known);
        self.known.push(known);
    }

    fn commit(&mut self, lsn: Lsn) {
        self.note(|known| known.committed = lsn.get());
        self.cursor.commit(lsn).unwrap();
    }

    fn sync(&mut self) {
        self.cursor.sync().unwrap();
        self.note(|known| known.durable = known.committed);
    }

    fn set_gate(&mut self, gate: bool) {
        self.note(|known| known.gate = None);
        self.cursor.set_gate(gate).unwrap();
        self.note(|known| (known.durable, known.gate) = (known.committed, Some(gate)));
    }

    fn reset(&mut self, lsn: Lsn) {
        // Until it returns it is anywhere from there to where it was.
        self.note(|known| known.durable = known.durable.min(lsn.get()));
        self.cursor.reset(lsn).unwrap();
        self.note(|known| (known.durable, known.committed) = (lsn.get(), lsn.get()));
    }
}

/// Everything that a cursor can do, over records that are durable; and what is known at each moment.
fn script(disk: &Disk) -> Vec<Known> {
    let log = options(disk, SyncPolicy::Immediate).open(PLACE).unwrap();
    let lsns: Vec<Lsn> = (0..60).map(|n| log.append(&payload(n)).unwrap()).collect();
    let before = Known { moment: disk.moment(), exists: false, durable: 0, committed: 0, gate: Some(false) };
    let cursor = log.cursor("indexer").unwrap();
    let mut watched = Watched { disk, cursor: &cursor, known: vec![before] };
    watched.note(|known| known.exists = true);
    watched.commit(lsns[1]);
    watched.commit(lsns[2]);
    watched.commit(lsns[3]);
    watched.sync();
    watched.commit(lsns[5]);
    watched.sync();
    watched.sync();
    watched.set_gate(true);
    watched.commit(lsns[8]);
    watched.commit(lsns[9]);
    watched.reset(lsns[4]);
    watched.commit(lsns[30]);
    // Whoever retires syncs it.
    log.retire_before(lsns[30]).unwrap();
    watched.note(|known| known.durable = known.committed);
    watched.set_gate(false);
    watched.commit(lsns[40]);
    let known = watched.known.clone();
    log.close().unwrap();
    let mut closed = known[known.len() - 1];
    (closed.moment, closed.durable) = (disk.moment(), closed.committed);
    drop((cursor, log));
    // Another opening, over what this one left.
    let log = options(disk, SyncPolicy::Immediate).open(PLACE).unwrap();
    let cursor = log.cursor("indexer").unwrap();
    let mut watched = Watched { disk, cursor: &cursor, known: [known, vec![closed]].concat() };
    watched.commit(lsns[41]);
    watched.commit(lsns[42]);
    watched.sync();
    watched.commit(lsns[43]);
    watched.known
}

fn check(disk: &Disk, known: &Known, killed: bool, what: &str) {
    let log = options(disk, SyncPolicy::Immediate).open(PLACE);
    let log = log.unwrap_or_else(|error| panic!("{what}: {error}"));
    let Some(info) = log.cursors().into_iter().find(|cursor| cursor.name == "indexer") else {
        assert!(!known.exists, "{what}: the cursor is gone");
        return;
    };
    let state = info.state.unwrap_or_else(|error| panic!("{what}: {error}"));
    let position = state.position.get();
    assert!((known.durable..=known.committed).contains(&position), "{what}: at {position}, {known:?}");
    assert!(!killed || position == known.committed || known.moment == 0, "{what}: {position}, {known:?}");
    assert!(known.gate.is_none_or(|gate| state.gate == gate), "{what}: {state:?}, {known:?}");
    assert_eq!(state.log_ended, None, "{what}");
    // And it goes on: what is synced now is there after another cut.
    let cursor = log.cursor("indexer").unwrap();
    if position >= log.watermarks().start.get() {
        let next = log.append(b"more").unwrap();
        cursor.commit(next).unwrap();
        cursor.sync().unwrap();
        for seed in 0..2 {
            let disk = disk.possibilities().cut_at_random(seed).disk();
            let log = options(&disk, SyncPolicy::Immediate).open(PLACE).unwrap();
            assert_eq!(log.cursor("indexer").unwrap().position(), next, "{what}, cut again");
        }
    }
}

#[test]
fn the_power_goes_at_every_moment_of_every_commit() {
    let disk = Disk::new(11);
    let known = script(&disk);
    let (mut cuts, mut kinds) = (0, std::collections::HashSet::new());
    for moment in known[0].moment..=disk.moment() {
        // What was true before the operation that this moment is in, and what is when it ends.
        let index = known.partition_point(|known| known.moment <= moment).saturating_sub(1);
        let before = known[index];
        let possibilities = disk.possibilities_at(moment);
        let what = format!("moment {moment}");
        let versions = possibilities.uncertain();
        let mut all = vec![nothing(&possibilities)];
        for version in 0..4 {
            all.push(possibilities.cut(|_, _| Pick::Version(version), |_| true));
            for which in 0..versions {
                let pick = |index, versions| {
                    if index == which { Pick::Version(version) } else { Pick::Version(versions - 1) }
                };
                all.push(possibilities.cut(pick, |change| change % 2 == version % 2));
            }
        }
        all.extend((0..12).map(|seed| possibilities.cut_at_random(moment * 100 + seed)));
        for cut in all {
            if kinds.insert((moment, cut.key())) {
                check(&cut.disk(), &before, false, &what);
                cuts += 1;
            }
        }
    }
    println!("{cuts} power cuts while a cursor is used");
    assert!(cuts > 500, "{cuts}");
}

/// The death of the process alone takes no commit back.
#[test]
fn a_kill_takes_nothing_back() {
    let disk = Disk::new(11);
    let log = options(&disk, SyncPolicy::None).open(PLACE).unwrap();
    let lsns: Vec<Lsn> = (0..40).map(|n| log.append(&payload(n)).unwrap()).collect();
    let cursor = log.cursor("indexer").unwrap();
    for (index, lsn) in lsns.iter().enumerate() {
        cursor.commit(*lsn).unwrap();
        if index % 7 == 3 {
            cursor.sync().unwrap();
        }
        let killed = disk.possibilities().kill();
        let log = options(&killed, SyncPolicy::None).open(PLACE).unwrap();
        let cursor = log.cursor("indexer").unwrap();
        assert_eq!(cursor.position(), *lsn);
        // And then the power goes: as far as was synced, in whichever opening.
        cursor.commit(log.append(b"x").unwrap()).unwrap();
        let cut = nothing(&killed.possibilities()).disk();
        let log = options(&cut, SyncPolicy::None).open(PLACE).unwrap();
        assert!(
            log.cursors()[0].state.as_ref().unwrap().position >= *lsn,
            "the first commit syncs what it found"
        );
    }
}

/// A log under `None` loses what it did not sync; a cursor that was synced beyond says so, and so it does after any
/// further cut, until somebody decides. It never stands silently in records that it has not seen.
#[test]
fn a_cursor_that_outlived_its_records_tells() {
    let mut told = 0;
    for seed in 0..60 {
        let disk = Disk::new(seed);
        let log = options(&disk, SyncPolicy::None).open(PLACE).unwrap();
        for n in 0..30 {
            log.append(&payload(n)).unwrap();
        }
        if seed % 2 == 0 {
            log.sync().unwrap();
        }
        let cursor = log.cursor("indexer").unwrap();
        for n in 30..60 {
            log.append(&payload(n)).unwrap();
            cursor.commit(log.watermarks().published).unwrap();
        }
        cursor.sync().unwrap();
        let stood = cursor.position();
        // Recovery and the note are cut too.
        let first = disk.possibilities().cut_at_random(seed).disk();
        let reopened = options(&first, SyncPolicy::None).open(PLACE).unwrap();
        let end = reopened.recovery().end;
        let mut disks = vec![first.clone(), nothing(&first.possibilities()).disk()];
        disks.extend(
            (0..first.moment())
                .step_by(3)
                .map(|moment| first.possibilities_at(moment).cut_at_random(seed).disk()),
        );
        for disk in disks.drain(1..) {
            let log = options(&disk, SyncPolicy::Immediate).open(PLACE).unwrap();
            let cursor = log.cursor("indexer").unwrap();
            let end = log.recovery().end;
            if end < stood {
                told += 1;
                let error = cursor.tail().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::CursorAhead, "seed {seed}");
                assert!(error.lsn().unwrap() <= end);
                // The log grows over the position, and it is still told, also after a cut.
                while log.watermarks().claimed <= stood {
                    log.append(b"others").unwrap();
                }
                let cut = nothing(&disk.possibilities()).disk();
                let log = options(&cut, SyncPolicy::Immediate).open(PLACE).unwrap();
                let cursor = log.cursor("indexer").unwrap();
                assert_eq!(cursor.tail().unwrap_err().kind(), ErrorKind::CursorAhead, "seed {seed}, later");
                cursor.reset(cursor.state().log_ended.unwrap()).unwrap();
                assert!(cursor.tail().unwrap().try_next().unwrap().is_some());
            } else {
                assert_eq!(cursor.position(), stood);
                cursor.tail().unwrap();
            }
        }
        drop(reopened);
        let _ = end;
    }
    println!("{told} cursors that outlived their records");
    assert!(told > 50, "{told}");
}

/// The policy retires up to a gate and no further, over power cuts at every moment: whatever a cut leaves, the gate's
/// next record is there.
#[test]
fn what_a_gate_holds_survives_every_cut() {
    let mut cuts = 0;
    let disk = Disk::new(3);
    let policy = RetentionPolicy::new().max_segments(1);
    let open = |disk: &Disk| options(disk, SyncPolicy::Immediate).retention(policy).open(PLACE).unwrap();
    let log = open(&disk);
    let cursor = log.cursor("gate").unwrap();
    cursor.set_gate(true).unwrap();
    let first = disk.moment();
    let mut tail = cursor.tail().unwrap();
    for n in 0..100 {
        log.append(&payload(n)).unwrap();
        if n % 4 == 3 {
            for _ in 0..3 {
                tail.try_next().unwrap().unwrap();
            }
            cursor.commit(tail.position()).unwrap();
        }
    }
    assert!(log.watermarks().start.get() > SEGMENT, "something was retired");
    for moment in first..=disk.moment() {
        for seed in 0..2 {
            let disk = disk.possibilities_at(moment).cut_at_random(moment + seed).disk();
            let log = open(&disk);
            let cursor = log.cursor("gate").unwrap();
            assert!(cursor.gate());
            let mut tail = cursor.tail().unwrap_or_else(|error| panic!("moment {moment}: {error}"));
            tail.try_next().unwrap();
            cuts += 1;
        }
    }
    println!("{cuts} power cuts of a log with a gate");
}
