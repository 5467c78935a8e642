//! What a healthy log gives.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::json;

use crate::support::{READING, closed, command, files, killed, restore, run};

#[test]
fn dump_gives_every_record_once_in_order_in_every_format() {
    let (dir, all) = closed();
    let lines = run(dir.path(), &["dump", "--json"]).lines();
    assert_eq!(lines.len(), all.len());
    for (line, (lsn, bytes)) in lines.iter().zip(&all) {
        assert_eq!((&line["schema"], &line["lsn"]), (&json!(1), &json!(lsn.get())));
        assert_eq!(line["payload"], json!(String::from_utf8_lossy(bytes)));
    }
    let kinds: Vec<_> = lines.iter().rev().take(4).rev().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["record", "batch-first", "batch-middle", "batch-last"]);
    let raw: Vec<u8> = all.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    assert!(run(dir.path(), &["dump", "-o", "raw"]).raw == raw);
    let csv = run(dir.path(), &["dump", "-o", "csv", "-n", "1"]);
    assert_eq!(
        csv.out,
        "lsn,kind,bytes,payload\r\n0,record,32,\"{\"\"n\"\":0,\"\"level\"\":\"\"info\"\",\"\"text\"\":\"\"\"\"}\"\r\n"
    );
    let hex = run(dir.path(), &["dump", "-o", "hex", "-n", "1"]);
    assert!(
        hex.out.contains("00000000  7b 22 6e 22 3a 30 2c 22 6c 65 76 65 6c 22 3a 22  {\"n\":0,\"level\":\""),
        "{}",
        hex.out
    );
    let backwards = run(dir.path(), &["dump", "--json", "--reverse"]).lines();
    assert!(backwards.iter().rev().eq(lines.iter()));
}

