//! Damaged, torn and missing bytes: a record is read as it was appended, or an error says what is wrong, or
//! recovery reports the tail that it cut away.

use std::collections::BTreeMap;

use tidelog::{Error, ErrorKind, LastClose, Log, Lsn, Options, SyncPolicy, TornTail};

use crate::support::{
    Expected, HEADER, SEGMENT, another_boot, collect, contents, crash_files, eventually, files, fill,
    options, payload, restore, segment_name,
};

type Files = BTreeMap<String, Vec<u8>>;

/// A log and what it should hold.
struct Sample {
    files: Files,
    expected: Expected,
    /// First and one past the last record of each batch.
    batches: Vec<(usize, usize)>,
    /// Everything below was acknowledged as durable.
    durable: u64,
    options: Options,
}

/// Records of several sizes with a batch in between; `unsynced` more that nobody was promised.
fn sample(policy: SyncPolicy, unsynced: usize, closed: bool) -> Sample {
    let dir = tempfile::tempdir().unwrap();
    let options = options(policy);
    let log = options.open(dir.path()).unwrap();
    let mut expected = Vec::new();
    let mut batches = Vec::new();
    for round in 0..3 {
        expected.extend(fill(&log, 4, 40 * round));
        let records: Vec<_> = (0..3).map(|n| payload(n + 77, 10 + 30 * n as usize)).collect();
        let lsns = log.append_batch(&records).unwrap();
        batches.push((expected.len(), expected.len() + 3));
        expected.extend(lsns.zip(records.clone()));
    }
    log.sync().unwrap();
    let durable = log.watermarks().durable.get();
    expected.extend(fill(&log, unsynced, 24));
    if unsynced > 0 {
        let records = [payload(1, 20), payload(2, 30)];
        let lsns: Vec<_> = log.append_batch(&records).unwrap().collect();
        // Under the durable policies the batch is acknowledged, and everything before it.
        batches.push((expected.len(), expected.len() + 2));
        expected.extend(lsns.into_iter().zip(records));
        expected.extend(fill(&log, unsynced, 24));
    }
    let durable = if policy.acknowledges_durable() { log.watermarks().durable.get() } else { durable };
    let files = if closed {
        log.close().unwrap();
        files(dir.path())
    } else {
        eventually("two segments are ready", || crate::support::names(dir.path(), ".seg").len() == 3);
        crash_files(dir.path())
    };
    Sample { files, expected, batches, durable, options }
}

impl Sample {
    fn in_another_boot(mut self) -> Self {
        another_boot(&mut self.files);
        self
    }

    fn first(&mut self) -> &mut Vec<u8> {
        self.files.get_mut(&segment_name(0)).unwrap()
    }

    /// Offset in the first segment's file.
    fn offset(&self, index: usize) -> usize {
        (HEADER + self.expected[index].0.get()) as usize
    }

    fn end(&self) -> usize {
        let (lsn, bytes) = self.expected.last().unwrap();
        (HEADER + lsn.get() + crate::support::frame_bytes(bytes.len())) as usize
    }

    /// The bytes behind a payload, up to the next frame, mean nothing.
    fn is_filler(&self, at: usize) -> bool {
        let mut fillers = self.expected.iter().map(|(lsn, bytes)| {
            let begin = (HEADER + lsn.get()) as usize + 16 + bytes.len();
            begin..begin.next_multiple_of(8)
        });
        fillers.any(|filler| filler.contains(&at))
    }

