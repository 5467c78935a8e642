//! The judge: what an opened log holds, against what the story allows.

use tidelog::{Log, LogReader};

use crate::story::{Claim, Story, Unit};

/// How the run ended before the log was opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The power went: of what was not synced anything may be left.
    Cut,
    /// The process died: every store that it made is there.
    Kill,
}

/// What was found in a log that passed.
#[derive(Debug)]
pub struct Found {
    /// What is there, and what was retired.
    pub kept: Vec<Unit>,
    pub start: u64,
    /// Behind the last record or padding.
    pub end: u64,
    pub records: u64,
}

/// Checks an opened log against the story.
///
/// # Errors
/// What is wrong, in words.
pub fn judge(log: &Log, story: &Story, claim: &Claim, crash: Crash, moment: u64) -> Result<Found, String> {
    let start = log.watermarks().start.get();
    if start < claim.start.0 || start > claim.start.1 {
        return Err(format!("the log starts at {start}; it was retired to {:?}", claim.start));
    }
    let snapshot = log.snapshot();
    let mut found = Vec::new();
    for record in &snapshot {
        let record = record.map_err(|error| format!("a record of the opened log: {error}"))?;
        found.push((record.lsn().get(), record.payload()));
    }
    let mut kept = Vec::new();
    let mut at = 0;
    let mut missing: Option<&Unit> = None;
    let units = story.units.get(..claim.begun).unwrap_or_default();
    for unit in units {
        if unit.lsn.is_some_and(|lsn| lsn < start) {
            // Retired; or in another life not yet.
            kept.push(unit.clone());
            continue;
        }
        let here = found.get(at..at + unit.records.len()).is_some_and(|here| {
            here.iter().zip(&unit.records).all(|((lsn, payload), (expected, bytes))| {
                *payload == bytes.as_slice() && (unit.lsn.is_none() || lsn == expected)
            })
        });
        if here {
            if let (Crash::Cut, Some(missing)) = (crash, missing) {
                return Err(format!("{missing:?} is gone, and {:?} behind it is there", unit.lsn));
            }
            at += unit.records.len();
            kept.push(unit.clone());
            continue;
        }
        if unit.lsn.is_some_and(|lsn| lsn < claim.durable) {
            return Err(format!(
                "the unit at {:?} was durable (below {}) and is gone",
                unit.lsn, claim.durable
            ));
        }
        if crash == Crash::Kill && unit.returned.is_some_and(|returned| returned <= moment) {
            let there: Vec<_> = found.iter().skip(at).map(|(lsn, payload)| (lsn, payload.len())).collect();
            return Err(format!(
                "{unit:?} had returned before the kill and is gone; from here on there are {there:?}"
            ));
        }
        missing = Some(unit);
    }
    if let Some((lsn, payload)) = found.get(at) {
        return Err(format!(
            "at {lsn} stands a record of {} bytes that was never appended there, or a part of a batch",
            payload.len()
        ));
    }
    let marks = log.watermarks();
    if marks.durable < marks.published || marks.durable != log.recovery().end {
        return Err(format!("after opening not all is durable: {marks:?}, {:?}", log.recovery()));
    }
    Ok(Found { kept, start, end: marks.durable.get(), records: found.len() as u64 })
}

/// A reader beside the writer sees what the writer sees.
///
/// # Errors
/// What is wrong, in words.
pub fn judge_reader(log: &Log, reader: &LogReader) -> Result<(), String> {
    let theirs = reader.snapshot().map_err(|error| format!("the reader: {error}"))?;
    let records = |snapshot: &tidelog::Snapshot| {
        let records =
            snapshot.iter().map(|record| record.map(|record| (record.lsn(), record.payload().to_vec())));
        records.collect::<tidelog::Result<Vec<_>>>().map_err(|error| format!("the reader: {error}"))
    };
    if records(&theirs)? == records(&log.snapshot())? {
        Ok(())
    } else {
        Err("the reader sees another log".into())
    }
}
