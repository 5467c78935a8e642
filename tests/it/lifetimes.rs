//! Handles in any order of going, and threads that panic with whatever they hold.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tidelog::{ErrorKind, LastClose, LogReader, Lsn, SyncPolicy};

use crate::support::{contents, eventually, fill, new_log, options, returns, scratch};

/// Every order of so many.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(count - 1);
    let insert = |order: &Vec<usize>, at: usize| {
        let mut order = order.clone();
        order.insert(at, count - 1);
        order
    };
    shorter.iter().flat_map(|order| (0..count).map(move |at| insert(order, at))).collect()
}

#[test]
fn handles_may_go_in_any_order() {
    let orders = orders(6);
    assert_eq!(orders.len(), 720);
    let dir = scratch();
    let mut expected = Vec::new();
    // A sixth of them, another for each place of the log.
    for (round, order) in orders.iter().step_by(6).enumerate() {
        let log = options(SyncPolicy::None).open(dir.path()).unwrap();
        assert_eq!(
            log.recovery().last_close,
            if round == 0 { LastClose::Created } else { LastClose::Clean },
            "{order:?}"
        );
        expected.extend(fill(&log, 20, 900));
        let (lsn, bytes) = expected[expected.len() - 20].clone();
        let reader = LogReader::open(dir.path()).unwrap();
        let (snapshot, tail) = (log.snapshot(), log.tail(lsn).unwrap());
        let part = snapshot.segments().last().unwrap().pin().unwrap();
        let record = log.read(lsn).unwrap();
        let mut handles: Vec<Option<Box<dyn Any>>> = vec![
            Some(Box::new(log.clone())),
            Some(Box::new(log)),
            Some(Box::new((reader.snapshot().unwrap(), reader))),
            Some(Box::new(tail)),
            Some(Box::new((snapshot, part))),
            Some(Box::new(record)),
        ];
        for index in order {
            drop(handles[*index].take());
            // What is left still works.
            let left = |index: usize| handles.get(index).and_then(Option::as_ref);
            if let Some(record) = left(5) {
                assert_eq!(record.downcast_ref::<tidelog::PinnedRecord>().unwrap().payload(), bytes);
            }
            if let Some((snapshot, part)) =
                left(4).and_then(|held| held.downcast_ref::<(tidelog::Snapshot, tidelog::Snapshot)>())
            {
                assert_eq!(snapshot.range(lsn..).next().unwrap().unwrap().payload(), bytes);
                assert!(part.iter().all(|record| record.is_ok()));
            }
        }
    }
    let log = options(SyncPolicy::None).open(dir.path()).unwrap();
    assert!(contents(&log) == expected);
}

/// Readers that panic in the middle of reading leave nothing behind, no pin either.
#[test]
fn readers_that_panic_hold_nobody_up() {
    returns("a log with readers that panic", || {
        let (_dir, log) = new_log();
        fill(&log, 300, 900);
        let panicking = |what: &'static str, read: &(dyn Fn() + Sync)| {
            std::thread::scope(|scope| {
                let outcome = scope.spawn(|| catch_unwind(AssertUnwindSafe(read)).is_err()).join();
                assert!(outcome.unwrap(), "{what} did not panic");
            });
        };
        panicking("a follower", &|| {
            let mut tail = log.tail(Lsn::ZERO).unwrap();
            let _record = tail.next().unwrap().unwrap();
            panic!("meant");
        });
        panicking("an iteration", &|| {
            let snapshot = log.snapshot();
            let mut records = snapshot.iter();
            let _record = records.next().unwrap().unwrap();
            panic!("meant");
        });
        panicking("a record", &|| {
            let _record = log.read(Lsn::ZERO).unwrap();
            panic!("meant");
        });
        log.retire_before(log.watermarks().published).unwrap();
        eventually("nothing is held", || log.stats().segments_held == 0);
        log.append(b"goes on").unwrap();
        log.close().unwrap();
    });
}

