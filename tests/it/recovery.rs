//! What an opening reports, and what it does where there is little to see: each test stands for faults that
//! `crates/mutants/sweep` put into the recovery and that nothing else noticed.

use std::collections::BTreeMap;
use std::ops::Range;

use tidelog::{ErrorKind, LastClose, Lsn, SyncPolicy, TornTail};

use crate::support::{
    HEADER, SEGMENT, another_boot, contents, crash_files, eventually, files, fill, frame_bytes, names,
    options, restore, segment_name,
};

/// A payload of which 64 frames fill a segment to its last byte.
const SIXTY_FOURTH: usize = SEGMENT as usize / 64 - 16;

fn lock_text(dir: &std::path::Path) -> String {
    std::fs::read_to_string(dir.join("log.lock")).unwrap()
}

/// Makes the last writer one of another boot, and takes away the marks that its keeper may or may not have made by
/// then in segments that were not synced.
fn lose_power(image: &mut BTreeMap<String, Vec<u8>>, unsynced: Range<u64>) {
    another_boot(image);
    for number in unsynced {
        image.get_mut(&segment_name(number)).unwrap()[512..576].fill(0);
    }
}

#[test]
fn a_creation_that_was_cut_short_begins_anew_and_a_log_without_metadata_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(SyncPolicy::None);
    let log = options.open(dir.path()).unwrap();
    let mut begun = crash_files(dir.path());
    fill(&log, 3, 100);
    let mut full = crash_files(dir.path());
    for files in [&mut begun, &mut full] {
        files.retain(|name, _| *name == segment_name(0));
    }
    let begun = restore(&begun);
    let log = options.open(begun.path()).unwrap();
    assert_eq!(log.recovery().last_close, LastClose::Created);
    assert_eq!(log.recovery().segments, 0);
    let expected = fill(&log, 3, 100);
    log.close().unwrap();
    assert!(contents(&options.open(begun.path()).unwrap()) == expected);

    let damaged = restore(&full);
    let error = options.open(damaged.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(files(damaged.path()) == full, "a refused directory was changed");
}

/// The name of a spare is not given twice: not that of one in a directory where a log is created, and not those of the
/// spares that lie there when an opening sets segments aside.
#[test]
fn spares_keep_their_names() {
    let options = options(SyncPolicy::None).recycle_max(4);
    let dir = tempfile::tempdir().unwrap();
    let foreign = dir.path().join(format!("{:020}.spare", 5));
    std::fs::write(&foreign, b"of a creation that was cut short").unwrap();
    let log = options.open(dir.path()).unwrap();
    eventually("two segments are ready", || names(dir.path(), ".seg").len() == 3);
    let mut killed = crash_files(dir.path());
    log.close().unwrap();
    drop(log);
    assert_eq!(std::fs::read(&foreign).unwrap(), b"of a creation that was cut short");
    let mut closed = files(dir.path());
    closed.retain(|name, _| name.ends_with(".spare"));
    let spares: Vec<_> = (5..8).map(|number| format!("{number:020}.spare")).collect();
    assert!(closed.keys().eq(spares.iter()), "{:?}", closed.keys());

    // Killed with two segments prepared, and those two spares beside them.
    closed.remove(&spares[0]);
    killed.remove(&spares[0]);
    killed.extend(closed);
    let again = restore(&killed);
    let log = options.open(again.path()).unwrap();
    eventually("two of the four spares are used", || names(again.path(), ".seg").len() == 3);
    let left = names(again.path(), ".spare");
    assert_eq!(left.len(), 2, "{left:?}");
    log.close().unwrap();
}

/// More spares than are to be kept are deleted.
#[test]
fn spares_beyond_the_limit_go() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(SyncPolicy::None).recycle_max(3);
    let log = options.open(dir.path()).unwrap();
    eventually("two segments are ready", || names(dir.path(), ".seg").len() == 3);
    log.close().unwrap();
    let mut files = files(dir.path());
    let spare = files.iter().find(|(name, _)| name.ends_with(".spare")).unwrap().1.clone();
    files.retain(|name, _| !name.ends_with(".spare"));
    files.extend((10..17).map(|number| (format!("{number:020}.spare"), spare.clone())));
    let again = restore(&files);
    let log = options.open(again.path()).unwrap();
    eventually("two of three become segments", || names(again.path(), ".seg").len() == 3);
    let left = names(again.path(), ".spare");
    assert_eq!(left.len(), 1, "{left:?}");
    drop(log);
}

