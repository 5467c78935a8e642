//! A process that writes to many partitions, makes and drops some, is killed: nothing that it was told is lost, and no
//! partition is there by half (G3, G6).

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::Duration;

use tidelog::{ErrorKind, PartitionOptions, Partitions};

use crate::support::{Leash, Random, myself, payload, quick_directory, role, seed};
use crate::{POLICIES, contents, log_options};

const KILLS: u64 = 24;
/// Partitions that are never dropped, one or more for each policy; those from here on come and go.
const LASTING: u64 = 8;
const ALL: u64 = 12;
/// Records that one of those gets before it is dropped.
const FEW: u64 = 3;

fn open(directory: &std::path::Path) -> Partitions {
    // Fewer may be open than there are, so that opening and closing go on all the time.
    PartitionOptions::new().log(log_options(POLICIES[0])).open_max(6).open(directory).unwrap()
}

fn say(line: &str) {
    // One write each, so that a line is there as a whole or not at all.
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

#[test]
fn child_writes_to_many() {
    let Some(role) = role() else { return };
    let mut words = role.split('|');
    let partitions = open(words.next().unwrap().as_ref());
    let mut random = Random::new(words.next().unwrap().parse().unwrap());
    let mut next: BTreeMap<u64, u64> = BTreeMap::new();
    for id in partitions.ids().unwrap().into_iter().filter(|id| *id < LASTING) {
        next.insert(id, contents(&partitions.get(id).unwrap()).len() as u64);
    }
    loop {
        let id = random.below(ALL);
        if id < LASTING {
            let log = partitions.get_with(id, &log_options(POLICIES[id as usize % 4])).unwrap();
            let count = next.entry(id).or_default();
            for _ in 0..1 + random.below(4) {
                log.append(&payload(id << 32 | *count, 500)).unwrap();
                *count += 1;
                say(&format!("@{id} {count}"));
            }
            continue;
        }
        if partitions.get_existing(id).is_ok() {
            partitions.remove(id).unwrap();
            say(&format!("@{id} gone"));
        }
        let records: Vec<_> = (0..FEW).map(|n| payload(id << 32 | n, 700)).collect();
        partitions.get(id).unwrap().append_batch(&records).unwrap();
        say(&format!("@{id} whole"));
    }
}

#[test]
fn nothing_that_was_told_is_lost_by_kills() {
    if role().is_some() {
        return;
    }
    let mut random = Random::new(seed("partitions_kill"));
    let directory = quick_directory();
    // What the children said, over all their lives.
    let mut told: BTreeMap<u64, u64> = BTreeMap::new();
    for _ in 0..KILLS {
        let role = format!("{}|{}", directory.path().display(), random.next());
        let mut command = myself("kill::child_writes_to_many", &role);
        let mut child = Leash(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
        let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        let lives = 1 + random.below(300);
        let mut whole = BTreeMap::new();
        let mut seen = 0;
        for line in lines.map_while(Result::ok) {
            let Some((id, what)) = line.strip_prefix('@').and_then(|line| line.split_once(' ')) else {
                continue;
            };
            let id: u64 = id.parse().unwrap();
            match what {
                "gone" => {
                    whole.insert(id, false);
                }
                "whole" => {
                    whole.insert(id, true);
                }
                count => {
                    told.insert(id, count.parse().unwrap());
                }
            }
            seen += 1;
            if seen == lives {
                std::thread::sleep(Duration::from_micros(random.below(2000)));
                // What it says until it is dead is read as well.
                child.0.kill().unwrap();
            }
        }
        let status = child.0.wait().unwrap();
        assert!(status.code().is_none(), "it ended by itself: {status}");
        verify(directory.path(), &told);
    }
}

fn verify(root: &std::path::Path, told: &BTreeMap<u64, u64>) {
    let partitions = open(root);
    for (id, count) in told {
        let log = partitions.get_existing(*id).unwrap();
        let found = contents(&log);
        assert!(found.len() as u64 >= *count, "{id}: {} of {count}", found.len());
        for (n, record) in (0..).zip(found) {
            assert_eq!(record, payload(id << 32 | n, 500), "{id}, {n}");
        }
    }
    // Those that come and go are empty, as one that was just made, or whole.
    for id in LASTING..ALL {
        match partitions.get_existing(id) {
            Ok(log) => {
                let found = contents(&log).len() as u64;
                assert!([0, FEW].contains(&found), "{id} is there by half: {found}");
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
        }
    }
    let left = crate::support::names(root).into_iter().filter(|name| name.ends_with(".gone")).count();
    assert_eq!(left, 0);
    partitions.close().unwrap();
}
