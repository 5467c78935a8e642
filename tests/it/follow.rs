//! Following the log and watching its watermarks: what comes, who is woken, and what it costs to wait.
#![allow(
    clippy::disallowed_types,
    reason = "the rule is for the library, which the model checker looks into"
)]

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tidelog::{ErrorKind, Log, LogReader, Lsn, Options, PinnedRecord, SyncPolicy, Tail};

use crate::support::{
    Expected, SEGMENT, contents, eventually, fill, frame_bytes, new_log, options, payload, policies, returns,
};

/// Longer than any test runs.
const EVER: Duration = Duration::from_secs(3600);

/// The kernel's number of this thread.
#[cfg(target_os = "linux")]
fn thread_id() -> u64 {
    let link = std::fs::read_link("/proc/thread-self").unwrap();
    link.file_name().unwrap().to_str().unwrap().parse().unwrap()
}

/// State of a thread of this process, and how often it was taken off a processor: whoever runs again and falls asleep is
/// counted once more.
#[cfg(target_os = "linux")]
fn switches(thread: u64) -> (char, u64) {
    let status = std::fs::read_to_string(format!("/proc/self/task/{thread}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].trim().to_owned()
    };
    let count = |name| field(name).parse::<u64>().unwrap();
    let state = field("State:").chars().next().unwrap();
    (state, count("voluntary_ctxt_switches:") + count("nonvoluntary_ctxt_switches:"))
}

/// Waits until the thread sleeps, and has done so for a while: it may sleep for a lock on its way.
#[cfg(target_os = "linux")]
fn asleep(thread: u64) -> u64 {
    let mut before = switches(thread);
    let mut same = 0;
    eventually("a thread falls asleep", || {
        let now = switches(thread);
        same = if now.0 == 'S' && now == before { same + 1 } else { 0 };
        before = now;
        same == 20
    });
    before.1
}

#[cfg(target_os = "linux")]
#[test]
fn who_waits_costs_nothing() {
    let (_dir, log) = new_log();
    let end = fill(&log, 3, 100)[2].0;
    log.sync().unwrap();
    let end = Lsn::new(end.get() + frame_bytes(100));
    let started = |wait: Box<dyn FnOnce() + Send>| {
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            sender.send(thread_id()).unwrap();
            wait();
        });
        (receiver.recv().unwrap(), thread)
    };
    let (mut tail, mut durable, mut patient) =
        (log.tail(end).unwrap(), log.tail_durable(end).unwrap(), log.tail(end).unwrap());
    let (mut published, mut synced) = (log.watch_published(end), log.watch_durable(end));
    let threads = [
        started(Box::new(move || assert!(tail.next().unwrap().is_some()))),
        started(Box::new(move || assert!(durable.next().unwrap().is_some()))),
        started(Box::new(move || assert!(patient.next_timeout(EVER).unwrap().is_some()))),
        started(Box::new(move || assert!(published.wait().unwrap() > end))),
        started(Box::new(move || assert!(synced.wait_timeout(EVER).unwrap().unwrap() > end))),
    ];
    let ids = threads.each_ref().map(|(id, _)| *id);
    let before = ids.map(asleep);
    std::thread::sleep(Duration::from_millis(300));
    let after = ids.map(switches);
    for (before, after) in before.into_iter().zip(after) {
        assert_eq!(('S', before), after, "it woke while nothing happened");
    }
    log.append(b"news").unwrap();
    // Who waits for durable records has slept through that.
    assert_eq!(asleep(ids[1]), before[1]);
    assert_eq!(asleep(ids[4]), before[4]);
    log.sync().unwrap();
    threads.into_iter().for_each(|(_, thread)| thread.join().unwrap());
}

