//! What a user relies on, feature by feature.

use std::time::Duration;

use tidelog::{Checksum, ErrorKind, LastClose, Log, LogReader, Lsn, SyncPolicy};

use crate::support::{options, policies};

#[test]
fn appended_records_are_read_back_in_order_after_reopening() {
    for policy in policies() {
        for checksum in [Checksum::Crc32c, Checksum::Crc64] {
            let dir = tempfile::tempdir().unwrap();
            let options = options(policy).checksum(checksum);
            let log = options.open(dir.path()).unwrap();
            assert_eq!(log.recovery().last_close, LastClose::Created);
            let mut expected = Vec::new();
            for n in 0..3_000_u32 {
                let payload = vec![n as u8; (n % 257) as usize];
                let lsn = log.append_nowait(&payload).unwrap();
                expected.push((lsn, payload));
            }
            let found: Vec<_> = log
                .snapshot()
                .iter()
                .map(|record| record.map(|record| (record.lsn(), record.payload().to_vec())))
                .collect::<Result<_, _>>()
                .unwrap();
            assert!(found == expected);
            log.close().unwrap();
            assert_eq!(log.append(b"late").unwrap_err().kind(), ErrorKind::Closed);

            let log = options.open(dir.path()).unwrap();
            assert_eq!(log.recovery().last_close, LastClose::Clean, "{}", log.recovery());
            assert_eq!(log.recovery().segments_scanned, 0);
            let snapshot = log.snapshot();
            assert_eq!(snapshot.iter().count(), expected.len());
            for (lsn, payload) in &expected {
                assert_eq!(log.read(*lsn).unwrap().payload(), payload);
            }
            log.append(b"more").unwrap();
            assert_eq!(log.snapshot().iter().count(), expected.len() + 1);
        }
    }
}

#[test]
fn many_threads_append_and_order_per_thread_holds() {
    for policy in policies() {
        let dir = tempfile::tempdir().unwrap();
        let log = options(policy).open(dir.path()).unwrap();
        let per_thread = if policy.acknowledges_durable() { 200 } else { 5_000 };
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let log = &log;
                scope.spawn(move || {
                    let mut last = None;
                    for n in 0..per_thread {
                        let mut payload = [thread.to_le_bytes(), u32::to_le_bytes(n)].concat();
                        payload.resize(8 + (n % 300) as usize, 7);
                        let lsn = log.append(&payload).unwrap();
                        assert!(last < Some(lsn));
                        last = Some(lsn);
                    }
                });
            }
        });
        let mut next = [0_u32; 4];
        for record in &log.snapshot() {
            let record = record.unwrap();
            let thread = u32::from_le_bytes(record.payload()[..4].try_into().unwrap()) as usize;
            let n = u32::from_le_bytes(record.payload()[4..8].try_into().unwrap());
            assert_eq!(n, next[thread]);
            next[thread] += 1;
        }
        assert_eq!(next, [per_thread; 4]);
    }
}

#[test]
fn a_second_writer_is_refused_and_told_the_pid() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path()).unwrap();
    let error = Log::open(dir.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    log.close().unwrap();
    Log::open(dir.path()).unwrap();
}

#[test]
fn a_reader_follows_from_outside() {
    let dir = tempfile::tempdir().unwrap();
    let log = options(SyncPolicy::None).open(dir.path()).unwrap();
    let reader = LogReader::open(dir.path()).unwrap();
    let mut tail = reader.tail(Lsn::ZERO).unwrap();
    for n in 0..10_000_u32 {
        let lsn = log.append(&n.to_le_bytes()).unwrap();
        let record = tail.next_timeout(Duration::from_secs(10)).unwrap().unwrap();
        assert_eq!((record.lsn(), record.payload()), (lsn, &n.to_le_bytes()[..]));
    }
    assert_eq!(reader.snapshot().unwrap().iter().count(), 10_000);
}
