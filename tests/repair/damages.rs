//! Damage of every kind.

use std::collections::BTreeSet;

use tidelog::repair::{self, Action, Loss, Way};
use tidelog::{ErrorKind, Log, Lsn, SyncPolicy};

use crate::support::{HEADER, SEGMENT, crc64, files, options, restore, segment_name};
use crate::world::{Files, World, salvage};

fn survivors(what: &str, world: &World, damaged: &Files, gone: &BTreeSet<Lsn>) -> repair::Plan {
    let (plan, left) = salvage(what, world, damaged);
    let expected = world.without(gone);
    assert!(left == expected, "{what}: {} records are left of {}", left.len(), expected.len());
    assert!(plan.end() >= world.end, "{what}: LSNs would be given again: {plan:?}");
    plan
}

#[test]
fn a_sound_log_is_left_alone() {
    for world in [World::closed(), World::killed()] {
        let dir = restore(&world.files);
        for way in [Way::Salvage, Way::Tail, Way::To(world.end)] {
            let plan = repair::apply(dir.path(), way).unwrap();
            assert!(plan.is_empty() && plan.lost().is_empty(), "{plan:?}");
            assert!(files(dir.path()) == world.files, "{way:?}");
            assert_eq!(plan.kept().records, world.records.len() as u64, "{way:?}");
        }
    }
}

#[test]
fn flipped_bits() {
    let world = World::closed();
    let last = world.records.len() - 1;
    for index in (0..=last).step_by(29).chain([7, 8, 9, 10, last - 1, last]) {
        for byte in [0, 4, 5, 9, 16] {
            let (name, at) = world.place(index);
            if byte == 16 && world.records[index].1.is_empty() {
                continue;
            }
            let mut damaged = world.files.clone();
            damaged.get_mut(&name).unwrap()[at + byte] ^= 0x10;
            let gone = world.with_batches([index]);
            let plan = survivors(&format!("byte {byte} of record {index}"), &world, &damaged, &gone);
            assert_eq!(plan.lost().len(), 1, "{plan:?}");
            assert_eq!(plan.lost()[0].from, *gone.first().unwrap());
            assert_eq!(plan.lost()[0].why, Loss::Damaged);
            assert_eq!(plan.actions().iter().filter(|(_, action)| *action == Action::Correct).count(), 1);
            // The other ways refuse, and change nothing, where it lies below.
            let dir = restore(&damaged);
            for way in [Way::Tail, Way::To(world.end)] {
                match repair::apply(dir.path(), way) {
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{way:?}: {error}"),
                    Ok(plan) => panic!("{way:?}: {plan:?}"),
                }
                assert!(files(dir.path()) == damaged);
            }
        }
    }
}

#[test]
fn several_places_at_once_and_zeros() {
    let world = World::closed();
    let mut damaged = world.files.clone();
    let hit = [3, 4, 40, 120, 200, 300];
    for index in hit {
        let (name, at) = world.place(index);
        damaged.get_mut(&name).unwrap()[at + 9] ^= 1;
    }
    survivors("several", &world, &damaged, &world.with_batches(hit));

    for (from, to) in [(20, 25), (100, 101), (430, world.records.len())] {
        let mut damaged = world.files.clone();
        for index in from..to {
            let (name, at) = world.place(index);
            let bytes = (world.records[index].1.len() + 16).next_multiple_of(8);
            damaged.get_mut(&name).unwrap()[at..at + bytes].fill(0);
        }
        survivors(&format!("zeros {from} to {to}"), &world, &damaged, &world.with_batches(from..to));
    }
}

#[test]
fn missing_exchanged_and_misnamed_segments() {
    for world in [World::closed(), World::killed()] {
        let last = world.end.get() / SEGMENT;
        for number in 0..=last {
            let mut damaged = world.files.clone();
            damaged.remove(&segment_name(number)).unwrap();
            let gone = world.with_batches(world.inside(number));
            let (plan, left) = salvage(&format!("without segment {number}"), &world, &damaged);
            assert!(left == world.without(&gone));
            let base = number * SEGMENT;
            let found = plan.lost().iter().find(|lost| lost.from.get() == base);
            // Of a killed log's newest segment there is no other trace.
            if let Some(lost) = found {
                assert_eq!(lost.why, Loss::Missing, "{plan:?}");
            } else {
                assert_eq!(number, last, "{plan:?}");
            }
        }
        let mut swapped = world.files.clone();
        swapped.insert(segment_name(1), world.files[&segment_name(2)].clone());
        survivors("exchanged", &world, &swapped, &world.with_batches(world.inside(1)));
        let mut odd = world.files.clone();
        odd.insert(format!("{:020}.seg", SEGMENT + 8), world.files[&segment_name(2)].clone());
        let plan = survivors("misnamed", &world, &odd, &BTreeSet::new());
        assert!(plan.actions().iter().any(|(_, action)| *action == Action::Remove));
    }
}

