//! `top`: beside a writer, on a log that stands still, and on one that goes away meanwhile.

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};

use crate::support::{Done, closed, command, files, options, retire_all, run};

/// A running `top --json`, from whose first look on the caller acts.
struct Watching {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watching {
    fn new(dir: &Path, interval: &str) -> Self {
        let arguments = ["top", "--json", "--interval", interval];
        let mut child =
            command(dir, &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn next(&mut self) -> Option<Value> {
        self.lines.next().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
    }

    /// Goes on until a line is as it should be, and gives those up to there.
    fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut met = Vec::new();
        while met.len() < 1000 {
            let line = self.next().unwrap_or_else(|| panic!("it has ended: {met:?}"));
            let found = wanted(&line);
            met.push(line);
            if found {
                return met;
            }
        }
        panic!("it never came: {:?}", met.last())
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_record_that_is_appended_is_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let log = options().open(dir.path()).unwrap();
    let cursor = log.cursor("indexer").unwrap();
    let mut top = Watching::new(dir.path(), "10ms");
    let first = top.next().unwrap();
    assert_eq!(
        (&first["end"], &first["records"], &first["bytes_per_second"]),
        (&json!(0), &json!(0), &json!(0.0))
    );
    assert_eq!(first["writer_pid"], json!(std::process::id()));
    // Over several segments.
    let payload = [7; 5000];
    for number in 0..200_u64 {
        let lsn = log.append(&payload[..(number * 37 % 5000) as usize]).unwrap();
        if number == 150 {
            cursor.reset(lsn).unwrap();
            cursor.sync().unwrap();
        }
    }
    log.sync().unwrap();
    let end = log.watermarks().published.get();
    let met = top.until(|line| line["end"] == json!(end) && line["durable"] == json!(end));
    assert_eq!(met.iter().map(|line| line["records"].as_u64().unwrap()).sum::<u64>(), 200, "{met:?}");
    assert!(met.iter().all(|line| line["records_estimated"] == json!(false)));
    assert!(met.iter().any(|line| line["bytes_per_second"].as_f64() > Some(0.0)));
    assert!(met.iter().any(|line| line["segments_made_per_second"].as_f64() > Some(0.0)));
    let moved = |line: &Value| line["cursors"][0]["position"] == json!(cursor.position().get());
    let last = met.last().unwrap();
    assert!(moved(last) || top.until(moved).len() < 1000);
    // What is retired is told.
    log.retire_before(log.watermarks().published).unwrap();
    let start = log.watermarks().start.get();
    let met = top.until(|line| line["start"] == json!(start));
    assert!(met.last().unwrap()["segments_retired_per_second"].as_f64() > Some(0.0), "{met:?}");
    // And another opening.
    drop(cursor);
    log.close().unwrap();
    top.until(|line| {
        line["writer_pid"].is_null() && line["notes"][0].as_str().is_some_and(|note| note.contains("closed"))
    });
    let log = options().open(dir.path()).unwrap();
    log.append(b"more").unwrap();
    let met = top.until(|line| line["notes"][0].as_str().is_some_and(|note| note.contains("has opened it")));
    assert_eq!(met.last().unwrap()["writer_pid"], json!(std::process::id()));
    // An opening may cut a tail away, so nothing is compared over it.
    let compared = |line: &Value| !line["bytes_per_second"].is_null();
    assert!(!met.iter().all(compared) || top.until(|line| !compared(line)).len() < 1000);
    top.until(|line| line["end"] == json!(log.watermarks().published.get()));
}

#[test]
fn a_log_that_goes_away_ends_it() {
    let (dir, _) = closed();
    let dir = dir.keep();
    let mut top = Watching::new(&dir, "10ms");
    top.next().unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    while top.next().is_some() {}
    assert_eq!(top.child.wait().unwrap().code(), Some(5));
    let mut err = String::new();
    std::io::Read::read_to_string(top.child.stderr.as_mut().unwrap(), &mut err).unwrap();
    assert!(err.contains("is gone"), "{err}");
    assert_eq!(run(&dir, &["top"]).code, 5);
}

#[test]
fn another_log_in_its_place_is_told() {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("log");
    options().open(&dir).unwrap().close().unwrap();
    let other = outer.path().join("other");
    let log = options().open(&other).unwrap();
    log.append(&[1; 500]).unwrap();
    log.close().unwrap();
    let mut top = Watching::new(&dir, "300ms");
    top.next().unwrap();
    // In one step where the system can, so that there is always a log.
    std::fs::rename(&dir, outer.path().join("old")).unwrap();
    std::fs::rename(&other, &dir).unwrap();
    let mut line = top.next().unwrap();
    while line["notes"] == json!([]) {
        line = top.next().unwrap();
    }
    assert_eq!(line["notes"][0], "another log stands here now");
    assert_eq!((&line["bytes_per_second"], &line["records"]), (&Value::Null, &Value::Null));
    assert!(line["end"].as_u64() >= Some(500));
}

/// Two moments of one log, the second in the place of the first.
#[test]
fn what_is_too_much_to_count_is_estimated_and_said_to_be() {
    let outer = tempfile::tempdir().unwrap();
    let (work, dir, later) =
        (outer.path().join("work"), outer.path().join("log"), outer.path().join("later"));
    let log = options().segment_bytes(8 << 20).open(&work).unwrap();
    let copy = |to: &Path| {
        log.sync().unwrap();
        std::fs::create_dir(to).unwrap();
        for entry in std::fs::read_dir(&work).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if name.ends_with(".seg") || name == "log.meta" {
                std::fs::copy(entry.path(), to.join(name)).unwrap();
            }
        }
    };
    log.append(b"first").unwrap();
    copy(&dir);
    let payload = vec![7; 100_000];
    for _ in 0..800 {
        log.append(&payload).unwrap();
    }
    copy(&later);
    let mut top = Watching::new(&dir, "300ms");
    assert_eq!(top.next().unwrap()["records"], json!(0));
    std::fs::rename(&dir, outer.path().join("old")).unwrap();
    std::fs::rename(&later, &dir).unwrap();
    let line = top.until(|line| line["records"] != json!(0)).pop().unwrap();
    assert_eq!(
        (&line["records_estimated"], &line["end"]),
        (&json!(true), &json!(log.watermarks().published.get()))
    );
    let records = line["records"].as_u64().unwrap();
    assert!((780..=820).contains(&records), "{line}");
    assert_eq!(top.next().unwrap()["records"], json!(0));
}

#[test]
fn lines_are_printed_and_counted_where_there_is_no_terminal() {
    let (dir, all) = closed();
    let before = files(dir.path());
    let ran = run(dir.path(), &["top", "--count", "3", "--interval", "10ms"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines.len() == 4 && lines[0].starts_with("TIME"), "{lines:?}");
    assert!(
        lines[1].contains("indexer") && lines[1].contains(" 0 B/s") && !ran.out.contains('\u{1b}'),
        "{lines:?}"
    );
    let one = run(dir.path(), &["top", "--count", "1", "--interval", "10ms", "--json"]).json();
    let info = run(dir.path(), &["info", "--json"]).json();
    assert_eq!(
        (&one["end"], &one["durable"], &one["start"]),
        (&info["end"], &info["proven_durable"], &info["start"])
    );
    assert_eq!((&one["writer_pid"], &one["records"]), (&Value::Null, &json!(0)));
    assert_eq!(one["cursors"][0]["position"], json!(all[500].0.get()));
    assert!(files(dir.path()) == before);
    for wrong in ["0s", "1", "", "x"] {
        assert_eq!(run(dir.path(), &["top", "--interval", wrong]).code, 2, "{wrong}");
    }
}

/// Whatever is written and retired between two looks, none of them fails.
#[test]
fn a_writer_that_retires_all_it_writes_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let log = options().open(dir.path()).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| retire_all(&log, &done));
        let stop = Done(&done);
        let ran = run(dir.path(), &["top", "--json", "--count", "15", "--interval", "10ms"]);
        drop(stop);
        assert_eq!(ran.code, 0, "{ran:?}");
        let lines = ran.lines();
        let ends: Vec<u64> = lines.iter().map(|line| line["end"].as_u64().unwrap()).collect();
        assert!(ends.is_sorted() && ends.len() == 15, "{ends:?}");
        assert!(lines.iter().all(|line| line["start"].as_u64() <= line["end"].as_u64()), "{lines:?}");
    });
}
