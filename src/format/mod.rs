//! Bytes on disk: what `docs/FORMAT.md` describes. Everything here is pure and takes untrusted bytes.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)
)]

pub(crate) mod bytes;
pub(crate) mod checksum;
mod crc;
pub(crate) mod cursor;
pub(crate) mod frame;
pub(crate) mod header;
pub(crate) mod meta;
pub(crate) mod name;
pub(crate) mod root;
pub(crate) mod signal;
pub(crate) mod verify;
