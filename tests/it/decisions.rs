//! The table of `docs/DURABILITY.md` by real files: what stands in a log's place and behind it, in which boot, under
//! which policy, and what an opening makes of it.

use std::collections::BTreeMap;

use tidelog::{Error, ErrorKind, Log, Lsn, RecoveryReport, SyncPolicy, TornTail};

use crate::support::{
    Expected, HEADER, SEGMENT, another_boot, contents, crash_files, eventually, fill, names, options,
    restore, segment_name,
};

/// A payload of which 64 frames fill a segment.
const PAYLOAD: usize = SEGMENT as usize / 64 - 16;
const FRAME: u64 = SEGMENT / 64;

/// What becomes of a record's frame.
#[derive(Clone, Copy, Debug, PartialEq)]
enum To {
    /// Never written, or never written back.
    Zeros,
    /// A claim that did not return.
    Claim,
    /// A flipped bit of its payload.
    Flipped,
}
use To::{Claim, Flipped, Zeros};

struct Killed {
    files: BTreeMap<String, Vec<u8>>,
    expected: Expected,
    policy: SyncPolicy,
}

/// A log that was killed with so many records, none of them synced and none of its segments marked.
fn killed(policy: SyncPolicy, records: u64) -> Killed {
    let dir = tempfile::tempdir().unwrap();
    let log = options(policy).open(dir.path()).unwrap();
    let expected = fill(&log, records as usize, PAYLOAD);
    let last = records * FRAME / SEGMENT;
    eventually("two segments are ahead", || names(dir.path(), ".seg").contains(&segment_name(last + 2)));
    let mut files = crash_files(dir.path());
    for (_, bytes) in files.iter_mut().filter(|(name, _)| name.ends_with(".seg")) {
        bytes[512..576].fill(0);
    }
    Killed { files, expected, policy }
}

impl Killed {
    /// Changes the frames of some records.
    fn with(mut self, records: impl IntoIterator<Item = u64>, to: To) -> Self {
        for record in records {
            let lsn = record * FRAME;
            let segment = self.files.get_mut(&segment_name(lsn / SEGMENT)).unwrap();
            let frame = &mut segment[(HEADER + lsn % SEGMENT) as usize..][..FRAME as usize];
            match to {
                Zeros => frame.fill(0),
                Claim => {
                    frame.fill(0);
                    frame[..8].copy_from_slice(&(1 << 32 | FRAME).to_le_bytes());
                }
                Flipped => frame[500] ^= 4,
            }
        }
        self
    }

    fn open<T>(
        mut self,
        same_boot: bool,
        check: impl FnOnce(&Log, &RecoveryReport, Expected) -> T,
    ) -> Result<T, Error> {
        if !same_boot {
            another_boot(&mut self.files);
        }
        let dir = restore(&self.files);
        let log = options(self.policy).open(dir.path())?;
        Ok(check(&log, log.recovery(), self.expected))
    }

    /// The log ends before this record, for this reason, and so many bytes behind its end are cut away.
    fn ends(self, same_boot: bool, at: u64, torn: Option<TornTail>, cut: u64) {
        let checked = self.open(same_boot, |log, report, expected| {
            assert_eq!((report.end, report.torn_tail), (Lsn::new(at * FRAME), torn), "{report}");
            assert_eq!((report.truncated_bytes, report.holes_skipped), (cut, 0), "{report}");
            assert_eq!(report.records_scanned, at, "{report}");
            assert!(contents(log) == expected[..at as usize], "{report}");
        });
        checked.unwrap();
    }

    /// Holes become padding; all other records are kept.
    fn skips(self, holes: u64, records: &[u64]) {
        let checked = self.open(true, |log, report, mut expected| {
            let end = expected.len() as u64 * FRAME;
            for record in records.iter().rev() {
                expected.remove(*record as usize);
            }
            assert_eq!(
                (report.holes_skipped, report.torn_tail, report.truncated_bytes),
                (holes, None, 0),
                "{report}"
            );
            assert_eq!(report.end, Lsn::new(end), "{report}");
            assert!(contents(log) == expected, "{report}");
        });
        checked.unwrap();
    }

