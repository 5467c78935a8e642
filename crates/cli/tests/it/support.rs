//! Sample logs, and running the command.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use tidelog::{Log, Lsn, Options, SyncPolicy};

/// The smallest segment, so that a few records fill several.
pub(crate) const SEGMENT: u64 = 1 << 16;
pub(crate) const HEADER: u64 = 4096;

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) raw: Vec<u8>,
}

impl Ran {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn lines(&self) -> Vec<serde_json::Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

pub(crate) fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidelog"));
    command
        .args(arguments)
        .env("TIDELOG_DIR", dir)
        .env_remove("NO_COLOR")
        .env("COLUMNS", "100")
        .stdin(Stdio::null());
    command
}

/// Runs the command; it never ends by a panic or a signal.
pub(crate) fn run(dir: &Path, arguments: &[&str]) -> Ran {
    let Output { status, stdout, stderr } = command(dir, arguments).output().unwrap();
    let err = String::from_utf8_lossy(&stderr).into_owned();
    let code = status.code().unwrap_or_else(|| panic!("{arguments:?}: {status}: {err}"));
    assert_ne!(code, 101, "{arguments:?} panicked: {err}");
    Ran { code, out: String::from_utf8_lossy(&stdout).into_owned(), err, raw: stdout }
}

/// Says that it is done when it goes, so that a failed assertion does not leave a writer at it for ever.
pub(crate) struct Done<'a>(pub(crate) &'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Writes, and retires what it wrote, until it is done.
pub(crate) fn retire_all(log: &Log, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        for _ in 0..100 {
            log.append(&[7; 10_000]).unwrap();
        }
        log.retire_before(log.watermarks().published).unwrap();
    }
}

pub(crate) fn options() -> Options {
    Options::new().segment_bytes(SEGMENT).sync_policy(SyncPolicy::None)
}

pub(crate) fn payload(number: usize) -> Vec<u8> {
    let level = ["info", "warn", "error"][number % 3];
    format!("{{\"n\":{number},\"level\":\"{level}\",\"text\":\"{}\"}}", "x".repeat(number % 700)).into_bytes()
}

/// Records over several segments, a batch, and a cursor.
pub(crate) fn fill(log: &Log) -> Vec<(Lsn, Vec<u8>)> {
    let mut all = Vec::new();
    for number in 0..600 {
        let bytes = payload(number);
        all.push((log.append(&bytes).unwrap(), bytes));
    }
    log.cursor_from("indexer", all[500].0).unwrap();
    let batch = ["first", "second", "third"];
    let lsns: Vec<Lsn> = log.append_batch(&batch).unwrap().collect();
    all.extend(lsns.into_iter().zip(batch.map(|text| text.as_bytes().to_vec())));
    all
}

/// A log that was closed, and what is in it.
pub(crate) fn closed() -> (tempfile::TempDir, Vec<(Lsn, Vec<u8>)>) {
    let dir = tempfile::tempdir().unwrap();
    let log = options().open(dir.path()).unwrap();
    let all = fill(&log);
    log.close().unwrap();
    (dir, all)
}

pub(crate) type Files = BTreeMap<String, Vec<u8>>;

pub(crate) fn files(dir: &Path) -> Files {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect()
}

pub(crate) fn restore(files: &Files) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

/// What a killed writer leaves: the files as they are while it has the log open and does nothing.
pub(crate) fn killed() -> (Files, Vec<(Lsn, Vec<u8>)>) {
    let dir = tempfile::tempdir().unwrap();
    let log = options().open(dir.path()).unwrap();
    let all = fill(&log);
    let began = std::time::Instant::now();
    loop {
        let before = names(dir.path());
        std::thread::sleep(std::time::Duration::from_millis(20));
        let still = !before.iter().any(|name| name.ends_with(".tmp"));
        if still && names(dir.path()) == before {
            let copy = files(dir.path());
            if names(dir.path()) == before {
                return (copy, all);
            }
        }
        assert!(began.elapsed().as_secs() < 60, "the files never stand still");
    }
}

pub(crate) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub(crate) fn segment_name(number: u64) -> String {
    format!("{:020}.seg", number * SEGMENT)
}

/// Where a record stands: its segment's file, and the offset in it.
pub(crate) fn place(lsn: Lsn) -> (String, usize) {
    (segment_name(lsn.get() / SEGMENT), (HEADER + lsn.get() % SEGMENT) as usize)
}

/// All commands that only read.
pub(crate) const READING: [&[&str]; 17] = [
    &["info"],
    &["info", "--count"],
    &["info", "--json"],
    &["verify"],
    &["verify", "--quick"],
    &["dump", "-o", "hex"],
    &["dump", "--tail", "3", "--json"],
    &["export"],
    &["export", "--format", "lengths"],
    &["export", "--format", "csv"],
    &["get", "0"],
    &["tail"],
    &["stats"],
    &["cursor", "list"],
    &["map"],
    &["map", "-o", "html"],
    &["top", "--count", "1", "--interval", "10ms"],
];
