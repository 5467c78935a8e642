//! The log on file systems of its own: full ones, ones that copy on write, and files that another process cuts.
#![allow(
    clippy::disallowed_types,
    reason = "the rule is for the library, which the model checker looks into"
)]

#[path = "../support/mod.rs"]
mod support;

mod ballast;
mod btrfs;
mod cut;
mod device;
mod figures;
mod full;
mod stages;
mod writer;
