//! A run: random operations on a log on a simulated disk, with its story.

use std::time::Duration;

use tidelog::testing::Disk;
use tidelog::{Checksum, Error, ErrorKind, Log, LogReader, Lsn, Options, Snapshot, SyncPolicy};

use crate::figures::Figures;
use crate::parked::Parked;
use crate::random::Random;
use crate::story::{Story, Unit};

/// Where the log lies on its disk.
pub const PLACE: &str = "/data/log";

/// A log in use, and what was done to it.
#[derive(Debug)]
pub struct Run {
    pub disk: Disk,
    pub story: Story,
    log: Option<Log>,
    random: Random,
    segment_bytes: u64,
    held: Vec<Snapshot>,
    reader: Option<LogReader>,
    parked: Option<Parked>,
    /// The unit whose claim is parked, by its place in the story.
    parked_unit: usize,
    /// An operation failed in a way that the log announces; what comes after fails too.
    pub ended: Option<ErrorKind>,
}

fn policy(random: &mut Random) -> SyncPolicy {
    match random.below(4) {
        0 => SyncPolicy::None,
        1 => SyncPolicy::Immediate,
        2 => SyncPolicy::Grouped { window: Duration::ZERO },
        _ => SyncPolicy::periodic(Duration::from_secs(1)),
    }
}

