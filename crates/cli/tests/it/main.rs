//! Runs the real command against real logs.

#[cfg(feature = "compress")]
mod convert;
mod damage;
mod live;
mod merge;
mod reading;
mod support;
mod transcript;
mod writing;
