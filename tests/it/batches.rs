//! Batches that are not whole, in every way: made here after `docs/FORMAT.md`, with functions of its own.

use std::collections::BTreeMap;

use tidelog::{LastClose, SyncPolicy, TornTail};

use crate::support::{
    HEADER, contents, crash_files, fill, frame_bytes, options, payload, restore, segment_name,
};

const FIRST: u64 = 4;
const MIDDLE: u64 = 5;
const LAST: u64 = 6;

fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A killed log of two records, to which frames are added by hand.
struct Forged {
    files: BTreeMap<String, Vec<u8>>,
    seed: u64,
    /// Where the next frame goes, in the log's first segment.
    at: u64,
}

impl Forged {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = options(SyncPolicy::grouped()).open(dir.path()).unwrap();
        fill(&log, 2, 100);
        let at = log.watermarks().claimed.get();
        let files = crash_files(dir.path());
        let page = &files[&segment_name(0)];
        let number = |at: usize| u64::from_le_bytes(page[at..at + 8].try_into().unwrap());
        // The log's id, and the nonce of the first opening.
        let seed = mix(number(16) ^ mix(number(24) ^ mix(number(2048 + 16))));
        Self { files, seed, at }
    }

    /// Adds a frame that verifies.
    fn add(mut self, kind: u64, extra: u64, payload: &[u8]) -> Self {
        let word = payload.len() as u64 | kind << 32 | extra << 40;
        let checksum = u64::from(crc32c::crc32c(payload)) ^ mix(word ^ mix(self.seed ^ mix(self.at)));
        let mut frame = [word.to_le_bytes(), checksum.to_le_bytes()].concat();
        frame.extend_from_slice(payload);
        let begin = (HEADER + self.at) as usize;
        self.files.get_mut(&segment_name(0)).unwrap()[begin..begin + frame.len()].copy_from_slice(&frame);
        self.at += frame_bytes(payload.len());
        self
    }

    /// An opening keeps so many records.
    fn keeps(&self, records: u64, torn: Option<TornTail>) {
        let dir = restore(&self.files);
        let log = options(SyncPolicy::grouped()).open(dir.path()).unwrap();
        let report = log.recovery();
        assert_eq!((report.last_close, report.torn_tail), (LastClose::ProcessDied, torn), "{report}");
        assert_eq!(report.records_scanned, records, "{report}");
        let kept = contents(&log);
        assert_eq!(kept.len() as u64, records, "{report}");
        let bytes: usize = kept.iter().map(|(_, payload)| payload.len()).sum();
        assert_eq!(report.bytes_scanned, bytes as u64, "{report}");
    }
}

#[test]
fn forged_batches_are_as_good_as_real_ones() {
    let back = |lens: &[usize]| lens.iter().map(|len| frame_bytes(*len)).sum::<u64>() / 8;
    let none = 0xff_ffff;
    Forged::new().keeps(2, None);
    Forged::new().add(3, none, &[1; 30]).keeps(3, None);
    let two = Forged::new().add(FIRST, none, &[1; 10]).add(LAST, back(&[10]), &[2; 20]);
    two.keeps(4, None);
    let three = Forged::new().add(FIRST, none, &[1; 10]).add(MIDDLE, back(&[10]), &[2; 20]);
    let three = three.add(LAST, back(&[10, 20]), &[3; 7]);
    three.keeps(5, None);
    three.add(3, none, b"behind it").keeps(6, None);
}

/// Frames that verify and do not make a batch: nothing of them is kept, however the parts are wrong.
#[test]
fn what_is_not_a_whole_batch_is_cut_away() {
    let none = 0xff_ffff;
    let back = frame_bytes(10) / 8;
    let first = || Forged::new().add(FIRST, none, &[1; 10]);
    let damaged = Some(TornTail::Damaged);
    // Parts without their first.
    Forged::new().add(MIDDLE, 0, &[2; 10]).keeps(2, damaged);
    Forged::new().add(LAST, 0, &[2; 10]).keeps(2, damaged);
    // A first without its last.
    first().keeps(2, damaged);
    first().add(MIDDLE, back, &[2; 10]).keeps(2, damaged);
    first().add(MIDDLE, back, &[2; 10]).add(3, none, &[3; 10]).keeps(2, damaged);
    first().add(FIRST, back, &[2; 10]).add(LAST, back, &[3; 10]).keeps(2, damaged);
    // A part of another batch, and a record whose lag looks like a way back.
    first().add(LAST, back - 1, &[2; 10]).keeps(2, damaged);
    first().add(LAST, back + 1, &[2; 10]).keeps(2, damaged);
    first().add(MIDDLE, 2 * back, &[2; 10]).add(LAST, 2 * back, &[3; 10]).keeps(2, damaged);
    first().add(3, back, &[2; 10]).add(LAST, 2 * back, &[3; 10]).keeps(2, damaged);
}

/// A part of a batch is no frame to go on at behind a hole, though it verifies.
#[test]
fn a_batch_whose_first_record_is_gone_is_not_kept_in_part() {
    let dir = tempfile::tempdir().unwrap();
    let log = options(SyncPolicy::grouped()).open(dir.path()).unwrap();
    let expected = fill(&log, 2, 100);
    let records: Vec<_> = (0..3).map(|n| payload(n, 50)).collect();
    let mut files = crash_files(dir.path());
    let first = log.append_batch(&records).unwrap().next().unwrap().get();
    let segment = std::fs::read(dir.path().join(segment_name(0))).unwrap();
    let page = files.get_mut(&segment_name(0)).unwrap();
    // Without what the header got to know since.
    page[HEADER as usize..].copy_from_slice(&segment[HEADER as usize..]);
    page[(HEADER + first) as usize..][..frame_bytes(50) as usize].fill(0);
    let again = restore(&files);
    let log = options(SyncPolicy::grouped()).open(again.path()).unwrap();
    assert_eq!(log.recovery().torn_tail, Some(TornTail::Damaged), "{}", log.recovery());
    assert!(contents(&log) == expected);
}
