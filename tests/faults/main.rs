//! What can fail around the log fails here for real: system calls, syncs, space, processes.
#![allow(
    clippy::disallowed_types,
    reason = "the rule is for the library, which the model checker looks into"
)]

#[path = "../support/sparse.rs"]
mod sparse;
#[path = "../support/mod.rs"]
mod support;

mod follow;
mod fork;
mod full_disk;
mod lifecycle;
mod long_logs;
mod opening;
mod readers;
mod sync_errors;
mod syscalls;
