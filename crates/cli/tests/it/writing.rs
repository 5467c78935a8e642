//! Commands that change a log.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{closed, command, files, names, run};

fn append(dir: &Path, arguments: &[&str], input: &[u8]) -> (i32, Value) {
    let arguments = [&["append", "--json"], arguments].concat();
    let mut child = command(dir, &arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // Where there is no log, nobody reads it.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
}

fn payloads(dir: &Path) -> Vec<String> {
    let lines = run(dir, &["dump", "--json"]).lines();
    lines.iter().map(|line| line["payload"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn lines_and_files_become_records() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    assert_eq!(append(&log, &[], b"no log\n").0, 5);
    assert!(!log.exists(), "nothing is made unasked");
    assert_eq!(append(&log, &["--create", "--segment-bytes", "100"], b"").0, 2);
    let (code, told) = append(&log, &["--create", "--segment-bytes", "64KiB"], b"one\n\ntwo");
    assert_eq!((code, &told["records"], &told["first"]), (0, &json!(3), &json!(0)));
    assert_eq!(run(&log, &["info", "--json"]).json()["segment_bytes"], 65536);
    for sync in ["each", "never"] {
        assert_eq!(append(&log, &["--sync", sync], b"three\n").0, 0);
    }
    assert_eq!(append(&log, &["--whole"], b"a\nb\n").0, 0);
    let file = dir.path().join("file");
    std::fs::write(&file, "from a file").unwrap();
    assert_eq!(append(&log, &[file.to_str().unwrap()], b"").0, 0);
    assert_eq!(payloads(&log), ["one", "", "two", "three", "three", "a\nb\n", "from a file"]);
    assert_eq!(append(&log, &[dir.path().join("gone").to_str().unwrap()], b"").0, 1);
    assert_eq!(append(&log, &["--whole"], &[0; 20_000]).0, 2, "too large a record");
    assert_eq!(run(&log, &["verify"]).code, 0);
}

#[test]
fn retiring_drops_whole_segments_unless_a_cursor_holds_them() {
    let (dir, all) = closed();
    assert_eq!(run(dir.path(), &["cursor", "set", "indexer", "0", "--gate", "yes"]).code, 0);
    // (Each opening prepares for what is to come, as far as it comes.)
    let segments =
        || -> Vec<String> { names(dir.path()).into_iter().filter(|name| name.ends_with(".seg")).collect() };
    let before = segments();
    let to = all[400].0.to_string();
    assert_eq!(run(dir.path(), &["retire", &to]).code, 6, "a cursor gates");
    assert_eq!(segments(), before);
    assert_eq!(run(dir.path(), &["cursor", "rm", "indexer"]).code, 0);
    let told = run(dir.path(), &["retire", &to, "--json"]);
    assert_eq!(told.code, 0, "{told:?}");
    let start = told.json()["start"].as_u64().unwrap();
    assert!(start > 0 && start <= all[400].0.get());
    let left: Vec<u64> = run(dir.path(), &["dump", "--json"])
        .lines()
        .iter()
        .map(|line| line["lsn"].as_u64().unwrap())
        .collect();
    assert!(left.iter().copied().eq(all.iter().map(|(lsn, _)| lsn.get()).filter(|lsn| *lsn >= start)));
    assert_eq!(run(dir.path(), &["get", "0"]).code, 5);
    assert_eq!(run(dir.path(), &["verify"]).code, 0);
    assert!(!files(dir.path()).contains_key("00000000000000000000.seg"));
}
