//! Explores the crash states of tidelog on its simulated disk: every moment of a random run, every way in which the
//! kernel can have written pages back by then, torn or whole; then recovery as it ships, a judgement, more appends,
//! and another crash, three deep.
#![allow(missing_docs, reason = "not published")]

pub mod explore;
pub mod figures;
pub mod oracle;
pub mod parked;
pub mod random;
pub mod run;
pub mod story;
