//! Mapped bytes of one segment file, accessed by offset, with the ordering in the method's name.
//!
//! Words are read and written atomically. Slices are given out by `unsafe` methods whose contract is
//! exclusion; the proof tokens in `segment` are their only callers.

#[cfg_attr(any(tidelog_loom, tidelog_shuttle), path = "home_shadow.rs")]
mod home;
#[cfg(not(any(tidelog_loom, tidelog_shuttle)))]
mod mapped;
#[cfg(any(tidelog_loom, tidelog_shuttle))]
mod shadow;

pub(crate) use home::Home;
#[cfg(all(feature = "testing", not(any(tidelog_loom, tidelog_shuttle))))]
pub(crate) use mapped::Simulated;
#[cfg(not(any(tidelog_loom, tidelog_shuttle)))]
pub(crate) use mapped::{Region, View, Window};
#[cfg(any(tidelog_loom, tidelog_shuttle))]
pub(crate) use shadow::{Region, View, Window};
