//! A segment's file, mapped.

use crate::format::verify::Verifiers;
use crate::region::Region;

/// The mapped part of a segment.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) region: Region,
    pub(crate) verifiers: Verifiers,
    /// Bytes of blocks that the file goes on to have, unless somebody takes them; zero where that is not known.
    pub(crate) owed: u64,
}
