//! Work on a log that was written and closed before: replay and opening.

use std::time::Instant;

use super::drive::{Phase, drive};
use super::run::{Job, Measured, Outcome};
use super::{Kind, Work};
use crate::log::{Failure, Log, Promise, Setup};

/// Filling ends here also where the log is not full by then; what is there is read.
const FILL_SECONDS: f64 = 10.0;

pub fn fill<T: Log>(job: &Job, setup: &Setup) -> Result<Outcome, Failure> {
    let log = T::open(&job.place, setup)?;
    let phase = Phase { seconds: FILL_SECONDS, bytes: job.bytes, each: false };
    // Who syncs each append would be read with a handful of records.
    let batches = T::promise(setup) == Some(Promise::Durable);
    let work = if batches { Work { kind: Kind::Batch, ..job.work } } else { job.work };
    let driven = drive(&log, &work, setup, phase)?;
    log.close()?;
    Ok(Outcome::Measured(Measured {
        promise: T::promise(setup),
        records: driven.records,
        seconds: driven.seconds,
        ..Measured::default()
    }))
}

pub fn replay<T: Log>(job: &Job, setup: &Setup) -> Result<Outcome, Failure> {
    let (mut records, mut bytes, mut seen) = (0_u64, 0_u64, 0_u8);
    let wanted = job.filled.unwrap_or(u64::MAX);
    let mut ended = None;
    let began = Instant::now();
    let able = T::replay(&job.place, setup, &mut |payload| {
        records += 1;
        bytes += payload.len() as u64;
        seen ^= payload.first().copied().unwrap_or(0);
        if records == wanted {
            // What closing costs is not reading.
            ended = Some(Instant::now());
        }
    })?;
    let seconds = (ended.unwrap_or_else(Instant::now) - began).as_secs_f64();
    std::hint::black_box(seen);
    if !able {
        return Ok(Outcome::Unable("no replay".into()));
    }
    let expected = job.filled.unwrap_or(records);
    if records != expected || bytes != expected * job.work.record_bytes as u64 {
        return Err(format!("read {records} records with {bytes} bytes, not {expected}").into());
    }
    Ok(Outcome::Measured(Measured { records, seconds, ..Measured::default() }))
}

pub fn open<T: Log>(job: &Job, setup: &Setup) -> Result<Outcome, Failure> {
    let began = Instant::now();
    let log = T::open(&job.place, setup)?;
    let seconds = began.elapsed().as_secs_f64();
    log.close()?;
    Ok(Outcome::Measured(Measured { records: 1, seconds, ..Measured::default() }))
}
