//! Reading by LSN, by range, in parallel, and along with a log that grows.

use std::ops::Bound;
use std::time::Duration;

use tidelog::{ErrorKind, LogReader, Lsn, SyncPolicy};

use crate::support::{RECORD_MAX, SEGMENT, contents, fill, frame_bytes, new_log, options, returns};

#[test]
fn only_where_a_record_begins_can_be_read() {
    let (_dir, log) = new_log();
    let mut expected = fill(&log, 5, 37);
    let batch = [b"one".to_vec(), b"two".to_vec()];
    let lsns: Vec<_> = log.append_batch(&batch).unwrap().collect();
    expected.extend(lsns.into_iter().zip(batch));
    let end = log.watermarks().claimed;
    for position in 0..end.get() + 64 {
        let lsn = Lsn::new(position);
        let outcome = log.read(lsn);
        let ranged = log.snapshot().range(lsn..).next().map(|first| first.map(|record| record.lsn()));
        match expected.iter().find(|(at, _)| *at == lsn) {
            Some((_, bytes)) => {
                assert_eq!(outcome.unwrap().payload(), bytes);
                assert_eq!(ranged.unwrap().unwrap(), lsn);
                assert_eq!(log.tail(lsn).unwrap().next().unwrap().unwrap().lsn(), lsn);
            }
            None => {
                let kind = if lsn < end { ErrorKind::NotARecord } else { ErrorKind::NotWritten };
                let error = outcome.unwrap_err();
                assert_eq!((error.kind(), error.lsn()), (kind, Some(lsn)));
                if lsn == end {
                    assert!(ranged.is_none());
                    assert!(log.tail(lsn).unwrap().try_next().unwrap().is_none());
                } else {
                    assert_eq!(ranged.unwrap().unwrap_err().kind(), kind);
                    assert_eq!(log.tail(lsn).unwrap_err().kind(), kind);
                }
            }
        }
    }
    for position in [u64::MAX, u64::MAX - 7, 1 << 63, 1 << 40] {
        let lsn = Lsn::new(position);
        assert_eq!(log.read(lsn).unwrap_err().kind(), ErrorKind::NotWritten);
        assert_eq!(log.tail(lsn).unwrap_err().kind(), ErrorKind::NotWritten);
        assert_eq!(log.snapshot().range(lsn..).next().unwrap().unwrap_err().kind(), ErrorKind::NotWritten);
    }
}

#[test]
fn padding_at_the_end_of_a_segment_is_not_a_record() {
    let (_dir, log) = new_log();
    // Three and a bit: the fifth record straddles the segment's end.
    let expected = fill(&log, 8, RECORD_MAX - 1000);
    let third = expected[3].0.get() + frame_bytes(RECORD_MAX - 1000);
    assert!(third < SEGMENT && expected[4].0.get() > SEGMENT, "padded on both sides");
    for lsn in [third, SEGMENT] {
        let lsn = Lsn::new(lsn);
        assert_eq!(log.read(lsn).unwrap_err().kind(), ErrorKind::NotARecord);
        // A range and a tail may begin there: whatever comes next, comes.
        assert_eq!(log.snapshot().range(lsn..).next().unwrap().unwrap().lsn(), expected[4].0);
        assert_eq!(log.tail(lsn).unwrap().next().unwrap().unwrap().lsn(), expected[4].0);
    }
}

