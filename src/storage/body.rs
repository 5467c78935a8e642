//! A segment's file, mapped.

use std::fs::File;

use crate::format::verify::Verifiers;
use crate::region::Region;

/// The mapped part of a segment.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) region: Region,
    pub(crate) verifiers: Verifiers,
    /// Kept open by readers in other processes: its shared lock keeps the file from being recycled.
    #[allow(dead_code, reason = "held, not read: its lock lives as long as the mapping")]
    pub(crate) shared_lock: Option<File>,
}