#[test]
fn a_timeout_ends_a_wait_and_loses_nothing() {
    let (_dir, log) = new_log();
    let mut tails = [log.tail(Lsn::ZERO).unwrap(), log.tail_durable(Lsn::ZERO).unwrap()];
    let mut watchers = [log.watch_published(Lsn::ZERO), log.watch_durable(Lsn::ZERO)];
    for timeout in [Duration::ZERO, Duration::from_micros(1), Duration::from_millis(3)] {
        assert!(tails.iter_mut().all(|tail| tail.next_timeout(timeout).unwrap().is_none()));
        assert!(watchers.iter_mut().all(|watcher| watcher.wait_timeout(timeout).unwrap().is_none()));
    }
    let lsn = log.append(b"news").unwrap();
    assert!(tails[1].next_timeout(Duration::from_millis(2)).unwrap().is_none());
    assert!(watchers[1].wait_timeout(Duration::from_millis(2)).unwrap().is_none());
    log.sync().unwrap();
    for timeout in [EVER, Duration::MAX] {
        let record = tails[0].next_timeout(timeout).unwrap().unwrap();
        assert_eq!((record.lsn(), record.payload()), (lsn, &b"news"[..]));
        tails.swap(0, 1);
        let end = log.watermarks().published;
        assert_eq!(watchers[0].wait_timeout(timeout).unwrap(), Some(end));
        assert_eq!((watchers[0].beyond(), watchers[0].try_wait().unwrap()), (end, None));
        watchers.swap(0, 1);
    }
}

/// Several writers, each of which numbers its records; appends, batches, in place, and panics.
fn write(log: &Log, writer: u64, records: u64) {
    let bytes = |number: u64| {
        let len = 16 + ((writer * 31 + number * 97) % 1500) as usize;
        let mut bytes = payload(writer << 32 | number, len);
        bytes[..8].copy_from_slice(&writer.to_le_bytes());
        bytes[8..16].copy_from_slice(&number.to_le_bytes());
        bytes
    };
    let mut number = 0;
    while number < records {
        match number % 7 {
            0 if number + 2 < records => {
                let batch = [bytes(number), bytes(number + 1), bytes(number + 2)];
                assert_eq!(log.append_batch(&batch).unwrap().len(), 3);
                number += 2;
            }
            3 => {
                let bytes = bytes(number);
                log.append_with(bytes.len(), |place| place.copy_from_slice(&bytes)).unwrap();
            }
            5 if number % 35 == 5 => {
                let panicked =
                    catch_unwind(AssertUnwindSafe(|| log.append_with(100, |_| resume_unwind(Box::new(())))));
                assert!(panicked.is_err());
                log.append(&bytes(number)).unwrap();
            }
            _ => {
                log.append(&bytes(number)).unwrap();
            }
        }
        number += 1;
    }
}

/// Everything that a tail gives until the log ends.
fn follow(log: &Log, mut tail: Tail, way: usize, durable: bool) -> Expected {
    let mut seen = Vec::new();
    let mut note = |lsn: Lsn, payload: &[u8]| {
        // (Later than the record was given; it never goes back.)
        assert!(!durable || log.watermarks().durable > lsn, "given before it was durable");
        seen.push((lsn, payload.to_vec()));
    };
    match way {
        0 => {
            while let Some(record) = tail.next().unwrap() {
                note(record.lsn(), record.payload());
            }
        }
        1 => loop {
            let position = tail.position();
            match tail.next_timeout(Duration::from_micros(50)).unwrap() {
                Some(record) => note(record.lsn(), record.payload()),
                // Nothing is lost between two waits.
                None if log.append_nowait(b"").is_err() && position >= log.watermarks().claimed => {
                    break;
                }
                None => {}
            }
        },
        2 => {
            for record in tail {
                let record = record.unwrap();
                note(record.lsn(), record.payload());
            }
        }
        _ => {
            let next =
                |tail: &mut Tail| block_on(std::future::poll_fn(|context| tail.poll_next_pinned(context)));
            while let Some(record) = next(&mut tail).unwrap() {
                note(record.lsn(), record.payload());
            }
        }
    }
    seen
}

