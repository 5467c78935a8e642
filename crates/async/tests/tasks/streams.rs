//! Following the log as a stream.

use std::task::Poll;

use futures_util::stream::FusedStream;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use tidelog::{ErrorKind, Lsn, SyncPolicy};

use crate::support::{RECORD_MAX, log, on_each, policies};

#[test]
fn streams_follow_a_live_log_to_its_end() {
    for policy in policies() {
        on_each(|| async move {
            let (_dir, log) = log(policy);
            let published = log.tail(Lsn::ZERO).unwrap().into_stream();
            let durable = log.tail_durable(Lsn::ZERO).unwrap().into_stream();
            let writer = std::thread::spawn(move || {
                for n in 0..300_u64 {
                    log.append_nowait(&n.to_le_bytes()).unwrap();
                    if n.is_multiple_of(50) {
                        log.sync().unwrap();
                    }
                }
                log.close().unwrap();
            });
            for stream in [published, durable] {
                let payloads = stream.map_ok(|record| record.payload().to_vec());
                let found: Vec<_> = payloads.try_collect().await.unwrap();
                assert_eq!(found, (0..300_u64).map(|n| n.to_le_bytes().to_vec()).collect::<Vec<_>>());
            }
            writer.join().unwrap();
        });
    }
}

/// A follower far behind, on one thread with another task, lets that one have its turn.
#[test]
fn a_stream_that_catches_up_leaves_others_their_turn() {
    let (_dir, log) = log(SyncPolicy::None);
    for n in 0..2_000_u64 {
        log.append(&n.to_le_bytes()).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let turns = std::rc::Rc::new(std::cell::Cell::new(0));
        let counted = std::rc::Rc::clone(&turns);
        let local = tokio::task::LocalSet::new();
        local.spawn_local(async move {
            loop {
                counted.set(counted.get() + 1);
                tokio::task::yield_now().await;
            }
        });
        local
            .run_until(async {
                let stream = log.tail(Lsn::ZERO).unwrap().into_stream();
                let found: Vec<_> = stream.take(2_000).try_collect().await.unwrap();
                assert_eq!(found.len(), 2_000);
            })
            .await;
        assert!(turns.get() >= 2_000 / 256, "{} turns", turns.get());
    });
}

#[test]
fn a_stream_ends_after_an_error() {
    let (_dir, log) = log(SyncPolicy::None);
    let mut stream = log.tail(Lsn::ZERO).unwrap().into_stream();
    assert!(stream.next().now_or_never().is_none());
    for _ in 0..20 {
        log.append(&vec![1; RECORD_MAX]).unwrap();
    }
    let start = log.retire_before(log.watermarks().published).unwrap();
    // The segment that it stands in is still in its hand.
    let error = loop {
        match futures_executor::block_on(stream.next()).unwrap() {
            Ok(record) => assert!(record.lsn() < start),
            Err(error) => break error,
        }
    };
    assert_eq!((error.kind(), error.lsn()), (ErrorKind::Retired, Some(start)));
    assert!(stream.is_terminated());
    assert!(futures_executor::block_on(stream.next()).is_none());
    assert!(stream.into_tail().is_none());
}

/// The tail that a stream gives back goes on behind what the stream gave.
#[test]
fn a_stream_becomes_a_tail_again() {
    let (_dir, log) = log(SyncPolicy::None);
    log.append(b"one").unwrap();
    log.append(b"two").unwrap();
    let mut stream = log.tail(Lsn::ZERO).unwrap().into_stream();
    let Some(Poll::Ready(first)) = stream.next().now_or_never().map(Poll::Ready) else {
        panic!("it is there")
    };
    assert_eq!(first.unwrap().unwrap().payload(), b"one");
    let mut tail = stream.into_tail().unwrap();
    assert_eq!(tail.next().unwrap().unwrap().payload(), b"two");
}
