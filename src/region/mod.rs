//! Mapped bytes of one segment file, accessed by offset, with the ordering in the method's name.
//!
//! Words are read and written atomically. Slices are given out by `unsafe` methods whose contract is
//! exclusion; the proof tokens in `segment` are their only callers.

#[cfg(not(tidelog_loom))]
mod mapped;
#[cfg(tidelog_loom)]
mod shadow;

#[cfg(not(tidelog_loom))]
pub(crate) use mapped::Region;
#[cfg(all(feature = "testing", not(tidelog_loom)))]
pub(crate) use mapped::Simulated;
#[cfg(tidelog_loom)]
pub(crate) use shadow::Region;