#[test]
fn ranges_take_every_kind_of_bound() {
    let (_dir, log) = new_log();
    let expected = fill(&log, 300, 777);
    let snapshot = log.snapshot();
    let lsns: Vec<_> = expected.iter().map(|(lsn, _)| *lsn).collect();
    let take = |range: (Bound<Lsn>, Bound<Lsn>)| -> Vec<Lsn> {
        snapshot.range(range).map(|record| record.unwrap().lsn()).collect()
    };
    let indices = [0, 1, 80, 81, 82, 150, 298, 299];
    for from in indices {
        for to in indices {
            let (low, high) = (lsns[from], lsns[to]);
            let slice = |range: std::ops::Range<usize>| lsns.get(range).unwrap_or_default().to_vec();
            use Bound::{Excluded, Included, Unbounded};
            assert_eq!(take((Included(low), Excluded(high))), slice(from..to));
            assert_eq!(take((Included(low), Included(high))), slice(from..to + 1));
            assert_eq!(take((Excluded(low), Excluded(high))), slice(from + 1..to));
            assert_eq!(take((Excluded(low), Included(high))), slice(from + 1..to + 1));
            assert_eq!(take((Included(low), Unbounded)), slice(from..300));
            assert_eq!(take((Excluded(low), Unbounded)), slice(from + 1..300));
            assert_eq!(take((Unbounded, Excluded(high))), slice(0..to));
            assert_eq!(take((Unbounded, Included(high))), slice(0..to + 1));
            // An end inside a record takes what begins before it.
            assert_eq!(take((Included(low), Excluded(Lsn::new(high.get() + 1)))), slice(from..to + 1));
        }
    }
    assert_eq!(take((Bound::Unbounded, Bound::Unbounded)), lsns);
    assert!(take((Bound::Excluded(Lsn::new(u64::MAX)), Bound::Unbounded)).is_empty());
    assert_eq!(take((Bound::Included(lsns[0]), Bound::Included(Lsn::new(u64::MAX)))), lsns);
}

