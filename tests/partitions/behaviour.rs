//! Opening, creating, listing, dropping; keys; what is not theirs.

use std::collections::BTreeSet;

use tidelog::{ErrorKind, Log, LogReader, Lsn, PartitionOptions, Partitions, SyncPolicy};

use crate::support::{names, quick_directory};
use crate::{POLICIES, contents, log_options, open, options};

#[test]
fn each_partition_is_a_log_of_its_own_and_survives_closing() {
    for policy in POLICIES {
        let directory = quick_directory();
        let partitions = options(policy).open(directory.path()).unwrap();
        for id in [3, 1, u64::MAX] {
            let log = partitions.get(id).unwrap();
            assert_eq!(log.append(&id.to_le_bytes()).unwrap(), Lsn::ZERO, "each has its own LSNs");
        }
        assert_eq!(partitions.ids().unwrap(), [1, 3, u64::MAX]);
        partitions.close().unwrap();
        let partitions = options(policy).open(directory.path()).unwrap();
        assert_eq!((partitions.ids().unwrap().len(), partitions.open_count().unwrap()), (3, 0), "lazily");
        for id in [1, 3, u64::MAX] {
            assert_eq!(contents(&partitions.get_existing(id).unwrap()), [id.to_le_bytes()]);
        }
        assert_eq!(partitions.open_count().unwrap(), 3);
    }
}

#[test]
fn a_partition_that_is_not_there_is_told_and_not_made() {
    let directory = quick_directory();
    let partitions = open(directory.path());
    let error = partitions.get_existing(9).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("no partition 9"), "{error}");
    assert_eq!(partitions.remove(9).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(partitions.ids().unwrap().is_empty());
    assert_eq!(names(directory.path()), ["log.lock", "partitions.meta"]);
}

