//! A corrected copy of a segment: what is kept of the original, padding for what is lost, and a header that says so.

use std::io;
use std::path::Path;

use crate::format::checksum::mask;
use crate::format::frame::{self, Kind, SHORT_PADDING_BYTES};
use crate::format::header::Header;
use crate::format::verify::Verifiers;
use crate::limits::HEADER_BYTES;
use crate::storage::{Access, Storage, StorageFile, zero};

/// Bytes copied at a time.
const COPY_BYTES: u64 = 256 << 10;

/// How a segment's file is to be.
#[derive(Clone, Debug)]
pub(super) struct Correction {
    pub(super) header: Header,
    /// The frames that are kept come from the file by that name; without one there are none.
    pub(super) has_source: bool,
    /// Ranges that become padding, by LSN: ascending, apart, within the segment.
    pub(super) pads: Vec<(u64, u64)>,
    /// Where the log is to end in this segment; zeros follow.
    pub(super) end: u64,
}

impl Correction {
    pub(super) fn base(&self) -> u64 {
        self.header.identity.base()
    }

    /// Writes it under another name, durably.
    pub(super) fn write(&self, storage: &dyn Storage, source: &Path, target: &Path) -> io::Result<()> {
        let bytes = self.header.identity.segment_bytes;
        let length = HEADER_BYTES.saturating_add(bytes);
        let file = storage.open(target, Access::Replace)?;
        let active = self.end < self.base().saturating_add(bytes);
        if self.has_source || active {
            // A writer will store into it, or blocks are there to be had.
            if !file.allocate(length)? {
                zero(&*file, 0, length, usize::try_from(COPY_BYTES).unwrap_or_default())?;
            }
        } else {
            // Padding from end to end needs no blocks.
            file.write_all_at(&[0; 8], length.saturating_sub(8))?;
        }
        if self.has_source {
            self.copy(&*storage.open(source, Access::Read)?, &*file)?;
        }
        let verifiers = Verifiers::new(&self.header.identity, &self.header.sessions);
        for (from, to) in &self.pads {
            let length = to.saturating_sub(*from);
            let word = frame::word(Kind::Padding, length, 0);
            let at = self.place(*from);
            file.write_all_at(&word.to_le_bytes(), at)?;
            if length > SHORT_PADDING_BYTES {
                let checksum = mask(verifiers.at(*from).seed, *from, word);
                file.write_all_at(&checksum.to_le_bytes(), at.saturating_add(8))?;
            }
        }
        file.write_all_at(self.header.encode().as_slice(), 0)?;
        file.sync_all()
    }

    fn place(&self, lsn: u64) -> u64 {
        HEADER_BYTES.saturating_add(lsn.saturating_sub(self.base()))
    }

    /// All but the pads, up to the end.
    fn copy(&self, source: &dyn StorageFile, target: &dyn StorageFile) -> io::Result<()> {
        let mut buffer = Vec::new();
        let mut from = self.base();
        for (pad, behind) in self.pads.iter().copied().chain([(self.end, self.end)]) {
            while from < pad {
                let len = pad.saturating_sub(from).min(COPY_BYTES);
                buffer.resize(usize::try_from(len).unwrap_or_default(), 0);
                read_as_far(source, &mut buffer, self.place(from))?;
                target.write_all_at(&buffer, self.place(from))?;
                from = from.saturating_add(len);
            }
            from = behind;
        }
        Ok(())
    }
}

/// Of a file that is too short what is kept may still lack the zeros behind a payload, or the inside of padding.
fn read_as_far(source: &dyn StorageFile, mut buffer: &mut [u8], mut at: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match source.read_at(buffer, at)? {
            0 => {
                buffer.fill(0);
                return Ok(());
            }
            read => {
                at = at.saturating_add(u64::try_from(read).unwrap_or_default());
                buffer = buffer.get_mut(read..).unwrap_or_default();
            }
        }
    }
    Ok(())
}

/// Ranges as padding can stand for them: those that touch become one, and one that is too short for a frame of its own, but at
/// a segment's beginning or end, takes in the frame behind it, whose end `next` tells.
pub(super) fn paddable(
    ranges: &[(u64, u64)],
    segment: (u64, u64),
    mut next: impl FnMut(u64) -> u64,
) -> Vec<(u64, u64)> {
    let mut pads: Vec<(u64, u64)> = Vec::new();
    for (from, mut to) in ranges.iter().copied() {
        if to.saturating_sub(from) == SHORT_PADDING_BYTES && from != segment.0 && to != segment.1 {
            to = next(to).clamp(to, segment.1);
        }
        match pads.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => pads.push((from, to)),
        }
    }
    pads
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_short_for_padding_takes_the_next_frame_in() {
        let next = |at| at + 40;
        assert_eq!(
            paddable(&[(0, 8), (100, 108), (65528, 65536)], (0, 65536), next),
            [(0, 8), (100, 148), (65528, 65536)]
        );
        assert_eq!(paddable(&[(16, 24), (64, 80)], (0, 65536), next), [(16, 80)]);
        assert_eq!(paddable(&[(16, 32), (32, 64), (128, 256)], (0, 65536), next), [(16, 64), (128, 256)]);
        assert_eq!(paddable(&[], (0, 65536), next), []);
    }
}
