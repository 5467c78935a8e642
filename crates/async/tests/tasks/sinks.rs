//! Appending as a sink.

use futures_util::{SinkExt, StreamExt, stream};
use tidelog::{ErrorKind, SyncPolicy};

use crate::support::{RECORD_MAX, contents, log, on_each, policies};

#[test]
fn what_is_flushed_is_durable() {
    for policy in policies() {
        on_each(|| async move {
            let (_dir, log) = log(policy);
            let mut sink = log.sink();
            let records: Vec<_> = (0..500_u64).map(|n| vec![n as u8; (n * 37) as usize % 5000]).collect();
            sink.send_all(&mut stream::iter(records.clone()).map(Ok)).await.unwrap();
            assert_eq!(log.watermarks().durable, log.watermarks().published);
            assert_eq!(contents(&log), records);
            sink.feed(b"closing flushes".to_vec()).await.unwrap();
            let lsn = sink.unflushed().unwrap();
            sink.close().await.unwrap();
            assert!(log.watermarks().durable > lsn);
            // It is the sink that was closed.
            log.append(b"open").unwrap();
        });
    }
}

/// A sink without room waits for it, and keeps the order.
#[test]
fn a_sink_waits_for_segments() {
    on_each(|| async {
        let (_dir, log) = log(SyncPolicy::None);
        let mut sink = log.sink();
        for n in 0..100_u8 {
            sink.feed(vec![n; RECORD_MAX]).await.unwrap();
        }
        sink.flush().await.unwrap();
        assert_eq!(contents(&log), (0..100_u8).map(|n| vec![n; RECORD_MAX]).collect::<Vec<_>>());
    });
}

#[test]
fn a_refused_record_leaves_the_sink_usable() {
    let (_dir, log) = log(SyncPolicy::grouped());
    futures_executor::block_on(async {
        let mut sink = log.sink();
        let error = sink.send(vec![0; RECORD_MAX + 1]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        sink.send(b"fits".to_vec()).await.unwrap();
        assert_eq!(contents(&log), [b"fits"]);
        log.close().unwrap();
        for _ in 0..2 {
            assert_eq!(sink.send(b"late".to_vec()).await.unwrap_err().kind(), ErrorKind::Closed);
        }
    });
}