#[test]
fn segments_in_parallel_give_what_iteration_gives() {
    let (_dir, log) = new_log();
    let mut expected = fill(&log, 500, 600);
    for n in 0..50_u8 {
        let batch = [vec![n; 3000], vec![n; 10]];
        let lsns: Vec<_> = log.append_batch(&batch).unwrap().collect();
        expected.extend(lsns.into_iter().zip(batch));
    }
    let snapshot = log.snapshot();
    let parts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = snapshot
            .segments()
            .map(|part| {
                scope.spawn(move || {
                    let records = part.iter().map(|record| record.unwrap());
                    records.map(|record| (record.lsn(), record.payload().to_vec())).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(parts.len() > 4);
    assert!(parts.concat() == expected);
    let bounds: Vec<_> = snapshot.segments().map(|part| (part.start(), part.end())).collect();
    assert_eq!(bounds[0].0, snapshot.start());
    assert_eq!(bounds.last().unwrap().1, snapshot.end());
    assert!(bounds.windows(2).all(|pair| pair[0].1 == pair[1].0));
    assert!(snapshot.segments().rev().map(|part| part.start()).is_sorted_by(|one, other| one > other));
}

#[test]
fn a_snapshot_does_not_see_what_comes_later() {
    let (_dir, log) = new_log();
    assert_eq!(log.snapshot().iter().count(), 0);
    let empty = log.snapshot();
    let expected = fill(&log, 10, 100);
    let ten = log.snapshot();
    fill(&log, 1000, 1000);
    assert_eq!((empty.iter().count(), empty.segments().count()), (0, 0));
    assert!(crate::support::collect(&ten).unwrap() == expected);
    assert_eq!(ten.end().get(), expected[9].0.get() + frame_bytes(100));
    assert_eq!(ten.range(ten.end()..).count(), 0);
    let beyond = Lsn::new(ten.end().get() + 8);
    assert_eq!(ten.range(beyond..).next().unwrap().unwrap_err().kind(), ErrorKind::NotWritten);
}

#[test]
fn a_tail_follows_over_rolls_and_ends_with_the_log() {
    returns("a tail beside a writer", || {
        let (_dir, log) = new_log();
        let writer = log.clone();
        let mut tails = [log.tail(Lsn::ZERO).unwrap(), log.tail(Lsn::ZERO).unwrap()];
        let thread = std::thread::spawn(move || {
            let mut expected = Vec::new();
            for round in 0..200 {
                expected.extend(fill(&writer, 5, round * 20));
                let batch = [vec![1; round], vec![2; 2 * round]];
                let lsns: Vec<_> = writer.append_batch(&batch).unwrap().collect();
                expected.extend(lsns.into_iter().zip(batch));
            }
            writer.close().unwrap();
            expected
        });
        let [waiting, polling] = &mut tails;
        let mut found = Vec::new();
        while let Some(record) = waiting.next().unwrap() {
            found.push((record.lsn(), record.payload().to_vec()));
        }
        let expected = thread.join().unwrap();
        assert!(found == expected);
        assert!(waiting.next().unwrap().is_none());
        let mut polled = Vec::new();
        while let Some(record) = polling.try_next().unwrap() {
            polled.push((record.lsn(), record.payload().to_vec()));
        }
        assert!(polled == expected);
        assert_eq!(polling.position(), log.watermarks().claimed);
        assert!(polling.next_timeout(Duration::from_secs(3600)).unwrap().is_none());
        // Also one that begins when the log is closed.
        assert_eq!(log.tail(expected[3].0).unwrap().next().unwrap().unwrap().lsn(), expected[3].0);
    });
}

#[test]
fn a_tail_behind_the_retired_part_says_so_and_others_go_on() {
    let (_dir, log) = new_log();
    let expected = fill(&log, 400, 1000);
    let mut behind = log.tail(Lsn::ZERO).unwrap();
    let mut at_end = log.tail(expected[399].0).unwrap();
    assert_eq!(behind.next().unwrap().unwrap().lsn(), expected[0].0);
    let first = log.retire_before(expected[300].0).unwrap();
    assert!(first > Lsn::ZERO && first <= expected[300].0);
    // It holds its segment, and ends with it.
    let error = loop {
        match behind.next() {
            Ok(record) => assert!(record.unwrap().lsn().get() < SEGMENT),
            Err(error) => break error,
        }
    };
    assert_eq!((error.kind(), error.lsn()), (ErrorKind::Retired, Some(first)));
    assert_eq!(at_end.next().unwrap().unwrap().lsn(), expected[399].0);
    for lsn in [Lsn::ZERO, expected[5].0, Lsn::new(first.get() - 8)] {
        let snapshot = log.snapshot();
        let ranged = snapshot.range(lsn..).next().unwrap().map(|record| record.lsn());
        for error in [log.read(lsn).unwrap_err(), log.tail(lsn).unwrap_err(), ranged.unwrap_err()] {
            assert_eq!((error.kind(), error.lsn()), (ErrorKind::Retired, Some(first)));
        }
    }
    assert_eq!(contents(&log)[0].0, expected.iter().find(|(lsn, _)| *lsn >= first).unwrap().0);
}

#[test]
fn the_last_bytes_of_a_segment_are_not_taken_for_padding() {
    // A payload that ends with its segment, with the word of the shortest padding.
    let dir = tempfile::tempdir().unwrap();
    let log = options(SyncPolicy::None).open(dir.path()).unwrap();
    for _ in 0..4 {
        let mut bytes = vec![0; RECORD_MAX];
        bytes[RECORD_MAX - 8..].copy_from_slice(&(8_u64 | 2 << 32).to_le_bytes());
        log.append(&bytes).unwrap();
    }
    assert_eq!(log.watermarks().claimed.get(), SEGMENT);
    let inside = Lsn::new(SEGMENT - 8);
    assert_eq!(log.read(inside).unwrap_err().kind(), ErrorKind::NotARecord);
    assert_eq!(log.snapshot().range(inside..).next().unwrap().unwrap_err().kind(), ErrorKind::NotARecord);
    assert_eq!(log.tail(inside).unwrap_err().kind(), ErrorKind::NotARecord);
}

/// A reader holds a segment that a later opening wrote to, and that was then retired: what the later opening wrote
/// can no longer be checked there. That is a retired record, not a damaged one.
#[test]
fn a_tail_of_another_process_knows_retired_from_damaged() {
    let (dir, log) = new_log();
    let first = log.append(b"by the first opening").unwrap();
    let reader = LogReader::open(dir.path()).unwrap();
    let mut tail = reader.tail(first).unwrap();
    assert_eq!(tail.try_next().unwrap().unwrap().payload(), b"by the first opening");
    log.close().unwrap();

    let log = options(SyncPolicy::None).open(dir.path()).unwrap();
    let second = log.append(b"by the second").unwrap();
    assert!(second.get() < SEGMENT, "in the segment that the tail holds");
    fill(&log, 3 * SEGMENT as usize / RECORD_MAX, RECORD_MAX);
    let newest = log.append(b"the newest").unwrap();
    let start = log.retire_before(newest).unwrap();
    assert!(start.get() >= SEGMENT);

    let error = tail.try_next().map(|record| record.is_some()).unwrap_err();
    assert_eq!((error.kind(), error.lsn()), (ErrorKind::Retired, Some(start)));
}
