//! Which threads may have what, and what a panic leaves usable: asserted by the compiler for every public type.

use std::panic::{RefUnwindSafe, UnwindSafe};

#[cfg(feature = "bytes")]
use tidelog::RecordBytes;
use tidelog::{
    BatchLsns, Checksum, Cursor, CursorInfo, CursorState, Error, ErrorKind, Event, Events, Histogram,
    LastClose, Log, LogReader, Lsn, Options, PartitionOptions, Partitions, PinnedRecord, PinnedRecords,
    Record, Records, RecoveryReport, RetentionPolicy, SegmentSnapshot, Snapshot, Stats, SyncPolicy, Tail,
    TailRecords, TornTail, Watcher, Watermarks,
};

/// Shared by threads, sent to others, and looked at again after a panic.
fn free<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}

/// What the assertions are about, by name.
macro_rules! assert_free {
    ($($name:ident $(<$lifetime:lifetime $(, $argument:ty)?>)?),* $(,)?) => {{
        $(free::<$name $(<$lifetime $(, $argument)?>)?>();)*
        vec![$(stringify!($name)),*]
    }};
}

#[test]
fn every_public_type_is_free() {
    let asserted = assert_free![
        BatchLsns<'static, Vec<u8>>,
        Checksum,
        Cursor,
        CursorInfo,
        CursorState,
        Error,
        ErrorKind,
        Event,
        Events,
        Histogram,
        LastClose,
        Log,
        LogReader,
        Lsn,
        Options,
        PartitionOptions,
        Partitions,
        PinnedRecord,
        PinnedRecords<'static>,
        Record<'static>,
        Records<'static>,
        RecoveryReport,
        RetentionPolicy,
        SegmentSnapshot<'static>,
        Snapshot,
        Stats,
        SyncPolicy,
        Tail,
        TailRecords,
        TornTail,
        Watcher,
        Watermarks,
    ];
    #[cfg(feature = "bytes")]
    let asserted = [asserted, assert_free![RecordBytes<'static>]].concat();
    // None is forgotten: what the crate's root exports, but for the alias of `std`'s Result.
    let root = include_str!("../../src/lib.rs");
    let (exports, _) = root.split_once("pub mod testing").unwrap();
    let mut lines = exports.lines().peekable();
    while let Some(line) = lines.next() {
        let skipped = line.contains("#[cfg(feature = \"bytes\")]") && cfg!(not(feature = "bytes"));
        let Some(line) = (if skipped { lines.next().and(None) } else { line.strip_prefix("pub use ") })
        else {
            continue;
        };
        let names = line.trim_end_matches([';', '}']).rsplit("::").next().unwrap().trim_start_matches('{');
        for name in names.split(", ").filter(|name| *name != "Result") {
            assert!(asserted.contains(&name), "{name} is exported and not asserted");
        }
    }
    assert!(asserted.len() >= 22);
}
