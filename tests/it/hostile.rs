//! Bytes that were made to cost time: the search for frames behind damage has an end (`docs/DURABILITY.md`).

use tidelog::{Checksum, ErrorKind, Lsn, RecoveryReport, Result, SyncPolicy, TornTail};

use crate::support::{HEADER, SEGMENT, another_boot, crash_files, fill, options, restore, segment_name};

/// A payload of which 64 frames fill a segment.
const PAYLOAD: usize = SEGMENT as usize / 64 - 16;
const FRAME: usize = SEGMENT as usize / 64;
/// The second segment's first byte that is not a record's.
const FROM: usize = 3 * FRAME;

/// Opens, in another boot, a log of 67 records behind which every word from `from` on, in the second segment, is that of
/// a record of `len` bytes. One word at least stands right behind the records, so that the walk stops there.
fn open(checksum: Checksum, from: usize, len: u64) -> Result<RecoveryReport> {
    let dir = tempfile::tempdir().unwrap();
    let options = options(SyncPolicy::None).checksum(checksum);
    let log = options.open(dir.path()).unwrap();
    fill(&log, 67, PAYLOAD);
    let mut files = crash_files(dir.path());
    another_boot(&mut files);
    for number in 0..2 {
        files.get_mut(&segment_name(number)).unwrap()[512..576].fill(0);
    }
    let data = &mut files.get_mut(&segment_name(1)).unwrap()[HEADER as usize..];
    let word = (len | 3 << 32).to_le_bytes();
    data[FROM..FROM + 8].copy_from_slice(&word);
    for place in data[from..].chunks_exact_mut(8) {
        place.copy_from_slice(&word);
    }
    let again = restore(&files);
    options.open(again.path()).map(|log| log.recovery().clone())
}

fn is_cut_away(report: Result<RecoveryReport>) {
    let report = report.unwrap();
    assert_eq!((report.end, report.records_scanned), (Lsn::new(67 * FRAME as u64), 67), "{report}");
    assert_eq!(report.torn_tail, Some(TornTail::Damaged), "{report}");
}

/// With CRC-64 a payload must be read to know that it is none. What is not looked into to the end may have been
/// promised.
#[test]
fn the_search_for_frames_has_a_budget() {
    let error = open(Checksum::Crc64, FROM, 16_000).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("do not tell whether it was promised"), "{error}");
    assert_eq!(error.lsn(), Some(Lsn::new(67 * FRAME as u64)), "{error}");
}

/// With CRC-32C the header shows it; and so does a length that does not fit.
#[test]
fn what_shows_by_its_header_costs_nothing() {
    is_cut_away(open(Checksum::Crc32c, FROM, 16_000));
    // Above the largest claim; and beyond the segment's end.
    is_cut_away(open(Checksum::Crc64, FROM, SEGMENT / 4 - 15));
    is_cut_away(open(Checksum::Crc64, SEGMENT as usize - 16_000, 16_000));
    // Few are looked into.
    is_cut_away(open(Checksum::Crc64, SEGMENT as usize - 16_800, 16_000));
}