/// The number of segments, where the log ends inside one and where it ends with one; closed and killed.
#[test]
fn the_report_counts_the_segments() {
    for (frames, segments) in [(1, 1), (64, 1), (65, 2), (128, 2), (200, 4)] {
        for closed in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let options = options(SyncPolicy::None);
            let log = options.open(dir.path()).unwrap();
            let expected = fill(&log, frames, SIXTY_FOURTH);
            let prepared = SEGMENT * (expected[frames - 1].0.get() / SEGMENT + 2);
            eventually("the next two are ready", || {
                names(dir.path(), ".seg").contains(&format!("{prepared:020}.seg"))
            });
            let image = if closed {
                log.close().unwrap();
                files(dir.path())
            } else {
                crash_files(dir.path())
            };
            drop(log);
            let again = restore(&image);
            let log = options.open(again.path()).unwrap();
            let report = log.recovery();
            let what = format!("{frames} frames, closed {closed}: {report}");
            // A log that ends with a segment goes on in the next, which is there already.
            let empty = u64::from(frames % 64 == 0);
            assert_eq!(report.segments, segments + empty, "{what}");
            assert_eq!(report.end.get(), frames as u64 * frame_bytes(SIXTY_FOURTH), "{what}");
            assert_eq!(report.last_close == LastClose::Clean, closed, "{what}");
            if closed {
                assert_eq!((report.segments_scanned, report.records_scanned), (0, 0), "{what}");
            }
            assert!(contents(&log) == expected, "{what}");
        }
    }
}

/// Only what is not known to be durable is scanned, and all that is scanned is counted.
#[test]
fn segments_that_are_durable_are_not_scanned() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(SyncPolicy::None);
    let log = options.open(dir.path()).unwrap();
    fill(&log, 4 * 64, SIXTY_FOURTH);
    log.close().unwrap();
    drop(log);
    // Four that are marked durable; two more, and a part of one, that are not.
    let log = options.open(dir.path()).unwrap();
    fill(&log, 2 * 64 + 10, SIXTY_FOURTH);
    let mut image = crash_files(dir.path());
    lose_power(&mut image, 4..7);
    drop(log);
    let again = restore(&image);
    let log = options.open(again.path()).unwrap();
    let report = log.recovery();
    assert_eq!(report.records_scanned, 2 * 64 + 10, "{report}");
    assert_eq!(report.bytes_scanned, (2 * 64 + 10) * SIXTY_FOURTH as u64, "{report}");
    // Those two, the one that the log ends in, and none of the two that are prepared.
    assert_eq!(report.segments_scanned, 3, "{report}");
    assert_eq!(report.proven_durable, Lsn::new(4 * SEGMENT), "{report}");
}

/// In the boot of their writer the marks of full segments count, durable or not: only the last segment is scanned.
#[test]
fn segments_that_were_marked_full_in_this_boot_are_not_scanned() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(SyncPolicy::None);
    let log = options.open(dir.path()).unwrap();
    let expected = fill(&log, 2 * 64 + 10, SIXTY_FOURTH);
    let marked = |image: &BTreeMap<String, Vec<u8>>, number| image[&segment_name(number)][512..520] != [0; 8];
    let mut image = BTreeMap::new();
    eventually("the keeper marks the full segments", || {
        image = crash_files(dir.path());
        marked(&image, 0) && marked(&image, 1)
    });
    assert!(!marked(&image, 2));
    let again = restore(&image);
    let log = options.open(again.path()).unwrap();
    let report = log.recovery();
    assert_eq!((report.segments_scanned, report.records_scanned), (1, 10), "{report}");
    assert!(contents(&log) == expected);
}

