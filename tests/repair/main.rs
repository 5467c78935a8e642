//! Repairs of logs that are damaged in every way that somebody thought of, and in some at random.

#[path = "../it/support.rs"]
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
mod support;

mod damages;
mod random;
mod to;
mod world;
