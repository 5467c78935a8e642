//! What the tests of compression share.

use tempfile::TempDir;
use tidelog::compress::{CompressedLog, Compression, Contents, Dictionary, Packer};
use tidelog::{Options, SyncPolicy};

pub const ALL: [Compression; 4] =
    [Compression::None, Compression::Lz4, Compression::Zstd { level: 1 }, Compression::Zstd { level: 3 }];

pub fn scratch() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub fn options() -> Options {
    Options::new().segment_bytes(1 << 16).sync_policy(SyncPolicy::None)
}

pub fn new_log(packer: Packer) -> (TempDir, CompressedLog) {
    let dir = scratch();
    let log = options().open(dir.path()).unwrap();
    (dir, CompressedLog::new(log, packer))
}

pub fn line(n: u64) -> Vec<u8> {
    format!("{{\"sequence\":{n},\"event\":\"login\",\"client\":\"10.0.{}.{}\"}}", n % 7, n % 13).into_bytes()
}

pub fn lines(range: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    range.map(line).collect()
}

pub fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..bytes)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

pub fn dictionary() -> Dictionary {
    static TRAINED: std::sync::OnceLock<Dictionary> = std::sync::OnceLock::new();
    TRAINED.get_or_init(|| Dictionary::train(&lines(0..2000), 2 << 10).unwrap()).clone()
}

pub fn packed(packer: &Packer, payload: &[u8]) -> Vec<u8> {
    let mut envelope = Vec::new();
    packer.pack(payload, &mut envelope);
    envelope
}

/// The records in an envelope.
pub fn unpacked(packer: &Packer, envelope: &[u8]) -> tidelog::Result<Vec<Vec<u8>>> {
    let mut buffer = Vec::new();
    Ok(match packer.unpack(envelope, &mut buffer)? {
        Contents::One(payload) => vec![payload.to_vec()],
        Contents::Batch(inner) => inner.map(<[u8]>::to_vec).collect(),
    })
}

/// All records of the log, in order.
pub fn all(log: &CompressedLog) -> Vec<Vec<u8>> {
    let snapshot = log.log().snapshot();
    let mut replay = log.replay(&snapshot);
    let mut found = Vec::new();
    while let Some(record) = replay.next().unwrap() {
        found.push(record.payload().to_vec());
    }
    found
}
