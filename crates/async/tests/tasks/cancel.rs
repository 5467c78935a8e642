//! Cancel safety: what a future leaves that is dropped at every point at which it can be.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{join_all, select};
use futures_util::{SinkExt, StreamExt};
use tidelog::{Lsn, SyncPolicy};

use crate::room::Held;
use crate::support::{Count, RECORD_MAX, contents, eventually, log, policies, poll};

const HOUR: SyncPolicy = SyncPolicy::periodic(Duration::from_secs(3600));

/// Not polled: nothing. Polled once, without room: nothing. Ready: appended.
#[test]
fn an_append_that_was_not_ready_appended_nothing() {
    let (_dir, log) = log(SyncPolicy::None);
    drop(log.append_async(b"never polled"));
    drop(log.append_durable(b"never polled"));
    let (held, records) = Held::fill(&log);
    let (count, waker) = Count::waker();
    let context = &mut Context::from_waker(&waker);
    let (one, two) = (vec![1; RECORD_MAX], [vec![2; 100], vec![3; RECORD_MAX - 120]]);
    for polls in 1..4 {
        let mut futures: [std::pin::Pin<Box<dyn Future<Output = ()>>>; 4] = [
            Box::pin(async { drop(log.append_async(&one).await) }),
            Box::pin(async { drop(log.append_durable(&one).await) }),
            Box::pin(async { drop(log.append_batch_async(&two).await) }),
            Box::pin(async { drop(log.append_batch_durable(&two).await) }),
        ];
        for future in &mut futures {
            for _ in 0..polls {
                assert!(future.as_mut().poll(context).is_pending());
            }
        }
    }
    assert_eq!(Arc::strong_count(&count), 2, "a dropped future keeps no waker");
    held.release();
    log.append(b"after").unwrap();
    assert_eq!(count.get(), 0, "a dropped future is not woken");
    assert_eq!(contents(&log).len(), records + 2);
}

