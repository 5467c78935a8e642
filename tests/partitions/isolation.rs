//! What happens to one partition is not another's trouble.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tidelog::{ErrorKind, Partitions, SyncPolicy};

use crate::support::{PATIENCE, lacks, quick_directory, skip};
use crate::{POLICIES, contents, options};

fn place(root: &Path, id: u64) -> PathBuf {
    root.join(format!("{id:020}.part"))
}

/// A file is cut at its end, where nothing is written yet: the next sync of that partition fails.
fn spoil(root: &Path, id: u64) {
    let segment = place(root, id).join(format!("{:020}.seg", 0));
    std::fs::OpenOptions::new().write(true).open(segment).unwrap().set_len(4096 + 65536 - 4096).unwrap();
}

#[test]
fn one_that_is_poisoned_fails_alone_and_is_recovered_when_it_is_let_go() {
    for policy in POLICIES {
        let directory = tempfile::tempdir().unwrap();
        let partitions = options(policy).open(directory.path()).unwrap();
        let [bad, good] = [1, 2].map(|id| partitions.get(id).unwrap());
        bad.append(b"before").unwrap();
        good.append(b"before").unwrap();
        partitions.sync().unwrap();
        spoil(directory.path(), 1);
        let deadline = Instant::now() + PATIENCE;
        while bad.append(b"after").and_then(|lsn| bad.wait_durable(lsn)).is_ok() {
            assert!(Instant::now() < deadline, "{policy:?}: it is not noticed");
        }
        assert_eq!(bad.append(b"x").unwrap_err().kind(), ErrorKind::Poisoned, "{policy:?}");
        good.append(b"after").unwrap();
        good.sync().unwrap();
        partitions.get(3).unwrap().append(b"new").unwrap();
        // As long as somebody holds it, it is what is given.
        assert_eq!(partitions.get(1).unwrap().append(b"x").unwrap_err().kind(), ErrorKind::Poisoned);
        drop(bad);
        let healed = partitions.get(1);
        // The file is short, which recovery may refuse as damage; either way it is told, and others are not concerned.
        match healed {
            Ok(log) => assert_eq!(contents(&log).first().map(Vec::as_slice), Some(&b"before"[..])),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}"),
        }
        assert_eq!(contents(&partitions.get(2).unwrap()), [&b"before"[..], b"after"]);
        // What could not be made durable is told once by those who ask for all.
        assert_eq!(partitions.sync().unwrap_err().kind(), ErrorKind::Poisoned);
        partitions.sync().unwrap();
        partitions.close().unwrap();
    }
}

#[test]
fn a_failure_of_one_does_not_keep_the_others_from_being_synced() {
    let directory = tempfile::tempdir().unwrap();
    let partitions = options(SyncPolicy::None).open(directory.path()).unwrap();
    let logs: Vec<_> = (0..6).map(|id| partitions.get(id).unwrap()).collect();
    for log in &logs {
        log.append(b"x").unwrap();
    }
    spoil(directory.path(), 0);
    assert_eq!(partitions.sync().unwrap_err().kind(), ErrorKind::Poisoned);
    for log in &logs[1..] {
        let marks = log.watermarks();
        assert_eq!(marks.durable, marks.published);
    }
    assert_eq!(partitions.close().unwrap_err().kind(), ErrorKind::Poisoned);
}

/// One partition lies on a device of its own, which is full.
struct Full {
    path: PathBuf,
}

impl Full {
    fn mount(path: &Path, bytes: u64) -> Result<Self, String> {
        std::fs::create_dir_all(path).unwrap();
        let size = format!("size={bytes}");
        let missing = lacks("mount", &["-t", "tmpfs", "-o", &size, "tidelog-test", path.to_str().unwrap()]);
        missing.map_or_else(|| Ok(Self { path: path.to_owned() }), Err)
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

#[test]
fn one_whose_device_is_full_fails_alone_and_goes_on_when_there_is_room() {
    for policy in [SyncPolicy::None, SyncPolicy::periodic(Duration::from_millis(2)), SyncPolicy::grouped()] {
        let directory = tempfile::tempdir().unwrap();
        let full = match Full::mount(&place(directory.path(), 1), 500 << 10) {
            Ok(full) => full,
            Err(missing) => {
                skip("one_whose_device_is_full", Some(missing));
                return;
            }
        };
        let partitions = options(policy).open(directory.path()).unwrap();
        let log = partitions.get(1).unwrap();
        let (mut appended, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            // It asks for room all the time.
            let greedy = scope.spawn(|| {
                while refused < 20 {
                    match log.append(&[7; 1000]) {
                        Ok(_) => appended += 1,
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
                            refused += 1;
                        }
                    }
                }
            });
            append_to_others(&partitions);
            greedy.join().unwrap();
            append_to_others(&partitions);
        });
        assert_eq!(contents(&log).len(), appended);
        // Room comes by retiring.
        log.retire_before(log.watermarks().published).unwrap();
        log.append(&[8; 1000]).unwrap();
        drop(log);
        partitions.close().unwrap();
        drop(full);
    }
}

/// Over several segments each.
fn append_to_others(partitions: &Partitions) {
    for id in 2..5 {
        let log = partitions.get(id).unwrap();
        for _ in 0..150 {
            log.append_nowait(&[id as u8; 1000]).unwrap();
        }
        log.sync().unwrap();
    }
}

#[test]
fn a_root_that_is_closed_while_a_partition_is_read_stays_readable() {
    let directory = quick_directory();
    let partitions = options(SyncPolicy::None).open(directory.path()).unwrap();
    let log = partitions.get(1).unwrap();
    for n in 0..200_u64 {
        log.append(&[n as u8; 1000]).unwrap();
    }
    let snapshot = log.snapshot();
    partitions.close().unwrap();
    assert_eq!(snapshot.iter().filter(|record| record.is_ok()).count(), 200);
}
