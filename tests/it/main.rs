//! The integration tests, in one binary.

mod append;
mod architecture;
mod auto_traits;
mod batches;
mod behaviour;
mod corruption;
mod damaged_files;
mod decisions;
mod descriptors;
mod documents;
mod evidence;
mod follow;
mod golden;
mod handles;
mod hostile;
mod large;
mod lifetimes;
mod model;
mod owned;
mod policy;
mod powercut;
mod reading;
mod recovery;
mod retire;
mod stats;
mod support;
