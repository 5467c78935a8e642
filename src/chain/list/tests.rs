use std::collections::BTreeSet;

use super::*;
use crate::chain::Retired;
use crate::storage::System;

const SHIFT: u32 = 16;

fn list(numbers: Range<u64>) -> (tempfile::TempDir, List) {
    let directory = tempfile::tempdir().unwrap();
    let looked = Directory::look(System::shared(), directory.path(), true).unwrap();
    let origin = Origin { log_id: [3; 16], directory: Arc::new(looked) };
    (directory, List::new(numbers, SHIFT, Some(origin)))
}

fn segment(list: &List, number: u64) -> Arc<Segment> {
    let origin = list.origin.as_ref().unwrap();
    let identity = Identity { log_id: origin.log_id, number, segment_bytes: 1 << SHIFT };
    Arc::new(Segment::unmapped(identity, Arc::clone(&origin.directory)))
}

fn check(list: &List, numbers: Range<u64>) {
    assert_eq!(list.numbers(), numbers);
    assert_eq!((list.start(), list.end()), (numbers.start << SHIFT, numbers.end << SHIFT));
    for number in numbers.start.saturating_sub(2)..numbers.end + 2 {
        let found = list.find(number).map(|segment| segment.number());
        assert_eq!(found, numbers.contains(&number).then_some(number));
        let inside = list.find_at((number << SHIFT) + 100).map(|segment| segment.number());
        assert_eq!(inside, found);
    }
    assert_eq!(list.last().map(|last| last.number()), numbers.clone().last());
    assert!(list.iter().map(|segment| segment.number()).eq(numbers));
}

fn made(list: &List) -> usize {
    list.made_between(0, u64::MAX >> 1).count()
}

#[test]
fn whatever_is_done_to_a_list_it_holds_its_numbers() {
    for (start, len) in [(0, 0), (0, 1), (5, 0), (255, 2), (256, 256), (100, 1000), (511, 514)] {
        let (_directory, mut list) = list(start..start + len);
        check(&list, start..start + len);
        let end = start + len + 300;
        for number in start + len..end {
            list.push(segment(&list, number));
        }
        check(&list, start..end);
        let old = list.clone();
        for before in [start, start + 1, start + 257, start + 290, end - 3] {
            drop(list.take_before(before));
            check(&list, before.min(end)..end);
        }
        drop(list.take_from(end - 1));
        check(&list, end - 3..end - 1);
        list.push_unmade();
        check(&list, end - 3..end);
        drop(list.take_before(u64::MAX));
        assert!(list.numbers().is_empty() && list.last().is_none());
        list.push(segment(&list, 7000));
        check(&list, 7000..7001);
        check(&old, start..end);
    }
}

#[test]
fn ranges_follow_from_the_numbers() {
    let (_directory, list) = list(3..6);
    let size = 1 << SHIFT;
    let ranges = |end: u64| list.ranges_below(end).collect::<Vec<_>>();
    assert_eq!(ranges(0), []);
    assert_eq!(ranges(3 * size), []);
    assert_eq!(ranges(3 * size + 1), [(3 * size, 4 * size)]);
    assert_eq!(ranges(u64::MAX), [(3 * size, 4 * size), (4 * size, 5 * size), (5 * size, 6 * size)]);
    assert_eq!(made(&list), 0);
}

/// What a list costs is shelves: segments are made when somebody asks, and a change copies one shelf at most.
#[test]
fn segments_are_made_for_who_asks() {
    let (_directory, mut list) = list(0..100_000);
    assert_eq!(made(&list), 0);
    for number in [0, 50_000, 99_999, 50_000] {
        assert_eq!(list.find(number).unwrap().number(), number);
    }
    assert_eq!(made(&list), 3);
    let old = list.clone();
    list.push(segment(&list, 100_000));
    assert!(made(&list) <= 3 + SHELF as usize, "{} were made", made(&list));
    let gone = list.take_before(50_100);
    assert!(made(&list) <= 3 + 2 * SHELF as usize);
    assert_eq!(gone.iter().map(|shelf| shelf.len()).sum::<u64>(), 50_100);
    assert_eq!(old.numbers(), 0..100_000);
}

/// There is one `Segment` for a number, in whichever of the lists it is found.
#[test]
fn lists_share_their_segments() {
    let (_directory, mut list) = list(0..300);
    let old = list.clone();
    list.push(segment(&list, 300));
    drop(list.take_before(10));
    let older = list.clone();
    drop(list.take_before(280));
    for number in 280..300 {
        let segment = list.find(number).unwrap();
        assert!(Arc::ptr_eq(segment, old.find(number).unwrap()), "{number}");
        assert!(Arc::ptr_eq(segment, older.find(number).unwrap()), "{number}");
    }
}

/// Retired segments are given out once each, when no list and nobody else holds them.
#[test]
fn what_is_retired_waits_for_its_holders() {
    fn unpinned(retired: &mut Retired) -> BTreeSet<u64> {
        let mut numbers = BTreeSet::new();
        retired.take_unpinned(|segment| assert!(numbers.insert(segment.number())));
        numbers
    }
    let (_directory, mut list) = list(0..600);
    let mut retired = Retired::default();
    let record = Arc::clone(list.find(20).unwrap());
    retired.add(list.take_before(50));
    assert!(unpinned(&mut retired).into_iter().eq((0..20).chain(21..50)));
    let snapshot = list.clone();
    retired.add(list.take_before(300));
    assert!(unpinned(&mut retired).is_empty());
    retired.add(list.take_before(310));
    let later = list.clone();
    drop(record);
    assert_eq!(unpinned(&mut retired), BTreeSet::from([20]));
    retired.add(list.take_before(311));
    drop(snapshot);
    assert!(unpinned(&mut retired).into_iter().eq(50..310));
    drop(later);
    assert_eq!(unpinned(&mut retired), BTreeSet::from([310]));
    assert!(unpinned(&mut retired).is_empty());
}
