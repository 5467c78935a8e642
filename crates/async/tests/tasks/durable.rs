//! Futures that are ready when a record is durable.

use std::task::Poll;
use std::time::Duration;

use futures_util::future::join_all;
use tidelog::{ErrorKind, Log, Lsn, SyncPolicy};

use crate::support::{Count, contents, log, on_each, policies, poll};

fn assert_durable(log: &Log, lsn: Lsn) {
    assert!(log.watermarks().durable > lsn, "ready before it was durable");
}

#[test]
fn a_record_is_durable_when_its_future_is_ready() {
    for policy in policies() {
        on_each(|| async move {
            let (_dir, log) = log(policy);
            let mut expected = Vec::new();
            for n in 0..20_u32 {
                let lsn = log.append_durable(&n.to_le_bytes()).await.unwrap();
                assert_durable(&log, lsn);
                expected.push(n.to_le_bytes().to_vec());
            }
            let batch = ["a", "bb", "ccc"];
            let lsns: Vec<_> = log.append_batch_durable(&batch).await.unwrap().collect();
            assert_durable(&log, lsns[2]);
            let later = log.append_batch_async(&batch).await.unwrap().last().unwrap();
            log.durable(later).await.unwrap();
            assert_durable(&log, later);
            expected.extend(batch.iter().chain(&batch).map(|payload| payload.as_bytes().to_vec()));
            assert_eq!(log.append_batch_durable::<&[u8]>(&[]).await.unwrap().len(), 0);
            assert_eq!(contents(&log), expected);
        });
    }
}

/// Hundreds of tasks, and threads that block beside them: all are served, and they share syncs.
#[test]
fn tasks_and_threads_share_syncs() {
    const TASKS: u64 = 200;
    const EACH: u64 = 10;
    for policy in [SyncPolicy::grouped(), SyncPolicy::Immediate] {
        on_each(|| async move {
            let (_dir, log) = log(policy);
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let log = log.clone();
                    std::thread::spawn(move || {
                        for n in 0..EACH {
                            let lsn = log.append(&n.to_le_bytes()).unwrap();
                            assert_durable(&log, lsn);
                        }
                    })
                })
                .collect();
            let task = async |task: u64| {
                for n in 0..EACH {
                    let lsn = log.append_durable(&(task << 32 | n).to_le_bytes()).await.unwrap();
                    assert_durable(&log, lsn);
                }
            };
            join_all((0..TASKS).map(task)).await;
            for thread in threads {
                thread.join().unwrap();
            }
            assert_eq!(contents(&log).len() as u64, (TASKS + 2) * EACH);
            let syncs = log.stats().syncs;
            assert!(syncs <= (TASKS + 2) * EACH / 4, "{syncs} syncs for {TASKS} tasks that wait together");
        });
    }
}

/// Tasks on several threads of one runtime.
#[test]
fn spawned_tasks_are_served() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_time().build().unwrap();
    for policy in policies() {
        let (_dir, log) = log(policy);
        runtime.block_on(async {
            let task = |task: u32| {
                let log = log.clone();
                async move {
                    for n in 0..5 {
                        let lsn = log.append_durable(&(task * 5 + n).to_le_bytes()).await.unwrap();
                        assert_durable(&log, lsn);
                    }
                }
            };
            let tasks: Vec<_> = (0..50).map(|n| tokio::spawn(task(n))).collect();
            let all = async {
                for task in tasks {
                    task.await.unwrap();
                }
            };
            tokio::time::timeout(Duration::from_secs(60), all).await.expect("all are served");
        });
        let mut found = contents(&log);
        found.sort_by_key(|payload| u32::from_le_bytes(payload[..].try_into().unwrap()));
        assert_eq!(found, (0..250_u32).map(|n| n.to_le_bytes().to_vec()).collect::<Vec<_>>());
    }
}

#[test]
fn what_is_durable_ready_and_what_is_not_written_is_refused() {
    let (_dir, log) = log(SyncPolicy::grouped());
    let (count, waker) = Count::waker();
    let lsn = log.append(b"durable").unwrap();
    let mut durable = log.durable(lsn);
    assert_eq!(durable.lsn(), lsn);
    for _ in 0..2 {
        assert!(poll(&mut durable, &waker).ready_and(|outcome| outcome.is_ok()));
    }
    let end = log.watermarks().claimed;
    let Poll::Ready(Err(error)) = poll(&mut log.durable(end), &waker) else {
        panic!("nothing was written there");
    };
    assert_eq!((error.kind(), error.lsn()), (ErrorKind::NotWritten, Some(end)));
    assert_eq!(count.get(), 0);
}

