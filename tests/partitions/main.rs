//! Many logs under one root: each keeps its guarantees, and none is another's trouble.
#![allow(
    clippy::disallowed_types,
    reason = "the rule is for the library, which the model checker looks into"
)]

#[path = "../support/mod.rs"]
mod support;

mod behaviour;
mod isolation;
mod kill;
mod limits;
#[cfg(feature = "testing")]
mod power;
mod threads;

use std::path::Path;
use std::time::Duration;

use tidelog::{Log, Options, PartitionOptions, Partitions, SyncPolicy};

const POLICIES: [SyncPolicy; 4] = [
    SyncPolicy::None,
    SyncPolicy::Immediate,
    SyncPolicy::periodic(Duration::from_millis(2)),
    SyncPolicy::grouped(),
];

/// Small segments.
fn log_options(policy: SyncPolicy) -> Options {
    Options::new().segment_bytes(1 << 16).sync_policy(policy)
}

fn options(policy: SyncPolicy) -> PartitionOptions {
    PartitionOptions::new().log(log_options(policy))
}

fn open(directory: &Path) -> Partitions {
    options(SyncPolicy::None).open(directory).unwrap()
}

fn contents(log: &Log) -> Vec<Vec<u8>> {
    log.snapshot().iter().map(|record| record.unwrap().payload().to_vec()).collect()
}
