//! One piece of work on one log, in a process of its own.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::drive::{Phase, drive};
use super::{Kind, Work, filled, follow, verify};
use crate::counters::{self, Calls, Device, Reading};
use crate::log::{Failure, Log, Promise, Setup};
use crate::stats::Latency;

/// What a child process is asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    pub log: String,
    pub work: Work,
    pub pass: Pass,
    /// For the log's files.
    pub place: PathBuf,
    /// Where the answer is written to.
    pub answer: PathBuf,
    /// How long it appends, once warm.
    pub seconds: f64,
    /// How much payload it appends at most, and how much a log has that is filled to be read.
    pub bytes: u64,
    /// Records that the log was filled with.
    pub filled: Option<u64>,
    /// The process ends itself when this is over.
    pub limit_seconds: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pass {
    /// For the throughput.
    Timed,
    /// For what would cost the throughput: latencies of short appends, and system calls.
    Observed,
    /// Writes the log that is read later.
    Fill,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Measured(Measured),
    /// The log has no such thing.
    Unable(String),
    Failed(String),
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    pub promise: Option<Promise>,
    pub records: u64,
    pub seconds: f64,
    /// Nanoseconds of a call.
    pub latency: Option<Latency>,
    pub per_record: Option<PerRecord>,
    /// System calls a record, and the syncs among them.
    pub calls: Option<f64>,
    pub syncs: Option<f64>,
}

/// Means over a timed round, background threads included.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct PerRecord {
    pub faults: f64,
    /// As the kernel attributes writes to the process.
    pub kib_caused: f64,
    /// What the device wrote meanwhile, for whomever.
    pub kib_device: f64,
    pub flushes: f64,
}

/// The ring of a log that recycles is gone through before the clock starts, also where that takes long: its first turn
/// makes the files.
const WARM_BYTES: u64 = 8 * (64 << 20);
/// Logs that are so slow that they come round in no such time have nothing to gain from it.
const WARM_SECONDS: f64 = 1.0;
/// Where nothing is dropped, warming only starts the threads.
const WARM_FRESH_BYTES: u64 = 1 << 20;

pub fn run<T: Log>(job: &Job) -> Result<Outcome, Failure> {
    let setup = job.work.setup(job.bytes + WARM_FRESH_BYTES);
    let Some(promise) = T::promise(&setup) else {
        return Ok(Outcome::Unable("no such mode".into()));
    };
    if promise == Promise::Durable && matches!(job.work.kind, Kind::Append { .. }) {
        // It is measured there, and would take long here.
        return Ok(Outcome::Unable("always waits, see durable".into()));
    }
    match (job.work.kind, job.pass) {
        (_, Pass::Fill) => filled::fill::<T>(job, &setup),
        (Kind::Replay, _) => filled::replay::<T>(job, &setup),
        (Kind::Open, _) => filled::open::<T>(job, &setup),
        (Kind::Follow, _) => follow::follow::<T>(job, &setup),
        (Kind::Verify, _) => verify::verify::<T>(job),
        (_, Pass::Timed) => timed::<T>(job, &setup, promise),
        (_, Pass::Observed) => observed::<T>(job, &setup, promise),
    }
}

fn warm(job: &Job, setup: &Setup) -> Phase {
    // Batches fill files fast enough for a log to learn how large the groups are.
    let batches = job.work.kind == Kind::Batch;
    let bytes = if setup.recycle || batches { WARM_BYTES } else { WARM_FRESH_BYTES };
    // Nobody else comes round the ring at the pace of syncs.
    let seconds = if job.work.waits() && !batches { job.seconds / 4.0 } else { WARM_SECONDS };
    Phase { seconds, bytes, each: false }
}

/// Memory that was used a moment ago. The host of a virtual machine takes back what lies free in it for seconds, and
/// gives it again page by page, at a fifth of the speed: new pages would measure that.
fn have_memory() -> Result<(), Failure> {
    const BYTES: usize = 2 << 30;
    let memory = memmap2::MmapMut::map_anon(BYTES)?;
    // What it takes back are large pages.
    let _ = memory.advise(memmap2::Advice::HugePage);
    Ok(memory.advise(memmap2::Advice::PopulateWrite)?)
}