#[test]
fn cut_files() {
    let world = World::closed();
    let whole = (HEADER + SEGMENT) as usize;
    for (number, len) in
        [(0, 0), (0, 100), (1, 4096), (1, whole / 2), (2, whole - 1), (2, whole - 8), (2, 20_000)]
    {
        let mut damaged = world.files.clone();
        damaged.get_mut(&segment_name(number)).unwrap().truncate(len);
        let lost = |index: &usize| {
            let (lsn, bytes) = &world.records[*index];
            let end = HEADER + lsn.get() % SEGMENT + 16 + bytes.len() as u64;
            end > len as u64
        };
        let gone = world.with_batches(world.inside(number).into_iter().filter(lost));
        survivors(&format!("segment {number} cut to {len}"), &world, &damaged, &gone);
    }
}

#[test]
fn damaged_headers_cost_no_record() {
    for world in [World::closed(), World::killed()] {
        let last = world.end.get() / SEGMENT;
        for number in 0..=last {
            // The magic, the version's neighbourhood, the id, the number, its checksum; the mark; the session table's entries.
            for byte in [0, 14, 20, 33, 41, 49, 121, 513, 560, 2048, 2060, 2066, 2105, 2112, 2130] {
                let mut damaged = world.files.clone();
                damaged.get_mut(&segment_name(number)).unwrap()[byte] ^= 1;
                let (_, left) = salvage(&format!("byte {byte} of the header of {number}"), &world, &damaged);
                assert!(left == world.records, "byte {byte} of segment {number}: {} are left", left.len());
            }
            let mut damaged = world.files.clone();
            damaged.get_mut(&segment_name(number)).unwrap()[..4096].fill(0);
            let (plan, left) = salvage(&format!("no header in {number}"), &world, &damaged);
            // The neighbours know the openings, but for one that wrote to this segment alone.
            assert!(left == world.records, "segment {number}: {} are left, {plan:?}", left.len());
        }
    }
}

#[test]
fn damaged_metadata_is_told_by_the_segments() {
    for world in [World::closed(), World::killed()] {
        for slots in [&[0][..], &[4096], &[0, 4096]] {
            let mut damaged = world.files.clone();
            for slot in slots {
                damaged.get_mut("log.meta").unwrap()[slot + 41] ^= 1;
            }
            survivors(&format!("slots {slots:?}"), &world, &damaged, &BTreeSet::new());
        }
        let mut damaged = world.files.clone();
        damaged.remove("log.meta");
        let plan = survivors("no metadata", &world, &damaged, &BTreeSet::new());
        assert!(
            plan.actions().iter().any(|(path, action)| path.ends_with("log.meta") && *action == Action::Make)
        );
        // With the headers gone as well nothing tells what the log was.
        for (_, bytes) in damaged.iter_mut().filter(|(name, _)| name.ends_with(".seg")) {
            bytes[..128].fill(0);
        }
        let dir = restore(&damaged);
        let error = repair::apply(dir.path(), Way::Salvage).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(files(dir.path()) == damaged);
    }
}

#[test]
fn a_damaged_cursor_goes() {
    let world = World::closed();
    let mut damaged = world.files.clone();
    for slot in [0, 4096] {
        damaged.get_mut("indexer.cursor").unwrap()[slot + 33] ^= 1;
    }
    let plan = survivors("a cursor", &world, &damaged, &BTreeSet::new());
    assert_eq!(plan.actions().len(), 1, "{plan:?}");
}

