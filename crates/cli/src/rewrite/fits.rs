//! Whether records can keep their LSNs in smaller segments.

use indicatif::ProgressBar;

use super::source::{Source, Unit};
use crate::exit::Fail;

/// Bytes from the beginning of a frame to the next.
fn frame_bytes(payload: &[u8]) -> u64 {
    (payload.len() as u64 + 16).next_multiple_of(8)
}

/// Where a unit ends.
fn end(unit: Unit<'_>) -> u64 {
    match unit {
        Unit::Record(lsn, payload) => lsn + frame_bytes(payload),
        Unit::Batch(records) => records.last().map_or(0, |(lsn, payload)| lsn + frame_bytes(payload)),
    }
}

/// Reads all of the source; refuses before anything is written.
pub(super) fn check(source: &Source, segment_bytes: u64) -> Result<(), Fail> {
    if !segment_bytes.is_power_of_two() {
        // The new log's own check has the words for it.
        return Ok(());
    }
    let most = (segment_bytes / 4).min(128 << 20);
    let judge = &mut |unit: Unit<'_>| {
        let (from, to) = (unit.lsn(), end(unit));
        let bytes = to - from;
        let why = if bytes > most {
            format!("is of {bytes} bytes, and such segments take {most} at most; give larger ones")
        } else if from / segment_bytes != (to - 1) / segment_bytes {
            "would cross the end of a segment; give larger ones, or let records get new LSNs with --lsns map"
                .to_owned()
        } else {
            return Ok(());
        };
        let what = if matches!(unit, Unit::Record(..)) { "record" } else { "batch" };
        Err(Fail::Usage(format!(
            "with segments of {segment_bytes} bytes the {what} at LSN {from} {why}; nothing was written"
        )))
    };
    source.read(&ProgressBar::hidden(), judge).map(drop)
}
