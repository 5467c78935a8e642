use super::*;
use crate::error::ErrorKind;
use crate::policy::Checksum;
use crate::segment::scan::{Found, Mapped, Run};

/// Who waits for a background thread's work is told that it is gone: writers, closers and tails.
#[test]
fn a_background_thread_that_panics_ends_the_log_for_everybody() {
    let dir = tempfile::tempdir().unwrap();
    let log = Options::new().segment_bytes(1 << 16).sync_policy(SyncPolicy::None).open(dir.path()).unwrap();
    let lsn = log.append(b"before").unwrap();
    let inner = &log.inner;
    // As if it had begun to make a segment ready.
    let _attempt = inner.chain.supply().begin_attempt();
    inner.start_thread("tidelog-test", || panic!("meant")).unwrap();
    let error = loop {
        if let Err(error) = log.append(&[0; 1000]) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::Poisoned);
    assert!(error.to_string().contains("tidelog-test panicked"), "{error}");
    assert_eq!(log.sync().unwrap_err().kind(), ErrorKind::Poisoned);
    let mut tail = log.tail(lsn).unwrap();
    while tail.next().unwrap().is_some() {}
    assert_eq!(log.close().unwrap_err().kind(), ErrorKind::Poisoned);
    drop(log);
    let log = Options::new().open(dir.path()).unwrap();
    assert_eq!(log.read(lsn).unwrap().payload(), b"before");
}

/// The short way of replay gives each record that the scanner finds, of every length; none is left to the long one.
#[test]
fn every_record_is_read_the_short_way() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new().segment_bytes(1 << 16).sync_policy(SyncPolicy::None);
    for checksum in [Checksum::Crc32c, Checksum::Crc64] {
        let log = options.clone().checksum(checksum).open(dir.path()).unwrap();
        let largest = crate::append::record_bytes_max(crate::limits::claim_max(1 << 16)) as usize;
        for len in (0..300).chain([largest - 1, largest, largest - 8, largest, 5000]) {
            log.append(&vec![len as u8; len]).unwrap();
        }
        log.append_batch(&["all", "of", "us"]).unwrap();
        let chain = &log.inner.chain;
        let end = chain.advance_published().unwrap().position();
        let (mut short, mut at) = (0, 0);
        while at < end {
            let segment = chain.catalog.find_at(at).unwrap();
            let mapped = Mapped::new(&segment).unwrap();
            match mapped.examine(at - segment.base()) {
                Found::Record(frame) => {
                    let next = segment.base() + frame.next();
                    let record = Run::new(&mapped, at, end).record(at);
                    assert_eq!(record, Some((mapped.payload(&frame), next)), "{at}");
                    (short, at) = (short + 1, next);
                }
                Found::Padding { next } => {
                    assert_eq!(Run::new(&mapped, at, end).record(at), None);
                    at = segment.base() + next;
                }
                Found::End => at = segment.end(),
                other => panic!("{other:?} at {at}"),
            }
        }
        assert_eq!(short % 308, 0);
        log.close().unwrap();
    }
}
