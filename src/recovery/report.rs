//! What recovery found, for people and programs.

use core::fmt;
use core::time::Duration;

use crate::lsn::Lsn;

/// How the log was left by its last writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LastClose {
    /// There was no log; it was created.
    Created,
    /// It was closed: nothing had to be looked for.
    Clean,
    /// Its process died and the machine lived on: everything that was published is there.
    ProcessDied,
    /// The machine restarted since: what was not durable may be gone.
    MachineRestarted,
}

/// Why bytes at the end of the log were cut away. They were promised to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TornTail {
    /// A claim that was never published, or pages that were never written back, with bytes behind them. After a power cut
    /// those may be what a recycled file held in its earlier life.
    Unpublished,
    /// A frame that does not verify; after a power cut maybe such bytes too.
    Damaged,
}

/// What opening a log found and did. From [`Log::recovery`](crate::Log::recovery).
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// let options = tidelog::Options::new().segment_bytes(1 << 16);
/// let log = options.open(dir.path())?;
/// log.append(b"kept")?;
/// log.close()?;
///
/// let log = options.open(dir.path())?;
/// assert_eq!(log.recovery().last_close, tidelog::LastClose::Clean);
/// assert_eq!(log.recovery().truncated_bytes, 0);
/// println!("{}", log.recovery());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// How the last writer left the log.
    pub last_close: LastClose,
    /// The first LSN that is left.
    pub start: Lsn,
    /// Where the next record goes.
    pub end: Lsn,
    /// Segments with records, sealed ones included.
    pub segments: u64,
    /// Segments that were read; sealed ones are checked when they are read.
    pub segments_scanned: u64,
    /// Records in what was scanned.
    pub records_scanned: u64,
    /// Payload bytes in what was scanned.
    pub bytes_scanned: u64,
    /// Claims that never returned and were turned into padding, with records kept behind them.
    pub holes_skipped: u64,
    /// Bytes behind the end of the log that were cut away: from the end to the last that was written.
    pub truncated_bytes: u64,
    /// Why bytes were cut away, if any were.
    pub torn_tail: Option<TornTail>,
    /// Everything below this was proven durable by the log's own evidence, before recovery synced the rest.
    pub proven_durable: Lsn,
    /// Segments whose sync failed at first and that were written again.
    pub segments_rewritten: u64,
    /// How long it took.
    pub elapsed: Duration,
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.last_close {
            LastClose::Created => "created",
            LastClose::Clean => "closed cleanly",
            LastClose::ProcessDied => "recovered after its process died",
            LastClose::MachineRestarted => "recovered after a restart of the machine",
        };
        write!(
            f,
            "{how}: LSN {} to {} in {} segments, {} scanned ({} records, {} bytes) in {:.3?}",
            self.start,
            self.end,
            self.segments,
            self.segments_scanned,
            self.records_scanned,
            self.bytes_scanned,
            self.elapsed
        )?;
        if self.holes_skipped > 0 {
            write!(f, "; {} claims that never returned skipped", self.holes_skipped)?;
        }
        if let Some(torn) = self.torn_tail {
            let why = match torn {
                TornTail::Unpublished => "never published or never written back",
                TornTail::Damaged => "torn",
            };
            write!(f, "; {} bytes cut away at LSN {} ({why})", self.truncated_bytes, self.end)?;
        }
        if self.segments_rewritten > 0 {
            write!(f, "; {} segments written again after a failed sync", self.segments_rewritten)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_tells_what_there_is_to_tell_and_no_more() {
        let plain = RecoveryReport {
            last_close: LastClose::Clean,
            start: Lsn::ZERO,
            end: Lsn::new(640),
            segments: 1,
            segments_scanned: 2,
            records_scanned: 3,
            bytes_scanned: 4,
            holes_skipped: 0,
            truncated_bytes: 0,
            torn_tail: None,
            proven_durable: Lsn::ZERO,
            segments_rewritten: 0,
            elapsed: Duration::from_micros(5),
        };
        let text = "closed cleanly: LSN 0 to 640 in 1 segments, 2 scanned (3 records, 4 bytes) in 5.000µs";
        assert_eq!(plain.to_string(), text);
        let all = RecoveryReport {
            holes_skipped: 7,
            truncated_bytes: 8,
            torn_tail: Some(TornTail::Damaged),
            segments_rewritten: 9,
            ..plain
        };
        let more = "; 7 claims that never returned skipped; 8 bytes cut away at LSN 640 (torn); \
                    9 segments written again after a failed sync";
        assert_eq!(all.to_string(), format!("{text}{more}"));
    }
}
