//! Followers where the kernel has no `membarrier`.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use tidelog::{Lsn, Options, SyncPolicy};

use crate::support::{lacks_strace, ready_to_be_traced, role, skip, trace};

const RECORDS: u64 = 20_000;

/// A task's thread, and how often it was woken.
struct Task {
    thread: std::thread::Thread,
    woken: AtomicU64,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::SeqCst);
        self.thread.unpark();
    }
}

fn task() -> (Arc<Task>, Waker) {
    let task = Arc::new(Task { thread: std::thread::current(), woken: AtomicU64::new(0) });
    (Arc::clone(&task), Waker::from(task))
}

#[test]
fn child_follows() {
    let Some(role) = role() else { return };
    let directory = tempfile::tempdir().unwrap();
    let log =
        Options::new().segment_bytes(1 << 16).sync_policy(SyncPolicy::None).open(directory.path()).unwrap();
    ready_to_be_traced();
    if role == "overlooked" {
        // Registered, and never told by a writer: the keeper does it.
        let (task, waker) = task();
        let mut watcher = log.watch_published(Lsn::ZERO);
        assert!(pin!(&mut watcher).poll(&mut Context::from_waker(&waker)).is_pending());
        while task.woken.load(Ordering::SeqCst) == 0 {
            std::thread::park();
        }
        return;
    }
    std::thread::scope(|scope| {
        let tails = [(); 3].map(|()| log.tail(Lsn::ZERO).unwrap());
        for (n, mut tail) in tails.into_iter().enumerate() {
            scope.spawn(move || {
                let (_, waker) = task();
                let mut context = Context::from_waker(&waker);
                for number in 0..RECORDS {
                    let record = if n == 0 {
                        loop {
                            match tail.poll_next_pinned(&mut context) {
                                Poll::Ready(record) => break record,
                                Poll::Pending => std::thread::park(),
                            }
                        }
                    } else {
                        tail.next_pinned()
                    };
                    assert_eq!(record.unwrap().unwrap().payload(), number.to_le_bytes());
                }
            });
        }
        for number in 0..RECORDS {
            log.append(&number.to_le_bytes()).unwrap();
            if number % 100 == 0 {
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
        }
    });
}

#[test]
fn followers_are_woken_without_membarrier() {
    if role().is_some() || skip("followers_are_woken_without_membarrier", lacks_strace()) {
        return;
    }
    let refused = ["-e", "trace=membarrier", "-e", "inject=membarrier:error=ENOSYS"];
    let traced = trace(&refused, "follow::child_follows", "without");
    traced.succeeded();
    assert!(traced.trace.contains("ENOSYS"), "nobody asked for it: {}", traced.trace);
    let traced = trace(&["-e", "trace=membarrier"], "follow::child_follows", "with");
    traced.succeeded();
    assert!(traced.trace.contains("EXPEDITED"), "{}", traced.trace);
}

#[test]
fn tasks_are_woken_without_membarrier() {
    if role().is_some() || skip("tasks_are_woken_without_membarrier", lacks_strace()) {
        return;
    }
    let refused = ["-e", "trace=membarrier", "-e", "inject=membarrier:error=ENOSYS"];
    trace(&refused, "follow::child_follows", "overlooked").succeeded();
}