/// What is cut away is counted over all the segments that it lies in, and nothing of it is left.
#[test]
fn a_torn_tail_is_counted_over_its_segments() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(SyncPolicy::None);
    let log = options.open(dir.path()).unwrap();
    let expected = fill(&log, 2 * 64 + 10, SIXTY_FOURTH);
    let mut image = crash_files(dir.path());
    drop(log);
    lose_power(&mut image, 0..3);
    let end = expected.len() as u64 * frame_bytes(SIXTY_FOURTH);
    for record in [1, 70, 130] {
        // It was not written back.
        let lsn = expected[record].0;
        let segment = segment_name(lsn.get() / SEGMENT);
        let hole = (HEADER + lsn.get() % SEGMENT) as usize;
        let mut image = image.clone();
        image.get_mut(&segment).unwrap()[hole..hole + SIXTY_FOURTH + 16].fill(0);
        let torn = restore(&image);
        let log = options.open(torn.path()).unwrap();
        let report = log.recovery();
        assert_eq!(report.torn_tail, Some(TornTail::Unpublished), "{report}");
        assert_eq!((report.end, report.segments), (lsn, lsn.get() / SEGMENT + 1), "{report}");
        // The payloads' last bytes are not zero, or the count would be less.
        assert_eq!(report.truncated_bytes, end - lsn.get(), "{report}");
        assert!(contents(&log) == expected[..record]);
        let left = std::fs::read(torn.path().join(segment)).unwrap();
        assert_eq!(left.len() as u64, HEADER + SEGMENT);
        assert!(left[hole..].iter().all(|byte| *byte == 0));
    }
}

/// After a sync that failed in this boot everything that is kept is written again, once.
#[test]
fn what_a_poisoned_log_left_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(SyncPolicy::None);
    let log = options.open(dir.path()).unwrap();
    let expected = fill(&log, 70, SIXTY_FOURTH);
    let image = crash_files(dir.path());
    let poisoned = lock_text(dir.path()).replacen("writing ", "poisoned", 1);
    drop(log);
    let again = restore(&image);
    std::fs::write(again.path().join("log.lock"), poisoned).unwrap();
    let log = options.open(again.path()).unwrap();
    // All that lie there: two with records, and those that were prepared.
    let segments = image.keys().filter(|name| name.ends_with(".seg")).count() as u64;
    assert_eq!(log.recovery().segments_rewritten, segments, "{}", log.recovery());
    assert!(contents(&log) == expected);
    assert!(lock_text(again.path()).contains(" writing"), "{}", lock_text(again.path()));
    log.append_nowait(b"goes on").unwrap();
    let image = crash_files(again.path());
    drop(log);
    let log = options.open(restore(&image).path()).unwrap();
    assert_eq!(log.recovery().segments_rewritten, 0, "{}", log.recovery());
}

/// What is marked durable is not among them.
#[test]
fn durable_segments_are_not_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(SyncPolicy::None);
    let log = options.open(dir.path()).unwrap();
    fill(&log, 4 * 64, SIXTY_FOURTH);
    log.close().unwrap();
    drop(log);
    let log = options.open(dir.path()).unwrap();
    fill(&log, 64 + 10, SIXTY_FOURTH);
    let image = crash_files(dir.path());
    let poisoned = lock_text(dir.path()).replacen("writing ", "poisoned", 1);
    drop(log);
    let again = restore(&image);
    std::fs::write(again.path().join("log.lock"), poisoned).unwrap();
    let log = options.open(again.path()).unwrap();
    let segments = image.keys().filter(|name| name.ends_with(".seg")).count() as u64;
    assert_eq!(log.recovery().segments_rewritten, segments - 4, "{}", log.recovery());
}

/// An entry of the session table is given to the next opening where nothing was written under it. The first one stays:
/// it is what the segment begins with.
#[test]
fn an_opening_that_wrote_nothing_gives_its_entry_up() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(SyncPolicy::None);
    let open_and_append = |records: usize| {
        let log = options.open(dir.path()).unwrap();
        fill(&log, records, 100);
        log.close().unwrap();
        let page = std::fs::read(dir.path().join(segment_name(0))).unwrap();
        let starts = page[2048..4032].chunks_exact(64).filter(|entry| entry[..] != [0; 64]);
        starts.map(|entry| u64::from_le_bytes(entry[..8].try_into().unwrap())).collect::<Vec<_>>()
    };
    let frame = frame_bytes(100);
    for (records, starts) in [
        (0, vec![0]),
        (0, vec![0, 0]),
        (0, vec![0, 0]),
        (1, vec![0, 0]),
        (0, vec![0, 0, frame]),
        (0, vec![0, 0, frame]),
        (2, vec![0, 0, frame]),
        (0, vec![0, 0, frame, 3 * frame]),
    ] {
        assert_eq!(open_and_append(records), starts);
    }
}