#[test]
fn dump_selects_by_range_kind_and_contents() {
    let (dir, all) = closed();
    let lsns = |arguments: &[&str]| -> Vec<u64> {
        let ran = run(dir.path(), &[&["dump", "--json"], arguments].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.lines().iter().map(|line| line["lsn"].as_u64().unwrap()).collect()
    };
    let from = all[100].0.to_string();
    let to = all[110].0.to_string();
    let expected: Vec<u64> = all[100..110].iter().map(|(lsn, _)| lsn.get()).collect();
    assert_eq!(lsns(&["--from", &from, "--to", &to]), expected);
    assert_eq!(lsns(&["--from", &from, "--to", &to, "-n", "4"]), expected[..4]);
    assert_eq!(lsns(&["--from", &from, "--to", &to, "--tail", "4"]), expected[6..]);
    let last = lsns(&["--from", &from, "--to", &to, "--reverse", "-n", "2"]);
    assert_eq!(last, [expected[9], expected[8]]);
    assert_eq!(lsns(&["--type", "batch"]).len(), 3);
    assert_eq!(lsns(&["--type", "single"]).len(), all.len() - 3);
    assert!(!lsns(&["--type", "padding"]).is_empty());
    assert_eq!(lsns(&["--prefix", "{\"n\":77,"]), [all[77].0.get()]);
    assert_eq!(lsns(&["--grep", "\"n\":(5|6),"]), [all[5].0.get(), all[6].0.get()]);
    // Segments have times, records have not.
    assert_eq!(lsns(&["--since", "1h"]).len(), all.len());
    assert_eq!(lsns(&["--since", "2100-01-01"]).len() + lsns(&["--until", "2001-01-01T00:00:00Z"]).len(), {
        // What is not sealed reaches to now, and beyond.
        all.iter().filter(|(lsn, _)| lsn.get() / 65536 == all[all.len() - 1].0.get() / 65536).count()
    });
}

#[test]
fn decoders_show_payloads_and_external_ones_are_run() {
    let (dir, all) = closed();
    let first =
        |arguments: &[&str]| run(dir.path(), &[&["dump", "--json", "-n", "1"], arguments].concat()).json();
    assert_eq!(first(&["--decode", "json"])["payload"]["level"], "info");
    assert_eq!(first(&["--decode", "hex"])["payload"].as_str().unwrap().len(), 2 * all[0].1.len());
    assert_eq!(first(&["--decoder", "wc -c | tr -d ' '"])["payload"], json!(all[0].1.len().to_string()));
    assert_eq!(first(&["--decoder", "echo at $TIDELOG_LSN"])["payload"], "at 0");
    let failed = run(dir.path(), &["dump", "--decoder", "exit 9"]);
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(failed.err.contains("exit 9"), "{failed:?}");
}

#[test]
fn get_gives_the_payload_or_says_that_there_is_none() {
    let (dir, all) = closed();
    for (lsn, bytes) in all.iter().step_by(97).chain(all.iter().rev().take(3)) {
        assert!(run(dir.path(), &["get", &lsn.to_string()]).raw == *bytes, "{lsn}");
    }
    for lsn in ["8", "99999999999"] {
        let ran = run(dir.path(), &["get", lsn]);
        assert_eq!((ran.code, ran.out.as_str()), (5, ""), "{ran:?}");
    }
}

#[test]
fn verify_and_stats_count_what_is_there() {
    let (dir, all) = closed();
    let payloads: usize = all.iter().map(|(_, bytes)| bytes.len()).sum();
    for threads in ["1", "3"] {
        let ran = run(dir.path(), &["verify", "--json", "-j", threads]);
        let verified = ran.json();
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(verified["outcome"], "clean");
        assert_eq!(verified["records"], json!(all.len()));
        assert_eq!(verified["batches"], 1);
        assert_eq!(verified["payload_bytes"], json!(payloads));
        assert_eq!(verified["problems"], json!([]));
    }
    let stats = run(dir.path(), &["stats", "--json"]).json();
    assert_eq!((&stats["records"], &stats["payload_bytes"]), (&json!(all.len()), &json!(payloads)));
    let parts = ["payload_bytes", "frame_overhead_bytes", "padding_bytes"];
    let sum: u64 = parts.iter().map(|part| stats[part].as_u64().unwrap()).sum();
    assert_eq!(json!(sum), stats["end"], "every byte of the log is one of these");
    let scrape = run(dir.path(), &["stats", "--prometheus"]).out;
    assert!(scrape.contains(&format!("\ntidelog_records {}\n", all.len())), "{scrape}");
    assert!(scrape.contains(&format!("le=\"+Inf\"}} {}\n", all.len())), "{scrape}");
}

#[test]
fn reading_changes_and_creates_nothing() {
    let (dir, _) = closed();
    let (killed, _) = killed();
    for dir in [dir, restore(&killed)] {
        let before = files(dir.path());
        for arguments in READING {
            let ran = run(dir.path(), arguments);
            assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
            assert!(files(dir.path()) == before, "{arguments:?} changed the log");
        }
    }
}

#[test]
fn cursors_are_listed_set_and_removed() {
    let (dir, all) = closed();
    let list = || run(dir.path(), &["cursor", "list", "--json"]).lines();
    assert_eq!(list()[0]["name"], "indexer");
    assert_eq!(list()[0]["position"], json!(all[500].0.get()));
    let back = all[3].0.to_string();
    assert_eq!(run(dir.path(), &["cursor", "set", "indexer", &back, "--gate", "yes"]).code, 0);
    assert_eq!(run(dir.path(), &["cursor", "set", "news", "end"]).code, 0);
    let now = list();
    assert_eq!((&now[0]["position"], &now[0]["gate"]), (&json!(all[3].0.get()), &json!(true)));
    assert_eq!((&now[1]["name"], &now[1]["lag_bytes"]), (&json!("news"), &json!(0)));
    let tail = run(dir.path(), &["tail", "--cursor", "indexer", "--json", "--count", "2"]).lines();
    assert_eq!(tail[0]["lsn"], json!(all[3].0.get()));
    assert_eq!(tail.len(), 2);
    assert_eq!(run(dir.path(), &["cursor", "rm", "indexer"]).code, 0);
    assert_eq!(run(dir.path(), &["cursor", "rm", "indexer"]).code, 5);
    assert_eq!(run(dir.path(), &["cursor", "set", "x", "12345"]).code, 5, "no record begins there");
    assert_eq!(run(dir.path(), &["cursor", "set", "a b", "end"]).code, 2);
    assert_eq!(run(dir.path(), &["tail", "--cursor", "gone"]).code, 5);
    assert_eq!(list().len(), 1);
}

#[test]
fn a_reader_that_goes_away_is_not_an_error() {
    let (dir, _) = closed();
    let mut child = command(dir.path(), &["dump", "-o", "hex"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn usage_colours_and_pages() {
    let (dir, _) = closed();
    assert_eq!(run(dir.path(), &["verfiy"]).code, 2);
    assert_eq!(run(dir.path(), &["dump", "--since", "yesterday"]).code, 2);
    assert_eq!(run(dir.path(), &["dump", "--grep", "("]).code, 2);
    assert_eq!(run(&dir.path().join("none"), &["info"]).code, 5);
    let unset = command(dir.path(), &["info"]).env_remove("TIDELOG_DIR").output().unwrap();
    assert_eq!(unset.status.code(), Some(2));
    let help = run(dir.path(), &["--help"]);
    assert_eq!(help.code, 0);
    assert!(help.out.contains("10  repaired"), "{}", help.out);
    assert!(!run(dir.path(), &["verify"]).out.contains('\u{1b}'));
    assert!(run(dir.path(), &["verify", "--color", "always"]).out.contains('\u{1b}'));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(dir.path(), &["completions", shell]);
        assert!(script.code == 0 && script.out.contains("verify"), "{shell}");
    }
    let page = run(dir.path(), &["man"]).out;
    assert!(page.contains(".TH tidelog") && page.contains("torn tail"), "{page}");
    let pages = tempfile::tempdir().unwrap();
    assert_eq!(run(dir.path(), &["man", "--out", pages.path().to_str().unwrap()]).code, 0);
    assert!(pages.path().join("tidelog-verify.1").exists());
}

#[test]
fn a_partition_is_named_by_its_number() {
    let root = tempfile::tempdir().unwrap();
    let partitions = tidelog::PartitionOptions::new().open(root.path()).unwrap();
    partitions.get(7).unwrap().append(b"of seven").unwrap();
    partitions.close().unwrap();
    let ran = run(root.path(), &["info"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("--partition"), "{ran:?}");
    let ran = run(root.path(), &["get", "0", "--partition", "7"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "of seven"));
    let ran = run(root.path(), &["info", "--partition", "8"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.err.contains("00000000000000000008.part"), "{ran:?}");
}

#[test]
fn info_counts_the_records_of_each_segment() {
    let (dir, all) = closed();
    let told = run(dir.path(), &["info", "--count", "--json"]).json();
    for segment in told["segments"].as_array().unwrap() {
        let range = segment["base"].as_u64().unwrap()..segment["end"].as_u64().unwrap();
        let inside = all.iter().filter(|(lsn, _)| range.contains(&lsn.get()));
        let (records, bytes) = inside.fold((0, 0), |sum, (_, bytes)| (sum.0 + 1, sum.1 + bytes.len()));
        assert_eq!(
            (&segment["records"], &segment["payload_bytes"]),
            (&json!(records), &json!(bytes)),
            "{told}"
        );
    }
    let table = run(dir.path(), &["info", "--count"]).out;
    assert!(table.contains("RECORDS"), "{table}");
    // Without being asked it does not read the log.
    assert_eq!(run(dir.path(), &["info", "--json"]).json()["segments"][0]["records"], json!(null));
}

#[test]
fn key_value_records_are_found_by_their_keys() {
    let dir = tempfile::tempdir().unwrap();
    let log = crate::support::options().open(dir.path()).unwrap();
    let mut bytes = Vec::new();
    for number in 0..30 {
        bytes.clear();
        let key = format!("user-{number}");
        // The value is first in the payload: a prefix of the payload says nothing of the key.
        tidelog::kv::Entry::put(key.as_bytes(), b"user-1", 7).encode(&mut bytes).unwrap();
        log.append(&bytes).unwrap();
    }
    log.append(b"user-1, but no key-value record").unwrap();
    log.close().unwrap();
    let ran = run(dir.path(), &["dump", "--key-prefix", "user-1", "--decode", "kv", "--json"]);
    let keys: Vec<_> =
        ran.lines().iter().map(|line| line["payload"]["put"].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        keys,
        [
            "user-1", "user-10", "user-11", "user-12", "user-13", "user-14", "user-15", "user-16", "user-17",
            "user-18", "user-19"
        ]
    );
}
