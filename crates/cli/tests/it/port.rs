//! Records carried from one log to another by `export` and `import`.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use serde_json::json;
use tidelog::inspect::{FrameKind, Inspector};

use crate::support::{Ran, closed, command, files, killed, names, options, place, restore, run};

const FORMATS: [&str; 3] = ["jsonl", "lengths", "csv"];

/// Runs `import` with `input` as its standard input.
pub(crate) fn import(dir: &Path, arguments: &[&str], input: &[u8]) -> Ran {
    let mut child = command(dir, &[&["import"], arguments].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have had enough before.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    let code = output.status.code().unwrap();
    assert_ne!(code, 101, "{arguments:?} panicked: {err}");
    Ran { code, out: String::from_utf8_lossy(&output.stdout).into_owned(), err, raw: output.stdout }
}

/// Every record: what it is to its batch, and its payload.
pub(crate) fn contents(dir: &Path) -> Vec<(FrameKind, Vec<u8>)> {
    let inspector = Inspector::open(dir).unwrap();
    let mut all = Vec::new();
    for segment in inspector.files().unwrap().segments {
        let mut frames = inspector.frames(segment.base).unwrap();
        while let Some(frame) = frames.next_frame().unwrap() {
            if frame.kind.is_record() {
                all.push((frame.kind, frame.payload.to_vec()));
            }
        }
    }
    all
}

/// A log of what is hard to carry: all bytes, no bytes, line ends, quotes, texts that look like another thing, batches.
fn odd() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let log = options().open(dir.path()).unwrap();
    let every: Vec<u8> = (0..=255).collect();
    let texts = [
        "",
        " ",
        "\"",
        "\"\"",
        ",",
        "\n",
        "\r",
        "\r\n",
        "a\nb",
        "a\r\n\"b\",",
        "\\",
        "\\n",
        "é\u{9b}31m",
        "\u{2028}\u{feff}",
        "\0",
        "=1+1",
        "{\"lsn\":1}",
        "tidelog-export-end",
        "\u{1b}[31mred",
        "𝕏",
        "\t",
        "lsn,batch,encoding,payload",
    ];
    for text in texts {
        log.append(text.as_bytes()).unwrap();
    }
    log.append(&every).unwrap();
    for len in 0..20 {
        log.append(&every[200..200 + len]).unwrap();
        log.append(&vec![0; len]).unwrap();
    }
    log.append(&vec![b'\n'; 16_000]).unwrap();
    log.append_batch(&[&b""[..], b"\xff\n", b"\r\n"]).unwrap();
    log.append_batch(&["x", "y"]).unwrap();
    log.append_batch(&["alone"]).unwrap();
    log.append_batch(&texts).unwrap();
    log.close().unwrap();
    dir
}

#[test]
fn what_is_exported_and_imported_is_the_same_in_every_format() {
    let (plain, _) = closed();
    for dir in [odd(), plain] {
        let all = contents(dir.path());
        let batches = all.iter().filter(|(kind, _)| *kind == FrameKind::BatchLast).count();
        for format in FORMATS {
            let exported = run(dir.path(), &["export", "--format", format]);
            assert_eq!((exported.code, exported.err.as_str()), (0, ""), "{format}");
            let other = tempfile::tempdir().unwrap();
            let log = other.path().join("log");
            let ran = import(&log, &["--create", "--json", "--segment-bytes", "64KiB"], &exported.raw);
            assert_eq!(ran.code, 0, "{format}: {ran:?}");
            assert_eq!(
                (&ran.json()["records"], &ran.json()["batches"]),
                (&json!(all.len()), &json!(batches)),
                "{format}"
            );
            assert!(contents(&log) == all, "{format}");
            assert_eq!(run(&log, &["verify"]).code, 0);
        }
    }
}

#[test]
fn an_export_shows_nothing_that_a_terminal_obeys() {
    let dir = odd();
    for format in ["jsonl", "csv"] {
        let text = run(dir.path(), &["export", "--format", format]).out;
        let obeyed = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t' | '\r');
        assert!(!text.contains(obeyed), "{format}: {text}");
        // Carriage returns end the rows of a table, and nothing else.
        assert_eq!(text.matches('\r').count(), text.matches("\r\n").count(), "{format}");
    }
}

