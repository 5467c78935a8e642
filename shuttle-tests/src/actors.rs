//! The threads of the scenarios: writers, the keeper, readers. What they do in a schedule is chosen with it.

use shuttle::thread::yield_now;
use tidelog::model::{Model, SEGMENT_BYTES, Written};
use tidelog::{Error, ErrorKind, Tail};

use crate::ledger::{Ledger, Record};
use crate::{Met, coin, pick};

const FRAME_HEADER_BYTES: u64 = 16;
/// A claim is at most a quarter of a segment.
const PAYLOAD_MAX: u64 = SEGMENT_BYTES / 4 - FRAME_HEADER_BYTES;
/// So that two fit one claim.
const BATCH_PAYLOAD_MAX: u64 = SEGMENT_BYTES / 8 - FRAME_HEADER_BYTES;

fn frame_bytes(payload: &[u8]) -> u64 {
    FRAME_HEADER_BYTES + (payload.len() as u64).next_multiple_of(8)
}

/// A thread that appends in every way.
#[derive(Clone, Debug)]
pub struct Writer {
    /// Tells its payloads from others'.
    pub id: u8,
    /// So many calls, fewer than sixteen.
    pub appends: u8,
    /// It waits until each of its records is durable.
    pub waits: bool,
    /// Where it notes what returned.
    pub ledger: Ledger,
    /// Where it counts what it met.
    pub met: Met,
}

impl Writer {
    /// Appends until all is done, or `stops_at` says that an error is the end. Other errors leave nothing behind.
    pub fn run(&self, model: &Model, stops_at: impl Fn(&Error) -> bool) {
        for number in 0..self.appends {
            let poisoned = self.ledger.is_poisoned();
            let outcome = self.append(model, number);
            assert!(!poisoned || outcome.is_err(), "an append succeeded after somebody was told of poison");
            match outcome {
                Ok(None) => {}
                Ok(Some(written)) if self.waits => match model.make_durable(written.end) {
                    Ok(()) => {
                        assert!(model.durable() >= written.end);
                        model.assert_durable_is_flushed();
                    }
                    Err(error) => {
                        self.see(model, &error);
                        assert!(stops_at(&error), "{error}");
                        return;
                    }
                },
                Ok(Some(_)) => {}
                Err(error) => {
                    self.see(model, &error);
                    if stops_at(&error) {
                        return;
                    }
                }
            }
        }
    }

    fn see(&self, model: &Model, error: &Error) {
        match error.kind() {
            ErrorKind::Poisoned => self.ledger.told(model),
            ErrorKind::StorageFull => self.met.count("appends without room"),
            ErrorKind::Closed => self.met.count("appends refused"),
            _ => panic!("{error}"),
        }
    }

    fn payload(&self, number: u8, part: u8, max: u64) -> Vec<u8> {
        let mut payload = vec![self.id << 4 | number; 2 + pick(max - 1) as usize];
        payload[0] = part;
        payload
    }

    /// One append of some kind; `None` for one that leaves padding.
    fn append(&self, model: &Model, number: u8) -> Result<Option<Written>, Error> {
        let floor = self.ledger.returned();
        let (written, payloads) = match pick(8) {
            0..4 => {
                let payload = self.payload(number, 0, PAYLOAD_MAX);
                (model.append(&payload)?, vec![payload])
            }
            4 | 5 => {
                let batch = [0, 1].map(|part| self.payload(number, part, BATCH_PAYLOAD_MAX));
                (model.append_batch(&[&batch[0], &batch[1]])?, batch.to_vec())
            }
            6 => {
                let payload = self.payload(number, 0, PAYLOAD_MAX);
                let fill = |place: &mut [u8]| {
                    place.copy_from_slice(&payload);
                    yield_now();
                };
                (model.append_with(payload.len(), fill)?, vec![payload])
            }
            _ => {
                model.abandon(pick(PAYLOAD_MAX))?;
                return Ok(None);
            }
        };
        let mut lsn = written.lsn;
        let mut records = Vec::new();
        for payload in payloads {
            let bytes = frame_bytes(&payload);
            records.push((lsn, payload));
            lsn += bytes;
        }
        assert_eq!(lsn, written.end);
        self.ledger.acknowledge(floor, written.end, records);
        Ok(Some(written))
    }
}

/// The thread that prepares, retires and recycles segments.
#[derive(Clone, Debug)]
pub struct Keeper {
    /// Where it leaves the records that it retires.
    pub ledger: Ledger,
    /// Where it counts what it met.
    pub met: Met,
    /// It also looks when nobody asks. Without this, only wake-ups keep the log going.
    pub looks: bool,
    /// So many segments are to be ready beyond the one that is being written.
    pub ahead: u64,
    /// It retires what was read and durable, or what was published; or nothing.
    pub retires: Option<Retires>,
    /// So many attempts fail for want of room.
    pub failures: u64,
}