impl Run {
    /// A log on an empty disk, not opened yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let segment_bytes = if random.once_in(3) { 8 << 10 } else { 4 << 10 };
        Self::with(Disk::new(random.word()), Story::default(), random, segment_bytes)
    }

    /// A run that goes on with what a crash left.
    #[must_use]
    pub fn after(disk: Disk, random: Random, segment_bytes: u64) -> Self {
        Self::with(disk, Story::default(), random, segment_bytes)
    }

    /// The story so far, once it is known what the crash left. What the opening found is durable from now on.
    pub fn go_on(&mut self, story: Story) {
        self.story = story;
        if let Some(log) = &self.log {
            self.story.note_durable(self.disk.moment(), log.watermarks().durable);
        }
    }

    #[must_use]
    pub fn has_log(&self) -> bool {
        self.disk.files().iter().any(|(path, _)| path.ends_with("log.meta"))
    }

    fn with(disk: Disk, story: Story, random: Random, segment_bytes: u64) -> Self {
        Self {
            disk,
            story,
            log: None,
            random,
            segment_bytes,
            held: Vec::new(),
            reader: None,
            parked: None,
            parked_unit: 0,
            ended: None,
        }
    }

    #[must_use]
    pub fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// What opens the log as it is, in every way that does not matter to what is found.
    #[must_use]
    pub fn options(segment_bytes: u64, random: &mut Random, disk: &Disk) -> Options {
        let checksum = if random.once_in(2) { Checksum::Crc32c } else { Checksum::Crc64 };
        let options =
            Options::new().segment_bytes(segment_bytes).checksum(checksum).sync_policy(policy(random));
        let options = match random.below(3) {
            0 => options.zero_fill_bytes(0),
            1 => options.zero_fill_bytes(4096),
            _ => options,
        };
        options.recycle_max(random.below(3) as usize).disk(disk)
    }

    /// Opens the log, closing it first where it is open.
    ///
    /// # Errors
    /// That of the opening.
    pub fn open(&mut self, figures: &mut Figures) -> Result<(), Error> {
        self.settle();
        self.held.clear();
        self.disk.set_capacity(u64::MAX);
        if let Some(log) = self.log.take() {
            let closed = log.close();
            self.note(&log);
            if let Err(error) = closed {
                self.ended = Some(error.kind());
                return Err(error);
            }
        }
        let options = Self::options(self.segment_bytes, &mut self.random, &self.disk);
        let log = options.open(PLACE)?;
        figures.openings += 1;
        figures.note_policy(log.sync_policy());
        self.story.note_durable(self.disk.moment(), log.watermarks().durable);
        self.log = Some(log);
        Ok(())
    }

    #[must_use]
    pub fn log(&self) -> Option<&Log> {
        self.log.as_ref()
    }

    fn note(&mut self, log: &Log) {
        self.story.note_durable(self.disk.moment(), log.watermarks().durable);
    }

    fn payload(&mut self) -> Vec<u8> {
        let most = self.segment_bytes / 4 - 16;
        let len = match self.random.below(16) {
            0 => 0,
            1 => most,
            2 => self.random.below(most),
            3..=7 => self.random.below(600).min(most),
            _ => self.random.below(160),
        };
        // Different in every record, and never long stretches of zeros or of what looks like frames.
        let mut bytes = Random::new(self.random.word());
        (0..len).map(|_| bytes.word() as u8).collect()
    }

    /// Carries out so many operations; stops early when the log has ended.
    pub fn go(&mut self, operations: u64, figures: &mut Figures) {
        for _ in 0..operations {
            if self.ended.is_some() || self.log.is_none() {
                break;
            }
            self.step(figures);
        }
    }

    fn step(&mut self, figures: &mut Figures) {
        let Some(log) = self.log.clone() else { return };
        let acks_durable = matches!(log.sync_policy(), SyncPolicy::Immediate | SyncPolicy::Grouped { .. });
        // While a claim is parked, nobody can wait for durability behind it.
        let claimed = log.watermarks().claimed.get();
        if self.parked.as_ref().is_some_and(|parked| claimed - parked.near > 4 * self.segment_bytes) {
            // The log cannot grow by more than seven segments behind an open claim.
            self.settle();
        }
        let may_wait = self.parked.is_none();
        let outcome = match self.random.below(24) {
            0..=7 => self.append(&log, acks_durable && may_wait),
            8..=10 => self.append_batch(&log, acks_durable, may_wait),
            11 if may_wait || !acks_durable => self.append_with(&log),
            12 => self.abort(&log, figures),
            13..=15 if may_wait => log.sync(),
            16 => {
                log.upkeep();
                Ok(())
            }
            17 | 18 => self.retire(&log, figures),
            19 if may_wait && self.random.once_in(2) => self.open(figures),
            20 => {
                self.pin(&log);
                Ok(())
            }
            21 if self.parked.is_none() && self.random.once_in(2) => self.park(&log, figures),
            22 => {
                self.settle();
                Ok(())
            }
            23 if self.random.once_in(3) => {
                self.change_capacity();
                Ok(())
            }
            _ => self.append_nowait(&log),
        };
        if let Some(log) = &self.log.clone() {
            self.note(log);
        }
        if let Err(error) = outcome {
            match error.kind() {
                ErrorKind::StorageFull => figures.full += 1,
                kind => self.ended = Some(kind),
            }
        }
    }

    fn begin(&mut self, payloads: Vec<Vec<u8>>) -> usize {
        let records = payloads.into_iter().map(|payload| (0, payload)).collect();
        let begun = self.disk.moment();
        self.story.units.push(Unit { lsn: None, records, begun, returned: None });
        self.story.units.len() - 1
    }

    /// Notes the outcome of an append.
    fn end(&mut self, unit: usize, outcome: Result<Vec<Lsn>, Error>) -> Result<(), Error> {
        let moment = self.disk.moment();
        match outcome {
            Ok(lsns) => {
                let unit = &mut self.story.units[unit];
                unit.lsn = lsns.first().map(|lsn| lsn.get());
                for (record, lsn) in unit.records.iter_mut().zip(&lsns) {
                    record.0 = lsn.get();
                }
                unit.returned = Some(moment);
                Ok(())
            }
            Err(error) => {
                // After a failed sync the record may be found; after the other errors nothing was appended.
                if error.kind() != ErrorKind::Poisoned {
                    self.story.units.remove(unit);
                }
                Err(error)
            }
        }
    }

    fn append(&mut self, log: &Log, wait: bool) -> Result<(), Error> {
        let payload = self.payload();
        let unit = self.begin(vec![payload.clone()]);
        let outcome = if wait { log.append(&payload) } else { log.append_nowait(&payload) };
        self.end(unit, outcome.map(|lsn| vec![lsn]))
    }

    fn append_nowait(&mut self, log: &Log) -> Result<(), Error> {
        self.append(log, false)
    }

    fn append_with(&mut self, log: &Log) -> Result<(), Error> {
        let payload = self.payload();
        let unit = self.begin(vec![payload.clone()]);
        let outcome = log.append_with(payload.len(), |buffer| buffer.copy_from_slice(&payload));
        self.end(unit, outcome.map(|lsn| vec![lsn]))
    }

    fn append_batch(&mut self, log: &Log, acks_durable: bool, may_wait: bool) -> Result<(), Error> {
        if acks_durable && !may_wait {
            return self.append_nowait(log);
        }
        let count = 2 + self.random.below(4);
        let most = self.segment_bytes as usize / 4 / count as usize - 24;
        let mut payloads = Vec::new();
        for _ in 0..count {
            let mut payload = self.payload();
            payload.truncate(most);
            payloads.push(payload);
        }
        let unit = self.begin(payloads.clone());
        let outcome = log.append_batch(&payloads).map(Iterator::collect);
        self.end(unit, outcome)
    }

    /// A closure that panics: its claim becomes padding.
    fn abort(&mut self, log: &Log, figures: &mut Figures) -> Result<(), Error> {
        let len = self.random.below(200) as usize;
        let filled = self.random.below(len as u64 + 1) as usize;
        figures.aborts += 1;
        let log = log.clone();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            log.append_with(len, |buffer| {
                buffer[..filled].fill(0xa5);
                std::panic::resume_unwind(Box::new("on purpose"));
            })
        }));
        panicked.map_or(Ok(()), |outcome| outcome.map(|_| ()))
    }

    fn retire(&mut self, log: &Log, figures: &mut Figures) -> Result<(), Error> {
        let marks = log.watermarks();
        let span = marks.claimed.get() - marks.start.get();
        let wanted = marks.start.get() + self.random.below(span + 1);
        self.story.begin_retirement(self.disk.moment(), wanted & !(self.segment_bytes - 1));
        let outcome = log.retire_before(Lsn::new(wanted));
        self.story.end_retirement(self.disk.moment(), outcome.as_ref().ok().copied());
        outcome.map(|start| figures.retired += u64::from(start > marks.start))
    }

    /// Holds segments, here or as another process would, or lets them go.
    fn pin(&mut self, log: &Log) {
        match self.random.below(4) {
            // A snapshot waits for what is being written.
            0 if self.parked.is_none() => self.held.push(log.snapshot()),
            1 => self.held.clear(),
            2 => self.reader = None,
            _ => {
                self.reader = LogReader::open_on(&self.disk, PLACE).ok();
                if let Some(snapshot) = self.reader.as_ref().and_then(|reader| reader.snapshot().ok()) {
                    // Maps the files.
                    let _ = snapshot.iter().count();
                }
            }
        }
    }

    /// Leaves little room, or a little more, or all of it.
    fn change_capacity(&mut self) {
        let room = self.random.below(4) * self.segment_bytes;
        self.disk.set_capacity(if self.random.once_in(2) { self.disk.used() + room } else { u64::MAX });
    }

    /// A claim that stays open while others append.
    fn park(&mut self, log: &Log, figures: &mut Figures) -> Result<(), Error> {
        let mut payload = self.payload();
        // Its LSN may never be known, so it is told from others by what it says.
        payload.resize(payload.len().max(16), 0x5a);
        self.parked_unit = self.begin(vec![payload.clone()]);
        self.parked = Parked::begin(log, payload);
        if self.parked.is_none() {
            self.story.units.remove(self.parked_unit);
        } else {
            figures.parked += 1;
        }
        Ok(())
    }

    /// Lets a parked claim publish.
    pub fn settle(&mut self) {
        if let Some(parked) = self.parked.take() {
            let outcome = parked.finish();
            // An error is that of waiting for durability: the log has ended, which the next operation finds.
            let _ = self.end(self.parked_unit, outcome.map(|lsn| vec![lsn]));
        }
    }

    /// Ends the run as a crash does: nothing more reaches the disk. Returns the moment of the end too.
    #[must_use]
    pub fn crash(mut self) -> (Disk, Story, u64) {
        let end = self.disk.moment();
        self.disk.power_off();
        self.settle_after_power_off();
        self.held.clear();
        self.log = None;
        (self.disk, self.story, end)
    }

    fn settle_after_power_off(&mut self) {
        if let Some(parked) = self.parked.take() {
            // It never returned, as far as the story goes; its LSN is the one thing that is still of interest.
            if let Ok(lsn) = parked.finish() {
                let unit = &mut self.story.units[self.parked_unit];
                unit.lsn = Some(lsn.get());
                unit.records[0].0 = lsn.get();
            }
        }
    }
}
