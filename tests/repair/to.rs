//! Back to a point in time.

use tidelog::repair::{self, Loss, Way};
use tidelog::{ErrorKind, LastClose, Log, Lsn};

use crate::support::{SEGMENT, contents, files, restore};
use crate::world::{World, assert_same, check_quarantine};

#[test]
fn the_log_ends_before_the_record_at_or_behind() {
    for world in [World::closed(), World::killed()] {
        let last = world.records.len() - 1;
        let of_batches: Vec<usize> = (0..=last)
            .filter(|index| world.batches.iter().any(|batch| batch.contains(&world.records[*index].0)))
            .collect();
        for index in (0..=last).step_by(23).chain(of_batches).chain([last]) {
            for inside in [0, 8] {
                let lsn = world.records[index].0.get() + inside;
                let what = format!("to {lsn}, record {index}");
                let dir = restore(&world.files);
                let way = Way::To(Lsn::new(lsn));
                let foretold = repair::plan(dir.path(), way).unwrap();
                assert!(files(dir.path()) == world.files);
                let done = repair::apply(dir.path(), way).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_same(&what, &foretold, &done);
                check_quarantine(&what, &world.files, dir.path(), &done);
                let gone =
                    world.with_batches((0..=last).filter(|index| world.records[*index].0.get() >= lsn));
                let log = Log::open(dir.path()).unwrap_or_else(|error| panic!("{what}: {error}"));
                let clean = log.recovery().last_close == LastClose::Clean;
                assert!(clean || done.is_empty(), "{what}: {:?}", log.recovery());
                assert!(contents(&log) == world.without(&gone), "{what}");
                let next = log.append(b"instead").unwrap();
                assert_eq!(next, done.end(), "{what}");
                if done.is_empty() {
                    assert_eq!((index, inside), (last, 8), "{what}");
                } else {
                    assert_eq!(
                        done.lost().last().map(|lost| (lost.from, lost.why)),
                        Some((done.end(), Loss::Cut))
                    );
                    assert!(done.lost().last().unwrap().to >= world.end, "{what}");
                }
                log.close().unwrap();
            }
        }
    }
}

#[test]
fn places_that_the_log_does_not_have_are_refused() {
    let world = World::closed();
    let dir = restore(&world.files);
    let beyond = Way::To(Lsn::new(world.end.get() + 8));
    assert_eq!(repair::apply(dir.path(), beyond).unwrap_err().kind(), ErrorKind::NotWritten);
    let far = Way::To(Lsn::new(world.end.get() + 100 * SEGMENT));
    assert_eq!(repair::apply(dir.path(), far).unwrap_err().kind(), ErrorKind::NotWritten);
    assert!(files(dir.path()) == world.files);
    let log = Log::open(dir.path()).unwrap();
    let start = log.retire_before(Lsn::new(2 * SEGMENT)).unwrap();
    log.close().unwrap();
    drop(log);
    assert_eq!(repair::apply(dir.path(), Way::To(Lsn::new(8))).unwrap_err().kind(), ErrorKind::Retired);
    // To its very start: nothing is left, and the log goes on there.
    let plan = repair::apply(dir.path(), Way::To(start)).unwrap();
    assert_eq!((plan.kept().records, plan.end()), (0, start));
    let log = Log::open(dir.path()).unwrap();
    assert_eq!(log.append(b"first").unwrap(), start);
}

/// Damage behind the place does not matter.
#[test]
fn what_is_damaged_behind_is_cut_away() {
    let world = World::closed();
    let mut damaged = world.files.clone();
    let (name, at) = world.place(300);
    damaged.get_mut(&name).unwrap()[at + 9] ^= 1;
    damaged.remove(&crate::support::segment_name(world.end.get() / SEGMENT));
    let dir = restore(&damaged);
    let plan = repair::apply(dir.path(), Way::To(world.records[300].0)).unwrap();
    assert_eq!(plan.kept().records, 300);
    let log = Log::open(dir.path()).unwrap();
    assert!(contents(&log) == world.records[..300]);
}
