//! `tidelog::inspect` on whatever lies in a log's files.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;
use tidelog::{Checksum, SyncPolicy};

use crate::support::{HEADER, SEGMENT, crash_files, options, payload, restore, segment_name};
use crate::walks::look;

type Files = BTreeMap<String, Vec<u8>>;

/// Logs under both checksums, as a running writer has them: records of many lengths, batches, aborted claims, two openings.
static LOGS: LazyLock<[Files; 2]> = LazyLock::new(|| [Checksum::Crc32c, Checksum::Crc64].map(log));

fn log(checksum: Checksum) -> Files {
    let dir = tempfile::tempdir().unwrap();
    let options = options(SyncPolicy::None).checksum(checksum);
    let mut number = 0;
    for _ in 0..2 {
        let log = options.open(dir.path()).unwrap();
        for round in 0..60_u64 {
            for len in [0, 7, 8, 100, 500, 30] {
                number += 1;
                log.append(&payload(number, len)).unwrap();
            }
            let batch: Vec<_> = (0..round % 5).map(|index| payload(index, 40 * index as usize)).collect();
            log.append_batch(&batch).unwrap();
        }
        log.cursor_from("news", log.watermarks().published).unwrap();
        if number > 400 {
            return crash_files(dir.path());
        }
        log.close().unwrap();
    }
    unreachable!("the second opening returns")
}

#[derive(Clone, Debug)]
enum Change {
    Flip {
        file: usize,
        at: usize,
        mask: u8,
    },
    /// A stretch of one byte: zeros mostly.
    Fill {
        file: usize,
        at: usize,
        len: usize,
        byte: u8,
    },
    Cut {
        file: usize,
        len: usize,
    },
    Garbage {
        file: usize,
        at: usize,
        bytes: Vec<u8>,
    },
    /// Frames where they do not belong.
    Copy {
        from: usize,
        at: usize,
        to: usize,
        place: usize,
        len: usize,
    },
    /// A word of a frame: a kind, a length, and something.
    Word {
        file: usize,
        at: usize,
        kind: u8,
        length: u32,
    },
    Remove {
        file: usize,
    },
    /// All of a segment's frames, at random.
    Noise {
        number: u64,
        seed: u64,
    },
    NewSegment {
        base: u64,
        from: usize,
    },
}

fn change() -> impl Strategy<Value = Change> {
    let (file, at) = (0..16_usize, 0..1_usize << 17);
    prop_oneof![
        4 => (file.clone(), at.clone(), 1..=255_u8).prop_map(|(file, at, mask)| Change::Flip { file, at, mask }),
        3 => (file.clone(), at.clone(), 1..9000_usize, prop_oneof![3 => Just(0_u8), 1 => any::<u8>()])
            .prop_map(|(file, at, len, byte)| Change::Fill { file, at, len, byte }),
        1 => (file.clone(), at.clone()).prop_map(|(file, len)| Change::Cut { file, len }),
        2 => (file.clone(), at.clone(), prop::collection::vec(any::<u8>(), 1..600))
            .prop_map(|(file, at, bytes)| Change::Garbage { file, at, bytes }),
        2 => (file.clone(), at.clone(), file.clone(), at.clone(), 8..5000_usize)
            .prop_map(|(from, at, to, place, len)| Change::Copy { from, at, to, place, len }),
        3 => (file.clone(), at, 0..8_u8, 0..40_000_u32)
            .prop_map(|(file, at, kind, length)| Change::Word { file, at, kind, length }),
        1 => file.clone().prop_map(|file| Change::Remove { file }),
        1 => (0..4_u64, any::<u64>()).prop_map(|(number, seed)| Change::Noise { number, seed }),
        1 => (0..1_u64 << 20, file).prop_map(|(base, from)| Change::NewSegment { base, from }),
    ]
}

fn apply(change: &Change, files: &mut Files) {
    let names: Vec<String> = files.keys().cloned().collect();
    if names.is_empty() {
        return;
    }
    let name = |index: usize| names[index % names.len()].clone();
    let mut put = |file: usize, at: usize, bytes: &[u8]| {
        let file = files.get_mut(&name(file)).unwrap();
        let at = at % (file.len() + 1);
        for (place, byte) in file.iter_mut().skip(at).zip(bytes) {
            *place = *byte;
        }
    };
    match change {
        Change::Fill { file, at, len, byte } => put(*file, *at, &vec![*byte; *len]),
        Change::Garbage { file, at, bytes } => put(*file, *at, bytes),
        Change::Word { file, at, kind, length } => {
            let word = u64::from(*length) | u64::from(*kind) << 32;
            put(*file, at & !7, &word.to_le_bytes());
        }
        Change::Copy { from, at, to, place, len } => {
            let bytes = files[&name(*from)].get(at & !7..).unwrap_or_default();
            let bytes = bytes[..bytes.len().min(*len)].to_vec();
            let file = files.get_mut(&name(*to)).unwrap();
            let place = (place & !7) % (file.len() + 1);
            file.iter_mut().skip(place).zip(bytes).for_each(|(place, byte)| *place = byte);
        }
        Change::Flip { file, at, mask } => {
            let file = files.get_mut(&name(*file)).unwrap();
            let len = file.len().max(1);
            file.iter_mut().skip(at % len).take(1).for_each(|byte| *byte ^= mask);
        }
        Change::Cut { file, len } => files.get_mut(&name(*file)).unwrap().truncate(*len),
        Change::Remove { file } => drop(files.remove(&name(*file))),
        Change::Noise { number, seed } => {
            if let Some(file) =
                files.get_mut(&segment_name(*number)).filter(|file| file.len() > HEADER as usize)
            {
                let noise = payload(*seed, file.len() - HEADER as usize);
                file[HEADER as usize..].copy_from_slice(&noise);
            }
        }
        Change::NewSegment { base, from } => {
            let bytes = files[&name(*from)].clone();
            files.insert(format!("{base:020}.seg"), bytes);
        }
    }
}

#[test]
fn a_healthy_log_is_met_in_whole() {
    for files in &*LOGS {
        let dir = restore(files);
        // Twice sixty times six records, and batches of none to four.
        assert_eq!(look(dir.path(), None), 2 * (60 * 6 + 12 * (1 + 2 + 3 + 4)));
        assert!(look(dir.path(), Some(SEGMENT + 1000)) < 720);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hostile_files_are_looked_at_without_harm(
        log in 0..2_usize,
        changes in prop::collection::vec(change(), 1..12),
        limit in prop::option::of(0..SEGMENT * 5),
    ) {
        let mut files = LOGS[log].clone();
        changes.iter().for_each(|change| apply(change, &mut files));
        let dir = restore(&files);
        look(dir.path(), limit);
        prop_assert!(crate::support::files(dir.path()) == files, "looking changed it");
    }
}
