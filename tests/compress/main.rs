//! Compressed records and batches. Needs the features: `cargo test --features lz4,testing,zstd --test compress`.

mod concurrent;
mod crash;
mod golden;
mod hostile;
mod roundtrip;
mod support;
mod whole;
