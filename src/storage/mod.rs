//! The log's directory: every file operation of the crate.

mod body;
mod directory;
pub(crate) mod filesystem;
mod lock;
mod prepare;
mod system;
mod whole;

pub(crate) use body::Body;
pub(crate) use directory::{Directory, Listing};
pub(crate) use prepare::{Preparation, Spare, zero};
pub(crate) use system::{Boot, random_u64, unix_nanos};
