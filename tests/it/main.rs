//! The integration tests, in one binary.

mod append;
mod behaviour;
mod support;
