//! What the tests on the simulated disk share.

use tidelog::testing::{Cut, Disk, Pick, Possibilities};
use tidelog::{Log, Options, SyncPolicy};

pub const PLACE: &str = "/data/log";
pub const SEGMENT: u64 = 4 << 10;

pub fn options(disk: &Disk, policy: SyncPolicy) -> Options {
    Options::new().segment_bytes(SEGMENT).sync_policy(policy).disk(disk)
}

/// The payload of the `n`th record: distinct, and of various sizes.
pub fn payload(n: u64) -> Vec<u8> {
    let mut bytes = format!("record {n} ").into_bytes();
    bytes.resize(bytes.len() + (n as usize * 37) % 300, b'a' + (n % 26) as u8);
    bytes
}

/// What the log holds.
pub fn payloads(log: &Log) -> Vec<Vec<u8>> {
    log.snapshot().iter().map(|record| record.unwrap().payload().to_vec()).collect()
}

/// Fails unless the log holds the records from `first` to some other, all up to `least` included.
pub fn assert_prefix(log: &Log, first: u64, least: u64, what: &str) {
    let found = payloads(log);
    for (n, found) in (first..).zip(&found) {
        assert_eq!(*found, payload(n), "{what}: record {n}");
    }
    assert!(
        first + found.len() as u64 >= least,
        "{what}: {} records from {first}, {least} wanted",
        found.len()
    );
}

/// A power cut that leaves nothing that was not synced.
pub fn nothing(possibilities: &Possibilities) -> Cut {
    possibilities.cut(|_, _| Pick::Version(0), |_| false)
}
