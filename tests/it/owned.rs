//! Records that outlive their snapshot, their log and their segment's place in it: pinned ones, parts of a snapshot, and
//! with the feature `bytes` payloads as `Bytes`.

use tidelog::{ErrorKind, Log, LogReader, Lsn, PinnedRecord, Snapshot, SyncPolicy};

use crate::support::{Expected, SEGMENT, collect, eventually, fill, new_log, options};

/// Rolls over what was retired, until its files were used again.
fn recycle(log: &Log) {
    let before = log.stats().segments_recycled;
    eventually("segments are recycled", || {
        fill(log, 300, 1000);
        log.retire_before(log.watermarks().published).unwrap();
        log.stats().segments_recycled >= before + 10
    });
}

/// As much, when something that is held of an earlier opening keeps files from being used again.
fn roll(log: &Log) {
    for _ in 0..5 {
        fill(log, 300, 1000);
        log.retire_before(log.watermarks().published).unwrap();
    }
}

fn assert_pinned(pinned: &[PinnedRecord], expected: &Expected) {
    assert_eq!(pinned.len(), expected.len());
    for (record, (lsn, bytes)) in pinned.iter().zip(expected) {
        assert!(record.lsn() == *lsn && record.payload() == bytes && record.as_ref() == bytes, "{lsn}");
        assert_eq!(record.payload().as_ptr() as usize % 8, 0);
    }
}

#[test]
fn pinned_records_are_those_of_the_snapshot_and_outlive_everything() {
    let (dir, log) = new_log();
    let mut expected = fill(&log, 200, 700);
    expected.push((log.append(b"").unwrap(), Vec::new()));
    let snapshot = log.snapshot();
    let pinned: Vec<_> = snapshot.iter().pinned().map(Result::unwrap).collect();
    let from = expected[150].0;
    assert_pinned(
        &snapshot.range(from..).pinned().map(Result::unwrap).collect::<Vec<_>>(),
        &expected[150..].to_vec(),
    );
    let error = snapshot.range(Lsn::new(4)..).pinned().next().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotARecord);
    drop(snapshot);
    recycle(&log);
    assert_pinned(&pinned, &expected);
    // On another thread, when the log is gone and another writer has it.
    drop(log);
    let log = options(SyncPolicy::None).open(dir.path()).unwrap();
    roll(&log);
    std::thread::spawn(move || assert_pinned(&pinned, &expected)).join().unwrap();
}

#[test]
fn a_part_pins_its_own_segment_alone() {
    let (_dir, log) = new_log();
    let expected = fill(&log, 600, 900);
    let snapshot = log.snapshot();
    let third: Snapshot = snapshot.segments().nth(3).unwrap().pin().unwrap();
    drop(snapshot);
    let (start, end) = (third.start(), third.end());
    assert_eq!((start.get(), end.get()), (3 * SEGMENT, 4 * SEGMENT));
    let here: Expected = expected.iter().filter(|(lsn, _)| (start..end).contains(lsn)).cloned().collect();
    log.retire_before(log.watermarks().published).unwrap();
    eventually("the others are free", || log.stats().segments_held == 1);
    recycle(&log);
    assert_eq!(collect(&third).unwrap(), here);
    assert_eq!(third.read(here[5].0).unwrap().payload(), here[5].1);
    assert_eq!(third.range(here[5].0..here[9].0).count(), 4);
    assert_eq!(third.segments().count(), 1);
    for (lsn, kind) in [(expected[0].0, ErrorKind::Retired), (end, ErrorKind::NotWritten)] {
        assert_eq!(third.read(lsn).unwrap_err().kind(), kind);
    }
    let clone = third.clone();
    drop(third);
    let part = clone.segments().next().unwrap().pin().unwrap();
    drop(clone);
    recycle(&log);
    assert!(log.stats().segments_held >= 1);
    assert_eq!(collect(&part).unwrap(), here);
    drop(part);
    eventually("all are free", || log.stats().segments_held == 0);
}

#[test]
fn the_part_that_is_being_written_ends_with_the_snapshot() {
    let (_dir, log) = new_log();
    let expected = fill(&log, 10, 100);
    let part = log.snapshot().segments().next().unwrap().pin().unwrap();
    fill(&log, 10, 100);
    assert_eq!(collect(&part).unwrap(), expected);
    log.close().unwrap();
    assert_eq!(collect(&part).unwrap(), expected);
}

#[test]
fn a_reader_pins_parts_that_it_had_not_read() {
    let (dir, log) = new_log();
    let expected = fill(&log, 300, 900);
    let reader = LogReader::open(dir.path()).unwrap();
    let parts: Vec<_> = reader.snapshot().unwrap().segments().map(|part| part.pin().unwrap()).collect();
    drop(reader);
    log.retire_before(log.watermarks().published).unwrap();
    recycle(&log);
    let read: Expected = parts.iter().flat_map(|part| collect(part).unwrap()).collect();
    assert_eq!(read, expected);
}

