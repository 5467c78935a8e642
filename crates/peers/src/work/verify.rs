//! Nobody is measured doing nothing: what was appended is read again and compared.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::run::{Job, Measured, Outcome};
use crate::log::{Failure, Log, Setup};

const THREADS: usize = 4;
/// Thread, number, and then bytes that follow from both.
const HEAD: usize = 8;
const LONGEST: usize = 2000;

/// Every mode of a log. The first failure ends it.
pub fn verify<T: Log>(job: &Job) -> Result<Outcome, Failure> {
    let mut modes = 0;
    let all = [
        ("without waiting", false, false, 5_000),
        ("dropping old segments", false, true, 5_000),
        ("durable", true, false, 75),
        ("durable, dropping", true, true, 75),
    ];
    let mut records = 0;
    for (mode, durable, recycle, count) in all {
        let setup = Setup {
            durable,
            recycle,
            segment_bytes: 4 << 20,
            threads: THREADS,
            record_bytes: LONGEST,
            bytes_max: (THREADS * count as usize * LONGEST) as u64,
        };
        if T::promise(&setup).is_none() {
            continue;
        }
        modes += 1;
        let place = job.place.join(mode.replace([' ', ','], "-"));
        records += one::<T>(&place, &setup, count).map_err(|failure| format!("{mode}: {failure}"))?;
    }
    if modes == 0 {
        return Ok(Outcome::Unable("only a reference".into()));
    }
    Ok(Outcome::Measured(Measured { records, ..Measured::default() }))
}

fn one<T: Log>(place: &Path, setup: &Setup, count: u32) -> Result<u64, Failure> {
    let log = T::open(place, setup)?;
    let failure = Mutex::new(None);
    std::thread::scope(|scope| {
        for thread in 0..THREADS as u32 {
            let (log, failure) = (&log, &failure);
            scope.spawn(move || {
                if let Err(failed) = append_all(log, setup, thread, count) {
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failed);
                }
            });
        }
    });
    if let Some(failure) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(failure);
    }
    // Batches too, from one thread; some logs have none.
    let batch: Vec<Vec<u8>> = (0..10).map(|number| payload(THREADS as u32, number)).collect();
    let batch: Vec<&[u8]> = batch.iter().map(Vec::as_slice).collect();
    let batched = log.append_batch(&batch)?;
    log.close()?;

    let mut next: HashMap<u32, u32> = HashMap::new();
    let (mut read, mut wrong) = (0, None);
    let able = T::replay(place, setup, &mut |found| {
        read += 1;
        if let Err(problem) = check(found, &mut next, setup.recycle) {
            wrong.get_or_insert(problem);
        }
    })?;
    if !able {
        return Err("it cannot be read again, so nothing is known".into());
    }
    if let Some(wrong) = wrong {
        return Err(wrong.into());
    }
    let mut expected: Vec<(u32, u32)> = (0..THREADS as u32).map(|thread| (thread, count)).collect();
    if batched {
        expected.push((THREADS as u32, 10));
    }
    for (thread, count) in expected {
        let there = next.get(&thread).copied().unwrap_or(0);
        // What was dropped may hold all of a thread that ended early.
        if there != count && !(setup.recycle && there == 0) {
            return Err(format!("of {count} records of one thread, {there} were read again").into());
        }
    }
    if read == 0 {
        return Err("nothing was read again".into());
    }
    Ok(read)
}

fn append_all<T: Log>(log: &T, setup: &Setup, thread: u32, count: u32) -> Result<(), Failure> {
    for number in 0..count {
        log.append(&payload(thread, number))?;
        if setup.recycle && thread == 0 && number % 64 == 0 {
            log.drop_old()?;
        }
    }
    Ok(())
}

fn payload(thread: u32, number: u32) -> Vec<u8> {
    let length = HEAD + (number as usize * 37 + thread as usize) % (LONGEST - HEAD);
    let mut bytes = Vec::with_capacity(length);
    bytes.extend(thread.to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.extend((HEAD..length).map(|index| (index as u32 ^ number.wrapping_mul(31) ^ thread) as u8));
    bytes
}

/// Each thread's records come whole and in order; only the oldest may be missing, and only where they were dropped.
fn check(found: &[u8], next: &mut HashMap<u32, u32>, recycle: bool) -> Result<(), String> {
    let Some((thread, rest)) = found.split_first_chunk::<4>() else {
        return Err(format!("a record of {} bytes that nobody appended", found.len()));
    };
    let Some((number, _)) = rest.split_first_chunk::<4>() else {
        return Err(format!("a record of {} bytes that nobody appended", found.len()));
    };
    let (thread, number) = (u32::from_le_bytes(*thread), u32::from_le_bytes(*number));
    if thread > THREADS as u32 || found != payload(thread, number) {
        return Err(format!("a record of {} bytes came back changed", found.len()));
    }
    let expected = next.get(&thread).copied();
    next.insert(thread, number + 1);
    match expected {
        Some(expected) if expected != number => {
            Err(format!("record {number} follows record {expected} less one"))
        }
        None if number != 0 && !recycle => Err(format!("the first record of a thread is number {number}")),
        _ => Ok(()),
    }
}

/// After a measured run: as many records are there as were appended; fewer where old ones were dropped.
pub fn all_there<T: Log>(place: &Path, setup: &Setup, appended: u64) -> Result<(), Failure> {
    let (mut records, mut odd) = (0, 0);
    let able = T::replay(place, setup, &mut |payload| {
        records += 1;
        odd += u64::from(payload.len() != setup.record_bytes);
    })?;
    let enough = if setup.recycle { records <= appended && records > 0 } else { records == appended };
    if able && (!enough || odd != 0) {
        return Err(format!(
            "{appended} records were appended, {records} read again, {odd} of another length"
        )
        .into());
    }
    Ok(())
}
