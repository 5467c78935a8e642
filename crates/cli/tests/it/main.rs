//! Runs the real command against real logs.

mod damage;
#[cfg(feature = "compress")]
mod decoders;
mod live;
mod port;
mod reading;
mod support;
mod transcript;
mod writing;
