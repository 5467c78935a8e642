//! The log's directory: every file operation of the crate.

mod backend;
mod body;
mod cursor;
mod directory;
mod failure;
mod filesystem;
mod lock;
mod prepare;
mod signal;
mod system;
mod whole;

#[cfg(all(feature = "testing", not(any(tidelog_loom, tidelog_shuttle))))]
pub(crate) use backend::Extent;
pub(crate) use backend::{Access, File, SharedStorage, Storage, StorageFile};
pub(crate) use body::{Body, Counted};
pub(crate) use directory::{Directory, Listing};
pub(crate) use failure::Failure;
pub(crate) use lock::LockSeen;
pub(crate) use prepare::{Preparation, Spare, zero};
pub(crate) use system::{Boot, System};
