//! The integration tests, in one binary.

mod append;
mod architecture;
mod batches;
mod behaviour;
mod corruption;
mod cursors;
mod damaged_cursors;
mod damaged_files;
mod decisions;
mod descriptors;
mod documents;
mod events;
mod evidence;
mod follow;
mod golden;
mod handles;
mod hostile;
mod large;
mod model;
mod policy;
mod powercut;
mod reading;
mod recovery;
mod retention;
mod retire;
mod support;
