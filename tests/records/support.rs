//! Logs, and values of every codec.

use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tidelog::{Borrowing, Codec, Options, SyncPolicy, TypedLog};

pub fn options() -> Options {
    Options::new().segment_bytes(1 << 16).sync_policy(SyncPolicy::None)
}

pub fn log<C: Codec>(codec: C) -> (TempDir, TypedLog<C>) {
    let dir = tempfile::tempdir().unwrap();
    let log = TypedLog::open(options(), dir.path(), codec).unwrap();
    (dir, log)
}

/// A value for postcard.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub enum Owned {
    Unit,
    Text(String),
    Many { numbers: Vec<u16>, inner: Option<(i64, bool, char)> },
}

/// One that borrows.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
pub struct Line<'a> {
    pub level: u8,
    pub text: &'a str,
    pub bytes: &'a [u8],
}

#[derive(Debug)]
pub struct Lines;

impl Borrowing for Lines {
    type Of<'a> = Line<'a>;
}

/// A value for rkyv.
#[derive(rkyv::Archive, rkyv::Serialize, Clone, Debug, PartialEq)]
#[rkyv(compare(PartialEq), derive(Debug))]
pub struct Order {
    pub id: u64,
    pub text: String,
    pub parts: Vec<(u8, String)>,
    pub inner: Option<Box<[u32]>>,
}

/// A value for zerocopy.
#[derive(
    zerocopy::TryFromBytes,
    zerocopy::IntoBytes,
    zerocopy::KnownLayout,
    zerocopy::Immutable,
    Clone,
    Debug,
    PartialEq,
)]
#[repr(C)]
pub struct Tick {
    pub at: u64,
    pub side: Side,
    pub flag: bool,
    pub size: [u8; 6],
}

#[derive(
    zerocopy::TryFromBytes,
    zerocopy::IntoBytes,
    zerocopy::KnownLayout,
    zerocopy::Immutable,
    Clone,
    Copy,
    Debug,
    PartialEq,
)]
#[repr(u8)]
pub enum Side {
    Buy = 1,
    Sell = 2,
}
