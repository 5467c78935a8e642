//! Runs the real command against real logs.

mod damage;
mod live;
mod reading;
mod repair;
mod support;
mod transcript;
mod writing;