/// Dropped while it waits for the sync, the record stays, and becomes durable with the others.
#[test]
fn a_durable_append_that_waits_for_its_sync_has_appended() {
    let (_dir, log) = log(HOUR);
    let (count, waker) = Count::waker();
    for polls in 1..4 {
        let mut append = Box::pin(log.append_durable(b"stays"));
        for _ in 0..polls {
            assert!(append.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
    }
    let mut batch = Box::pin(log.append_batch_durable(&["stay", "too"]));
    assert!(batch.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(batch);
    assert_eq!(Arc::strong_count(&count), 2, "a dropped future keeps no waker");
    log.sync().unwrap();
    assert_eq!(count.get(), 0, "a dropped future is not woken");
    assert_eq!(log.watermarks().durable, log.watermarks().published);
    let stays: [&[u8]; 5] = [b"stays", b"stays", b"stays", b"stay", b"too"];
    assert_eq!(contents(&log), stays);
}

#[test]
fn a_dropped_durable_is_not_woken_and_others_are() {
    let (_dir, log) = log(HOUR);
    let lsn = log.append(b"x").unwrap();
    let ((dropped, its_waker), (kept, waker)) = (Count::waker(), Count::waker());
    let (mut one, mut other) = (log.durable(lsn), log.durable(lsn));
    assert!(poll(&mut one, &its_waker).is_pending() && poll(&mut other, &waker).is_pending());
    drop(one);
    log.sync().unwrap();
    assert_eq!((dropped.get(), kept.get()), (0, 1));
    // Made anew, it is as if nothing had been.
    assert!(matches!(poll(&mut log.durable(lsn), &waker), Poll::Ready(Ok(()))));
}

/// Half of the futures are given up at a random time, again and again; the others are served, and the log has what it must:
/// everything that was acknowledged, and nothing twice.
#[test]
fn timeouts_at_every_time() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    for policy in policies() {
        let (_dir, log) = log(policy);
        let acknowledged = runtime.block_on(async {
            let task = async |task: u64| {
                let mut acknowledged = Vec::new();
                for n in 0..20_u64 {
                    let number = task << 32 | n;
                    let payload = number.to_le_bytes();
                    let append = log.append_durable(&payload);
                    if number.is_multiple_of(2) {
                        let patience = Duration::from_micros(number.wrapping_mul(0x9e37_79b9) % 3000);
                        if tokio::time::timeout(patience, append).await.is_err() {
                            continue;
                        }
                    } else {
                        append.await.unwrap();
                    }
                    acknowledged.push(number);
                }
                acknowledged
            };
            let all = join_all((0..32).map(task));
            tokio::time::timeout(Duration::from_secs(60), all)
                .await
                .expect("those that stay are served")
                .concat()
        });
        let mut found: Vec<_> = contents(&log)
            .iter()
            .map(|payload| u64::from_le_bytes(payload[..].try_into().unwrap()))
            .collect();
        found.sort_unstable();
        assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "a record was appended twice");
        for number in acknowledged {
            assert!(found.binary_search(&number).is_ok(), "{number} was acknowledged and is not there");
        }
    }
}

/// A stream that loses against another future, again and again, gives every record once.
#[test]
fn a_stream_that_is_given_up_loses_nothing() {
    let (_dir, log) = log(SyncPolicy::None);
    let mut stream = log.tail(Lsn::ZERO).unwrap().into_stream();
    let (go, gone) = std::sync::mpsc::channel();
    let writer = {
        std::thread::spawn(move || {
            for n in 0..500_u64 {
                if n.is_multiple_of(50) {
                    // There is nothing to read by then, so somebody gives up.
                    gone.recv().unwrap();
                }
                log.append(&n.to_le_bytes()).unwrap();
            }
        })
    };
    let mut given_up_at = std::collections::BTreeSet::new();
    futures_executor::block_on(async {
        let mut next = 0_u64;
        while next < 500 {
            // The other one is ready at its second poll.
            let mut polled = false;
            let other = std::future::poll_fn(|context| {
                if std::mem::replace(&mut polled, true) {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                Poll::Pending
            });
            match select(pin!(stream.next()), pin!(other)).await {
                futures_util::future::Either::Left((record, _)) => {
                    assert_eq!(record.unwrap().unwrap().payload(), next.to_le_bytes());
                    next += 1;
                }
                futures_util::future::Either::Right(_) => {
                    if next.is_multiple_of(50) && given_up_at.insert(next) {
                        go.send(()).unwrap();
                    }
                }
            }
        }
    });
    writer.join().unwrap();
    assert!(given_up_at.len() >= 10, "{given_up_at:?}");
}

/// A flush that is given up loses nothing: what was sent stays, and the next flush waits for it.
#[test]
fn a_flush_that_is_given_up_goes_on() {
    let (_dir, log) = log(HOUR);
    let (count, waker) = Count::waker();
    let mut sink = log.sink();
    futures_executor::block_on(sink.feed("sent")).unwrap();
    for _ in 0..3 {
        let mut flush = pin!(SinkExt::<&str>::flush(&mut sink));
        assert!(flush.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    assert!(sink.unflushed().is_some());
    log.sync().unwrap();
    assert!(count.get() > 0);
    futures_executor::block_on(sink.flush()).unwrap();
    assert_eq!(sink.unflushed(), None);
    assert_eq!(contents(&log), [b"sent"]);
}

/// A record that there was no room for is kept through flushes that are given up, and goes with the sink.
#[test]
fn what_a_sink_keeps_goes_with_it() {
    for kept in [true, false] {
        let (_dir, log) = log(SyncPolicy::None);
        let (held, records) = Held::fill(&log);
        let (count, waker) = Count::waker();
        let context = &mut Context::from_waker(&waker);
        let mut sink = log.sink();
        futures_executor::block_on(sink.feed(vec![1; RECORD_MAX])).unwrap();
        {
            let mut next = pin!(sink.feed(vec![2; RECORD_MAX]));
            assert!(next.as_mut().poll(context).is_pending(), "one record is kept, not two");
        }
        assert!(pin!(sink.flush()).poll(context).is_pending());
        if kept {
            held.release();
            eventually("the sink's task is woken", || count.get() > 0);
            futures_executor::block_on(sink.flush()).unwrap();
            assert_eq!(contents(&log).last().unwrap()[..], vec![1; RECORD_MAX]);
        } else {
            drop(sink);
            assert_eq!(Arc::strong_count(&count), 2, "a dropped sink keeps no waker");
            held.release();
        }
        assert_eq!(contents(&log).len(), records + 1 + usize::from(kept));
    }
}
