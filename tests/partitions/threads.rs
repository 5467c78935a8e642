//! Threads are shared: how many there are does not depend on how many partitions are open.

use std::process::Command;
use std::time::Duration;

use tidelog::SyncPolicy;

use crate::support::{myself, quick_directory, role, succeed};
use crate::{contents, options};

#[cfg(target_os = "linux")]
fn own_threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    let mut names: Vec<String> =
        names.map(|name| name.trim().to_owned()).filter(|name| name.starts_with("tidelog-")).collect();
    names.sort();
    names
}

/// A thread gives itself its name when it first runs, and is seen for a moment after it was joined.
#[cfg(target_os = "linux")]
fn come_to(expected: &[&str]) {
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    while own_threads() != expected {
        assert!(std::time::Instant::now() < deadline, "{:?}", own_threads());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// In a process of its own, as other tests have threads too.
#[cfg(target_os = "linux")]
#[test]
fn partitions_have_the_same_threads_however_many_are_open() {
    if role().is_none() {
        let name = "threads::partitions_have_the_same_threads_however_many_are_open";
        let command: Command = myself(name, "counts");
        succeed(command);
        return;
    }
    for policy in [SyncPolicy::None, SyncPolicy::grouped(), SyncPolicy::periodic(Duration::from_millis(5))] {
        let directory = quick_directory();
        let partitions = options(policy).sync_threads(2).open(directory.path()).unwrap();
        for many in [2, 256] {
            let logs: Vec<_> = (0..many).map(|id| partitions.get(id).unwrap()).collect();
            for (id, log) in logs.iter().enumerate() {
                let lsn = log.append(format!("{id}").as_bytes()).unwrap();
                // Tasks that wait have none of their own either.
                pollster::block_on(log.durable(lsn)).unwrap();
            }
            come_to(&["tidelog-keeper", "tidelog-syncer", "tidelog-syncer"]);
        }
        partitions.close().unwrap();
        come_to(&[]);
    }
}

#[test]
fn the_background_syncs_every_partition() {
    let directory = quick_directory();
    let policy =
        SyncPolicy::Periodic { interval: Duration::from_millis(3), bytes: Some(4096), records: None };
    let partitions = options(policy).open(directory.path()).unwrap();
    let logs: Vec<_> = (0..40).map(|id| partitions.get(id).unwrap()).collect();
    for round in 0..3_u64 {
        let lsns: Vec<_> = logs.iter().map(|log| log.append(&round.to_le_bytes()).unwrap()).collect();
        for (log, lsn) in logs.iter().zip(lsns) {
            log.wait_durable(lsn).unwrap();
        }
    }
}

#[test]
fn segments_come_for_every_partition_however_fast_it_grows() {
    let directory = quick_directory();
    let partitions = options(SyncPolicy::None).open(directory.path()).unwrap();
    std::thread::scope(|scope| {
        for id in 0..6 {
            let log = partitions.get(id).unwrap();
            scope.spawn(move || {
                for _ in 0..700 {
                    log.append(&[id as u8; 1000]).unwrap(); // ten segments and more
                }
            });
        }
    });
    for id in 0..6 {
        let log = partitions.get(id).unwrap();
        assert_eq!(contents(&log).len(), 700);
        assert!(log.stats().segments_prepared >= 10);
    }
}

/// A task's syncs are carried out by the threads that are shared, and the tasks of one partition share a sync.
#[test]
fn tasks_of_many_partitions_are_served() {
    let directory = tempfile::tempdir().unwrap();
    let partitions = options(SyncPolicy::grouped()).open(directory.path()).unwrap();
    let (done, all_done) = std::sync::mpsc::channel();
    for id in 0..8_u64 {
        let (partitions, done) = (partitions.clone(), done.clone());
        std::thread::spawn(move || {
            let log = partitions.get(id % 4).unwrap();
            for n in 0..25_u64 {
                let lsn = pollster::block_on(log.append_durable(&(id * 100 + n).to_le_bytes())).unwrap();
                assert!(log.watermarks().durable > lsn);
            }
            done.send(()).unwrap();
        });
    }
    for _ in 0..8 {
        all_done.recv_timeout(crate::support::PATIENCE / 4).expect("nobody waits for ever");
    }
    for id in 0..4 {
        assert_eq!(contents(&partitions.get(id).unwrap()).len(), 50);
    }
}