#[test]
fn torn_tails() {
    let world = World::killed();
    let (name, at) = (segment_name(world.end.get() / SEGMENT), (HEADER + world.end.get() % SEGMENT) as usize);
    let claimed = (1_u64 << 32 | 64).to_le_bytes().to_vec();
    for (what, bytes) in [("garbage", vec![0xa5; 400]), ("a claim", claimed)] {
        let mut torn = world.files.clone();
        torn.get_mut(&name).unwrap()[at..at + bytes.len()].copy_from_slice(&bytes);
        let plan = survivors(what, &world, &torn, &BTreeSet::new());
        assert!(!plan.is_empty());
        let dir = restore(&torn);
        let plan = repair::apply(dir.path(), Way::Tail).unwrap();
        assert_eq!(plan.end(), world.end, "{what}");
        assert_eq!((plan.lost()[0].from, plan.lost()[0].why), (world.end, Loss::Cut), "{what}");
        assert!(std::fs::read(plan.quarantine().unwrap().join(&name)).unwrap() == torn[&name]);
        assert!(repair::plan(dir.path(), Way::Tail).unwrap().is_empty());
        let log = Log::open(dir.path()).unwrap();
        assert_eq!(log.recovery().last_close, tidelog::LastClose::Clean);
        assert_eq!(crate::support::contents(&log), world.records);
    }
}

#[test]
fn what_is_no_log_or_of_another_version_or_locked_is_refused() {
    let dir = crate::support::scratch();
    for way in [Way::Tail, Way::Salvage, Way::To(Lsn::ZERO)] {
        assert_eq!(repair::apply(dir.path(), way).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(repair::apply(dir.path().join("none"), way).unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
    let world = World::closed();
    for name in ["log.meta".to_owned(), segment_name(1)] {
        let mut other = world.files.clone();
        let bytes = other.get_mut(&name).unwrap();
        bytes[8..12].copy_from_slice(&77_u32.to_le_bytes());
        let crc = crc64(&bytes[..120]);
        bytes[120..128].copy_from_slice(&crc.to_le_bytes());
        let dir = restore(&other);
        let error = repair::apply(dir.path(), Way::Salvage).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}: {error}");
        assert!(files(dir.path()) == other);
    }
    let dir = restore(&world.files);
    let log = options(SyncPolicy::None).open(dir.path()).unwrap();
    for way in [Way::Tail, Way::Salvage, Way::To(Lsn::ZERO)] {
        assert_eq!(repair::apply(dir.path(), way).unwrap_err().kind(), ErrorKind::Locked);
    }
    drop(log);
}

/// Of the last records nothing is left but the writer's note that they were durable.
#[test]
fn what_was_durable_and_is_zeros_now_is_not_given_again() {
    let dir = crate::support::scratch();
    let log = options(SyncPolicy::None).open(dir.path()).unwrap();
    let records = crate::support::fill(&log, 20, 100);
    log.sync().unwrap();
    let end = log.watermarks().durable;
    let mut damaged = crate::support::crash_files(dir.path());
    drop(log);
    let from = (HEADER + records[15].0.get()) as usize;
    damaged.get_mut(&segment_name(0)).unwrap()[from..].fill(0);
    let dir = restore(&damaged);
    let plan = repair::apply(dir.path(), Way::Salvage).unwrap();
    assert_eq!((plan.kept().records, plan.end()), (15, end), "{plan:?}");
    assert_eq!(plan.lost()[0].why, Loss::Unwritten);
    assert_eq!(Log::open(dir.path()).unwrap().append(b"next").unwrap(), end);
}

/// A claim that never returned, with records of others behind it: an opening pads it, and so does the repair.
#[test]
fn a_hole_is_padded_by_the_tail_repair() {
    let world = World::killed();
    let index = world.records.len() - 8;
    let (name, at) = world.place(index);
    let bytes = (world.records[index].1.len() + 16).next_multiple_of(8);
    let mut damaged = world.files.clone();
    damaged.get_mut(&name).unwrap()[at..at + bytes].fill(0);
    let dir = restore(&damaged);
    let foretold = repair::plan(dir.path(), Way::Tail).unwrap();
    let done = repair::apply(dir.path(), Way::Tail).unwrap();
    crate::world::assert_same("a hole", &foretold, &done);
    crate::world::check_quarantine("a hole", &damaged, dir.path(), &done);
    let lsn = world.records[index].0;
    assert_eq!(
        (done.lost().len(), done.lost()[0].from, done.lost()[0].why),
        (1, lsn, Loss::Unwritten),
        "{done:?}"
    );
    assert_eq!(done.end(), world.end);
    let log = Log::open(dir.path()).unwrap();
    assert_eq!(log.recovery().last_close, tidelog::LastClose::Clean);
    assert!(crate::support::contents(&log) == world.without(&world.with_batches([index])));
}