#[test]
fn a_dropped_partition_is_gone_for_everybody_and_its_number_is_free() {
    let directory = quick_directory();
    let partitions = open(directory.path());
    let log = partitions.get(5).unwrap();
    let lsn = log.append(b"kept by a snapshot").unwrap();
    let snapshot = log.snapshot();
    let reader = LogReader::open(log.directory()).unwrap();
    partitions.get(6).unwrap().append(b"another").unwrap();
    partitions.remove(5).unwrap();
    assert_eq!(log.append(b"x").unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(snapshot.read(lsn).unwrap().payload(), b"kept by a snapshot");
    assert_eq!(partitions.ids().unwrap(), [6]);
    assert_eq!(names(directory.path()), ["00000000000000000006.part", "log.lock", "partitions.meta"]);
    assert_eq!(partitions.get_existing(5).unwrap_err().kind(), ErrorKind::NotFound);
    // No damage: nothing is there.
    if let Err(error) = reader.snapshot().and_then(|snapshot| snapshot.iter().try_for_each(|r| r.map(drop))) {
        assert_ne!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
    let anew = partitions.get(5).unwrap();
    assert_eq!(anew.append(b"new").unwrap(), Lsn::ZERO);
    assert_eq!(contents(&anew), [b"new"]);
    assert_eq!(contents(&partitions.get(6).unwrap()), [b"another"]);
    // One that is not open.
    drop(anew);
    partitions.close().unwrap();
    let partitions = open(directory.path());
    partitions.remove(5).unwrap();
    assert_eq!(partitions.ids().unwrap(), [6]);
}

#[test]
fn what_is_left_of_a_dropped_partition_is_removed_by_the_next_opening() {
    let directory = quick_directory();
    let partitions = open(directory.path());
    partitions.get(1).unwrap().append(b"one").unwrap();
    partitions.get(2).unwrap().append(b"two").unwrap();
    partitions.close().unwrap();
    // As a crash leaves it behind the rename.
    let at = |name: &str| directory.path().join(name);
    std::fs::rename(at("00000000000000000001.part"), at("00000000000000000001.part.gone")).unwrap();
    std::fs::create_dir(at("somebody else's.gone")).unwrap();
    let partitions = open(directory.path());
    assert_eq!(partitions.ids().unwrap(), [2]);
    assert!(!at("00000000000000000001.part.gone").exists());
    assert!(at("somebody else's.gone").exists());
}

#[test]
fn keys_have_their_partition_for_ever() {
    let directory = quick_directory();
    let partitions = options(SyncPolicy::None).keyed(16).open(directory.path()).unwrap();
    // Of `docs/FORMAT.md`.
    let golden: [(&[u8], u64); 5] =
        [(b"", 0), (b"a", 15), (b"123456789", 15), (b"user-1", 11), (b"user-2", 7)];
    for (key, id) in golden {
        assert_eq!(partitions.id_of_key(key).unwrap(), id);
        partitions.of_key(key).unwrap().append(key).unwrap();
    }
    assert_eq!(contents(&partitions.get_existing(7).unwrap()), [b"user-2"]);
    partitions.close().unwrap();
    let error = options(SyncPolicy::None).keyed(17).open(directory.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
    assert!(error.to_string().contains("was created with 16"), "{error}");
    // It is stored.
    assert_eq!(open(directory.path()).id_of_key(b"user-1").unwrap(), 11);
    let other = quick_directory();
    let error = open(other.path()).of_key(b"user-1").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
}

/// Its bytes as version 1 has them; and what is not that is refused, and not repaired.
#[test]
fn the_metadata_are_those_of_version_1() {
    let directory = quick_directory();
    options(SyncPolicy::None).keyed(16).open(directory.path()).unwrap().close().unwrap();
    let path = directory.path().join("partitions.meta");
    let bytes = std::fs::read(&path).unwrap();
    let golden = include_str!("../golden/v1/partitions.meta.txt");
    let text: String = bytes
        .chunks(16)
        .map(|row| row.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n")
        .collect();
    assert_eq!(text, golden);
    for (change, kind) in [
        (|bytes: &mut Vec<u8>| bytes[17] ^= 1, ErrorKind::Corrupt),
        (|bytes: &mut Vec<u8>| bytes[0] ^= 1, ErrorKind::Corrupt),
        (|bytes: &mut Vec<u8>| bytes.truncate(100), ErrorKind::Corrupt),
        (|bytes: &mut Vec<u8>| bytes.clear(), ErrorKind::Corrupt),
    ] as [(fn(&mut Vec<u8>), ErrorKind); 4]
    {
        let mut damaged = bytes.clone();
        change(&mut damaged);
        std::fs::write(&path, &damaged).unwrap();
        let error = Partitions::open(directory.path(), &options(SyncPolicy::None)).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), damaged, "nothing was changed");
    }
}

#[test]
fn one_process_and_one_handle_at_a_time() {
    let directory = quick_directory();
    let partitions = open(directory.path());
    let log = partitions.get(1).unwrap();
    let error = options(SyncPolicy::None).open(directory.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    // Nor past them.
    assert_eq!(Log::open(log.directory()).unwrap_err().kind(), ErrorKind::Locked);
    let place = log.directory().to_owned();
    partitions.close().unwrap();
    open(directory.path()).close().unwrap();
    // A partition that somebody opened as a log is his: it is neither opened nor dropped, and the others are.
    let taken = Log::open(&place).unwrap();
    let partitions = open(directory.path());
    assert_eq!(partitions.get(1).unwrap_err().kind(), ErrorKind::Locked);
    assert_eq!(partitions.remove(1).unwrap_err().kind(), ErrorKind::Locked);
    partitions.get(2).unwrap().append(b"x").unwrap();
    drop(taken);
    partitions.get(1).unwrap();
}

#[test]
fn a_log_and_partitions_do_not_share_a_directory() {
    let directory = quick_directory();
    Log::open(directory.path()).unwrap().close().unwrap();
    let error = Partitions::open(directory.path(), &PartitionOptions::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
    assert!(!directory.path().join("partitions.meta").exists());
}

#[test]
fn closing_ends_every_partition_whoever_holds_it() {
    let directory = quick_directory();
    let partitions = open(directory.path());
    let log = partitions.get(1).unwrap();
    log.append(b"kept").unwrap();
    let clone = partitions.clone();
    drop(partitions);
    log.append(b"goes on").unwrap();
    clone.close().unwrap();
    clone.close().unwrap();
    assert_eq!(log.append(b"x").unwrap_err().kind(), ErrorKind::Closed);
    for outcome in [clone.get(1).map(drop), clone.sync(), clone.remove(1)] {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Closed);
    }
    let partitions = open(directory.path());
    assert_eq!(contents(&partitions.get(1).unwrap()), [&b"kept"[..], b"goes on"]);
    // Dropping the last of them does the same.
    let log = partitions.get(1).unwrap();
    drop(partitions);
    assert_eq!(log.append(b"x").unwrap_err().kind(), ErrorKind::Closed);
    open(directory.path());
}

#[test]
fn options_of_one_partition_are_its_own() {
    let directory = quick_directory();
    let partitions = open(directory.path());
    let other = log_options(SyncPolicy::Immediate).segment_bytes(1 << 18);
    let log = partitions.get_with(1, &other).unwrap();
    assert_eq!((log.sync_policy(), log.segment_bytes()), (SyncPolicy::Immediate, 1 << 18));
    drop(log);
    partitions.close().unwrap();
    let partitions = open(directory.path());
    let log = partitions.get(1).unwrap();
    assert_eq!((log.sync_policy(), log.segment_bytes()), (SyncPolicy::None, 1 << 18), "its size stays");
    // By default segments are small.
    let directory = quick_directory();
    let partitions = Partitions::open(directory.path(), &PartitionOptions::new()).unwrap();
    assert_eq!(partitions.get(1).unwrap().segment_bytes(), 1 << 20);
}

#[test]
fn sync_makes_every_partition_durable() {
    let directory = tempfile::tempdir().unwrap();
    let partitions = options(SyncPolicy::None).sync_threads(3).open(directory.path()).unwrap();
    let logs: Vec<_> = (0..10).map(|id| partitions.get(id).unwrap()).collect();
    for log in &logs[1..] {
        log.append(b"published").unwrap();
    }
    partitions.sync().unwrap();
    for log in &logs {
        let marks = log.watermarks();
        assert_eq!(marks.durable, marks.published);
    }
    assert_eq!(logs[0].stats().syncs, 0, "nothing to sync, nothing synced");
    assert_eq!(logs[1].stats().syncs, 1);
}

#[test]
fn nothing_is_waited_for_inside_a_closure() {
    let directory = quick_directory();
    let partitions = open(directory.path());
    let log = partitions.get(1).unwrap();
    log.append_with(8, |_| {
        assert!(partitions.get(1).is_ok(), "what is open is given");
        for outcome in
            [partitions.get(2).map(drop), partitions.sync(), partitions.remove(1), partitions.close()]
        {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::WouldDeadlock);
        }
    })
    .unwrap();
}

#[test]
fn many_threads_ask_for_the_same_and_for_others() {
    let directory = quick_directory();
    let partitions = options(SyncPolicy::None).open_max(4).open(directory.path()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3_u64 {
            let partitions = &partitions;
            scope.spawn(move || {
                for n in 0..60_u64 {
                    let id = (n * 7 + thread) % 9;
                    // Three threads hold three at most.
                    partitions.get(id).unwrap().append(&(thread * 1000 + n).to_le_bytes()).unwrap();
                }
            });
        }
    });
    let mut seen = BTreeSet::new();
    for id in partitions.ids().unwrap() {
        for record in contents(&partitions.get(id).unwrap()) {
            assert!(seen.insert(u64::from_le_bytes(record.try_into().unwrap())), "twice");
        }
    }
    assert_eq!(seen.len(), 180);
    assert!(partitions.open_count().unwrap() <= 4);
}
