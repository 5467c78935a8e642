//! A consumer is killed at any moment: its cursor stands where it was committed, and no record is passed over.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tidelog::{Log, Lsn, Options, RetentionPolicy, SyncPolicy};

use crate::child::say;
use crate::support::{Leash, Random, myself, quick_directory, role, seed};

fn open(directory: &std::path::Path) -> Log {
    let retention = RetentionPolicy::new().max_segments(2);
    let options = Options::new().segment_bytes(1 << 16).sync_policy(SyncPolicy::None).retention(retention);
    options.open(directory).unwrap()
}

/// Appends numbers, consumes them, commits, and says so, until it is killed.
#[test]
fn consumer_lives() {
    let Some(role) = role() else { return };
    let (directory, seed) = role.split_once('|').unwrap();
    let mut random = Random::new(seed.parse().unwrap());
    let log = open(&PathBuf::from(directory));
    let cursor = log.cursor("consumer").unwrap();
    cursor.set_gate(true).unwrap();
    let mut tail = cursor.tail().unwrap();
    loop {
        for _ in 0..1 + random.below(20) {
            log.append(&vec![random.below(256) as u8; 1000 + random.below(1000) as usize]).unwrap();
        }
        for _ in 0..random.below(20) {
            let Some(record) = tail.try_next().unwrap() else { break };
            let line = format!("@saw {}", record.lsn());
            say(&line);
        }
        say(&format!("@committing {}", tail.position()));
        cursor.commit(tail.position()).unwrap();
        say(&format!("@committed {}", tail.position()));
        if random.one_in(4) {
            cursor.sync().unwrap();
        }
        if random.one_in(40) {
            log.close().unwrap();
            say("@closed");
            std::thread::sleep(Duration::from_secs(60));
        }
    }
}

#[test]
fn a_killed_consumer_goes_on_where_it_committed() {
    if role().is_some() {
        return;
    }
    let mut random = Random::new(seed("cursors"));
    let directory = quick_directory();
    let (mut committed, mut seen, mut kills) = (Lsn::ZERO, 0, 0);
    for _ in 0..40 {
        let role = format!("{}|{}", directory.path().display(), random.next());
        let mut child = myself("cursors::consumer_lives", &role);
        let child = child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut child = Leash(child);
        let stderr = child.0.stderr.take().unwrap();
        let patience = Duration::from_micros(random.below(60_000));
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(30) + patience);
            drop(child);
        });
        let (mut attempted, mut first) = (committed, true);
        for line in BufReader::new(stderr).lines() {
            let line = line.unwrap();
            let mut words = line.split(' ');
            let word = words.next().unwrap();
            let lsn = words.next().and_then(|lsn| lsn.parse::<Lsn>().ok());
            match (word, lsn) {
                // The first one that it sees is the one that was not consumed.
                ("@saw", Some(lsn)) => {
                    assert!(!first || lsn >= committed, "{lsn} was consumed, {committed} was committed");
                    first = false;
                    seen += 1;
                }
                ("@committing", Some(lsn)) => attempted = lsn,
                ("@committed", Some(lsn)) => committed = lsn,
                ("@closed", None) => {}
                _ => panic!("the child said: {line}"),
            }
        }
        killer.join().unwrap();
        kills += 1;
        let log = open(directory.path());
        let cursor = log.cursor("consumer").unwrap();
        let position = cursor.position();
        assert!(position == committed || position == attempted, "at {position}: {committed}, {attempted}");
        assert!(position == Lsn::ZERO && seen == 0 || cursor.gate());
        let mut tail = cursor.tail().expect("a gate keeps what comes next");
        // From there on nothing is missing.
        if let Some(record) = tail.try_next().unwrap() {
            assert!(record.lsn() >= position);
        }
        committed = position;
        log.close().unwrap();
    }
    println!("{kills} consumers killed, {seen} records consumed");
    assert!(seen > 100, "{seen}");
}
