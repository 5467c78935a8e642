//! A segment's file, mapped.

use crate::format::verify::Verifiers;
use crate::region::Region;

/// The mapped part of a segment.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) region: Region,
    pub(crate) verifiers: Verifiers,
    /// The file never has fewer blocks than this, unless somebody else takes them; zero where that is not known.
    pub(crate) blocks_owed: u64,
}
