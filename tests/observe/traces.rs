//! Spans and events, collected by a subscriber.
#![allow(clippy::disallowed_types, reason = "the test's own list")]

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use tidelog::testing::{Disk, Fault, Operation};
use tidelog::{Log, Options, SyncPolicy};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// Collects what it is told, as lines: `+span fields` and `-span` for their begin and end, `LEVEL spans: fields` for events.
#[derive(Clone, Default)]
pub struct Collector(Arc<Mutex<Vec<String>>>);

impl Collector {
    pub fn subscriber(&self) -> impl Subscriber + Send + Sync + use<> {
        Registry::default().with(self.clone())
    }

    /// Takes what was collected.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn tell(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Collector {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        assert_eq!(attributes.metadata().target(), "tidelog");
        let mut line = Line(format!("+{}", attributes.metadata().name()));
        attributes.record(&mut line);
        self.tell(line.0);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let spans = context.event_scope(event).into_iter().flatten().map(|span| span.name());
        let spans: Vec<_> = spans.collect();
        let mut line = Line(format!("{} {}:", event.metadata().level(), spans.join("<")));
        event.record(&mut line);
        self.tell(line.0);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.tell(format!("-{}", context.span(&id).map_or("?", |span| span.name())));
    }
}

fn options(disk: &Disk) -> Options {
    Options::new().segment_bytes(4 << 10).sync_policy(SyncPolicy::Immediate).disk(disk)
}

fn fill(log: &Log, records: u64) {
    for n in 0..records {
        log.append_nowait(&[n as u8; 500]).unwrap();
    }
}

/// Lines that begin so.
fn count(lines: &[String], begin: &str) -> usize {
    lines.iter().filter(|line| line.starts_with(begin)).count()
}

#[test]
fn a_life_is_told_and_appends_are_not() {
    let collector = Collector::default();
    tracing::subscriber::with_default(collector.subscriber(), || {
        let disk = Disk::new(5);
        let log = options(&disk).open("/data/log").unwrap();
        let opening = collector.take();
        assert_eq!(opening[..2], ["+open directory=/data/log", "+recovery"], "{opening:?}");
        assert_eq!(opening.last().unwrap(), "-open");
        assert!(count(&opening, "INFO recovery<open: message=recovered report=") == 1, "{opening:?}");

        // A log on a simulated disk has no threads: who needs a segment makes it, and tells.
        fill(&log, 3);
        log.append(b"durable").unwrap();
        let quiet = collector.take();
        assert!(quiet.iter().all(|line| line.contains("prepare")), "{quiet:?}");

        fill(&log, 40);
        let rolling = collector.take();
        let prepared = count(&rolling, "+prepare segment=");
        assert!(prepared > 3 && count(&rolling, "-prepare") == prepared, "{rolling:?}");
        log.sync().unwrap();
        log.upkeep();
        let told = [rolling, collector.take()].concat();
        let sealed = |line: &String| {
            Some(
                line.strip_prefix("DEBUG : message=sealed segments=")?
                    .split(' ')
                    .next()?
                    .parse::<u64>()
                    .unwrap(),
            )
        };
        assert_eq!(told.iter().filter_map(sealed).sum::<u64>(), log.stats().segments_sealed, "{told:?}");

        let before = log.watermarks().published;
        let start = log.retire_before(before).unwrap();
        let retiring = collector.take();
        let expected = [
            format!("+retire before={before}"),
            format!("INFO retire: message=retired start={start}"),
            "-retire".into(),
        ];
        assert_eq!(retiring, expected);

        log.close().unwrap();
        drop(log);
        let closing = collector.take();
        assert_eq!(
            (closing[0].as_str(), closing.last().unwrap().as_str()),
            ("+close directory=/data/log", "-close")
        );
        assert_eq!(count(&closing, "+close"), 1, "closed once: {closing:?}");
    });
}

#[test]
fn a_failed_sync_is_an_error_and_told_once() {
    let collector = Collector::default();
    tracing::subscriber::with_default(collector.subscriber(), || {
        let disk = Disk::new(5);
        let log = options(&disk).open("/data/log").unwrap();
        collector.take();
        disk.fail(Fault::nth(Operation::Flush, 1));
        let error = log.append(b"x").unwrap_err();
        let told = collector.take();
        assert_eq!(count(&told, "ERROR : message=the log takes no more appends error="), 1, "{told:?}");
        assert!(told.iter().any(|line| line.contains(&error.to_string())), "{told:?} lacks {error}");
        log.append(b"y").unwrap_err();
        assert_eq!(count(&collector.take(), "ERROR"), 0);
        log.close().unwrap_err();
        assert_eq!(count(&collector.take(), "WARN close: message=failed"), 1);
    });
}

#[test]
fn a_full_device_is_a_warning() {
    let collector = Collector::default();
    tracing::subscriber::with_default(collector.subscriber(), || {
        let disk = Disk::new(5);
        let log = options(&disk).open("/data/log").unwrap();
        fill(&log, 4);
        disk.set_capacity(disk.used());
        collector.take();
        let full = (0..100).find_map(|_| log.append_nowait(&[0; 500]).err()).unwrap();
        let told = collector.take();
        assert!(count(&told, "WARN : message=no segment could be made ready error=") >= 1, "{told:?}");
        assert!(told.iter().any(|line| line.contains(&full.to_string())), "{told:?} lacks {full}");
    });
}

#[test]
fn what_recovery_cut_off_is_a_warning() {
    let disk = Disk::new(5);
    let log = options(&disk).open("/data/log").unwrap();
    log.append(b"durable").unwrap();
    fill(&log, 3);
    let (mut cut_off, mut whole) = (0, 0);
    for seed in 0..20 {
        let disk = disk.possibilities().cut_at_random(seed).disk();
        let collector = Collector::default();
        tracing::subscriber::with_default(collector.subscriber(), || {
            let log = options(&disk).open("/data/log").unwrap();
            let told = collector.take();
            let cut = log.recovery().truncated_bytes;
            let warned = told.iter().any(|line| {
                line.starts_with("WARN recovery<open: message=recovered, and cut off a torn tail")
                    && line.contains(&format!("truncated_bytes={cut}"))
            });
            assert_eq!(warned, cut > 0, "{told:?}");
            *(if warned { &mut cut_off } else { &mut whole }) += 1;
        });
    }
    assert!(cut_off > 0 && whole > 0, "{cut_off} {whole}");
}

#[test]
fn what_cannot_be_opened_is_told() {
    let collector = Collector::default();
    tracing::subscriber::with_default(collector.subscriber(), || {
        let disk = Disk::new(5);
        let _log = options(&disk).open("/data/log").unwrap();
        collector.take();
        let error = options(&disk).open("/data/log").unwrap_err();
        let told = collector.take();
        assert!(
            told.iter().any(|line| line.starts_with("WARN open:") && line.contains(&error.to_string())),
            "{told:?}"
        );
    });
}
