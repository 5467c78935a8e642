//! The logs under test. Adding one is a file here and a line in the list.

mod buffered;
mod chunked_wal;
mod commitlog;
mod frame;
mod group;
mod limit;
mod logdb;
mod naive;
mod okaywal;
mod open_wal;
mod prepared;
mod raft_engine;
mod seglog;
#[cfg(test)]
mod tests;
mod tidelog;
mod wal_db;
mod walrus;
mod writeahead;

use serde::{Deserialize, Serialize};

use crate::log::{Failure, Log};
use crate::work::{Job, Kind, Outcome, Work, run};

/// What a log is in the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The one that all are compared with.
    Subject,
    /// A library that others use.
    Peer,
    /// What one would write oneself, in an afternoon or in an hour.
    Baseline,
    /// No log: what the machine gives, to whoever does only the least.
    Limit,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "the subject",
            Self::Peer => "peer",
            Self::Baseline => "baseline",
            Self::Limit => "limit",
        }
    }
}

/// A log, without its type.
pub struct Entry {
    pub key: &'static str,
    pub name: &'static str,
    pub role: Role,
    pub verifies: bool,
    /// Whether it takes part in this work.
    pub takes: fn(&Work) -> bool,
    pub run: fn(&Job) -> Result<Outcome, Failure>,
}

pub fn find(key: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.key == key)
}

macro_rules! logs {
    ($($role:ident $key:literal $log:ty $(, only $takes:expr)?;)*) => {
        /// All, in the order of the tables.
        pub const ALL: &[Entry] = &[$(
            Entry {
                key: $key,
                name: <$log>::NAME,
                role: Role::$role,
                verifies: <$log>::VERIFIES,
                takes: logs!(@takes $role $($takes)?),
                run: run::<$log>,
            },
        )*];
    };
    (@takes Limit $takes:expr) => { $takes };
    (@takes Subject) => { |_| true };
    (@takes Baseline) => { |work| work.kind != Kind::Follow };
    // Not where it takes long and tells little: small records without dropping are for the limit and the baselines.
    (@takes Peer) => { |work| match work.kind {
        Kind::Append { recycle: false } => work.record_bytes >= 10 << 10,
        kind => kind != Kind::Follow,
    } };
}

logs! {
    Subject  "tidelog"    tidelog::Tidelog;
    Limit    "warm"       limit::Warm, only |work| work.kind == Kind::Append { recycle: true };
    Limit    "fresh"      limit::Fresh, only |work| work.kind == Kind::Append { recycle: false };
    Limit    "msync"      limit::Msync, only |work| work.kind == Kind::Durable && work.threads == 1;
    Limit    "scan"       limit::Scan, only |work| work.kind == Kind::Replay;
    Baseline "buffered"   buffered::Buffered;
    Baseline "naive"      naive::Naive;
    Peer     "chunked"    chunked_wal::ChunkedWal;
    Peer     "commitlog"  commitlog::Commitlog;
    Peer     "logdb"      logdb::Logdb;
    Peer     "okaywal"    okaywal::Okaywal;
    Peer     "openwal"    open_wal::OpenWal;
    Peer     "raft"       raft_engine::RaftEngine;
    Peer     "seglog"     seglog::Seglog;
    Peer     "waldb"      wal_db::WalDb;
    Peer     "walrus"     walrus::Walrus;
    Peer     "writeahead" writeahead::Writeahead;
}