/// A poll never syncs: under `Periodic`, whose syncs are an hour apart, the future waits for somebody else's.
#[test]
fn a_poll_does_not_sync() {
    let (_dir, log) = log(SyncPolicy::periodic(Duration::from_secs(3600)));
    let (count, waker) = Count::waker();
    let lsn = log.append(b"published").unwrap();
    let mut durable = log.durable(lsn);
    for _ in 0..3 {
        assert!(poll(&mut durable, &waker).is_pending());
    }
    assert_eq!((log.stats().syncs, count.get()), (0, 0));
    log.sync().unwrap();
    assert_eq!(count.get(), 1, "woken once, although it was polled often");
    assert!(poll(&mut durable, &waker).ready_and(|outcome| outcome.is_ok()));
}

/// The last waker is the one that counts.
#[test]
fn a_waker_may_change_between_polls() {
    let (_dir, log) = log(SyncPolicy::periodic(Duration::from_secs(3600)));
    let lsn = log.append(b"published").unwrap();
    let mut durable = log.durable(lsn);
    let ((old, old_waker), (new, new_waker)) = (Count::waker(), Count::waker());
    assert!(poll(&mut durable, &old_waker).is_pending());
    assert!(poll(&mut durable, &new_waker).is_pending());
    log.sync().unwrap();
    assert_eq!((old.get(), new.get()), (0, 1));
}

/// A waker that panics on the thread that syncs for tasks takes nobody's wake-up along, now or later.
#[test]
fn a_waker_that_panics_stops_nobody() {
    struct Panics;
    impl std::task::Wake for Panics {
        fn wake(self: std::sync::Arc<Self>) {
            panic!("a waker panics, as this test wants it to");
        }
    }
    let panics = std::task::Waker::from(std::sync::Arc::new(Panics));
    // So that all of them are in one group.
    let moment = Duration::from_millis(50);
    for policy in [SyncPolicy::Grouped { window: moment }, SyncPolicy::periodic(moment)] {
        let (_dir, log) = log(policy);
        let mut rounds = 0;
        while rounds < 3 {
            let (count, waker) = Count::waker();
            let lsn = log.append_nowait(b"published").unwrap();
            let (mut before, mut bad, mut behind) = (log.durable(lsn), log.durable(lsn), log.durable(lsn));
            let pending = [poll(&mut before, &waker), poll(&mut bad, &panics), poll(&mut behind, &waker)];
            if pending.iter().any(Poll::is_ready) {
                // A sync came in between.
                continue;
            }
            crate::support::eventually("both are woken", || count.get() == 2);
            assert!(poll(&mut behind, &waker).ready_and(|outcome| outcome.is_ok()));
            rounds += 1;
        }
    }
}

/// A future neither borrows the log nor keeps it open.
#[test]
fn a_future_outlives_the_log() {
    let (dir, log) = log(SyncPolicy::periodic(Duration::from_secs(3600)));
    let lsn = log.append(b"published").unwrap();
    let durable = log.durable(lsn);
    drop(log);
    drop(Log::open(dir.path()).expect("nobody holds the log"));
    futures_executor::block_on(durable).unwrap();
}

trait ReadyAnd<T> {
    fn ready_and(self, fact: impl FnOnce(T) -> bool) -> bool;
}

impl<T> ReadyAnd<T> for Poll<T> {
    fn ready_and(self, fact: impl FnOnce(T) -> bool) -> bool {
        match self {
            Self::Ready(value) => fact(value),
            Self::Pending => false,
        }
    }
}

/// What a runtime asks of a future that it moves between threads.
#[test]
fn futures_can_be_sent() {
    fn assert_send<T: Send>(_: &T) {}
    fn assert_shared<T: Send + Sync + Unpin>() {}
    let (_dir, log) = log(SyncPolicy::None);
    assert_send(&log.append_async(b"x"));
    assert_send(&log.append_durable(b"x"));
    assert_send(&log.append_batch_async(&["x"]));
    assert_send(&log.append_batch_durable(&["x"]));
    assert_shared::<tidelog::future::Durable>();
    assert_shared::<tidelog::future::TailStream>();
    assert_shared::<tidelog::future::LogSink<Vec<u8>>>();
}
