//! What it costs to wait, and that who waits is woken.

use std::time::{Duration, Instant};

use tidelog::Log;

use crate::people::{LAST, Person, options, record};
use crate::support::role;

/// How often the threads of a process went to sleep.
fn sleeps(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let statuses = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).unwrap());
    let count = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    statuses.map(count).sum()
}

fn fresh() -> (tempfile::TempDir, Log) {
    let directory = tempfile::tempdir().unwrap();
    let log = options().open(directory.path()).unwrap();
    (directory, log)
}

#[test]
fn an_idle_reader_looks_ten_times_a_second() {
    if role().is_some() {
        return;
    }
    let (directory, log) = fresh();
    let reader = Person::reader(directory.path(), "each");
    reader.expect("@reads");
    for number in 0..3 {
        log.append(&record(number)).unwrap();
        assert_eq!(reader.expect("@got"), number.to_string());
    }
    // Until it was answered.
    std::thread::sleep(Duration::from_millis(500));
    let (began, before) = (Instant::now(), sleeps(reader.child.id()));
    std::thread::sleep(Duration::from_secs(1));
    let (slept, took) = (sleeps(reader.child.id()) - before, began.elapsed());
    println!("{slept} sleeps in {took:?}");
    // One that looks for itself does it a thousand times.
    assert!(slept as u128 <= 4 + took.as_millis() / 50, "{slept} sleeps in {took:?}");
    log.append(&LAST.to_le_bytes()).unwrap();
    reader.expect("@end");
    reader.ends();
}

/// As many wake-ups as would take over two minutes if each were the reader's own slow look.
#[test]
fn each_append_wakes_a_reader_in_another_process() {
    if role().is_some() {
        return;
    }
    let (directory, log) = fresh();
    let readers = [(); 2].map(|()| Person::reader(directory.path(), "each"));
    readers.iter().for_each(|reader| drop(reader.expect("@reads")));
    for number in 0..2_500 {
        log.append(&record(number)).unwrap();
        for reader in &readers {
            assert_eq!(reader.expect("@got"), number.to_string());
        }
    }
    log.append(&LAST.to_le_bytes()).unwrap();
    readers.into_iter().for_each(|reader| {
        reader.expect("@end");
        reader.ends();
    });
}
