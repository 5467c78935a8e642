//! What the tests share.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use tidelog::{Log, Lsn, Options, Result, Snapshot, SyncPolicy};

/// The smallest segment: most tests want rolls, or a small file.
pub(crate) const SEGMENT: u64 = 1 << 16;
/// The page before the frames of a segment.
pub(crate) const HEADER: u64 = 4096;
/// The largest record of a log with the smallest segments.
pub(crate) const RECORD_MAX: usize = SEGMENT as usize / 4 - 16;

/// Records as they were appended, by LSN.
pub(crate) type Expected = Vec<(Lsn, Vec<u8>)>;

pub(crate) fn options(policy: SyncPolicy) -> Options {
    Options::new().segment_bytes(SEGMENT).sync_policy(policy)
}

pub(crate) fn policies() -> [SyncPolicy; 4] {
    [
        SyncPolicy::None,
        SyncPolicy::Immediate,
        SyncPolicy::periodic(Duration::from_millis(5)),
        SyncPolicy::grouped(),
    ]
}

/// A log under `None` in a new directory.
pub(crate) fn new_log() -> (tempfile::TempDir, Log) {
    let dir = tempfile::tempdir().unwrap();
    let log = options(SyncPolicy::None).open(dir.path()).unwrap();
    (dir, log)
}

/// A payload that tells its number, at each of its bytes.
pub(crate) fn payload(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

/// Bytes that a frame with such a payload takes.
pub(crate) fn frame_bytes(len: usize) -> u64 {
    (len as u64 + 16).next_multiple_of(8)
}

pub(crate) fn collect(snapshot: &Snapshot) -> Result<Expected> {
    snapshot.iter().map(|record| record.map(|record| (record.lsn(), record.payload().to_vec()))).collect()
}

pub(crate) fn contents(log: &Log) -> Expected {
    collect(&log.snapshot()).unwrap()
}

/// Appends `count` records of `len` bytes and returns what was appended.
pub(crate) fn fill(log: &Log, count: usize, len: usize) -> Expected {
    let seed = log.watermarks().claimed.get();
    (0..count)
        .map(|n| {
            let bytes = payload(seed + n as u64, len);
            (log.append_nowait(&bytes).unwrap(), bytes)
        })
        .collect()
}

/// Waits until a fact holds that needs nothing but time; fails if it never does.
pub(crate) fn eventually(what: &str, mut fact: impl FnMut() -> bool) {
    let began = Instant::now();
    while !fact() {
        assert!(began.elapsed() < Duration::from_secs(60), "never happened: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Runs `work` on a thread and fails if it does not return: a deadlock is a failure, not a hang.
pub(crate) fn returns<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| panic!("did not return: {what}"))
}

/// All files of a directory except the lock, by name.
pub(crate) fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries
        .filter(|entry| entry.file_type().unwrap().is_file() && entry.file_name() != "log.lock")
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect()
}

/// The names that end so.
pub(crate) fn names(dir: &Path, ending: &str) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(ending)).collect();
    names.sort();
    names
}

/// A directory for tests that open hundreds of logs: in memory where there is such a file system, since no test
/// can tell what a device did with a sync.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Writes files into a new directory.
pub(crate) fn restore(files: &BTreeMap<String, Vec<u8>>) -> tempfile::TempDir {
    let dir = scratch();
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

/// What a kill of the process leaves: the files of an open log, as the page cache has them.
pub(crate) fn crash(dir: &Path) -> tempfile::TempDir {
    restore(&crash_files(dir))
}

/// The files of an open log, without the prepared empty segments' races: the copy is taken when the set of files
/// did not change meanwhile.
pub(crate) fn crash_files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut copy = None;
    eventually("the files of the log stand still", || {
        let before = names(dir, "");
        let entries = before.iter().filter(|name| *name != "log.lock");
        let read = entries.map(|name| Ok((name.clone(), std::fs::read(dir.join(name))?)));
        let read: std::io::Result<BTreeMap<_, _>> = read.collect();
        let still = names(dir, ".seg.tmp").is_empty() && names(dir, "") == before;
        copy = read.ok().filter(|_| still);
        copy.is_some()
    });
    copy.unwrap()
}

pub(crate) fn segment_name(number: u64) -> String {
    format!("{:020}.seg", number * SEGMENT)
}

/// CRC-64/XZ.
pub(crate) fn crc64(bytes: &[u8]) -> u64 {
    let mut digest = crc64fast::Digest::new();
    digest.write(bytes);
    digest.sum64()
}

/// Makes the last writer one of another boot.
pub(crate) fn another_boot(files: &mut BTreeMap<String, Vec<u8>>) {
    for (_, bytes) in files.iter_mut().filter(|(name, _)| name.ends_with(".seg")) {
        for entry in
            bytes[2048..4032].chunks_exact_mut(64).filter(|entry| entry.iter().any(|byte| *byte != 0))
        {
            entry[24..40].fill(0xb0);
            let crc = crc64(&entry[..56]);
            entry[56..].copy_from_slice(&crc.to_le_bytes());
        }
    }
}
