//! Readers in processes of their own: what they get, who wakes them, and what they cost (G2, G3, G6).
//!
//! A record's contents follow from its number, and a writer goes on with the number after the last one that it finds. So
//! whoever is killed or stopped, a reader gets each number once, in order, or learns that it was retired.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_types,
    reason = "the rule is for the library, which the model checker looks into"
)]

#[path = "../support/mod.rs"]
mod support;

mod chaos;
mod hostile;
mod idle;
mod people;
