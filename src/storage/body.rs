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
    /// Counts it, as long as it is mapped.
    pub(crate) _counted: Option<Counted>,
}

/// One of the mappings that a directory counts. (The standard `Arc`: the count orders nothing.)
pub(crate) type Counted = std::sync::Arc<()>;
