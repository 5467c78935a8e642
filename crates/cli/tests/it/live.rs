//! Beside a writer that is at it.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::support::{Done, READING, command, fill, options, retire_all, run};

#[test]
fn a_log_that_is_being_written_is_read_and_its_writer_named() {
    let dir = tempfile::tempdir().unwrap();
    let log = options().open(dir.path()).unwrap();
    let all = fill(&log);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut number = 0_u64;
            while !done.load(Ordering::Relaxed) {
                log.append(&vec![number as u8; (number % 900) as usize]).unwrap();
                number += 1;
                if number.is_multiple_of(500) {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            }
            number
        });
        let ending = Done(&done);
        for _ in 0..3 {
            for arguments in READING {
                // They print all of a log that grows faster than they are.
                if arguments.contains(&"hex") || arguments.contains(&"export") {
                    continue;
                }
                let ran = run(dir.path(), arguments);
                assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
            }
            let info = run(dir.path(), &["info", "--json"]).json();
            assert_eq!(info["writer"]["pid"], json!(std::process::id()));
            let exported = run(dir.path(), &["export", "-n", "700"]);
            assert_eq!((exported.code, exported.out.lines().count()), (0, 702), "{}", exported.err);
            let verified = run(dir.path(), &["verify", "--json"]).json();
            assert!(verified["records"].as_u64().unwrap() >= all.len() as u64);
        }
        drop(ending);
        assert!(writer.join().unwrap() > 0);
    });
}

/// Retention takes segments away under the command's hands.
#[test]
fn segments_that_are_retired_meanwhile_are_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let log = options().open(dir.path()).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| retire_all(&log, &done));
        let _ending = Done(&done);
        for _ in 0..10 {
            for arguments in
                [&["verify"][..], &["info"], &["stats"], &["map"], &["dump", "-o", "raw"], &["export"]]
            {
                let ran = run(dir.path(), arguments);
                assert_eq!(ran.code, 0, "{arguments:?}: {} {}", ran.out, ran.err);
            }
        }
    });
}

#[test]
fn commands_that_change_the_log_are_refused_beside_a_writer() {
    let dir = tempfile::tempdir().unwrap();
    let log = options().open(dir.path()).unwrap();
    fill(&log);
    let export = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(export.path(), run(dir.path(), &["export"]).raw).unwrap();
    let import = ["import", export.path().to_str().unwrap()];
    for arguments in [
        &["cursor", "set", "indexer", "0"][..],
        &["cursor", "rm", "indexer"],
        &["append"],
        &["retire", "0"],
        &import,
    ] {
        // That file alone: the writer's thread is preparing others.
        let cursor = || std::fs::read(dir.path().join("indexer.cursor")).unwrap();
        let before = cursor();
        let ran = run(dir.path(), arguments);
        assert_eq!(ran.code, 6, "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(&format!("pid {}", std::process::id())), "{ran:?}");
        assert!(cursor() == before);
    }
}

#[test]
fn tail_follows_what_is_appended() {
    let dir = tempfile::tempdir().unwrap();
    let log = options().open(dir.path()).unwrap();
    let all = fill(&log);
    for durable in [false, true] {
        let mut arguments = vec!["tail", "-f", "-n", "1", "--count", "3", "--json"];
        if durable {
            log.sync().unwrap();
            arguments.push("--durable");
        }
        let mut child = command(dir.path(), &arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert!(first["lsn"].as_u64().unwrap() >= all.last().unwrap().0.get());
        for text in ["new 1", "new 2", "new 3"] {
            log.append(text.as_bytes()).unwrap();
            if durable {
                log.sync().unwrap();
            }
            let line: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            assert_eq!(line["payload"], text);
        }
        assert!(lines.next().is_none());
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}
