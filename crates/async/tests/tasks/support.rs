//! What the tests share.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tidelog::testing::Disk;
use tidelog::{Log, Options, SyncPolicy};

/// Where a log lies on a simulated disk.
pub(crate) const PLACE: &str = "/log";
/// The largest payload of a log with the smallest segments.
pub(crate) const RECORD_MAX: usize = (1 << 14) - 16;

pub(crate) fn options(policy: SyncPolicy) -> Options {
    Options::new().segment_bytes(1 << 16).sync_policy(policy)
}

pub(crate) fn policies() -> [SyncPolicy; 5] {
    [
        SyncPolicy::None,
        SyncPolicy::Immediate,
        SyncPolicy::periodic(Duration::from_millis(5)),
        SyncPolicy::grouped(),
        SyncPolicy::Grouped { window: Duration::from_millis(1) },
    ]
}

pub(crate) fn log(policy: SyncPolicy) -> (tempfile::TempDir, Log) {
    let dir = tempfile::tempdir().unwrap();
    let log = options(policy).open(dir.path()).unwrap();
    (dir, log)
}

/// A log on a simulated disk, with its threads.
pub(crate) fn simulated(policy: SyncPolicy) -> (Disk, Log) {
    let disk = Disk::new(1).with_threads();
    let log = options(policy).disk(&disk).open(PLACE).unwrap();
    (disk, log)
}

/// An executor, and how it runs a future to its end.
pub(crate) type Executor = (&'static str, fn(Pin<Box<dyn Future<Output = ()> + Send>>));

/// All of them; a future that hangs is a failure.
pub(crate) fn executors() -> [Executor; 4] {
    async fn patient(future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        tokio::time::timeout(Duration::from_secs(60), future).await.expect("a task was never woken");
    }
    fn hangs(run: impl FnOnce() + Send + 'static) {
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            run();
            let _ = sender.send(());
        });
        match receiver.recv_timeout(Duration::from_secs(60)) {
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("a task was never woken"),
            _ => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        }
    }
    [
        ("tokio, one thread", |future| {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_time().build().unwrap().block_on(patient(future));
        }),
        ("tokio, several threads", |future| {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            let runtime = builder.worker_threads(2).enable_time().build().unwrap();
            runtime.block_on(async { tokio::spawn(patient(future)).await.unwrap() });
        }),
        ("smol's executor", |future| {
            hangs(|| {
                let executor = async_executor::Executor::new();
                let task = executor.spawn(future);
                futures_lite::future::block_on(executor.run(task));
            });
        }),
        ("a local pool", |future| hangs(|| futures_executor::LocalPool::new().run_until(future))),
    ]
}

/// Runs a future on each executor in turn.
pub(crate) fn on_each<F: Future<Output = ()> + Send + 'static>(future: impl Fn() -> F) {
    for (name, run) in executors() {
        println!("on {name}");
        run(Box::pin(future()));
    }
}

/// Counts how often it was woken.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn waker() -> (Arc<Self>, Waker) {
        let count = Arc::<Self>::default();
        (Arc::clone(&count), Waker::from(count))
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// One poll.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Waits until a fact holds that needs nothing but time; fails if it never does.
pub(crate) fn eventually(what: &str, mut fact: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if fact() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("never happened: {what}");
}

/// The payloads, in order.
pub(crate) fn contents(log: &Log) -> Vec<Vec<u8>> {
    log.snapshot().iter().map(|record| record.unwrap().payload().to_vec()).collect()
}
