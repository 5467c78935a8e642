//! What happens to a log, as it is told.

use tidelog::{Event, Events, RetentionPolicy, SyncPolicy};

use crate::support::{SEGMENT, another_boot, crash_files, eventually, fill, new_log, options, restore};

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
    let log = options(SyncPolicy::None).open(torn.path()).unwrap();
    assert!(log.recovery().torn_tail.is_some(), "{}", log.recovery());
    for _ in 0..2 {
        let told = drain(&mut log.events());
        let [Event::TornTail { end, bytes }] = told[..] else { panic!("{told:?}") };
        assert_eq!((end, bytes), (log.recovery().end, log.recovery().truncated_bytes));
    }
    drop(log);
    let log = options(SyncPolicy::None).open(torn.path()).unwrap();
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
