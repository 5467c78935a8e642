//! Runs the real command against real logs.

mod bench;
#[cfg(feature = "compress")]
mod convert;
mod damage;
mod damages;
#[cfg(feature = "compress")]
mod decoders;
mod import;
mod live;
mod map;
mod merge;
mod normal;
mod port;
mod reading;
mod repair;
mod snapshots;
mod support;
mod top;
mod transcript;
mod writing;
