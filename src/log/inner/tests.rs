use super::*;
use crate::error::ErrorKind;

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
