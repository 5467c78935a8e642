//! WAKE: who sleeps until the log has grown or become durable is woken, whatever comes between.
#![cfg(tidelog_loom)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use tidelog::model::Model;
use tidelog::{ErrorKind, Tail};
use tidelog_loom_tests::{check, spawn};

/// A lost wake-up is a thread that sleeps for ever, which the checker reports as a deadlock.
fn read_all(tail: &mut Tail, count: usize) {
    for _ in 0..count {
        assert!(tail.next().unwrap().is_some());
    }
}

/// A writer against a follower that falls asleep.
#[test]
fn an_append_wakes_a_follower() {
    check(3, || {
        let model = Model::new(2);
        let mut tail = model.tail(0).unwrap();
        let writer = spawn(&model, |model| {
            model.append(b"").unwrap();
        });
        read_all(&mut tail, 1);
        writer.join().unwrap();
    });
}

/// The follower falls asleep twice, and is woken for each record.
#[test]
fn each_append_wakes_a_follower() {
    check(2, || {
        let model = Model::new(2);
        let mut tail = model.tail(0).unwrap();
        let writer = spawn(&model, |model| {
            model.append(b"").unwrap();
            model.append(b"").unwrap();
        });
        read_all(&mut tail, 2);
        writer.join().unwrap();
    });
}

/// Two writers: the one that finds the follower asleep may be the one whose record cannot be read yet, as the claim
/// before it is open. The other one wakes it again.
#[test]
fn the_claim_before_wakes_a_follower() {
    check(2, || {
        let model = Model::new(2);
        let mut tail = model.tail(0).unwrap();
        let writers = [0; 2].map(|_| spawn(&model, |model| model.append(b"").is_ok()));
        read_all(&mut tail, 2);
        assert!(writers.into_iter().all(|writer| writer.join().unwrap()));
    });
}

/// A claim that becomes padding wakes, too: what is behind it can be read.
#[test]
fn padding_wakes_a_follower() {
    check(2, || {
        let model = Model::new(2);
        let mut tail = model.tail(0).unwrap();
        let panicking = spawn(&model, |model| model.abandon(8).unwrap());
        let writer = spawn(&model, |model| model.append(b"").is_ok());
        read_all(&mut tail, 1);
        panicking.join().unwrap();
        writer.join().unwrap();
    });
}

/// Two followers and one writer: one wake-up is for both, also where one comes while the other is being woken.
#[test]
fn one_append_wakes_all_followers() {
    check(2, || {
        let model = Model::new(2);
        let mut tail = model.tail(0).unwrap();
        let other = spawn(&model, |model| read_all(&mut model.tail(0).unwrap(), 1));
        let writer = spawn(&model, |model| model.append(b"").is_ok());
        read_all(&mut tail, 1);
        other.join().unwrap();
        writer.join().unwrap();
    });
}

/// A follower of durable records against a sync.
#[test]
fn a_sync_wakes_a_follower_of_durable_records() {
    check(3, || {
        let model = Model::new(2);
        let mut tail = model.tail_durable(0).unwrap();
        let writer = spawn(&model, |model| {
            model.append(b"").unwrap();
            model.sync().unwrap();
            model.append(b"").unwrap();
            model.sync().unwrap();
        });
        for end in [16, 32] {
            read_all(&mut tail, 1);
            assert!(model.durable() >= end, "given before it was durable");
        }
        writer.join().unwrap();
    });
}

/// Who waits for a later record sleeps on; a later sync wakes him.
#[test]
fn a_sync_wakes_those_that_it_reaches() {
    check(2, || {
        let model = Model::new(2);
        let far = spawn(&model, |model| model.watch_durable(16).wait().unwrap());
        let writer = spawn(&model, |model| {
            for _ in 0..2 {
                model.append(b"").unwrap();
                model.sync().unwrap();
            }
        });
        assert!(model.watch_durable(0).wait().unwrap().get() >= 16);
        assert_eq!(far.join().unwrap().get(), 32);
        writer.join().unwrap();
    });
}

/// A watcher of the published log sees every move, and its end.
#[test]
fn a_watcher_sees_the_log_grow_and_end() {
    check(2, || {
        let model = Model::new(2);
        let mut watcher = model.watch_published(0);
        let writer = spawn(&model, |model| {
            model.append(b"").unwrap();
            model.append(b"").unwrap();
            assert!(model.close_claims());
        });
        let mut last = 0;
        let error = loop {
            match watcher.wait() {
                Ok(moved) => assert!(moved.get() > std::mem::replace(&mut last, moved.get())),
                Err(error) => break error,
            }
        };
        assert_eq!((error.kind(), last), (ErrorKind::Closed, 32));
        writer.join().unwrap();
    });
}

