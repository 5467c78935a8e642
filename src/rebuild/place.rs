//! Where frames go, and what they are made of.

use super::Rebuild;
use super::segment::Unfinished;
use crate::error::{Error, Result};
use crate::format::checksum::{crc, mask};
use crate::format::frame::{self, EXTRA_MAX, Kind, SHORT_PADDING_BYTES, frame_bytes};
use crate::limits::{FRAME_ALIGN, FRAME_HEADER_BYTES, POSITION_MAX};

/// A slice's length fits.
fn len(payload: &[u8]) -> u64 {
    u64::try_from(payload.len()).unwrap_or(u64::MAX)
}

pub(super) fn check_aligned(lsn: u64) -> Result<()> {
    if lsn.is_multiple_of(FRAME_ALIGN) && lsn < POSITION_MAX {
        return Ok(());
    }
    Err(Error::invalid_option(format!("LSN {lsn} is none; give a multiple of {FRAME_ALIGN} below 2^62")))
}

impl Rebuild {
    /// What the records take together.
    fn measure(&self, records: &[&[u8]]) -> Result<u64> {
        let sizes = records.iter().map(|record| frame_bytes(len(record)));
        let bytes = sizes.fold(0, u64::saturating_add);
        if bytes <= self.claim_max {
            return Ok(bytes);
        }
        Err(match records {
            [only] => {
                let limit = self.claim_max.saturating_sub(FRAME_HEADER_BYTES);
                Error::too_large("a record", len(only), limit)
            }
            _ => Error::too_large("a batch", bytes, self.claim_max),
        })
    }

    /// The end of the segment that `lsn` lies in.
    fn segment_end(&self, lsn: u64) -> u64 {
        let rest = lsn.checked_rem(self.meta.segment_bytes).unwrap_or_default();
        lsn.saturating_sub(rest).saturating_add(self.meta.segment_bytes)
    }

    /// Where a record or batch goes that may go anywhere.
    pub(super) fn next_place(&self, records: &[&[u8]]) -> Result<u64> {
        let bytes = self.measure(records)?;
        let end = self.segment_end(self.position);
        Ok(if self.position.saturating_add(bytes) > end { end } else { self.position })
    }

    /// Whether what lies between the position and `to` can be padding.
    pub(super) fn check_gap(&self, to: u64) -> Result<()> {
        check_aligned(to)?;
        let Some(gap) = to.checked_sub(self.position) else {
            return Err(Error::invalid_option(format!(
                "LSN {to} lies before LSN {}, to which the log is written; give LSNs in ascending order",
                self.position
            )));
        };
        // A word alone is padding only at the end of a segment, or at its beginning.
        let at_an_edge = self.segment_end(self.position) == to
            || self.position.checked_rem(self.meta.segment_bytes) == Some(0);
        if gap == SHORT_PADDING_BYTES && !at_an_edge {
            return Err(Error::invalid_option(format!(
                "between LSN {} and {to} there is no room for padding, which takes {FRAME_HEADER_BYTES} bytes inside of a \
                 segment",
                self.position
            )));
        }
        Ok(())
    }

    fn check_place(&self, lsn: u64, bytes: u64) -> Result<()> {
        self.check_gap(lsn)?;
        let (end, segment_end) = (lsn.saturating_add(bytes), self.segment_end(lsn));
        if end > segment_end {
            return Err(Error::invalid_option(format!(
                "what begins at LSN {lsn} would end at LSN {end}, and the segment ends at LSN {segment_end}; use larger \
                 segments, or let the records get other LSNs"
            )));
        }
        check_aligned(end)
    }

    /// Writes a record or a batch.
    pub(super) fn put(&mut self, lsn: u64, records: &[&[u8]]) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let [first, rest @ ..] = records else { return Ok(()) };
        let bytes = self.measure(records)?;
        self.check_place(lsn, bytes)?;
        self.pad_to(lsn)?;
        let kind = if rest.is_empty() { Kind::Record } else { Kind::BatchFirst };
        // A lag would tell what was durable while the log was written; nothing is told of that.
        self.put_frame(kind, EXTRA_MAX, first)?;
        for (index, record) in rest.iter().enumerate() {
            let is_last = index.checked_add(1) == Some(rest.len());
            let kind = if is_last { Kind::BatchLast } else { Kind::BatchMiddle };
            let back = frame::way_back(self.position.saturating_sub(lsn));
            self.put_frame(kind, back, record)?;
        }
        Ok(())
    }

    fn put_frame(&mut self, kind: Kind, extra: u64, payload: &[u8]) -> Result<()> {
        let word = frame::word(kind, len(payload), extra);
        let checksum = crc(self.session.checksum, payload) ^ self.mask(word);
        let next = self.position.saturating_add(frame_bytes(len(payload)));
        self.write(|segment| segment.put(&word.to_le_bytes(), &checksum.to_le_bytes(), payload))?;
        self.advance(next)
    }

    /// Makes padding of what lies between the position and `to`: a frame in each segment.
    pub(super) fn pad_to(&mut self, to: u64) -> Result<()> {
        while self.position < to {
            let end = self.segment_end(self.position).min(to);
            let bytes = end.saturating_sub(self.position);
            let word = frame::word(Kind::Padding, bytes, 0);
            // That of no payload is zero.
            let checksum = self.mask(word).to_le_bytes();
            let checksum = if bytes == SHORT_PADDING_BYTES { &[] } else { checksum.as_slice() };
            let rest = bytes.saturating_sub(FRAME_HEADER_BYTES);
            self.write(|segment| {
                segment.put(&word.to_le_bytes(), checksum, &[])?;
                segment.skip(rest)
            })?;
            self.advance(end)?;
        }
        Ok(())
    }

    fn mask(&self, word: u64) -> u64 {
        mask(self.session.seed(self.meta.log_id), self.position, word)
    }

    /// Writes to the segment of the position, which is begun if need be.
    fn write(&mut self, write: impl FnOnce(&mut Unfinished) -> Result<()>) -> Result<()> {
        let mut segment = match self.current.take() {
            Some(segment) => segment,
            None => self.begin(self.position).inspect_err(|error| self.failed = Some(error.clone()))?,
        };
        let written = write(&mut segment);
        self.current = Some(segment);
        written.inspect_err(|error| self.failed = Some(error.clone()))
    }

    /// Goes on at `next`; what ends there is sealed.
    fn advance(&mut self, next: u64) -> Result<()> {
        let end = self.segment_end(self.position);
        self.position = next;
        if next == end { self.seal().inspect_err(|error| self.failed = Some(error.clone())) } else { Ok(()) }
    }
}
