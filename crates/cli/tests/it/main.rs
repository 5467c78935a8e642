//! Runs the real command against real logs.

mod damage;
mod damages;
#[cfg(feature = "compress")]
mod decoders;
mod import;
mod live;
mod normal;
mod port;
mod reading;
mod repair;
mod snapshots;
mod support;
mod transcript;
mod writing;