    /// It is damage at this record.
    fn refuses(self, same_boot: bool, at: u64) {
        let error = self.open(same_boot, |_, report, _| panic!("{report}")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert_eq!(error.lsn(), Some(Lsn::new(at * FRAME)), "{error}");
        assert_eq!(error.offset(), Some(HEADER + at * FRAME % SEGMENT), "{error}");
        assert!(error.to_string().contains("acknowledged"), "{error}");
    }
}

const DAMAGED: Option<TornTail> = Some(TornTail::Damaged);
const UNPUBLISHED: Option<TornTail> = Some(TornTail::Unpublished);

fn both() -> [SyncPolicy; 2] {
    [SyncPolicy::None, SyncPolicy::grouped()]
}

#[test]
fn the_log_ends_where_only_zeros_follow() {
    for policy in both() {
        for same_boot in [true, false] {
            killed(policy, 10).ends(same_boot, 10, None, 0);
            killed(policy, 10).with(3..10, Zeros).ends(same_boot, 3, None, 0);
        }
    }
}

#[test]
fn a_hole_with_frames_behind_it_is_padded_in_the_same_boot() {
    for policy in both() {
        for to in [Zeros, Claim] {
            killed(policy, 10).with([3], to).skips(1, &[3]);
            killed(policy, 10).with([3, 4, 5], to).skips(1, &[3, 4, 5]);
            killed(policy, 10).with([3], to).with([7, 8], to).skips(2, &[3, 7, 8]);
            killed(policy, 10).with([3], to).ends(false, 3, UNPUBLISHED, 7 * FRAME);
        }
        killed(policy, 10).with([3, 5], Claim).with([4], Zeros).skips(1, &[3, 4, 5]);
        // One frame of padding for each segment that it touches.
        killed(policy, 140).with(60..70, Claim).skips(2, &[60, 61, 62, 63, 64, 65, 66, 67, 68, 69]);
        killed(policy, 140).with(62..130, Zeros).skips(3, &(62..130).collect::<Vec<_>>());
    }
}

#[test]
fn a_hole_with_nothing_behind_it_ends_the_log() {
    for policy in both() {
        killed(policy, 10).with(3..10, Claim).ends(true, 3, UNPUBLISHED, 6 * FRAME + 8);
        killed(policy, 10).with(3..9, Zeros).with([9], Claim).ends(true, 3, UNPUBLISHED, 6 * FRAME + 8);
        killed(policy, 10).with(3..10, Claim).ends(false, 3, UNPUBLISHED, 6 * FRAME + 8);
    }
}

#[test]
fn damage_behind_a_hole_is_damage_in_the_same_boot() {
    for policy in both() {
        for to in [Zeros, Claim] {
            let sample = || killed(policy, 10).with([3], to).with([4], Flipped);
            if policy.acknowledges_durable() {
                sample().ends(true, 3, DAMAGED, 7 * FRAME);
            } else {
                sample().refuses(true, 4);
            }
            sample().ends(false, 3, UNPUBLISHED, 7 * FRAME);
            sample().with(5..10, Zeros).ends(true, 3, DAMAGED, 2 * FRAME);
        }
    }
}

#[test]
fn damage_is_cut_away_unless_what_follows_had_been_acknowledged() {
    for policy in both() {
        let sample = || killed(policy, 10).with([3], Flipped);
        if policy.acknowledges_durable() {
            sample().ends(true, 3, DAMAGED, 7 * FRAME);
        } else {
            sample().refuses(true, 3);
            killed(policy, 10).with([3, 4, 5], Flipped).refuses(true, 3);
            // One frame is enough, wherever it stands.
            sample().with(4..9, Zeros).refuses(true, 3);
            killed(policy, 140).with([3], Flipped).with(4..139, Zeros).refuses(true, 3);
            killed(policy, 140).with([70], Flipped).refuses(true, 70);
        }
        sample().ends(false, 3, DAMAGED, 7 * FRAME);
        sample().with(4..10, Zeros).ends(true, 3, DAMAGED, FRAME);
        sample().with(4..10, Zeros).ends(false, 3, DAMAGED, FRAME);
    }
}

/// A log that ends with its segment, and no other segment was made ready.
#[test]
fn the_log_may_end_where_its_files_end() {
    for same_boot in [true, false] {
        for records in [64, 128] {
            let mut sample = killed(SyncPolicy::None, records);
            let after = segment_name(records / 64);
            sample.files.retain(|name, _| !name.ends_with(".seg") || *name < after);
            sample.ends(same_boot, records, None, 0);
        }
    }
}

/// A writer died inside a batch: its later records are written, and are no frames to go on at.
#[test]
fn a_batch_that_was_not_published_is_one_hole() {
    for policy in both() {
        let dir = tempfile::tempdir().unwrap();
        let log = options(policy).open(dir.path()).unwrap();
        let mut expected = fill(&log, 3, PAYLOAD);
        let batch: Vec<_> = log.append_batch(&[[1; 40], [2; 40], [3; 40]]).unwrap().collect();
        let after = log.append_nowait(b"behind the batch").unwrap();
        expected.push((after, b"behind the batch".to_vec()));
        let mut files = crash_files(dir.path());
        let first = &mut files.get_mut(&segment_name(0)).unwrap()[(HEADER + batch[0].get()) as usize..];
        first[..8].copy_from_slice(&(1 << 32 | (after.get() - batch[0].get())).to_le_bytes());
        // Durable was what the policy waited for; a kill before that leaves no such evidence.
        let page = files.get_mut(&segment_name(0)).unwrap();
        page[1024..1032].fill(0);
        let again = restore(&files);
        let log = options(policy).open(again.path()).unwrap();
        let report = log.recovery();
        assert_eq!((report.holes_skipped, report.torn_tail), (1, None), "{report}");
        assert_eq!(report.records_scanned, 4, "{report}");
        assert!(contents(&log) == expected);
    }
}

/// Frames tell how far the log was durable when they were claimed. That counts also where they stand behind what
/// stops the walk, in another boot.
#[test]
fn frames_behind_the_stop_are_evidence() {
    for (same_boot, to) in [(false, Zeros), (false, Flipped), (true, Flipped)] {
        let dir = tempfile::tempdir().unwrap();
        let log = options(SyncPolicy::None).open(dir.path()).unwrap();
        let mut expected = fill(&log, 5, PAYLOAD);
        log.sync().unwrap();
        let durable = log.watermarks().durable;
        expected.extend(fill(&log, 5, PAYLOAD));
        let mut files = crash_files(dir.path());
        // The hint in the header would tell the same.
        files.get_mut(&segment_name(0)).unwrap()[1024..1032].fill(0);
        for record in [2, 4, 5] {
            let policy = SyncPolicy::None;
            let sample = Killed { files: files.clone(), expected: expected.clone(), policy };
            let sample = sample.with([record], to);
            if record == 5 && !same_boot {
                // Not below what is proven: it was promised to nobody.
                let torn = if to == Zeros { UNPUBLISHED } else { DAMAGED };
                sample.ends(false, 5, torn, 5 * FRAME);
                continue;
            }
            let error = sample.open(same_boot, |_, report, _| panic!("{record}: {report}")).unwrap_err();
            assert_eq!(error.lsn(), Some(Lsn::new(record * FRAME)), "{error}");
            let proven = format!("proven durable to LSN {durable}");
            assert_eq!(error.to_string().contains(&proven), record < 5, "{error}");
        }
    }
}