#[test]
fn a_damaged_record_is_an_error_in_every_form() {
    use std::os::unix::fs::FileExt;
    let (dir, log) = new_log();
    let expected = fill(&log, 10, 100);
    let file = dir.path().join(crate::support::segment_name(0));
    let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(&[expected[3].1[9] ^ 4], crate::support::HEADER + expected[3].0.get() + 16 + 9)
        .unwrap();
    let snapshot = log.snapshot();
    let part = snapshot.segments().next().unwrap().pin().unwrap();
    let mut pinned = snapshot.iter().pinned();
    assert!(pinned.by_ref().take(3).all(|record| record.is_ok()));
    assert!(pinned.next().unwrap().unwrap_err().is_corruption() && pinned.next().is_none());
    assert!(collect(&part).unwrap_err().is_corruption());
    #[cfg(feature = "bytes")]
    assert!(part.iter().bytes().nth(3).unwrap().unwrap_err().is_corruption());
}

#[cfg(feature = "bytes")]
mod bytes {
    use super::*;
    use crate::support::contents;
    use ::bytes::Bytes;

    fn assert_bytes(held: &[(Lsn, Bytes)], expected: &Expected) {
        assert_eq!(held.len(), expected.len());
        for ((lsn, bytes), (expected_lsn, expected)) in held.iter().zip(expected) {
            assert!(lsn == expected_lsn && bytes == expected, "{lsn}");
        }
    }

    fn bytes_of(snapshot: &Snapshot) -> Vec<(Lsn, Bytes)> {
        snapshot.iter().bytes().map(Result::unwrap).collect()
    }

    #[test]
    fn bytes_are_the_mapping_itself() {
        let (_dir, log) = new_log();
        let expected = fill(&log, 300, 700);
        let snapshot = log.snapshot();
        let held = bytes_of(&snapshot);
        assert_bytes(&held, &expected);
        for ((_, bytes), record) in held.iter().zip(&snapshot) {
            assert_eq!(bytes.as_ptr(), record.unwrap().payload().as_ptr(), "a copy");
        }
    }

    #[test]
    fn bytes_stay_while_their_segment_is_retired_and_others_are_recycled() {
        let (_dir, log) = new_log();
        let mut expected = fill(&log, 600, 900);
        expected.push((log.append(b"").unwrap(), Vec::new()));
        let held = bytes_of(&log.snapshot());
        let start = log.retire_before(log.watermarks().published).unwrap();
        assert_eq!(log.stats().segments_held, start.get() / SEGMENT);
        for _ in 0..3 {
            recycle(&log);
            assert_bytes(&held, &expected);
        }
        // One slice of one record keeps its segment, and no other.
        let slice = held[300].1.slice(10..20);
        drop(held);
        eventually("all but one are free", || log.stats().segments_held == 1);
        recycle(&log);
        assert_eq!(slice, expected[300].1[10..20]);
        drop(slice);
        eventually("all are free", || log.stats().segments_held == 0);
    }

    #[test]
    fn bytes_outlive_the_log_its_next_writer_and_its_directory() {
        let (dir, log) = new_log();
        let expected = fill(&log, 300, 900);
        let one = log.read(expected[7].0).unwrap();
        let (address, one) = (one.payload().as_ptr(), Bytes::from(one));
        assert_eq!(one.as_ptr(), address);
        let held = bytes_of(&log.snapshot());
        log.close().unwrap();
        drop(log);
        assert_bytes(&held, &expected);
        let log = options(SyncPolicy::None).open(dir.path()).unwrap();
        assert!(contents(&log) == expected);
        roll(&log);
        assert_bytes(&held, &expected);
        drop(log);
        std::fs::remove_dir_all(dir.path()).unwrap();
        std::thread::spawn(move || {
            assert_bytes(&held, &expected);
            assert_eq!(one, expected[7].1);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn bytes_of_the_part_that_is_written_go_with_the_log() {
        let (_dir, log) = new_log();
        let first = fill(&log, 10, 100);
        let held = bytes_of(&log.snapshot());
        let second = fill(&log, 10, 100);
        assert_bytes(&held, &first);
        let all = bytes_of(&log.snapshot());
        assert_bytes(&all[10..], &second);
        assert_eq!(all[3].1.as_ptr(), held[3].1.as_ptr());
    }

    #[test]
    fn a_reader_gives_bytes_that_the_writer_cannot_recycle() {
        let (dir, log) = new_log();
        let expected = fill(&log, 300, 900);
        let held = bytes_of(&LogReader::open(dir.path()).unwrap().snapshot().unwrap());
        log.retire_before(log.watermarks().published).unwrap();
        recycle(&log);
        assert_bytes(&held, &expected);
    }
}
