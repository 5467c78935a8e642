//! One sync of the published log.

use core::ops::Range;

use super::Chain;
use crate::error::Result;
use crate::segment::Segment;

impl Chain {
    /// An error when another process cut the file of `segment`.
    pub(crate) fn see_whole(&self, segment: &Segment) -> Result<()> {
        // One that was retired meanwhile has no file any more, and needs none.
        segment.see_whole().or_else(|error| match self.catalog.find(segment.number()) {
            Some(_) => Err(error),
            None => Ok(()),
        })
    }

    /// For those who wait for a claim to be published: an error when its segment's file was cut, because then the
    /// claim's words may be gone, and nobody will store them again.
    pub(crate) fn see_progress_possible(&self) -> Result<()> {
        match self.catalog.find_at(self.published().position()) {
            Some(segment) => self.see_whole(&segment),
            None => Ok(()),
        }
    }

    /// Flushes from `from` to `target`, which is published. `flush` makes a range of a segment's file durable.
    pub(crate) fn flush_published(
        &self,
        from: u64,
        target: u64,
        mut flush: impl FnMut(&Segment, Range<usize>) -> Result<()>,
    ) -> Result<()> {
        let mut at = from;
        // One by one: a view that is held for as long as the flush keeps idle segments from being unmapped. A segment
        // that was retired meanwhile is not there, and needs no sync any more.
        while let Some(segment) = self.catalog.find_from(at) {
            if at >= target || segment.base() >= target {
                break;
            }
            let begin = segment.file_offset(at.max(segment.base()));
            let end = segment.file_offset(target.min(segment.end()));
            if begin < end {
                flush(&segment, begin..end)?;
            }
            at = segment.end().min(target);
        }
        Ok(())
    }
}
