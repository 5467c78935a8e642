//! Recorders and subscribers that panic, and such that use the log themselves: the log goes on.
#![allow(clippy::disallowed_types, reason = "the test's own counters")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tidelog::testing::{Disk, Fault, Operation};
use tidelog::{ErrorKind, Log, Options, SyncPolicy};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};

const MEANT: &str = "meant";

/// Panics wherever it can, and counts how often.
#[derive(Clone, Default)]
struct Bad(Arc<AtomicU64>);

impl Bad {
    fn panics(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn panic(&self) -> ! {
        self.0.fetch_add(1, Ordering::Relaxed);
        std::panic::panic_any(MEANT)
    }
}

impl Recorder for Bad {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        self.panic()
    }

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        self.panic()
    }

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        self.panic()
    }

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        self.panic()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        self.panic()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        self.panic()
    }
}

impl Subscriber for Bad {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        self.panic()
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        self.panic()
    }

    fn enter(&self, _: &Id) {
        self.panic()
    }

    fn exit(&self, _: &Id) {
        self.panic()
    }
}

/// What is meant to panic need not fill the output.
fn hush() {
    static HUSHED: OnceLock<()> = OnceLock::new();
    HUSHED.get_or_init(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if panic.payload().downcast_ref::<&str>() != Some(&MEANT) {
                tell(panic);
            }
        }));
    });
}

fn options(disk: &Disk) -> Options {
    Options::new().segment_bytes(4 << 10).sync_policy(SyncPolicy::Immediate).disk(disk)
}

#[test]
fn a_recorder_that_panics_is_ignored() {
    hush();
    let disk = Disk::new(9);
    let log = options(&disk).open("/data/log").unwrap();
    let bad = Bad::default();
    metrics::with_local_recorder(&bad, || {
        log.report_metrics();
        log.append(b"goes on").unwrap();
        log.close().unwrap();
    });
    assert_eq!(bad.panics(), 2);
}

/// Every place where the log tells something, in the caller's thread and, as the disk has no threads, the keeper's work in it.
#[test]
fn a_subscriber_that_panics_is_ignored() {
    hush();
    let disk = Disk::new(9);
    let bad = Bad::default();
    tracing::subscriber::with_default(bad.clone(), || {
        let log = options(&disk).open("/data/log").unwrap();
        let opened = bad.panics();
        assert!(opened >= 3, "{opened}");
        for n in 0..60_u64 {
            log.append(&[n as u8; 500]).unwrap();
        }
        let rolled = bad.panics();
        assert!(rolled > opened, "{rolled}");
        log.retire_before(log.watermarks().published).unwrap();
        assert!(bad.panics() > rolled);
        // Those who wait for a sync are told of its failure, whatever its leader's subscriber does.
        disk.fail(Fault::nth(Operation::Flush, 1));
        for _ in 0..3 {
            assert_eq!(log.append(b"x").unwrap_err().kind(), ErrorKind::Poisoned);
        }
        assert_eq!(log.close().unwrap_err().kind(), ErrorKind::Poisoned);
    });
    let log = options(&disk).open("/data/log").unwrap();
    log.append(b"well again").unwrap();
}

/// Appends to a log what is told of it.
#[derive(Clone, Default)]
struct Narcissus {
    log: Arc<OnceLock<Log>>,
    refused: Arc<AtomicU64>,
}

impl Subscriber for Narcissus {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        let Some(log) = self.log.get() else { return };
        log.append_nowait(b"an event").unwrap();
        for outcome in [log.append(b"a durable event").map(drop), log.sync(), log.close()] {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::WouldDeadlock);
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn a_subscriber_that_uses_the_log_does_not_wait_for_itself() {
    let disk = Disk::new(9);
    let log = options(&disk).open("/data/log").unwrap();
    for n in 0..20_u64 {
        log.append(&[n as u8; 500]).unwrap();
    }
    let subscriber = Narcissus::default();
    subscriber.log.set(log.clone()).unwrap();
    tracing::subscriber::with_default(subscriber.clone(), || {
        log.retire_before(log.watermarks().published).unwrap();
    });
    assert_eq!(subscriber.refused.load(Ordering::Relaxed), 3);
    let last = log.snapshot().iter().last().unwrap().unwrap().payload().to_vec();
    assert_eq!(last, b"an event");
}
