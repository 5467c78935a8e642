//! What every command that reads says of every log, in `tests/snapshots`. `TIDELOG_BLESS=1` writes it anew; then read it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::damages;
use crate::normal::{is_blessing, normal};
use crate::support::{READING, restore, run};

/// Besides those of [`READING`].
const MORE: [&[&str]; 14] = [
    &["repair"],
    &["repair", "--salvage"],
    &["verify", "--json"],
    &["verify", "--fail-fast", "-j", "1"],
    &["dump", "-n", "2"],
    &["dump", "--type", "batch", "-o", "csv"],
    &["dump", "--reverse", "-n", "2"],
    &["tail", "--from", "0", "--count", "1"],
    &["get", "8"],
    &["get", "999999999", "--json"],
    &["stats", "--json"],
    &["stats", "--prometheus"],
    &["cursor", "list", "--json"],
    &["tail", "--cursor", "indexer", "--count", "1"],
];

/// An output of more lines has only its first and last ones here, and a hash of the others.
const LINES: usize = 45;
/// The same for the letters of a line, of the texts of the sample's records.
const LETTERS: usize = 200;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots")
}

#[test]
fn every_command_says_of_every_log_what_it_said_before() {
    let logs = damages::all();
    let (mut names, mut wrong) = (Vec::new(), Vec::new());
    let found: Vec<(String, String)> = std::thread::scope(|scope| {
        let half = logs.len().div_ceil(2);
        let threads: Vec<_> = logs
            .chunks(half)
            .map(|logs| {
                scope.spawn(|| {
                    logs.iter().map(|(name, files)| ((*name).to_owned(), snapshot(files))).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    for (name, found) in found {
        let path = folder().join(format!("{name}.txt"));
        if is_blessing() {
            std::fs::write(&path, &found).unwrap();
        } else {
            let expected = std::fs::read_to_string(&path).unwrap_or_default();
            wrong.extend(difference(&name, &expected, &found));
        }
        names.push(format!("{name}.txt"));
    }
    names.sort();
    assert!(wrong.is_empty(), "{}\nTIDELOG_BLESS=1 takes what is found", wrong.join("\n"));
    assert_eq!(crate::support::names(&folder()), names, "snapshots of logs that are no more");
}

/// All commands on a log.
fn snapshot(files: &crate::support::Files) -> String {
    let dir = restore(files);
    let mut text = String::new();
    // An export in the binary format has the log's id in its checksum; a picture for a browser says the same as the one
    // for a terminal, and its tables have the time of each thing.
    let named = |arguments: &[&str]| arguments.iter().any(|word| matches!(*word, "lengths" | "html"));
    let commands = READING.iter().chain(&MORE).filter(|arguments| !named(arguments));
    for arguments in commands {
        let ran = run(dir.path(), arguments);
        let shown: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        writeln!(text, "$ tidelog {}", shown.join(" ")).unwrap();
        text.push_str(&readable(&normal(&ran.out, dir.path())));
        if !ran.err.is_empty() {
            writeln!(text, "[standard error]").unwrap();
            text.push_str(&readable(&normal(&ran.err, dir.path())));
        }
        writeln!(text, "[exit code {}]\n", ran.code).unwrap();
    }
    text
}

/// An output as a reviewer wants it: an object alone with a field to a line, and not all of what is long.
fn readable(text: &str) -> String {
    if text.lines().count() == 1
        && let Ok(Value::Object(fields)) = serde_json::from_str(text)
        && fields.contains_key("schema")
    {
        let mut out = String::new();
        for (name, value) in fields {
            match value {
                Value::Array(values) if !values.is_empty() => {
                    writeln!(out, "{name}:").unwrap();
                    values.iter().for_each(|value| writeln!(out, "    {value}").unwrap());
                }
                value => writeln!(out, "{name}: {value}").unwrap(),
            }
        }
        return out;
    }
    let lines: Vec<String> = text.lines().map(|line| shortened(line.trim_end())).collect();
    if lines.len() <= LINES {
        return lines.iter().map(|line| format!("{line}\n")).collect();
    }
    let (first, last) = (8, 8);
    let hidden = &lines[first..lines.len() - last];
    let hash = hash(&hidden.join("\n"));
    let mut out: String = lines[..first].iter().map(|line| format!("{line}\n")).collect();
    writeln!(out, "[{} more lines, {hash:016x}]", hidden.len()).unwrap();
    lines[lines.len() - last..].iter().for_each(|line| writeln!(out, "{line}").unwrap());
    out
}

fn shortened(line: &str) -> String {
    if !line.contains("xxxx") || line.chars().count() <= LETTERS {
        return line.to_owned();
    }
    let begin: String = line.chars().take(60).collect();
    format!("{begin}[{} letters, {:016x}]", line.chars().count(), hash(line))
}

fn hash(text: &str) -> u64 {
    let mut digest = crc64fast::Digest::new();
    digest.write(text.as_bytes());
    digest.sum64()
}

/// Where a snapshot differs first, with the command that it is in.
fn difference(name: &str, expected: &str, found: &str) -> Option<String> {
    if expected == found {
        return None;
    }
    let (mut before, mut after) = (expected.lines(), found.lines());
    let mut command = "";
    let mut number = 0;
    loop {
        number += 1;
        let (old, new) = (before.next(), after.next());
        if old != new || old.is_none() {
            let line = |line: Option<&str>| line.map_or("(the end)".to_owned(), str::to_owned);
            return Some(format!(
                "{name}.txt:{number}, in `{}`\n  expected: {}\n  found:    {}",
                command.trim_start_matches("$ "),
                line(old),
                line(new)
            ));
        }
        command = new.filter(|line| line.starts_with("$ ")).unwrap_or(command);
    }
}
