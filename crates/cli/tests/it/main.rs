//! Runs the real command against real logs.

mod damage;
mod live;
mod port;
mod reading;
mod support;
mod transcript;
mod writing;