    /// Opens damaged files and checks all that must hold whatever the damage is. Returns how many records were
    /// kept, or the error.
    fn check(&self, damaged: &Files, what: &str) -> Result<usize, Error> {
        let dir = restore(damaged);
        let log = match self.options.open(dir.path()) {
            Ok(log) => log,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
                assert!(error.path().is_some() && error.offset().is_some(), "{what}: {error}");
                assert!(files(dir.path()) == *damaged, "{what}: a refused log was changed");
                return Err(error);
            }
        };
        let report = log.recovery().clone();
        let kept = match collect(&log.snapshot()) {
            Ok(kept) => kept,
            Err(error) => {
                // Trusted at open, found when it is read.
                assert_eq!(report.last_close, LastClose::Clean, "{what}: {error}");
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
                assert!(error.lsn().is_some() && error.path().is_some(), "{what}: {error}");
                return Err(error);
            }
        };
        if report.holes_skipped == 0 {
            let exact = self.expected.get(..kept.len()) == Some(&kept[..]);
            assert!(exact, "{what}: not a prefix, {report}");
        } else {
            assert!(kept.iter().all(|record| self.expected.contains(record)), "{what}: a wrong record");
        }
        let durable = self.expected.iter().filter(|(lsn, _)| lsn.get() < self.durable);
        for record in durable {
            assert!(kept.contains(record), "{what}: lost {} silently, {report}", record.0);
        }
        for (from, to) in &self.batches {
            let there = self.expected[*from..*to].iter().filter(|record| kept.contains(record)).count();
            assert!(there == 0 || there == to - from, "{what}: {there} of a batch, {report}");
        }
        if kept.len() < self.expected.len() && report.holes_skipped == 0 {
            let left = &damaged[&segment_name(0)][(HEADER + report.end.get()) as usize..];
            let written =
                left.iter().rposition(|byte| *byte != 0).map_or(0, |last| (last + 1).next_multiple_of(8));
            assert_eq!(report.truncated_bytes as usize, written, "{what}: {report}");
            assert_eq!(report.torn_tail.is_some(), written > 0, "{what}: {report}");
        }
        // What recovery did is checked further on; what it did not notice is, for a share of the cases.
        if report.last_close != LastClose::Clean && damaged != &self.files {
            self.goes_on(log, dir.path(), &kept, what);
        }
        Ok(kept.len())
    }

    /// What was recovered can be appended to, closed, killed and opened again.
    fn goes_on(&self, log: Log, dir: &std::path::Path, kept: &Expected, what: &str) {
        let mut all = kept.clone();
        all.extend(fill(&log, 2, 100));
        assert!(contents(&log) == all, "{what}: after appending");
        let killed = restore(&crash_files(dir));
        log.close().unwrap();
        drop(log);
        for (place, how) in [(dir, LastClose::Clean), (killed.path(), LastClose::ProcessDied)] {
            let log = self.options.open(place).unwrap_or_else(|error| panic!("{what}: again: {error}"));
            assert_eq!(log.recovery().last_close, how, "{what}: {}", log.recovery());
            assert_eq!(log.recovery().truncated_bytes, 0, "{what}: {}", log.recovery());
            assert!(contents(&log) == all, "{what}: again, {}", log.recovery());
        }
    }
}

fn grouped_and_none() -> [SyncPolicy; 2] {
    [SyncPolicy::grouped(), SyncPolicy::None]
}

#[test]
fn undamaged_samples_come_back_whole() {
    for policy in grouped_and_none() {
        for closed in [false, true] {
            let sample = sample(policy, 3, closed);
            assert_eq!(sample.check(&sample.files, "undamaged").unwrap(), sample.expected.len());
            let sample = sample.in_another_boot();
            assert_eq!(sample.check(&sample.files, "another boot").unwrap(), sample.expected.len());
        }
    }
}

#[test]
fn every_truncation_of_a_file_is_an_error() {
    for closed in [false, true] {
        let sample = sample(SyncPolicy::grouped(), 2, closed);
        let dir = restore(&sample.files);
        let file = std::fs::File::options().write(true).open(dir.path().join(segment_name(0))).unwrap();
        for len in (0..HEADER + SEGMENT).rev() {
            file.set_len(len).unwrap();
            let error = sample.options.open(dir.path()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "truncated to {len}: {error}");
            assert!(error.path().unwrap().ends_with(segment_name(0)), "{error}");
            assert!(error.to_string().contains("short"), "{error}");
            assert_eq!(file.metadata().unwrap().len(), len, "a refused log was changed");
        }
    }
}