#[test]
fn many_followers_of_many_writers_miss_nothing() {
    const WRITERS: u64 = 3;
    for policy in policies() {
        returns("followers and writers", move || {
            let dir = crate::support::scratch();
            let log = options(policy).open(dir.path()).unwrap();
            let records = if policy.acknowledges_durable() { 300 } else { 1500 };
            let followers: Vec<_> = (0..8)
                .map(|n| {
                    let log = log.clone();
                    std::thread::spawn(move || {
                        let durable = n >= 4;
                        let tail = if durable { log.tail_durable(Lsn::ZERO) } else { log.tail(Lsn::ZERO) };
                        // The way with a timeout appends: once is enough.
                        let way = if n == 5 { 0 } else { n % 4 };
                        follow(&log, tail.unwrap(), way, durable)
                    })
                })
                .collect();
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let log = log.clone();
                    std::thread::spawn(move || write(&log, writer, records))
                })
                .collect();
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            log.close().unwrap();
            let all = contents(&log);
            let mut next = [0; WRITERS as usize];
            for (_, bytes) in all.iter().filter(|(_, bytes)| !bytes.is_empty()) {
                let [writer, number] =
                    [0, 8].map(|at| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()));
                assert_eq!(number, next[writer as usize], "writer {writer}");
                next[writer as usize] += 1;
            }
            assert_eq!(next, [records; WRITERS as usize]);
            for (n, follower) in followers.into_iter().enumerate() {
                let seen = follower.join().unwrap();
                assert!(seen == all, "follower {n} under {policy:?}: {} of {}", seen.len(), all.len());
            }
        });
    }
}