#[test]
fn a_file_is_written_whole_under_its_name_and_none_is_overwritten() {
    let (dir, _) = closed();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    let name = path.to_str().unwrap();
    let ran = run(dir.path(), &["export", "--out", name, "--json"]);
    assert_eq!((ran.code, &ran.json()["records"]), (0, &json!(603)), "{ran:?}");
    assert!(std::fs::read(&path).unwrap() == run(dir.path(), &["export"]).raw);
    assert_eq!(names(folder.path()), ["log.jsonl"], "no temporary file is left");
    std::fs::write(&path, "mine").unwrap();
    let ran = run(dir.path(), &["export", "--out", name]);
    assert!(ran.code == 2 && ran.err.contains("is there already"), "{ran:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    let before = files(dir.path());
    let inside = dir.path().join("export.jsonl");
    assert_eq!(run(dir.path(), &["export", "--out", inside.to_str().unwrap()]).code, 2);
    assert!(files(dir.path()) == before);
    let nowhere = folder.path().join("gone").join("x");
    assert_eq!(run(dir.path(), &["export", "--out", nowhere.to_str().unwrap()]).code, 1);
}

#[test]
fn what_was_asked_for_of_a_batch_is_a_batch() {
    let dir = tempfile::tempdir().unwrap();
    let log = options().open(dir.path()).unwrap();
    log.append(b"a1").unwrap();
    let lsns: Vec<_> = log.append_batch(&["a2", "b1", "a3", "b2", "a4"]).unwrap().collect();
    log.append(b"b3").unwrap();
    log.close().unwrap();
    let exported = |arguments: &[&str]| -> Vec<(String, serde_json::Value)> {
        let lines = run(dir.path(), &[&["export"], arguments].concat()).lines();
        let records = &lines[1..lines.len() - 1];
        assert_eq!(lines.last().unwrap()["records"], json!(records.len()));
        records
            .iter()
            .map(|line| (line["payload"].as_str().unwrap().to_owned(), line["batch"].clone()))
            .collect()
    };
    let of = |items: &[(&str, Option<&str>)]| -> Vec<(String, serde_json::Value)> {
        items.iter().map(|(text, batch)| ((*text).to_owned(), json!(batch))).collect()
    };
    let (first, middle, last) = (Some("first"), Some("middle"), Some("last"));
    let a = [("a1", None), ("a2", first), ("a3", middle), ("a4", last)];
    assert_eq!(exported(&["--grep", "^a"]), of(&a));
    assert_eq!(exported(&["--grep", "^b"]), of(&[("b1", first), ("b2", last), ("b3", None)]));
    assert_eq!(exported(&["-n", "2"]), of(&[("a1", None), ("a2", None)]));
    assert_eq!(exported(&["-n", "3"]), of(&[("a1", None), ("a2", first), ("b1", last)]));
    let (from, to) = (lsns[1].to_string(), lsns[4].to_string());
    let inside = [("b1", first), ("a3", middle), ("b2", last)];
    assert_eq!(exported(&["--from", &from, "--to", &to]), of(&inside));
    assert_eq!(run(dir.path(), &["export", "--type", "padding"]).code, 2);
}

#[test]
fn a_cut_is_noticed_wherever_it_is_and_what_is_there_can_be_taken() {
    let dir = odd();
    let all = contents(dir.path());
    for format in FORMATS {
        let whole = run(dir.path(), &["export", "--format", format]).raw;
        let mut taken = 0;
        for cut in (0..whole.len()).step_by(whole.len() / 15).chain([whole.len() - 1]) {
            let other = tempfile::tempdir().unwrap();
            let arguments = ["--create", "--segment-bytes", "64KiB", "--sync", "never"];
            let ran = import(other.path(), &arguments, &whole[..cut]);
            // A table has no end that could be missing, and the line end of a JSON object may go.
            let unnoticed = match format {
                "csv" => whole[..cut].ends_with(b"\r\n"),
                "jsonl" => cut == whole.len() - 1,
                _ => false,
            };
            assert!(ran.code == 1 || (ran.code == 0 && unnoticed), "{format} {cut}: {ran:?}");
            if ran.code == 1 && taken > 0 {
                assert!(
                    ran.err.contains("cut off") || ran.err.contains("inside a batch"),
                    "{format} {cut}: {ran:?}"
                );
            }
            let partial = tempfile::tempdir().unwrap();
            let ran = import(partial.path(), &[&arguments[..], &["--partial"]].concat(), &whole[..cut]);
            if ran.code == 0 {
                let found = contents(partial.path());
                assert!(all.starts_with(&found), "{format} {cut}");
                let open = |(kind, _): &&(FrameKind, Vec<u8>)| {
                    !matches!(kind, FrameKind::Record | FrameKind::BatchLast)
                };
                assert!(found.last().as_ref().is_none_or(|last| !open(last)), "{format} {cut}: half a batch");
                assert!(found.len() >= taken, "{format} {cut}");
                taken = found.len();
            }
        }
        assert!(taken > 40, "{format}: {taken}");
    }
}

#[test]
fn flipped_bits_of_the_binary_format_are_noticed() {
    let (dir, _) = closed();
    let whole = run(dir.path(), &["export", "--format", "lengths", "-n", "20"]).raw;
    for at in (0..whole.len()).step_by(29).chain(0..8) {
        let mut damaged = whole.clone();
        damaged[at] ^= 4;
        let other = tempfile::tempdir().unwrap();
        let arguments = ["--format", "lengths", "--create", "--sync", "never", "--segment-bytes", "64KiB"];
        let ran = import(other.path(), &arguments, &damaged);
        assert_eq!(ran.code, 1, "{at}: {ran:?}");
    }
}

#[test]
fn a_damaged_log_is_exported_but_for_what_is_lost() {
    let (dir, all) = closed();
    let mut files = files(dir.path());
    let lost = [all[200].0, all[601].0];
    for lsn in lost {
        let (name, at) = place(lsn);
        files.get_mut(&name).unwrap()[at + 20] ^= 1;
    }
    let dir = restore(&files);
    for format in FORMATS {
        let exported = run(dir.path(), &["export", "--format", format]);
        assert_eq!(exported.code, 4, "{}", exported.err);
        assert!(
            exported.err.contains(&format!("lost: LSN {} to {}", all[200].0, all[201].0)),
            "{exported:?}"
        );
        let other = tempfile::tempdir().unwrap();
        let ran = import(other.path(), &["--create"], &exported.raw);
        assert_eq!(ran.code, if format == "csv" { 0 } else { 4 }, "{format}: {ran:?}");
        assert_eq!(ran.err.contains(&format!("missing in the export: LSN {}", all[200].0)), format != "csv");
        let payloads: Vec<_> = contents(other.path()).into_iter().map(|(_, payload)| payload).collect();
        // Of the batch that has lost a record nothing is left.
        let kept = all[..600].iter().map(|(_, payload)| payload.clone());
        let kept: Vec<_> =
            kept.enumerate().filter(|(index, _)| *index != 200).map(|(_, payload)| payload).collect();
        assert!(payloads == kept, "{format}");
    }
    let (killed, all) = killed();
    let dir = restore(&killed);
    let exported = run(dir.path(), &["export"]);
    assert_eq!((exported.code, exported.lines().len()), (0, all.len() + 2));
}

#[test]
fn a_batch_that_lost_a_record_is_left_out_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let log = options().open(dir.path()).unwrap();
    log.append(b"a").unwrap();
    let lsns: Vec<_> = log.append_batch(&["b1", "b2", "b3"]).unwrap().collect();
    log.append(b"c").unwrap();
    log.append_batch(&["d1", "d2"]).unwrap();
    log.close().unwrap();
    for lsn in lsns {
        let mut damaged = files(dir.path());
        let (name, at) = place(lsn);
        damaged.get_mut(&name).unwrap()[at + 16] ^= 1;
        let exported = run(restore(&damaged).path(), &["export"]);
        assert_eq!(exported.code, 4);
        let lines = exported.lines();
        let records: Vec<_> = lines[1..lines.len() - 1]
            .iter()
            .map(|line| (line["payload"].as_str().unwrap(), line["batch"].as_str()))
            .collect();
        assert_eq!(records, [("a", None), ("c", None), ("d1", Some("first")), ("d2", Some("last"))], "{lsn}");
        assert_eq!(lines.last().unwrap()["batches"], 1);
    }
}

