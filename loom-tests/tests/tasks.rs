//! ERRAND and room: tasks that wait for a sync or for a segment are woken, whatever comes between.
#![cfg(tidelog_loom)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use tidelog::ErrorKind;
use tidelog::model::Model;
use tidelog_loom_tests::{assert_record_set, assert_records, check, spawn};

/// What wakes a task here is a thread that was told to poll it again.
#[derive(Debug)]
struct Told {
    told: loom::sync::Mutex<bool>,
    changed: loom::sync::Condvar,
}

impl Told {
    fn new() -> Arc<Self> {
        Arc::new(Self { told: loom::sync::Mutex::new(false), changed: loom::sync::Condvar::new() })
    }
}

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        *self.told.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

/// A lost wake-up is a thread that sleeps for ever, which the checker reports as a deadlock.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let told = Told::new();
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

/// Polls a future once, and drops it.
fn begin<T>(future: impl Future<Output = T>) {
    let waker = Waker::from(Told::new());
    let _ = pin!(future).poll(&mut Context::from_waker(&waker));
}

/// One task after another: the thread that serves them falls asleep in between, and is called again.
#[test]
fn a_task_is_served_by_the_deputy() {
    check(3, || {
        let model = Model::new(2);
        let deputy = spawn(&model, Model::serve_tasks);
        for _ in 0..2 {
            let written = model.append(b"").unwrap();
            block_on(model.durable_at(written.lsn)).unwrap();
            assert!(model.durable() >= written.end);
        }
        model.assert_durable_is_flushed();
        model.dismiss_deputy();
        deputy.join().unwrap();
    });
}

/// Two tasks at once, of which one may come while the sync of the other is in flight.
#[test]
fn tasks_that_come_during_a_sync_are_served_by_the_next() {
    check(2, || {
        let model = Model::new(2);
        let deputy = spawn(&model, Model::serve_tasks);
        let other = spawn(&model, |model| {
            let written = model.append(b"").unwrap();
            block_on(model.durable_at(written.lsn)).unwrap();
            assert!(model.durable() >= written.end);
        });
        let written = model.append(b"").unwrap();
        block_on(model.durable_at(written.lsn)).unwrap();
        assert!(model.durable() >= written.end);
        other.join().unwrap();
        model.assert_durable_is_flushed();
        model.dismiss_deputy();
        deputy.join().unwrap();
    });
}

/// A thread that waits and a task share syncs: whoever leads serves both, and neither is left asleep.
#[test]
fn a_task_and_a_thread_share_syncs() {
    check(2, || {
        let model = Model::new(2);
        let deputy = spawn(&model, Model::serve_tasks);
        let thread = spawn(&model, |model| {
            let written = model.append(b"").unwrap();
            model.make_durable(written.end).unwrap();
        });
        let written = model.append(b"").unwrap();
        block_on(model.durable_at(written.lsn)).unwrap();
        thread.join().unwrap();
        model.assert_durable_is_flushed();
        model.dismiss_deputy();
        deputy.join().unwrap();
    });
}

/// Where nobody leads for tasks, as under `Periodic`, the sync of another serves them.
#[test]
fn a_sync_of_another_serves_a_task() {
    check(3, || {
        let model = Model::new(2);
        let written = model.append(b"").unwrap();
        let syncing = spawn(&model, |model| model.sync().unwrap());
        block_on(model.durable_at(written.lsn)).unwrap();
        syncing.join().unwrap();
    });
}

/// A task that goes leaves nothing behind, and takes nobody's sync along.
#[test]
fn a_dropped_task_takes_nobodys_sync() {
    check(2, || {
        let model = Model::new(2);
        let deputy = spawn(&model, Model::serve_tasks);
        let written = model.append(b"").unwrap();
        let dropped = spawn(&model, |model| begin(model.durable_at(0)));
        block_on(model.durable_at(written.lsn)).unwrap();
        dropped.join().unwrap();
        model.dismiss_deputy();
        deputy.join().unwrap();
    });
}

/// Poison reaches a task wherever it stands, and the thread that serves tasks.
#[test]
fn poison_wakes_a_task() {
    check(3, || {
        let model = Model::new(2);
        let written = model.append(b"").unwrap();
        let poisoning = spawn(&model, Model::poison);
        for _ in 0..2 {
            let outcome = block_on(model.durable_at(written.lsn));
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Poisoned);
        }
        poisoning.join().unwrap();
    });
}