/// Retirement and recycling run beside them: what a follower misses it was told of.
#[test]
fn followers_beside_retirement_miss_only_what_they_are_told() {
    for policy in [SyncPolicy::None, SyncPolicy::periodic(Duration::from_millis(2))] {
        returns("followers beside retirement", move || {
            let dir = crate::support::scratch();
            let log = options(policy).recycle_max(4).open(dir.path()).unwrap();
            let told = Arc::new(AtomicUsize::new(0));
            let followers: Vec<_> = (0..4)
                .map(|n| {
                    let (log, told) = (log.clone(), Arc::clone(&told));
                    let open = move |from| if n < 2 { log.tail(from) } else { log.tail_durable(from) };
                    // Before anything is retired, however late the thread comes to run.
                    let mut tail = open(Lsn::ZERO).unwrap();
                    std::thread::spawn(move || {
                        let mut expected = Some(0_u64);
                        let mut seen = 0;
                        loop {
                            match tail.next() {
                                Ok(Some(record)) => {
                                    let bytes = record.payload();
                                    let number = u64::from_le_bytes(bytes[..8].try_into().unwrap());
                                    assert!(bytes[8..] == payload(number, bytes.len() - 8));
                                    assert!(
                                        expected.is_none_or(|expected| expected == number),
                                        "{expected:?}: {number}"
                                    );
                                    expected = Some(number + 1);
                                    seen += 1;
                                    // Slow now and then, so that it falls behind.
                                    if n % 2 == 1 && number % 500 == 0 {
                                        std::thread::sleep(Duration::from_millis(5));
                                    }
                                }
                                Ok(None) => return (seen, expected),
                                Err(mut error) => loop {
                                    assert_eq!(error.kind(), ErrorKind::Retired, "{error}");
                                    told.fetch_add(1, Ordering::Relaxed);
                                    let first = error.lsn().unwrap();
                                    assert!(first > tail.position());
                                    expected = None;
                                    match open(first) {
                                        Ok(anew) => break tail = anew,
                                        Err(again) => error = again,
                                    }
                                },
                            }
                        }
                    })
                })
                .collect();
            let mut last = 0_u64;
            let mut lsns = Vec::new();
            // Until it has happened that one fell behind.
            while last < 6000 || told.load(Ordering::Relaxed) == 0 && last < 600_000 {
                let mut bytes = last.to_le_bytes().to_vec();
                bytes.extend(payload(last, 200 + (last % 300) as usize));
                lsns.push(log.append(&bytes).unwrap());
                last += 1;
                if last.is_multiple_of(700) {
                    log.retire_before(lsns[lsns.len() - 100]).unwrap();
                }
            }
            log.close().unwrap();
            for follower in followers {
                let (seen, expected) = follower.join().unwrap();
                assert!(seen > 0);
                assert_eq!(expected, Some(last));
            }
            assert!(told.load(Ordering::Relaxed) > 0, "nobody fell behind");
        });
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_follower_of_durable_records_is_woken_by_retirement() {
    returns("a retirement wakes a follower", || {
        let (_dir, log) = new_log();
        let mut tail = log.tail_durable(Lsn::ZERO).unwrap();
        let lsns = fill(&log, 300, 1000);
        assert!(tail.try_next().unwrap().is_none());
        let (sender, receiver) = std::sync::mpsc::channel();
        let waiting = std::thread::spawn(move || {
            sender.send(thread_id()).unwrap();
            tail.next().map(|record| record.is_some())
        });
        // Who comes too late to sleep is told without being woken.
        asleep(receiver.recv().unwrap());
        let start = log.retire_before(lsns[250].0).unwrap();
        let error = waiting.join().unwrap().unwrap_err();
        assert_eq!((error.kind(), error.lsn()), (ErrorKind::Retired, Some(start)));
        let mut tail = log.tail_durable(start).unwrap();
        log.sync().unwrap();
        assert!(tail.next().unwrap().unwrap().lsn() >= start);
    });
}

/// Everybody who waits, in every way, when the log ends in one of several ways.
#[test]
fn the_end_of_the_log_wakes_everybody() {
    type End = fn(Log);
    let ends: [End; 3] = [
        |log| log.close().unwrap(),
        drop,
        |log| {
            let other = log.clone();
            log.append_nowait(b"one more").unwrap();
            std::thread::spawn(move || other.close().unwrap()).join().unwrap();
        },
    ];
    for end in ends {
        returns("the end of a log", move || {
            let (_dir, log) = new_log();
            let expected = fill(&log, 5, 100).len();
            let tails = [log.tail(Lsn::ZERO).unwrap(), log.tail_durable(Lsn::ZERO).unwrap()];
            let watchers = [log.watch_published(Lsn::ZERO), log.watch_durable(Lsn::ZERO)];
            let tasks = [log.watch_published(Lsn::ZERO), log.watch_durable(Lsn::ZERO)];
            let far = log.watch_durable(Lsn::new(1 << 40));
            let mut threads = Vec::new();
            for tail in tails {
                threads.push(std::thread::spawn(move || {
                    let seen: Vec<_> = tail.into_iter().map(|record| record.unwrap()).collect();
                    assert!((5..=6).contains(&seen.len()));
                }));
            }
            for mut watcher in watchers {
                threads.push(std::thread::spawn(move || {
                    let error = loop {
                        match watcher.wait() {
                            Ok(moved) => assert_eq!(moved, watcher.beyond()),
                            Err(error) => break error,
                        }
                    };
                    assert_eq!(error.kind(), ErrorKind::Closed);
                    assert!(watcher.beyond().get() >= 5 * frame_bytes(100));
                }));
            }
            for mut watcher in tasks {
                threads.push(std::thread::spawn(move || {
                    while block_on(&mut watcher).is_ok() {}
                    assert!(watcher.beyond().get() >= 5 * frame_bytes(100));
                }));
            }
            threads.push(std::thread::spawn(move || {
                assert_eq!(block_on(far).unwrap_err().kind(), ErrorKind::Closed);
            }));
            assert_eq!(expected, 5);
            std::thread::sleep(Duration::from_millis(10));
            end(log);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }
}

#[test]
fn a_claim_that_panics_wakes_who_waits_behind_it() {
    returns("padding wakes", || {
        let (_dir, log) = new_log();
        let mut tail = log.tail(Lsn::ZERO).unwrap();
        let mut watcher = log.watch_published(Lsn::ZERO);
        let (open, opened) = std::sync::mpsc::channel();
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let panicking = {
            let log = log.clone();
            std::thread::spawn(move || {
                let outcome = catch_unwind(AssertUnwindSafe(|| {
                    log.append_with(100, |_| {
                        open.send(()).unwrap();
                        gone.recv().unwrap();
                        resume_unwind(Box::new(()));
                    })
                }));
                assert!(outcome.is_err());
            })
        };
        opened.recv().unwrap();
        let lsn = log.append(b"behind").unwrap();
        assert!(tail.next_timeout(Duration::from_millis(5)).unwrap().is_none());
        let waiting = [
            std::thread::spawn(move || assert_eq!(tail.next().unwrap().unwrap().lsn(), lsn)),
            std::thread::spawn(move || assert!(watcher.wait().unwrap() > lsn)),
        ];
        std::thread::sleep(Duration::from_millis(20));
        go.send(()).unwrap();
        panicking.join().unwrap();
        waiting.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn inside_a_claim_nobody_waits() {
    let (_dir, log) = new_log();
    let mut tail = log.tail(Lsn::ZERO).unwrap();
    let mut watcher = log.watch_published(Lsn::ZERO);
    log.append_with(8, |_| {
        assert_eq!(tail.next().unwrap_err().kind(), ErrorKind::WouldDeadlock);
        assert_eq!(watcher.wait().unwrap_err().kind(), ErrorKind::WouldDeadlock);
        assert_eq!(watcher.try_wait().unwrap(), None);
        let mut context = Context::from_waker(Waker::noop());
        assert!(tail.poll_next_pinned(&mut context).is_pending());
        assert!(pin!(&mut watcher).poll(&mut context).is_pending());
    })
    .unwrap();
    assert!(tail.next().unwrap().is_some());
    assert!(watcher.wait().is_ok());
}

/// Polls a future on this thread, which sleeps meanwhile.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Thread(std::thread::Thread);
    impl Wake for Thread {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Thread(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(outcome) => return outcome,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Counts how often it is woken.
struct Counter(AtomicU64);

impl Counter {
    fn new() -> (Arc<Self>, Waker) {
        let counter = Arc::new(Self(AtomicU64::new(0)));
        (Arc::clone(&counter), Waker::from(counter))
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_task_is_woken_once_for_each_time_that_it_was_pending() {
    let (_dir, log) = new_log();
    let (counter, waker) = Counter::new();
    let mut context = Context::from_waker(&waker);
    let mut published = log.watch_published(Lsn::ZERO);
    assert!(pin!(&mut published).poll(&mut context).is_pending());
    // Polled again, by another reason: still one place among the sleepers.
    assert!(pin!(&mut published).poll(&mut context).is_pending());
    assert_eq!(counter.count(), 0);
    for _ in 0..10 {
        log.append(b"").unwrap();
    }
    assert_eq!(counter.count(), 1);
    let end = Lsn::new(10 * frame_bytes(0));
    assert!(matches!(pin!(&mut published).poll(&mut context), Poll::Ready(Ok(moved)) if moved == end));
    log.append(b"").unwrap();
    assert_eq!(counter.count(), 1, "nobody waits");

    // Durable: those whom the sync reaches, and nobody else.
    let mut near = log.watch_durable(Lsn::ZERO);
    let mut far = log.watch_durable(log.watermarks().claimed);
    let (far_counter, far_waker) = Counter::new();
    assert!(pin!(&mut near).poll(&mut context).is_pending());
    assert!(pin!(&mut far).poll(&mut Context::from_waker(&far_waker)).is_pending());
    log.sync().unwrap();
    assert_eq!((counter.count(), far_counter.count()), (2, 0));
    log.append(b"").unwrap();
    log.sync().unwrap();
    assert_eq!((counter.count(), far_counter.count()), (2, 1));

    // Who goes is not woken.
    let mut tail = log.tail(log.watermarks().claimed).unwrap();
    assert!(tail.poll_next_pinned(&mut context).is_pending());
    drop(tail);
    log.append(b"").unwrap();
    assert_eq!(counter.count(), 2);
    // And its waker was given back.
    drop((near, published, far));
    assert_eq!(Arc::strong_count(&counter), 2);
}

/// A waker that panics takes nobody else's wake-up along, and the record that woke it is in the log.
#[test]
fn a_waker_that_panics_keeps_nobody_asleep() {
    struct Broken;
    impl Wake for Broken {
        fn wake(self: Arc<Self>) {
            resume_unwind(Box::new(()));
        }
    }
    let (_dir, log) = new_log();
    let (counter, waker) = Counter::new();
    let broken = Waker::from(Arc::new(Broken));
    let wakers = [&waker, &broken, &waker];
    let mut watchers = [(); 3].map(|()| log.watch_published(Lsn::ZERO));
    for (watcher, waker) in watchers.iter_mut().zip(wakers) {
        assert!(pin!(watcher).poll(&mut Context::from_waker(waker)).is_pending());
    }
    assert!(catch_unwind(AssertUnwindSafe(|| log.append(b"there"))).is_err());
    assert_eq!(counter.count(), 2);
    assert_eq!(contents(&log).len(), 1);
    log.append(b"goes on").unwrap();
    for watcher in &mut watchers {
        assert!(watcher.try_wait().unwrap().is_some());
    }
}

/// What a tail gives can be kept while the log goes on, is retired and closed.
#[test]
fn pinned_records_outlive_their_tail_and_their_log() {
    let (dir, log) = new_log();
    let expected = fill(&log, 200, 1000);
    let mut tail = log.tail(Lsn::ZERO).unwrap();
    let mut kept: Vec<PinnedRecord> = Vec::new();
    kept.push(tail.next_pinned().unwrap().unwrap());
    kept.push(tail.try_next_pinned().unwrap().unwrap());
    kept.push(tail.next_pinned_timeout(EVER).unwrap().unwrap());
    kept.extend(tail.into_iter().take(100).map(|record| record.unwrap()));
    log.retire_before(expected[199].0).unwrap();
    fill(&log, 500, 1000);
    log.close().unwrap();
    drop((log, dir));
    assert!(
        kept.iter()
            .map(|record| (record.lsn(), record.payload().to_vec()))
            .eq(expected[..103].iter().cloned())
    );
}

#[test]
fn a_tail_as_an_iterator_ends_after_an_error() {
    let (_dir, log) = new_log();
    let expected = fill(&log, 300, 1000);
    let mut records = log.tail(Lsn::ZERO).unwrap().into_iter();
    assert!(records.next().unwrap().is_ok());
    log.retire_before(expected[299].0).unwrap();
    let error = loop {
        match records.next().unwrap() {
            Ok(record) => assert!(record.lsn().get() < SEGMENT),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Retired);
    assert!(records.next().is_none());
}

#[test]
fn a_durable_tail_begins_where_a_tail_may() {
    let (_dir, log) = new_log();
    let expected = fill(&log, 3, 10);
    assert_eq!(log.tail_durable(expected[2].0).unwrap().position(), expected[2].0);
    let end = log.watermarks().claimed;
    assert!(log.tail_durable(end).is_ok());
    for (lsn, kind) in
        [(Lsn::new(end.get() + 8), ErrorKind::NotWritten), (Lsn::new(8), ErrorKind::NotARecord)]
    {
        assert_eq!(log.tail_durable(lsn).unwrap_err().kind(), kind);
    }
}

#[test]
fn a_readers_tail_cannot_be_awaited_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let log = Options::new().segment_bytes(SEGMENT).open(dir.path()).unwrap();
    let mut tail = LogReader::open(dir.path()).unwrap().tail(Lsn::ZERO).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(Err(error)) = tail.poll_next_pinned(&mut context) else { panic!("it has to tell") };
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
    log.append(b"there").unwrap();
    assert!(
        matches!(tail.poll_next_pinned(&mut context), Poll::Ready(Ok(Some(record))) if record.payload() == b"there")
    );
}
