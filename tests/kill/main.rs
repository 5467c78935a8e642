//! A writing process is killed at any moment, again and again, and nothing that it was told is lost (G1, G3, G6).
//!
//! `TIDELOG_KILLS` sets how many kills, `TIDELOG_SEED` repeats a run's random choices.
#![allow(
    clippy::disallowed_types,
    reason = "the rule is for the library, which the model checker looks into"
)]

#[path = "../support/mod.rs"]
mod support;

mod checker;
mod child;
mod cursors;
mod park;
mod random;
mod readers;
mod record;
mod victim;
