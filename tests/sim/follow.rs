//! A sync that fails while followers and watchers sleep: all of them wake, and are told.

use std::time::Duration;

use tidelog::testing::{Disk, Fault, Operation};
use tidelog::{ErrorKind, Lsn, SyncPolicy};

use crate::support::{PLACE, options, payload};

#[test]
fn a_failed_sync_wakes_everybody() {
    for later_close in [false, true] {
        let disk = Disk::new(1);
        let log = options(&disk, SyncPolicy::None).open(PLACE).unwrap();
        for n in 0..3 {
            log.append(&payload(n)).unwrap();
        }
        log.sync().unwrap();
        for n in 3..5 {
            log.append(&payload(n)).unwrap();
        }
        let end = log.watermarks().published;
        let (mut published, mut durable) =
            (log.tail(Lsn::ZERO).unwrap(), log.tail_durable(Lsn::ZERO).unwrap());
        let watchers =
            [log.watch_published(end), log.watch_durable(log.watermarks().durable), log.watch_durable(end)];
        let tails = [
            std::thread::spawn(move || {
                for n in 0..5 {
                    assert_eq!(published.next().unwrap().unwrap().payload(), payload(n));
                }
                // It has all that there is, and the log has ended.
                assert!(published.next().unwrap().is_none());
            }),
            std::thread::spawn(move || {
                for n in 0..3 {
                    assert_eq!(durable.next().unwrap().unwrap().payload(), payload(n));
                }
                for _ in 0..2 {
                    assert_eq!(durable.next().unwrap_err().kind(), ErrorKind::Poisoned);
                }
            }),
        ];
        let watching = watchers.map(|mut watcher| std::thread::spawn(move || watcher.wait()));
        std::thread::sleep(Duration::from_millis(10));
        disk.fail(Fault::nth(Operation::Flush, 1));
        if later_close {
            assert_eq!(log.close().unwrap_err().kind(), ErrorKind::Poisoned);
        } else {
            assert_eq!(log.sync().unwrap_err().kind(), ErrorKind::Poisoned);
        }
        tails.into_iter().for_each(|tail| tail.join().unwrap());
        for (n, watcher) in watching.into_iter().enumerate() {
            let kind = watcher.join().unwrap().unwrap_err().kind();
            // Who waits for the log to grow may hear first that it is closed.
            assert!(
                kind == ErrorKind::Poisoned || later_close && n == 0 && kind == ErrorKind::Closed,
                "{kind:?}"
            );
        }
        // Also those who come later.
        assert_eq!(log.watch_durable(end).wait().unwrap_err().kind(), ErrorKind::Poisoned);
        let mut late = log.tail_durable(Lsn::ZERO).unwrap();
        for n in 0..3 {
            assert_eq!(late.next().unwrap().unwrap().payload(), payload(n));
        }
        assert_eq!(late.next().unwrap_err().kind(), ErrorKind::Poisoned);
    }
}
