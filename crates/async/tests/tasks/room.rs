//! Tasks that wait for the next segment.

use std::future::Future;
use std::pin::pin;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::join_all;
use tidelog::testing::{Fault, Operation};
use tidelog::{ErrorKind, Log, SyncPolicy};

use crate::support::{Count, RECORD_MAX, contents, eventually, log, on_each, policies, simulated};

/// A record that is being written for as long as this is: the log can grow by some segments, and then stands.
pub(crate) struct Held {
    go: Sender<()>,
    thread: JoinHandle<()>,
}

impl Held {
    /// A log without room: the payloads that went in before. `None` stands for the one that is held.
    pub(crate) fn fill(log: &Log) -> (Self, usize) {
        let (go, gone) = channel::<()>();
        let (began, begun) = channel();
        let writer = log.clone();
        let thread = std::thread::spawn(move || {
            let held = writer.append_with(4, |payload| {
                began.send(()).unwrap();
                // An error says that the test has failed.
                let _ = gone.recv();
                payload.copy_from_slice(b"held");
            });
            // Under the policies that wait, a log that was closed meanwhile makes it durable too.
            held.unwrap();
        });
        begun.recv().unwrap();
        let mut records = 0;
        let mut refused = 0;
        // Refused for so long that no segment is on its way any more.
        while refused < 50 {
            match log.try_append(&vec![7; RECORD_MAX]) {
                Ok(_) => (records, refused) = (records + 1, 0),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    refused += 1;
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
        (Self { go, thread }, records)
    }

    pub(crate) fn release(self) {
        self.go.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

/// As many records as need a hundred segments: tasks outrun the keeper, and wait for it.
#[test]
fn tasks_wait_for_segments() {
    for policy in [SyncPolicy::None, SyncPolicy::periodic(Duration::from_millis(5)), SyncPolicy::grouped()] {
        on_each(|| async move {
            let (_dir, log) = log(policy);
            let task = async |task: u8| {
                for _ in 0..20 {
                    log.append_async(&vec![task; RECORD_MAX - usize::from(task) * 100]).await.unwrap();
                }
            };
            join_all((0..20).map(task)).await;
            let mut found = contents(&log);
            found.sort();
            let mut expected: Vec<_> = (0..20_u8)
                .flat_map(|task| vec![vec![task; RECORD_MAX - usize::from(task) * 100]; 20])
                .collect();
            expected.sort();
            assert_eq!(found, expected);
        });
    }
}

/// Tasks on several threads pass the limit together, so that claims overrun the prepared segments and are given up.
#[test]
fn spawned_tasks_outrun_the_keeper() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    let (_dir, log) = log(SyncPolicy::None);
    runtime.block_on(async {
        let append = |task: u8| {
            let log = log.clone();
            async move {
                for n in 0..100_u8 {
                    let records = [vec![task; RECORD_MAX / 4], vec![n; RECORD_MAX / 2]];
                    log.append_batch_async(&records).await.unwrap();
                }
            }
        };
        let tasks: Vec<_> = (0..8).map(|task| tokio::spawn(append(task))).collect();
        let all = async {
            for task in tasks {
                task.await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(60), all).await.expect("no task is left waiting for room");
    });
    let found = contents(&log);
    assert_eq!(found.len(), 2 * 800);
    for batch in found.chunks(2) {
        assert_eq!((batch[0].len(), batch[1].len()), (RECORD_MAX / 4, RECORD_MAX / 2), "a batch is a whole");
    }
}

#[test]
fn room_wakes_a_task_that_was_pending() {
    for policy in policies() {
        let (_dir, log) = log(policy);
        let (held, records) = Held::fill(&log);
        let (count, waker) = Count::waker();
        let record = vec![1; RECORD_MAX];
        let mut append = pin!(log.append_async(&record));
        assert!(append.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert!(append.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        held.release();
        eventually("the task is woken", || count.get() > 0);
        let mut outcome = append.as_mut().poll(&mut Context::from_waker(&waker));
        while outcome.is_pending() {
            // Another look was worth it, and there was no room yet.
            let before = count.get();
            eventually("the task is woken again", || count.get() > before);
            outcome = append.as_mut().poll(&mut Context::from_waker(&waker));
        }
        let Poll::Ready(Ok(lsn)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(log.read(lsn).unwrap().payload(), record);
        assert_eq!(contents(&log).len(), records + 2);
    }
}

/// No room on the device: the tasks that wait are told, and go on when there is room.
#[test]
fn a_full_disk_is_told_to_tasks() {
    on_each(|| async {
        let (disk, log) = simulated(SyncPolicy::None);
        disk.fail(Fault::nth(Operation::Allocate, 1).persistent().error(std::io::ErrorKind::StorageFull));
        disk.fail(Fault::nth(Operation::Write, 1).persistent().error(std::io::ErrorKind::StorageFull));
        let mut appended = 0;
        let error = loop {
            match log.append_async(&vec![1; RECORD_MAX]).await {
                Ok(_) => appended += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        disk.heal();
        log.append_async(&vec![2; RECORD_MAX]).await.unwrap();
        assert_eq!(contents(&log).len(), appended + 1);
    });
}
