//! The integration tests, in one binary.

mod append;
mod behaviour;
mod corruption;
mod damaged_files;
mod model;
mod policy;
mod reading;
mod retire;
mod support;