/// What may be retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retires {
    /// What was published.
    Published,
    /// What is durable, and was read by the tail.
    ReadAndDurable,
}

impl Keeper {
    /// One that is different in each schedule.
    #[must_use]
    pub fn any(ledger: &Ledger, met: &Met) -> Self {
        let retires = [None, Some(Retires::Published), Some(Retires::ReadAndDurable)][pick(3) as usize];
        let (ledger, met) = (ledger.clone(), met.clone());
        Self { ledger, met, looks: coin(), ahead: pick(3), retires, failures: 0 }
    }

    /// Works until the log is closed.
    pub fn run(mut self, model: &Model) {
        loop {
            let open = if self.looks { model.wait_a_moment() } else { model.wait_demand() };
            if !open {
                return;
            }
            model.advance_published();
            self.retire(model);
            if model.recycle() > 0 {
                self.met.count("recycled");
            }
            let mut wanted = !self.looks || model.segments_ahead() <= self.ahead;
            if wanted && !model.has_slot() {
                // The demand stands, and is looked at again.
                self.met.count("looks without a slot");
            }
            yield_now();
            while wanted && model.has_slot() && !model.is_closed() {
                let room = self.failures == 0;
                self.failures -= u64::from(!room);
                model.attempt(room);
                wanted = room && model.segments_ahead() < self.ahead;
            }
        }
    }

    fn retire(&self, model: &Model) {
        let limit = match self.retires {
            None => return,
            Some(Retires::Published) => model.published(),
            Some(Retires::ReadAndDurable) => model.durable().min(self.ledger.read()),
        };
        // The newest record's segment stays.
        let number = limit.saturating_sub(1) / SEGMENT_BYTES;
        if number > model.start() / SEGMENT_BYTES {
            self.ledger.archive(model.records_below(number * SEGMENT_BYTES));
            model.retire(number);
            self.met.count("retired");
        }
    }
}

/// Syncs a few times; poison ends it.
pub fn sync_often(model: &Model, rounds: u64, ledger: &Ledger) -> Result<(), Error> {
    for _ in 0..rounds {
        if ledger.is_poisoned() {
            break;
        }
        let due = ledger.returned();
        if let Err(error) = model.sync() {
            assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
            ledger.told(model);
            return Err(error);
        }
        assert!(model.durable() >= due, "a sync left out what had returned");
        model.assert_durable_is_flushed();
        yield_now();
    }
    Ok(())
}

/// Follows the log to its end. Returns the records, and whether none was retired before it was read.
pub fn follow(model: &Model, ledger: &Ledger) -> (Vec<Record>, bool) {
    follow_by(model, |from| model.tail(from), |position| ledger.read_to(position))
}

/// The same with durable records, and nobody waits for it. Poison may end it before all was read.
pub fn follow_durable(model: &Model) -> (Vec<Record>, bool) {
    let durable = |position| assert!(model.durable() >= position, "given before it was durable");
    follow_by(model, |from| model.tail_durable(from), durable)
}

fn follow_by(
    model: &Model,
    open: impl Fn(u64) -> Result<Tail, Error>,
    note: impl Fn(u64),
) -> (Vec<Record>, bool) {
    let mut seen: Vec<Record> = Vec::new();
    let mut whole = true;
    let mut from = 0;
    'anew: loop {
        let mut tail = match open(from) {
            Ok(tail) => tail,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Retired, "{error}");
                whole = false;
                from = model.start();
                continue;
            }
        };
        loop {
            match tail.next() {
                Ok(Some(record)) => seen.push((record.lsn().get(), record.payload().to_vec())),
                Ok(None) => return (seen, whole),
                Err(error) if error.kind() == ErrorKind::Poisoned => return (seen, false),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Retired, "{error}");
                    whole = false;
                    from = model.start();
                    continue 'anew;
                }
            }
            note(tail.position().get());
        }
    }
}

/// Takes a snapshot, which holds what had returned, and reads a record by its LSN.
pub fn look(model: &Model, ledger: &Ledger) {
    let known = ledger.acknowledged();
    let snapshot = model.snapshot();
    let found: Vec<Record> = snapshot
        .iter()
        .map(|record| record.expect("a snapshot keeps its records"))
        .map(|record| (record.lsn().get(), record.payload().to_vec()))
        .collect();
    assert!(found.is_sorted());
    for record in known.iter().filter(|(lsn, _)| *lsn >= snapshot.start().get()) {
        assert!(found.contains(record), "a snapshot misses {}, which had returned", record.0);
    }
    if known.is_empty() {
        return;
    }
    let (lsn, payload) = &known[pick(known.len() as u64) as usize];
    match model.read(*lsn) {
        Ok(record) => assert_eq!(record.payload(), payload),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Retired, "{error}"),
    }
}
