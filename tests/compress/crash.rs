//! A packed batch under power cuts, on the simulated disk.

use tidelog::compress::{CompressedLog, Compression, Packer};
use tidelog::testing::{Disk, Pick};
use tidelog::{Log, Options, SyncPolicy};

use crate::support::{all, lines};

const PLACE: &str = "/data/log";
const BATCH: u64 = 40;

fn open(disk: &Disk, policy: SyncPolicy) -> CompressedLog {
    let log: Log = Options::new().segment_bytes(4 << 10).sync_policy(policy).disk(disk).open(PLACE).unwrap();
    CompressedLog::new(log, Packer::new(Compression::Zstd { level: 3 }))
}

/// Whole batches, a prefix of what was appended, and all that was acknowledged.
fn check(disk: &Disk, least: u64, most: u64, what: &str) -> u64 {
    let found = all(&open(disk, SyncPolicy::None));
    let batches = found.len() as u64 / BATCH;
    assert_eq!(found, lines(0..batches * BATCH), "{what}: all of a batch or none");
    assert!((least..=most).contains(&batches), "{what}: {batches} of {least} to {most}");
    batches
}

#[test]
fn a_packed_batch_is_there_whole_or_not_at_all() {
    let mut outcomes = std::collections::BTreeSet::new();
    for (policy, acknowledges) in [(SyncPolicy::Immediate, true), (SyncPolicy::None, false)] {
        let disk = Disk::new(5);
        let log = open(&disk, policy);
        for n in 0..12 {
            let batch = lines(n * BATCH..(n + 1) * BATCH);
            assert!(log.append_batch(&batch).unwrap().is_packed());
            let least = if acknowledges { n + 1 } else { 0 };
            let possibilities = disk.possibilities();
            for seed in 0..30 {
                let cut = possibilities.cut_at_random(seed).disk();
                outcomes
                    .insert((n, check(&cut, least, n + 1, &format!("{policy:?}, batch {n}, cut {seed}"))));
            }
            let nothing = possibilities.cut(|_, _| Pick::Version(0), |_| false).disk();
            check(&nothing, least, n + 1, "nothing that was not synced");
            check(&possibilities.kill(), n + 1, n + 1, "killed");
        }
    }
    assert!(outcomes.iter().any(|(n, found)| found <= n), "some cut took something: {outcomes:?}");
    assert!(outcomes.iter().any(|(n, found)| *found == n + 1));
}
