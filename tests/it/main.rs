//! The integration tests, in one binary.

mod append;
mod behaviour;
mod corruption;
mod support;