/// Closing wakes followers and watchers of either kind.
#[test]
fn a_close_wakes_everybody() {
    check(2, || {
        let model = Model::new(2);
        let mut tail = model.tail(0).unwrap();
        let durable = spawn(&model, |model| {
            assert!(model.tail_durable(0).unwrap().next().unwrap().is_none());
        });
        let closer = spawn(&model, |model| assert!(model.close_claims()));
        assert!(tail.next().unwrap().is_none());
        durable.join().unwrap();
        closer.join().unwrap();
    });
}

/// Poison wakes who waits for what will not become durable, and who waits for what will not come.
#[test]
fn poison_wakes_followers() {
    check(2, || {
        let model = Model::new(2);
        model.append(b"").unwrap();
        let durable =
            spawn(&model, |model| model.tail_durable(0).unwrap().next().map(|record| record.is_some()));
        let watcher = spawn(&model, |model| model.watch_published(16).wait());
        model.poison();
        assert_eq!(durable.join().unwrap().unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!(watcher.join().unwrap().unwrap_err().kind(), ErrorKind::Poisoned);
    });
}

/// A follower that waits for a record to become durable is told when the record is retired instead.
#[test]
fn a_retirement_wakes_a_follower() {
    check(3, || {
        let model = Model::new(2);
        for payload in [b"one", b"two"] {
            model.append(payload).unwrap();
        }
        model.lift_limit();
        model.append(b"").unwrap();
        model.append(b"").unwrap();
        assert_eq!(model.advance_published(), 80);
        let follower =
            spawn(&model, |model| model.tail_durable(0).and_then(|mut tail| Ok(tail.next()?.is_some())));
        model.retire(1);
        assert_eq!(follower.join().unwrap().unwrap_err().kind(), ErrorKind::Retired);
    });
}

/// A log that is closed while a segment is on its way: a follower that sleeps meanwhile learns that it ended.
#[test]
fn the_last_segment_wakes_a_follower() {
    for room in [false, true] {
        check(2, move || {
            let model = Model::new(1);
            model.lift_limit();
            model.append(b"one").unwrap();
            model.append(b"two").unwrap();
            model.append(b"").unwrap();
            let keeper = spawn(&model, move |model| model.attempt(room));
            let mut tail = model.tail(64).unwrap();
            let closer = spawn(&model, |model| model.stop());
            assert!(tail.next().unwrap().is_none());
            assert!(closer.join().unwrap());
            keeper.join().unwrap();
        });
    }
}

/// What wakes a task here is a thread that was told to poll it again.
#[derive(Debug)]
struct Told {
    told: loom::sync::Mutex<bool>,
    changed: loom::sync::Condvar,
}

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        *self.told.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let told = Arc::new(Told { told: loom::sync::Mutex::new(false), changed: loom::sync::Condvar::new() });
    let waker = Waker::from(Arc::clone(&told));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(outcome) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return outcome;
        }
        let mut guard = told.told.lock().unwrap();
        while !*guard {
            guard = told.changed.wait(guard).unwrap();
        }
        *guard = false;
    }
}

/// A task that awaits a watcher, and one that follows the log.
#[test]
fn an_append_wakes_a_task() {
    check(2, || {
        let model = Model::new(2);
        let mut tail = model.tail(0).unwrap();
        let writer = spawn(&model, |model| {
            model.append(b"").unwrap();
            model.append(b"").unwrap();
        });
        block_on(std::future::poll_fn(|context| tail.poll_next_pinned(context))).unwrap().unwrap();
        assert_eq!(block_on(model.watch_published(16)).unwrap().get(), 32);
        writer.join().unwrap();
    });
}

/// A task that is dropped while it waits leaves nothing behind, and takes nobody's wake-up along.
#[test]
fn a_dropped_task_takes_nobodys_wake_up() {
    check(2, || {
        let model = Model::new(2);
        let mut tail = model.tail(0).unwrap();
        let writer = spawn(&model, |model| model.append(b"").is_ok());
        let dropped = spawn(&model, |model| {
            let told = Told { told: loom::sync::Mutex::new(false), changed: loom::sync::Condvar::new() };
            let waker = Waker::from(Arc::new(told));
            let mut watcher = model.watch_published(0);
            let _ = pin!(&mut watcher).poll(&mut Context::from_waker(&waker));
        });
        read_all(&mut tail, 1);
        dropped.join().unwrap();
        writer.join().unwrap();
    });
}