/// A sync that fails on the thread that serves tasks.
#[test]
fn a_failed_sync_wakes_a_task() {
    check(2, || {
        let model = Model::new(2);
        let written = model.append(b"").unwrap();
        model.fail_syncs();
        let deputy = spawn(&model, Model::serve_tasks);
        let outcome = block_on(model.durable_at(written.lsn));
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Poisoned);
        model.dismiss_deputy();
        deputy.join().unwrap();
    });
}

/// The log closes while a task waits: the deputy is dismissed, and the sync of the close serves the task.
#[test]
fn a_close_serves_a_task() {
    check(2, || {
        let model = Model::new(2);
        let written = model.append(b"").unwrap();
        let deputy = spawn(&model, Model::serve_tasks);
        let closing = spawn(&model, |model| {
            model.dismiss_deputy();
            model.close().unwrap();
        });
        block_on(model.durable_at(written.lsn)).unwrap();
        closing.join().unwrap();
        deputy.join().unwrap();
    });
}

/// There is room for one record: the second task waits for a segment as a future, and its installation wakes it.
#[test]
fn a_segment_wakes_a_task() {
    check(3, || {
        let model = Model::new(1);
        model.append(b"one").unwrap();
        let task = spawn(&model, |model| block_on(model.append_async(b"two")).unwrap().lsn);
        assert!(model.wait_demand());
        model.attempt(true);
        assert_eq!(task.join().unwrap(), 24);
        assert_records(&model, &[(0, b"one"), (24, b"two")]);
    });
}

/// Tasks that pass the limit together run beyond the prepared segment: who straddles its end leaves the claim to the
/// preparer, as padding, waits for room as a future, and appends elsewhere.
#[test]
fn a_task_that_overruns_leaves_its_claim() {
    check(1, || {
        let model = Model::new(1);
        let append = |model: &Model| block_on(model.append_async(b"a")).unwrap().lsn;
        let threads: Vec<_> = (0..3).map(|_| spawn(&model, append)).collect();
        model.attempt(true);
        let all = threads.into_iter().map(|thread| (thread.join().unwrap(), b"a".to_vec())).collect();
        assert_record_set(&model, all);
    });
}

/// Nobody prepares a segment, so who waited for one would wait for ever. The claim that was given up is padded later.
#[test]
fn a_task_never_waits_for_its_segment() {
    check(2, || {
        let model = Model::new(1);
        model.lift_limit();
        for record in [b"one".as_slice(), b"two", b""] {
            model.append(record).unwrap();
        }
        let task = spawn(&model, |model| model.try_append(b"").unwrap_err().kind());
        assert_eq!(task.join().unwrap(), ErrorKind::WouldBlock);
        model.attempt(true);
        let next = model.try_append(b"").unwrap().lsn;
        assert_records(&model, &[(0, b"one"), (24, b"two"), (48, b""), (next, b"")]);
    });
}

/// There is no room on the device, which a task is told; and the next attempt succeeds.
#[test]
fn a_failed_preparation_wakes_a_task() {
    check(3, || {
        let model = Model::new(1);
        model.append(b"one").unwrap();
        let task = spawn(&model, |model| {
            // What fails before the task has registered is nothing to it: it asks again.
            if let Err(error) = block_on(model.append_async(b"two")) {
                assert_eq!(error.kind(), ErrorKind::StorageFull);
                block_on(model.append_async(b"two")).unwrap();
            }
        });
        for room in [false, true] {
            assert!(model.wait_demand());
            model.attempt(room);
        }
        task.join().unwrap();
        assert_records(&model, &[(0, b"one"), (24, b"two")]);
    });
}

/// Closing, or poison, wakes a task that waits for room.
#[test]
fn the_end_wakes_a_task_without_room() {
    for poisoned in [false, true] {
        check(3, move || {
            let model = Model::new(1);
            model.append(b"one").unwrap();
            let ending =
                spawn(&model, move |model| if poisoned { model.poison() } else { assert!(model.stop()) });
            let kind = block_on(model.append_async(b"two")).unwrap_err().kind();
            assert_eq!(kind, if poisoned { ErrorKind::Poisoned } else { ErrorKind::Closed });
            ending.join().unwrap();
        });
    }
}
