//! Closing and poison, with futures that wait.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use tidelog::testing::{Fault, Operation};
use tidelog::{ErrorKind, Lsn, SyncPolicy};

use crate::room::Held;
use crate::support::{Count, RECORD_MAX, eventually, log, on_each, policies, poll, simulated};

/// Closing makes durable what tasks wait for.
#[test]
fn a_close_serves_futures() {
    for policy in [SyncPolicy::periodic(Duration::from_secs(3600)), SyncPolicy::None, SyncPolicy::grouped()] {
        let (_dir, log) = log(policy);
        let lsn = log.append_nowait(b"published").unwrap();
        let (count, waker) = Count::waker();
        let mut durable = log.durable(lsn);
        let was_pending = poll(&mut durable, &waker).is_pending();
        log.close().unwrap();
        assert!(matches!(poll(&mut durable, &waker), Poll::Ready(Ok(()))));
        assert_eq!(count.get(), u64::from(was_pending));
        futures_executor::block_on(log.durable(lsn)).unwrap();
        let error = futures_executor::block_on(log.append_durable(b"late")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
}

/// Who waits for room when the log is closed is told. The close itself waits for the record that is being written.
#[test]
fn a_close_wakes_who_waits_for_room() {
    let (_dir, log) = log(SyncPolicy::None);
    let (held, _) = Held::fill(&log);
    let (count, waker) = Count::waker();
    let context = &mut Context::from_waker(&waker);
    let record = vec![1; RECORD_MAX];
    let mut append = pin!(log.append_async(&record));
    assert!(append.as_mut().poll(context).is_pending());
    let mut sink = log.sink();
    futures_executor::block_on(sink.feed(vec![2; RECORD_MAX])).unwrap();
    let mut flush = pin!(sink.flush());
    assert!(flush.as_mut().poll(context).is_pending());
    let closing = std::thread::spawn({
        let log = log.clone();
        move || log.close()
    });
    eventually("both are woken", || count.get() >= 2);
    let Poll::Ready(Err(error)) = append.as_mut().poll(context) else { panic!("it is told") };
    assert_eq!(error.kind(), ErrorKind::Closed);
    let Poll::Ready(Err(error)) = flush.as_mut().poll(context) else { panic!("it is told") };
    assert_eq!(error.kind(), ErrorKind::Closed);
    held.release();
    closing.join().unwrap().unwrap();
}

/// A sync that fails for many tasks at once: each is told why, and so is everybody who comes later.
#[test]
fn a_failed_sync_reaches_every_future() {
    for policy in policies() {
        on_each(|| async move {
            let (disk, log) = simulated(policy);
            let first = log.append_durable(b"durable").await.unwrap();
            let mut follower = log.tail_durable(Lsn::ZERO).unwrap().into_stream();
            assert_eq!(follower.next().await.unwrap().unwrap().lsn(), first);
            disk.fail(Fault::nth(Operation::Flush, 1).persistent());
            let tasks = join_all((0..50_u32).map(async |n| log.append_durable(&n.to_le_bytes()).await)).await;
            for outcome in tasks {
                let error = outcome.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Poisoned);
                assert!(error.io_error().is_some(), "{error:?} has the cause");
            }
            assert_eq!(follower.next().await.unwrap().unwrap_err().kind(), ErrorKind::Poisoned);
            assert_eq!(log.append_async(b"late").await.unwrap_err().kind(), ErrorKind::Poisoned);
            let mut sink = log.sink();
            assert_eq!(sink.send("late").await.unwrap_err().kind(), ErrorKind::Poisoned);
            // What was durable before stays so.
            log.durable(first).await.unwrap();
            let not_durable = log.watermarks().durable;
            assert_eq!(log.durable(not_durable).await.unwrap_err().kind(), ErrorKind::Poisoned);
        });
    }
}

/// On a simulated disk without threads a future syncs where it is polled, so that tests are the same each time.
#[test]
fn a_disk_without_threads_serves_futures() {
    for policy in [SyncPolicy::None, SyncPolicy::Immediate, SyncPolicy::grouped()] {
        let disk = tidelog::testing::Disk::new(1);
        let log = crate::support::options(policy).disk(&disk).open(crate::support::PLACE).unwrap();
        let (_, waker) = Count::waker();
        for _ in 0..100 {
            let record = vec![1; RECORD_MAX];
            let Poll::Ready(Ok(lsn)) =
                pin!(log.append_durable(&record)).poll(&mut Context::from_waker(&waker))
            else {
                panic!("nobody else would wake it");
            };
            assert!(log.watermarks().durable > lsn);
        }
    }
}
