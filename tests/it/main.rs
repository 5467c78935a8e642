//! The integration tests, in one binary.

mod behaviour;
mod large;
mod powercut;
