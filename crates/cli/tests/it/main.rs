//! Runs the real command against real logs.

mod bench;
mod damage;
mod live;
mod map;
mod reading;
mod repair;
mod support;
mod top;
mod transcript;
mod writing;