#[test]
fn an_import_that_fails_says_how_to_go_on() {
    let (dir, all) = closed();
    let text = run(dir.path(), &["export"]).out;
    let lines: Vec<&str> = text.lines().collect();
    let other = tempfile::tempdir().unwrap();
    let log = other.path().join("log");
    let broken = format!("{}\n{{\"lsn\":oops}}\n", lines[..=100].join("\n"));
    let ran = import(&log, &["--create", "--json"], broken.as_bytes());
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("line 102") && ran.err.contains("--skip 100"), "{}", ran.err);
    assert_eq!((&ran.json()["records"], &ran.json()["outcome"]), (&json!(100), &json!("io")));
    // Up to inside the batch, which is left for the next run.
    let part = format!("{}\n", lines[..=602].join("\n"));
    let ran = import(&log, &["--skip", "100"], part.as_bytes());
    assert!(ran.code == 1 && ran.err.contains("--skip 600"), "{ran:?}");
    let ran = import(&log, &["--skip", "601"], text.as_bytes());
    assert!(ran.code == 2 && ran.err.contains("inside a batch"), "{ran:?}");
    let ran = import(&log, &["--skip", "600"], text.as_bytes());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(contents(&log) == contents(dir.path()));
    assert_eq!(import(&log, &["--skip", "604"], text.as_bytes()).code, 2, "so many are not there");
    assert_eq!(contents(&log).len(), all.len());
    // A batch that has no beginning, and one in another.
    for order in [[0, 602, 603], [0, 601, 601]] {
        let text: String = order.iter().map(|index| format!("{}\n", lines[*index])).collect();
        let ran = import(&log, &[], text.as_bytes());
        assert!(ran.code == 1 && ran.err.contains("batch"), "{ran:?}");
    }
    // Records that are gone from the middle; and something behind the end.
    let fewer: String = lines
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != 7)
        .map(|(_, line)| format!("{line}\n"))
        .collect();
    let ran = import(&log, &["--sync", "never"], fewer.as_bytes());
    assert!(ran.code == 1 && ran.err.contains("603 records, and 602 are there"), "{ran:?}");
    let ran = import(&log, &["--sync", "never"], format!("{text}\n").as_bytes());
    assert!(ran.code == 1 && ran.err.contains("behind the end"), "{ran:?}");
}

#[test]
fn new_addresses_are_written_to_a_file() {
    let (dir, all) = closed();
    let folder = tempfile::tempdir().unwrap();
    let (log, map) = (folder.path().join("log"), folder.path().join("map.csv"));
    let input = run(dir.path(), &["export", "--from", &all[590].0.to_string()]).raw;
    let ran = import(&log, &["--create", "--map", map.to_str().unwrap()], &input);
    assert_eq!(ran.code, 0, "{ran:?}");
    let text = std::fs::read_to_string(&map).unwrap();
    let rows: Vec<_> = text.split_terminator("\r\n").collect();
    assert_eq!((rows[0], rows.len()), ("old,new", 14));
    for (row, (old, payload)) in rows[1..].iter().zip(&all[590..]) {
        let (from, to) = row.split_once(',').unwrap();
        assert_eq!(from, old.to_string());
        assert!(run(&log, &["get", to]).raw == *payload);
    }
    let again = import(&log, &["--map", map.to_str().unwrap()], &input);
    assert_eq!(again.code, 2, "it is there already");
    assert_eq!(std::fs::read_to_string(&map).unwrap(), text);
}