fn timed<T: Log>(job: &Job, setup: &Setup, promise: Promise) -> Result<Outcome, Failure> {
    if job.work.kind == (Kind::Append { recycle: false }) {
        have_memory()?;
    }
    let device = Device::of(job.place.parent().unwrap_or(&job.place));
    let log = T::open(&job.place, setup)?;
    if drive(&log, &job.work, setup, warm(job, setup))?.unable {
        return Ok(no_batches());
    }
    if job.work.waits() {
        settle();
    }
    let before = Reading::now(device);
    let phase = Phase { seconds: job.seconds, bytes: job.bytes, each: job.work.waits() };
    let driven = drive(&log, &job.work, setup, phase)?;
    let counted = Reading::now(device).since(&before);
    log.close()?;
    let each = |count: u64| count as f64 / driven.records.max(1) as f64;
    Ok(Outcome::Measured(Measured {
        promise: Some(promise),
        records: driven.records,
        seconds: driven.seconds,
        latency: driven.histogram.latency(),
        per_record: Some(PerRecord {
            faults: each(counted.faults),
            kib_caused: each(counted.written) / 1024.0,
            kib_device: each(counted.device_written) / 1024.0,
            flushes: each(counted.flushes),
        }),
        ..Measured::default()
    }))
}

/// Waits until what the opening began in the background is done: the figures of durable appends are of syncs, not of
/// the preparation of segments that a short run never reaches.
fn settle() {
    const QUIET: u32 = 5;
    let mut quiet = 0;
    for _ in 0..500 {
        std::thread::sleep(Duration::from_millis(4));
        quiet = if counters::others_are_idle() { quiet + 1 } else { 0 };
        if quiet == QUIET {
            return;
        }
    }
}

fn no_batches() -> Outcome {
    Outcome::Unable("no batches".into())
}

/// Once with a look at the clock around each append, once more with the kernel counting calls: neither sees the
/// other's cost.
fn observed<T: Log>(job: &Job, setup: &Setup, promise: Promise) -> Result<Outcome, Failure> {
    let mut measured = Measured { promise: Some(promise), ..Measured::default() };
    // It is for ratios and percentiles, and may be shorter.
    let seconds = job.seconds.min(1.0) / 4.0;
    if !job.work.waits() {
        if !setup.recycle {
            have_memory()?;
        }
        let log = T::open(&job.place.join("latency"), setup)?;
        drive(&log, &job.work, setup, warm(job, setup))?;
        let phase = Phase { seconds: seconds * 2.0, bytes: job.bytes, each: true };
        measured.latency = drive(&log, &job.work, setup, phase)?.histogram.latency();
        log.close()?;
    }
    let place = job.place.join("calls");
    let counters = Calls::start();
    let log = T::open(&place, setup)?;
    let warmed = drive(&log, &job.work, setup, warm(job, setup))?;
    if warmed.unable {
        return Ok(no_batches());
    }
    if job.work.waits() {
        settle();
    }
    let before = counters.as_ref().and_then(Calls::read);
    let driven = drive(&log, &job.work, setup, Phase { seconds, bytes: job.bytes, each: false })?;
    let after = counters.as_ref().and_then(Calls::read);
    log.close()?;
    if let Some((before, after)) = before.zip(after) {
        let each = |count: u64| count as f64 / driven.records.max(1) as f64;
        // What starts and ends the threads counts too; it is a dozen calls a thread.
        measured.calls = Some(each(after.0 - before.0));
        measured.syncs = Some(each(after.1 - before.1));
    }
    measured.records = driven.records;
    measured.seconds = driven.seconds;
    verify::all_there::<T>(&place, setup, warmed.records + driven.records)?;
    Ok(Outcome::Measured(measured))
}
