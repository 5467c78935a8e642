//! `bench`: the form of what it tells, how much it writes, and that it leaves nothing behind. No figure is judged.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use crate::map::parsed;
use crate::support::{closed, command, files, names, run};

fn bench(place: &Path, more: &[&str]) -> crate::support::Ran {
    let place = place.to_str().unwrap();
    run(Path::new("/no/such/log"), &[&["bench", "--in", place, "--seconds", "0.02"], more].concat())
}

fn check_latency(latency: &Value) -> u64 {
    let count = latency["count"].as_u64().unwrap();
    let classes = latency["histogram"].as_array().unwrap();
    assert_eq!(classes.iter().map(|class| class["count"].as_u64().unwrap()).sum::<u64>(), count, "{latency}");
    assert!(count > 0 && classes.iter().all(|class| class["from_ns"].as_u64() < class["to_ns"].as_u64()));
    let told =
        ["p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns"].map(|name| latency[name].as_u64().unwrap());
    assert!(told.is_sorted(), "{latency}");
    count
}

#[test]
fn every_policy_size_and_number_of_threads_is_told_once() {
    let place = tempfile::tempdir().unwrap();
    let ran = bench(
        place.path(),
        &["--json", "--threads", "3", "--record-bytes", "10,1KiB", "--limit-bytes", "64MiB"],
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    let told = ran.json();
    let mut expected = Vec::new();
    for policy in ["none", "periodic", "grouped", "immediate"] {
        for bytes in [10, 1024] {
            expected.extend([1, 2, 3].map(|threads| json!([policy, bytes, threads])));
        }
    }
    let appends = told["appends"].as_array().unwrap();
    let met: Vec<Value> =
        appends.iter().map(|part| json!([part["policy"], part["record_bytes"], part["threads"]])).collect();
    assert_eq!(met, expected);
    for part in appends {
        let count = check_latency(&part["latency"]);
        let seconds = part["seconds"].as_f64().unwrap();
        let rate = part["records_per_second"].as_f64().unwrap();
        assert!((rate * seconds - count as f64).abs() < 1e-3 * count as f64 && seconds > 0.0, "{part}");
        let frame = part["record_bytes"].as_u64().unwrap() + 16;
        assert!(count * frame <= told["part_bytes_max"].as_u64().unwrap(), "{part}");
    }
    let syncs = told["syncs"].as_array().unwrap();
    assert_eq!(syncs.len(), 2);
    syncs.iter().for_each(|sync| assert!(check_latency(&sync["latency"]) > 0));
    assert!(told["machine"]["processors"].as_u64() > Some(0) && told["machine"]["file_system"] != "unknown");
    assert_eq!(names(place.path()), [""; 0]);
}

#[test]
fn a_part_ends_when_it_has_written_its_share() {
    let place = tempfile::tempdir().unwrap();
    let arguments =
        ["--json", "--policy", "none", "--threads", "1", "--record-bytes", "1000", "--seconds", "600"];
    // The time that was given first does not count.
    let place_text = place.path().to_str().unwrap();
    let all = [&["bench", "--in", place_text, "--limit-bytes", "3MiB"][..], &arguments].concat();
    let ran = run(place.path(), &all);
    assert_eq!(ran.code, 0, "{ran:?}");
    let told = ran.json();
    assert_eq!(told["part_bytes_max"], json!(1 << 20));
    assert_eq!(told["appends"][0]["latency"]["count"], json!((1 << 20) / 1016));
    assert_eq!(told["syncs"][0]["latency"]["count"], json!((1 << 20) / 4096));
    assert_eq!(names(place.path()), [""; 0]);
}

#[test]
fn text_and_pictures_tell_the_same_parts() {
    let place = tempfile::tempdir().unwrap();
    let small = ["--policy", "none,grouped", "--threads", "1", "--limit-bytes", "32MiB"];
    let text = bench(place.path(), &small);
    assert_eq!(text.code, 0, "{text:?}");
    for told in ["write, fdatasync", "store, msync", "none ", "grouped ", "P99.9", "page cache", "Linux"] {
        assert!(text.out.contains(told), "{told}: {}", text.out);
    }
    assert!(text.out.lines().all(|line| line == line.trim_end()));
    for format in ["svg", "html"] {
        let ran = bench(place.path(), &[&small[..], &["-o", format]].concat());
        let (classes, text) = parsed(&ran.out);
        assert!(classes.contains("append") && classes.contains("sync"), "{classes:?}");
        for told in ["grouped: records a second", "none 100 B, 1 thread", "store, msync", "p99"] {
            assert!(text.contains(told), "{told}: {text}");
        }
    }
    let to = place.path().join("bench.html");
    let out = [&small[..], &["-o", "html", "--out", to.to_str().unwrap()]].concat();
    assert_eq!(bench(place.path(), &out).code, 0);
    assert_eq!(names(place.path()), ["bench.html"]);
    // Before it measures: that would take half an hour.
    let again = run(place.path(), &[&["bench", "--seconds", "600", "--in", "/"], &out[..]].concat());
    assert_eq!(again.code, 2, "{again:?}");
}

#[test]
fn it_never_measures_in_a_log_and_by_default_beside_it() {
    let (dir, _) = closed();
    let before = files(dir.path());
    for place in ["", "below"] {
        let place = dir.path().join(place);
        std::fs::create_dir_all(&place).unwrap();
        let ran = bench(&place, &[]);
        assert!(ran.code == 2 && ran.err.contains("lies in the log"), "{ran:?}");
        assert!(place == dir.path().join("") || std::fs::remove_dir(&place).is_ok());
    }
    assert!(files(dir.path()) == before);
    // The log is in a directory of its own, and that is where.
    let outer = tempfile::tempdir().unwrap();
    let log = outer.path().join("log");
    std::fs::create_dir(&log).unwrap();
    let arguments = ["bench", "--json", "--seconds", "0.01", "--policy", "none", "--limit-bytes", "16MiB"];
    let told = run(&log, &arguments).json();
    assert_eq!(told["directory"], json!(outer.path().canonicalize().unwrap().to_str().unwrap()));
    assert_eq!((names(outer.path()), names(&log)), (vec!["log".to_owned()], vec![]));
}

#[test]
fn what_cannot_be_measured_is_refused_and_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    for (arguments, code, told) in [
        (&["--limit-bytes", "1MiB"][..], 2, "--limit-bytes"),
        (&["--limit-bytes", "99999TiB"], 1, "free"),
        (&["--record-bytes", "64MiB"], 2, "--record-bytes"),
        (&["--record-bytes", "4MiB", "--limit-bytes", "64MiB"], 2, "give"),
        (&["--threads", "0"], 2, "--threads"),
        (&["--policy", "never"], 2, "--policy"),
    ] {
        let ran = bench(place.path(), arguments);
        assert!(ran.code == code && ran.err.contains(told), "{arguments:?}: {ran:?}");
        assert_eq!(names(place.path()), [""; 0]);
    }
    assert_eq!(bench(&place.path().join("none"), &[]).code, 1);
    let never = run(place.path(), &["bench", "--seconds", "0"]);
    assert!(never.code == 2 && never.err.contains("from 0.01"), "{never:?}");
}

#[test]
fn an_interrupt_ends_it_and_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().to_str().unwrap();
    for when in ["syncs", "log"] {
        let arguments = ["bench", "--in", path, "--seconds", if when == "log" { "0.05" } else { "600" }];
        let more =
            ["--policy", "immediate,immediate,immediate,immediate,immediate,immediate", "--threads", "2"];
        let mut child = command(place.path(), &[&arguments[..], &more].concat())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let began = Instant::now();
        let at_work = || {
            let ours = names(place.path()).into_iter().next();
            ours.is_some_and(|name| {
                when == "syncs" || place.path().join(name).join("log").join("log.meta").exists()
            })
        };
        while !at_work() {
            assert!(
                began.elapsed().as_secs() < 60 && child.try_wait().unwrap().is_none(),
                "{when}: it never begins"
            );
        }
        let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(1) && err.contains("interrupted"),
            "{when}: {:?} {err}",
            output.status
        );
        assert_eq!(names(place.path()), [""; 0], "{when}");
    }
}
