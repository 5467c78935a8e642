//! The futures, streams and sinks on real executors: tokio with one thread and with several, smol's, and the local pool of the
//! futures crates.

#![allow(clippy::disallowed_types, reason = "nothing here is explored by a model checker")]

mod cancel;
mod durable;
mod ends;
mod room;
mod sinks;
mod streams;
mod support;
