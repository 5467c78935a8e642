//! One thread appends, another follows: how fast, and how soon it sees a record.

use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::drive::payload;
use super::run::{Job, Measured, Outcome};
use crate::log::{Failure, Log, Setup};
use crate::stats::Histogram;

/// The pace at which delays are measured, records a second.
const PACE: u64 = 100_000;

pub fn follow<T: Log>(job: &Job, setup: &Setup) -> Result<Outcome, Failure> {
    let log = T::open(&job.place, setup)?;
    let records = job.bytes / job.work.record_bytes as u64;
    let Some(seconds) = at_full_speed(&log, job.work.record_bytes, records)? else {
        return Ok(Outcome::Unable("nobody can follow it".into()));
    };
    let delays = paced(&log, job.work.record_bytes, (job.seconds * PACE as f64) as u64)?;
    log.close()?;
    Ok(Outcome::Measured(Measured { records, seconds, latency: delays.latency(), ..Measured::default() }))
}

/// Until the follower has seen the last record.
fn at_full_speed<T: Log>(log: &T, record_bytes: usize, records: u64) -> Result<Option<f64>, Failure> {
    let payload = payload(record_bytes);
    let failure = Mutex::new(None);
    let feed = || {
        let failed = (0..records).find_map(|_| log.append(&payload).err());
        *failure.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    };
    let mut seen = 0;
    let began = Instant::now();
    let able = log.follow(&feed, &mut |_| {
        seen += 1;
        seen < records
    })?;
    let seconds = began.elapsed().as_secs_f64();
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(failure) => Err(failure),
        None => Ok(able.then_some(seconds)),
    }
}

/// Each record holds the time of its appending.
fn paced<T: Log>(log: &T, record_bytes: usize, records: u64) -> Result<Histogram, Failure> {
    let start = Instant::now();
    let failure = Mutex::new(None);
    let feed = || {
        let mut payload = payload(record_bytes.max(8));
        for number in 0..records {
            let due = Duration::from_nanos(number * 1_000_000_000 / PACE);
            while start.elapsed() < due {
                std::hint::spin_loop();
            }
            payload[..8].copy_from_slice(&(start.elapsed().as_nanos() as u64).to_le_bytes());
            if let Err(failed) = log.append(&payload) {
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failed);
                return;
            }
        }
    };
    let delays = RefCell::new(Histogram::new());
    let mut seen = 0;
    // What the first part left behind is all read by now: the follower begins at the end.
    log.follow(&feed, &mut |payload| {
        let now = start.elapsed().as_nanos() as u64;
        if let Some(then) = payload.first_chunk::<8>() {
            delays.borrow_mut().record(now.saturating_sub(u64::from_le_bytes(*then)));
        }
        seen += 1;
        seen < records
    })?;
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(failure) => Err(failure),
        None => Ok(delays.into_inner()),
    }
}
