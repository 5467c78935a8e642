//! No more are open than may be; and what an open partition costs.

use tidelog::{ErrorKind, PartitionOptions, SyncPolicy};

use crate::support::quick_directory;
use crate::{contents, options};

#[test]
fn the_one_that_was_asked_for_longest_ago_is_closed_if_nobody_holds_it() {
    let directory = quick_directory();
    let partitions = options(SyncPolicy::None).open_max(3).open(directory.path()).unwrap();
    let held = partitions.get(1).unwrap();
    for id in [2, 3, 2] {
        partitions.get(id).unwrap().append(b"x").unwrap();
    }
    partitions.get(4).unwrap();
    // 3 went: 1 is held, and 2 was asked for again. A lock tells who is open.
    let place = |id: u64| directory.path().join(format!("{id:020}.part"));
    let is_open = |id| tidelog::Log::open(place(id)).is_err_and(|error| error.kind() == ErrorKind::Locked);
    assert_eq!([1, 2, 3, 4].map(is_open), [true, true, false, true]);
    assert_eq!(partitions.open_count().unwrap(), 3);
    held.append(b"goes on").unwrap();
    assert_eq!(contents(&partitions.get(3).unwrap()), [b"x"], "what was closed is all there");
}

#[test]
fn a_limit_that_is_reached_by_those_in_use_is_an_error_of_the_next() {
    let directory = quick_directory();
    let partitions = options(SyncPolicy::None).open_max(2).open(directory.path()).unwrap();
    let (one, two) = (partitions.get(1).unwrap(), partitions.get(2).unwrap());
    let cursor = two.cursor("holds-it").unwrap();
    drop(two);
    let error = partitions.get(3).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManyOpen);
    assert!(error.to_string().contains("2 are open"), "{error}");
    assert!(!partitions.ids().unwrap().contains(&3), "nothing was created");
    partitions.get(2).unwrap().append(b"those that are open are given").unwrap();
    drop(cursor);
    partitions.get(3).unwrap();
    drop(one);
}

#[test]
fn one_that_its_user_closed_counts_no_more_and_is_opened_again() {
    let directory = quick_directory();
    let partitions = options(SyncPolicy::None).open_max(1).open(directory.path()).unwrap();
    let log = partitions.get(1).unwrap();
    log.append(b"x").unwrap();
    log.close().unwrap();
    let again = partitions.get(1).unwrap();
    again.append(b"y").unwrap();
    assert_eq!(contents(&again), [b"x", b"y"]);
    assert_eq!(log.append(b"z").unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn limits_by_descriptors_and_memory_are_limits_of_how_many() {
    let open = |options: &PartitionOptions| {
        let directory = quick_directory();
        let partitions = options.open(directory.path()).unwrap();
        let logs: Vec<_> = (0..100).map_while(|id| partitions.get(id).ok()).collect();
        logs.len()
    };
    let base = options(SyncPolicy::None);
    // A lock and two spares; seven segments of 64 KiB and a page.
    assert_eq!(open(&base.clone().descriptors_max(8)), 2);
    assert_eq!(open(&base.clone().mapped_bytes_max(3 * 7 * (65536 + 4096))), 3);
    assert_eq!(open(&base.clone().descriptors_max(8).open_max(1)), 1);
    for none in
        [base.clone().open_max(0), base.clone().descriptors_max(2), base.clone().mapped_bytes_max(1000)]
    {
        let directory = quick_directory();
        let error = none.open(directory.path().join("root")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption, "{error}");
        assert!(!directory.path().join("root").exists());
    }
    for wrong in [base.clone().sync_threads(0), base.clone().sync_threads(1000), base.keyed(0)] {
        let directory = quick_directory();
        assert_eq!(wrong.open(directory.path()).unwrap_err().kind(), ErrorKind::InvalidOption);
    }
}

/// Those that are read to their beginning do not keep all of it mapped, or thousands of partitions would run out of what a
/// process can map.
#[cfg(target_os = "linux")]
#[test]
fn an_open_partition_takes_no_more_than_it_says() {
    let directory = quick_directory();
    let partitions = options(SyncPolicy::None).open(directory.path()).unwrap();
    let log = partitions.get(1).unwrap();
    for _ in 0..4000 {
        log.append(&[7; 1000]).unwrap(); // over sixty segments
    }
    log.sync().unwrap();
    for _ in 0..2 {
        assert_eq!(log.snapshot().iter().filter(|record| record.is_ok()).count(), 4000);
        let mut tail = log.tail(tidelog::Lsn::ZERO).unwrap();
        while tail.try_next().unwrap().is_some() {}
    }
    let place = log.directory().to_str().unwrap().to_owned();
    let mapped = || {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().filter(|line| line.contains(&place) && line.contains(".seg")).count()
    };
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    while mapped() > 7 {
        assert!(std::time::Instant::now() < deadline, "{} segments are mapped", mapped());
        // The background unmaps some for each segment that becomes full.
        for _ in 0..70 {
            log.append(&[7; 1000]).unwrap();
        }
        log.sync().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let descriptors = || {
        let links = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        links.filter(|link| std::fs::read_link(link.path()).is_ok_and(|to| to.starts_with(&place))).count()
    };
    assert!(descriptors() <= 3, "{} descriptors", descriptors());
    // One that is opened and little used has one segment on the disk.
    let idle = partitions.get(2).unwrap();
    idle.append(b"little").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    let segments = std::fs::read_dir(idle.directory()).unwrap().flatten();
    assert_eq!(segments.filter(|file| file.path().extension().is_some_and(|end| end == "seg")).count(), 1);
}