/// Flips each byte of the header and of what is written, and some of the zeros behind, each in one of several ways.
fn flip_every_byte(sample: &Sample, mut verdict: impl FnMut(usize, Result<usize, Error>)) {
    let masks = [0x01, 0xff, 0x80, 0x02, 0x10];
    let end = sample.end();
    let zeros = (end..end + 32).chain((end + 32..(HEADER + SEGMENT) as usize).step_by(8191));
    // Bytes of the header that mean nothing are seen in passing.
    let header = (0..128).chain(512..576).chain(1024..1032).chain(2048..2240).chain((128..4096).step_by(509));
    for at in header.chain(HEADER as usize..end).chain(zeros) {
        let mut damaged = sample.files.clone();
        damaged.get_mut(&segment_name(0)).unwrap()[at] ^= masks[at % masks.len()];
        verdict(at, sample.check(&damaged, &format!("byte {at} flipped by {:#x}", masks[at % masks.len()])));
    }
}

#[test]
fn a_flip_below_the_durable_watermark_is_corruption_and_one_behind_it_is_reported() {
    for another in [false, true] {
        let mut sample = sample(SyncPolicy::grouped(), 2, false);
        if another {
            sample = sample.in_another_boot();
        }
        let all = sample.expected.len();
        let frames = HEADER as usize;
        let durable = frames + sample.durable as usize;
        let end = sample.end();
        flip_every_byte(&sample, |at, outcome| match outcome {
            Err(error) if (frames..durable).contains(&at) => {
                let lsn = error.lsn().unwrap();
                let inside =
                    sample.expected.iter().rev().find(|(lsn, _)| (HEADER + lsn.get()) as usize <= at);
                // A damaged batch is named by its first record.
                assert!(lsn <= inside.unwrap().0, "byte {at}: {error}");
                assert_eq!(error.offset(), Some(HEADER + lsn.get()), "byte {at}");
                assert!(error.path().unwrap().ends_with(segment_name(0)), "byte {at}");
            }
            Ok(kept) if (frames..durable).contains(&at) => {
                assert!(sample.is_filler(at) && kept == all, "byte {at}: {kept} kept, and no error");
            }
            Ok(kept) if (durable..end).contains(&at) => {
                assert_eq!(kept == all, sample.is_filler(at), "byte {at}");
            }
            Ok(kept) => assert_eq!(kept, all, "byte {at}"),
            Err(error) => assert!(at < frames, "byte {at}: {error}"),
        });
    }
}

#[test]
fn a_flip_in_a_log_of_the_none_policy_never_gives_a_wrong_record() {
    for another in [false, true] {
        let mut sample = sample(SyncPolicy::None, 4, false);
        if another {
            sample = sample.in_another_boot();
        }
        let mut errors = 0;
        flip_every_byte(&sample, |_, outcome| errors += usize::from(outcome.is_err()));
        assert!(errors > 0);
    }
}

#[test]
fn a_flip_in_a_closed_log_is_found_when_it_is_read() {
    let sample = sample(SyncPolicy::grouped(), 0, true);
    let frames = HEADER as usize..sample.end();
    flip_every_byte(&sample, |at, outcome| {
        let matters = frames.contains(&at) && !sample.is_filler(at);
        let header = at < 128 || (2048..2112).contains(&at);
        assert_eq!(outcome.is_err(), matters || header, "byte {at}");
    });
}