/// Writers that panic in every place where a caller's code runs, among others that do not, under every policy.
#[test]
fn writers_that_panic_hold_nobody_up() {
    struct Treacherous(std::cell::Cell<u32>);
    impl AsRef<[u8]> for Treacherous {
        fn as_ref(&self) -> &[u8] {
            self.0.set(self.0.get() + 1);
            assert!(self.0.get() < 2, "meant");
            b"treacherous"
        }
    }
    for policy in crate::support::policies() {
        returns("a log with writers that panic", move || {
            let dir = tempfile::tempdir().unwrap();
            let log = options(policy).open(dir.path()).unwrap();
            let counts = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..3)
                    .map(|thread| {
                        let log = log.clone();
                        scope.spawn(move || {
                            for n in 0..60_usize {
                                let panicked = catch_unwind(|| match (n + thread) % 3 {
                                    0 => log.append_with(n * 20, |_| panic!("meant")).map(drop),
                                    1 => log
                                        .append_batch(&[Treacherous(0.into()), Treacherous(0.into())])
                                        .map(drop),
                                    _ => log
                                        .append_with(64, |_| {
                                            // An append inside, which goes through, then the panic.
                                            let _ = log.append_nowait(b"inner");
                                            panic!("meant");
                                        })
                                        .map(drop),
                                });
                                assert!(panicked.is_err());
                                log.append(b"well").unwrap();
                            }
                            60
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
            });
            let well =
                |log: &tidelog::Log| contents(log).iter().filter(|(_, bytes)| bytes == b"well").count();
            assert_eq!(well(&log), counts);
            assert!(contents(&log).iter().all(|(_, bytes)| bytes == b"well" || bytes == b"inner"));
            log.close().unwrap();
            let log = options(policy).open(dir.path()).unwrap();
            assert_eq!((log.recovery().last_close, well(&log)), (LastClose::Clean, counts));
        });
    }
}

/// A handle that goes while its thread unwinds closes the log as any other.
#[test]
fn a_log_that_is_dropped_by_a_panic_is_closed() {
    let (dir, log) = new_log();
    let expected = fill(&log, 100, 900);
    let thread = std::thread::spawn(move || {
        let _log = log;
        panic!("meant");
    });
    assert!(thread.join().is_err());
    let log = options(SyncPolicy::None).open(dir.path()).unwrap();
    assert_eq!(log.recovery().last_close, LastClose::Clean);
    assert!(contents(&log) == expected);
}

/// Closing on one thread while others do everything else with clones: each gets its result or `Closed`.
#[test]
fn clones_that_go_and_close_at_once() {
    returns("clones on many threads", || {
        for _ in 0..20 {
            let (dir, log) = new_log();
            let appended: usize = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4)
                    .map(|thread| {
                        let log = log.clone();
                        scope.spawn(move || {
                            let mut count = 0;
                            for n in 0..200 {
                                match log.append(&[thread; 200]) {
                                    Ok(_) => count += 1,
                                    Err(error) => assert_eq!(error.kind(), ErrorKind::Closed),
                                }
                                if n == 100 && thread == 0 {
                                    log.close().unwrap();
                                }
                            }
                            count
                        })
                    })
                    .collect();
                drop(log);
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            let log = options(SyncPolicy::None).open(dir.path()).unwrap();
            assert_eq!(log.recovery().last_close, LastClose::Clean);
            assert_eq!(contents(&log).len(), appended);
        }
    });
}

/// A thread that is ending appends from a destructor of its own, when its other thread-local values are gone.
#[test]
fn a_thread_that_is_ending_appends_large_batches() {
    struct Farewell(std::cell::RefCell<Option<tidelog::Log>>);
    impl Drop for Farewell {
        fn drop(&mut self) {
            if let Some(log) = self.0.take() {
                log.append_batch(&[[2; 9000], [3; 9000]]).unwrap();
            }
        }
    }
    thread_local! {
        static FAREWELL: Farewell = const { Farewell(std::cell::RefCell::new(None)) };
    }
    let dir = tempfile::tempdir().unwrap();
    let log = options(SyncPolicy::grouped()).segment_bytes(1 << 20).open(dir.path()).unwrap();
    let clone = log.clone();
    std::thread::spawn(move || {
        FAREWELL.with(|farewell| *farewell.0.borrow_mut() = Some(clone.clone()));
        // After that, so what this keeps for the thread goes before it.
        clone.append_batch(&[[0; 9000], [1; 9000]]).unwrap();
    })
    .join()
    .unwrap();
    let snapshot = log.snapshot();
    let firsts: Vec<u8> = snapshot.iter().map(|record| record.unwrap().payload()[0]).collect();
    assert_eq!(firsts, [0, 1, 2, 3]);
}
