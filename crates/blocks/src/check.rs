//! The oracle: what must hold of a log that is opened after a crash.

use std::path::Path;
use std::time::Duration;

use tidelog::{Checksum, LastClose, Log, Options, SyncPolicy};

use crate::child::{Known, Truth};
use crate::mark::Mark;
use crate::payload::Id;
use crate::system::{Context, Outcome, Random};
use crate::writer::SEGMENT_BYTES;

/// What was promised by the time of the crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// All records below are durable.
    pub durable: u64,
    /// The log begins neither before nor behind these.
    pub start_min: u64,
    pub start_max: u64,
}

impl Claims {
    pub fn take(&mut self, mark: Mark) {
        match mark {
            Mark::Durable(lsn) | Mark::Opened(lsn) => self.durable = self.durable.max(lsn),
            Mark::MayStartAt(lsn) => self.start_max = self.start_max.max(lsn),
            Mark::StartsAt(lsn) => self.start_min = self.start_min.max(lsn),
        }
    }

    /// True when whatever satisfies these satisfies `other`.
    pub fn imply(&self, other: &Self) -> bool {
        self.durable >= other.durable
            && self.start_min >= other.start_min
            && self.start_max <= other.start_max
    }
}

/// The recovered records are a prefix, in LSN order, of what was appended, in whole batches, with all that was
/// durable.
pub fn judge(found: &[(u64, Id)], start: u64, truth: &Truth, claims: &Claims) -> Outcome<()> {
    if start < claims.start_min || start > claims.start_max {
        return Err(format!(
            "the log begins at LSN {start}; it may from {} to {}",
            claims.start_min, claims.start_max
        ));
    }
    let mut appended = truth.range(start..);
    for (lsn, id) in found {
        match appended.next() {
            Some((at, Known { id: known, .. })) if at == lsn && known == id => {}
            Some((at, Known { id: known, .. })) => {
                return Err(format!(
                    "found record {id} at LSN {lsn}; what was appended next is {known} at LSN {at}"
                ));
            }
            None => return Err(format!("found record {id} at LSN {lsn}, which was never appended")),
        }
    }
    if let Some((lsn, known)) = appended.next()
        && *lsn < claims.durable
    {
        return Err(format!(
            "record {} at LSN {lsn} is lost, and everything below LSN {} was acknowledged as durable",
            known.id, claims.durable
        ));
    }
    let torn = found.first().is_some_and(|(_, id)| id.index != 0)
        || found.last().is_some_and(|(_, id)| id.index + 1 != id.count);
    if torn { Err("a batch is not whole".to_owned()) } else { Ok(()) }
}

/// What was seen of one crash state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub records: u64,
    /// Of these, acknowledged as durable before the crash.
    pub acknowledged: u64,
    /// Records that had been appended before the crash and are gone.
    pub lost: u64,
    pub torn: u64,
    pub truncated: u64,
}

/// Reads all of a log; every payload must be one that a writer makes.
pub fn read_all(log: &Log) -> Outcome<Vec<(u64, Id)>> {
    let mut found = Vec::new();
    for record in &log.snapshot() {
        let record = record.context("reading")?;
        let id = Id::of(record.payload())
            .ok_or_else(|| format!("the record at LSN {} was never appended", record.lsn()))?;
        found.push((record.lsn().get(), id));
    }
    Ok(found)
}

fn options(random: &mut Random) -> Options {
    let policy = match random.below(4) {
        0 => SyncPolicy::None,
        1 => SyncPolicy::periodic(Duration::from_millis(10)),
        2 => SyncPolicy::grouped(),
        _ => SyncPolicy::Immediate,
    };
    let checksum = if random.one_in(2) { Checksum::Crc64 } else { Checksum::Crc32c };
    Options::new().segment_bytes(SEGMENT_BYTES).sync_policy(policy).checksum(checksum)
}

/// Opens the log of a crash state, in another boot than its last writer's, judges what it finds, appends, closes
/// and opens it again. `crashed_at` is how many events were recorded before the crash.
pub fn recover_and_judge(
    directory: &Path,
    truth: &Truth,
    claims: &Claims,
    crashed_at: usize,
    seed: u64,
) -> Outcome<Seen> {
    let mut random = Random(seed);
    let log = options(&mut random).open(directory).context("opening")?;
    let report = log.recovery().clone();
    if report.last_close == LastClose::ProcessDied {
        return Err("recovery takes the crash for one within this boot".to_owned());
    }
    let mut found = read_all(&log)?;
    let start = report.start.get();
    judge(&found, start, truth, claims).map_err(|error| format!("{error} [{report}]"))?;
    let kept = found.last().map_or(start, |(lsn, _)| lsn + 1);
    let seen = Seen {
        records: found.len() as u64,
        acknowledged: truth.range(start..claims.durable.max(start)).count() as u64,
        lost: truth.range(kept..).filter(|(_, known)| known.at < crashed_at).count() as u64,
        torn: u64::from(report.torn_tail.is_some()),
        truncated: report.truncated_bytes,
    };
    let watermarks = log.watermarks();
    if watermarks.durable < report.end {
        return Err(format!("what recovery kept is not durable: {watermarks:?}"));
    }
    let id =
        Id { run: u16::MAX, thread: 0, unit: 0, index: 0, count: 1, len: 100 + random.below(9_000) as u32 };
    let lsn = log.append(&id.payload()).context("appending")?;
    found.push((lsn.get(), id));
    log.close().context("closing")?;
    drop(log);
    let log = options(&mut random).open(directory).context("opening again")?;
    let again = log.recovery();
    if again.last_close != LastClose::Clean || again.start != report.start {
        return Err(format!("opened again: {again}"));
    }
    if read_all(&log)? != found {
        return Err("opened again, the log holds something else".to_owned());
    }
    log.close().context("closing again")?;
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(unit: u32, index: u16, count: u16) -> Id {
        Id { run: 1, thread: 0, unit, index, count, len: 20 }
    }

    #[test]
    fn the_oracle_knows_right_from_wrong() {
        let all = [(0, id(0, 0, 1)), (40, id(1, 0, 2)), (80, id(1, 1, 2)), (120, id(2, 0, 1))];
        let truth: Truth = all.iter().map(|(lsn, id)| (*lsn, Known { id: *id, at: 0 })).collect();
        let claims = Claims { durable: 41, start_min: 0, start_max: 0 };
        assert!(judge(&all, 0, &truth, &claims).is_ok());
        assert!(judge(&all[..3], 0, &truth, &claims).is_ok());
        let wrong =
            |found: &[(u64, Id)], start, claims: &Claims| judge(found, start, &truth, claims).unwrap_err();
        assert!(wrong(&all[..1], 0, &claims).contains("lost"));
        assert!(wrong(&all[..2], 0, &claims).contains("whole"));
        assert!(wrong(&[all[0], all[3]], 0, &claims).contains("appended next"));
        assert!(wrong(&[all[0], (40, id(9, 0, 1))], 0, &claims).contains("appended next"));
        let invented = [&all[..], &[(160, id(3, 0, 1))]].concat();
        assert!(wrong(&invented, 0, &claims).contains("never appended"));
        assert!(wrong(&all[3..], 120, &claims).contains("begins"));
    }
}
