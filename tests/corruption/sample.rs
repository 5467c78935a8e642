//! Logs to be damaged, and all that is known about them.

use std::collections::BTreeMap;

use tidelog::{Checksum, Log, Options, SyncPolicy};

use crate::support::{
    HEADER, SEGMENT, another_boot, crash_files, eventually, files, frame_bytes, options, payload, scratch,
    segment_name,
};

pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// How a log was made, and how it ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) segments: u64,
    /// So many segments before these were retired.
    pub(crate) retired: u64,
    pub(crate) closed: bool,
    pub(crate) another_boot: bool,
    pub(crate) checksum: Checksum,
    pub(crate) acks_durable: bool,
}

/// A frame as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub(crate) lsn: u64,
    pub(crate) end: u64,
    /// Bytes from `lsn` on that mean something.
    pub(crate) meaningful: u64,
    /// `None` for padding.
    pub(crate) payload: Option<Vec<u8>>,
    /// Where its batch begins and ends; itself, where it is no batch.
    pub(crate) unit: (u64, u64),
    /// How far the log was durable when it was claimed.
    pub(crate) durable_before: u64,
}

/// A log and what is known about it.
pub(crate) struct Sample {
    pub(crate) shape: Shape,
    pub(crate) files: Files,
    pub(crate) elements: Vec<Element>,
    /// Everything below was acknowledged as durable.
    pub(crate) durable: u64,
    /// Earlier states of the same files.
    pub(crate) older: Vec<Files>,
    pub(crate) options: Options,
}

/// A record's LSN, its payload, its batch, and how far the log was durable before.
type Appended = (u64, Vec<u8>, (u64, u64), u64);

struct Builder {
    records: Vec<Appended>,
    number: u64,
}

impl Builder {
    fn one(&mut self, log: &Log, len: usize, wait: bool) {
        self.number += 1;
        let bytes = payload(self.number, len);
        let durable = log.watermarks().durable.get();
        let lsn = if wait { log.append(&bytes) } else { log.append_nowait(&bytes) }.unwrap().get();
        self.records.push((lsn, bytes, (lsn, lsn + frame_bytes(len)), durable));
    }

    fn batch(&mut self, log: &Log, lens: &[usize]) {
        let payloads: Vec<_> = lens.iter().map(|len| payload(self.number + *len as u64, *len)).collect();
        self.number += lens.len() as u64;
        let durable = log.watermarks().durable.get();
        let lsns: Vec<u64> = log.append_batch(&payloads).unwrap().map(|lsn| lsn.get()).collect();
        let unit = (lsns[0], lsns.last().unwrap() + frame_bytes(*lens.last().unwrap()));
        for (lsn, bytes) in lsns.into_iter().zip(payloads) {
            self.records.push((lsn, bytes, unit, durable));
        }
    }

    /// Appends until the log reaches `to`. `small`: the frames of a log of which every bit is looked at.
    fn fill(&mut self, log: &Log, to: u64, small: bool, wait: bool) {
        let batches = wait || !log.sync_policy().acknowledges_durable();
        let lens: &[usize] =
            if small { &[24, 0, 300, 7, 8, 1000, 64, 555] } else { &[512, 40, 3000, 0, 129, 7000, 1024] };
        let mut turn = 0;
        while log.watermarks().claimed.get() < to {
            self.one(log, lens[turn % lens.len()], wait);
            if turn % 5 == 2 && batches {
                self.batch(log, &[turn % 50, 16, 400]);
            }
            turn += 1;
        }
    }

    /// The frames, padding included: what no record takes is padding up to the segment's end, and from its base.
    fn elements(self, start: u64) -> Vec<Element> {
        let mut all: Vec<Element> = Vec::new();
        let mut at = start;
        for (lsn, payload, unit, durable_before) in self.records.into_iter().filter(|r| r.0 >= start) {
            while at < lsn {
                let end = lsn.min((at + 1).next_multiple_of(SEGMENT));
                let meaningful = (end - at).min(16);
                all.push(Element {
                    lsn: at,
                    end,
                    meaningful,
                    payload: None,
                    unit: (at, end),
                    durable_before,
                });
                at = end;
            }
            at = lsn + frame_bytes(payload.len());
            let meaningful = 16 + payload.len() as u64;
            all.push(Element { lsn, end: at, meaningful, payload: Some(payload), unit, durable_before });
        }
        all
    }
}

impl Sample {
    pub(crate) fn new(shape: Shape) -> Self {
        let dir = scratch();
        let policy = if shape.acks_durable { SyncPolicy::grouped() } else { SyncPolicy::None };
        let options = options(policy).checksum(shape.checksum);
        let small = shape.segments == 1;
        let total = SEGMENT * (shape.segments + shape.retired);
        let mut builder = Builder { records: Vec::new(), number: 0 };
        let mut older = Vec::new();
        // The first opening is closed; the second goes on in the same segment.
        let log = options.open(dir.path()).unwrap();
        builder.fill(&log, total - SEGMENT * 2 / 3, small, true);
        if shape.retired > 0 {
            log.retire_before(tidelog::Lsn::new(shape.retired * SEGMENT)).unwrap();
        }
        log.sync().unwrap();
        older.push(crash_files(dir.path()));
        log.close().unwrap();
        older.push(files(dir.path()));
        let log = options.open(dir.path()).unwrap();
        older.push(crash_files(dir.path()));
        builder.fill(&log, total - SEGMENT / 5, small, true);
        log.sync().unwrap();
        let durable = log.watermarks().durable.get();
        older.push(crash_files(dir.path()));
        builder.fill(&log, total - 3000, small, false);
        let end = log.watermarks().claimed.get();
        assert_eq!(log.watermarks().durable.get(), durable);
        let start = shape.retired * SEGMENT;
        let numbers = shape.retired..shape.retired + shape.segments;
        let mut all = if shape.closed {
            log.close().unwrap();
            files(dir.path())
        } else {
            let sealed = numbers.clone().take(shape.segments as usize - 1).map(segment_name);
            let paths: Vec<_> = sealed.map(|name| dir.path().join(name)).collect();
            eventually("the full segments are marked durable", || {
                paths.iter().all(|path| std::fs::read(path).unwrap()[520] == 1)
            });
            crash_files(dir.path())
        };
        drop(log);
        // Without what is prepared ahead: it is not there yet, or not any more.
        let names: Vec<String> = numbers.map(segment_name).collect();
        for files in older.iter_mut().chain([&mut all]) {
            files.retain(|name, _| names.contains(name) || name == "log.meta");
            if shape.another_boot {
                another_boot(files);
            }
        }
        let durable = if shape.closed { end } else { durable };
        let elements = builder.elements(start);
        assert_eq!(elements.last().unwrap().end, end);
        Self { shape, files: all, elements, durable, older, options }
    }

    pub(crate) fn records(&self) -> usize {
        self.elements.iter().filter(|element| element.payload.is_some()).count()
    }
}

/// Where an LSN stands: the segment's file, and the offset in it.
pub(crate) fn locate(lsn: u64) -> (String, u64) {
    (segment_name(lsn / SEGMENT), HEADER + lsn % SEGMENT)
}