#[test]
fn a_torn_end_of_the_last_write_is_cut_and_reported() {
    // Zeros from each place on, as pages that were never written back.
    for another in [false, true] {
        let mut sample = sample(SyncPolicy::grouped(), 2, false);
        if another {
            sample = sample.in_another_boot();
        }
        let durable = (HEADER + sample.durable) as usize;
        for from in (HEADER as usize..sample.end()).step_by(8) {
            let mut damaged = sample.files.clone();
            damaged.get_mut(&segment_name(0)).unwrap()[from..].fill(0);
            let outcome = sample.check(&damaged, &format!("zeros from {from} on"));
            assert_eq!(outcome.is_err(), from < durable, "from {from}: {outcome:?}");
        }
    }
}

/// Where the frames after the durable watermark begin.
fn unsynced(sample: &Sample) -> usize {
    sample.expected.iter().position(|(lsn, _)| lsn.get() >= sample.durable).unwrap()
}

#[test]
fn a_claim_that_never_returned_is_skipped_in_the_same_boot_and_ends_the_log_in_another() {
    for policy in grouped_and_none() {
        for word_only in [false, true] {
            for another in [false, true] {
                let mut sample = sample(policy, 4, false);
                let hole = unsynced(&sample) + 1;
                let (from, to) = (sample.offset(hole), sample.offset(hole + 1));
                if word_only {
                    let claimed = (1_u64 << 32) | (to - from) as u64;
                    sample.first()[from..from + 8].copy_from_slice(&claimed.to_le_bytes());
                } else {
                    sample.first()[from..to].fill(0);
                }
                if another {
                    sample = sample.in_another_boot();
                }
                let dir = restore(&sample.files);
                let log = sample.options.open(dir.path()).unwrap();
                let report = log.recovery().clone();
                let kept = contents(&log);
                if another {
                    assert!(kept == sample.expected[..hole]);
                    assert_eq!(report.last_close, LastClose::MachineRestarted);
                    assert_eq!((report.holes_skipped, report.torn_tail), (0, Some(TornTail::Unpublished)));
                    assert_eq!(report.truncated_bytes as usize, sample.end().next_multiple_of(8) - from);
                } else {
                    sample.expected.remove(hole);
                    assert!(kept == sample.expected);
                    assert_eq!(report.last_close, LastClose::ProcessDied);
                    assert_eq!((report.holes_skipped, report.torn_tail), (1, None));
                    assert_eq!(
                        log.read(Lsn::new(from as u64 - HEADER)).unwrap_err().kind(),
                        ErrorKind::NotARecord
                    );
                }
                sample.goes_on(log, dir.path(), &kept, "after a hole");
            }
        }
    }
}

#[test]
fn recovery_of_a_recovery_changes_nothing() {
    for another in [false, true] {
        let mut sample = sample(SyncPolicy::grouped(), 4, false);
        let hole = unsynced(&sample) + 1;
        let (from, to) = (sample.offset(hole), sample.offset(hole + 1));
        sample.first()[from..to].fill(0);
        if another {
            sample = sample.in_another_boot();
        }
        let dir = restore(&sample.files);
        let log = sample.options.open(dir.path()).unwrap();
        let kept = contents(&log);
        for _ in 0..3 {
            let again = restore(&crash_files(dir.path()));
            let log = sample.options.open(again.path()).unwrap();
            assert!(contents(&log) == kept);
            let report = log.recovery();
            assert_eq!((report.truncated_bytes, report.holes_skipped), (0, 0), "{report}");
        }
    }
}

/// A byte in an unused entry of the session table.
#[test]
fn bytes_that_are_no_session_put_only_the_next_opening_in_doubt() {
    let mut sample = sample(SyncPolicy::grouped(), 0, true);
    sample.first()[2048 + 5 * 64] = 1;
    let dir = restore(&sample.files);
    for expected in [LastClose::ProcessDied, LastClose::Clean, LastClose::Clean] {
        let log = sample.options.open(dir.path()).unwrap();
        assert_eq!(log.recovery().last_close, expected);
        assert!(contents(&log) == sample.expected);
        log.close().unwrap();
    }
}
