//! The integration tests, in one binary.

mod append;
mod architecture;
mod auto_traits;
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
mod inspect;
mod large;
mod lifetimes;
mod model;
mod owned;
mod policy;
mod powercut;
mod reading;
mod rebuild;
mod recovery;
mod retention;
mod retire;
mod stats;
mod support;
#[path = "../../fuzz/src/walks.rs"]
mod walks;
