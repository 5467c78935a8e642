//! Which threads may have what, and what a panic leaves usable: asserted by the compiler for every public type.

use std::panic::{RefUnwindSafe, UnwindSafe};

#[cfg(feature = "zerocopy")]
use tidelog::Fixed;
#[cfg(feature = "bytes")]
use tidelog::RecordBytes;
#[cfg(feature = "rkyv")]
use tidelog::Rkyv;
use tidelog::rebuild::{Rebuild, RebuildOptions};
use tidelog::{
    BatchLsns, Checksum, CodecError, Cursor, CursorInfo, CursorState, Error, ErrorKind, Event, Events,
    Histogram, LastClose, Log, LogReader, Lsn, Options, PartitionOptions, Partitions, PinnedRecord,
    PinnedRecords, Record, Records, RecoveryReport, RetentionPolicy, SegmentSnapshot, Snapshot, Stats,
    SyncPolicy, Tail, TailRecords, TornTail, Typed, TypedLog, TypedPinned, TypedReader, TypedRecords,
    TypedSnapshot, TypedTail, Watcher, Watermarks, kv,
};
#[cfg(feature = "postcard")]
use tidelog::{Postcard, PostcardBorrowed};

/// Shared by threads, sent to others, and looked at again after a panic.
fn free<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}

/// A type that no thread may share.
#[cfg(any(feature = "postcard", feature = "rkyv", feature = "zerocopy"))]
type NotFree = std::rc::Rc<std::cell::Cell<u8>>;

/// What the assertions are about, by name.
macro_rules! assert_free {
    ($($name:ident $(<$lifetime:lifetime $(, $argument:ty)?>)? $({$of:ty})?),* $(,)?) => {{
        $(free::<$name $(<$lifetime $(, $argument)?>)? $(<$of>)?>();)*
        vec![$(stringify!($name)),*]
    }};
}

#[test]
fn every_public_type_is_free() {
    let asserted = assert_free![
        BatchLsns<'static, Vec<u8>>,
        Checksum,
        CodecError,
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
        Rebuild,
        RebuildOptions,
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
        Typed{u64},
        TypedLog{kv::Kv},
        TypedPinned{kv::Kv},
        TypedReader{kv::Kv},
        TypedRecords<'static, kv::Kv>,
        TypedSnapshot{kv::Kv},
        TypedTail{kv::Kv},
        Watcher,
        Watermarks,
    ];
    #[cfg(feature = "bytes")]
    let asserted = [asserted, assert_free![RecordBytes<'static>]].concat();
    // Codecs are so whatever their records are, as they hold none.
    #[cfg(feature = "zerocopy")]
    let asserted = [asserted, assert_free![Fixed { NotFree }]].concat();
    #[cfg(feature = "rkyv")]
    let asserted = [asserted, assert_free![Rkyv { NotFree }]].concat();
    #[cfg(feature = "postcard")]
    let asserted = [asserted, assert_free![Postcard { NotFree }, PostcardBorrowed { NotFree }]].concat();
    // None is forgotten: what the crate's root exports, but for traits and the alias of `std`'s Result.
    let root = include_str!("../../src/lib.rs");
    let (exports, _) = root.split_once("pub mod testing").unwrap();
    let mut lines = exports.lines().peekable();
    while let Some(line) = lines.next() {
        let missing = |feature: &str| line == format!("#[cfg(feature = \"{feature}\")]");
        let skipped = missing("bytes") && cfg!(not(feature = "bytes"))
            || missing("postcard") && cfg!(not(feature = "postcard"))
            || missing("rkyv") && cfg!(not(feature = "rkyv"))
            || missing("zerocopy") && cfg!(not(feature = "zerocopy"));
        let Some(line) = (if skipped { lines.next().and(None) } else { line.strip_prefix("pub use ") })
        else {
            continue;
        };
        let names = line.trim_end_matches([';', '}']).rsplit("::").next().unwrap().trim_start_matches('{');
        for name in names.split(", ").filter(|name| !["Borrowing", "Codec", "Result"].contains(name)) {
            assert!(asserted.contains(&name), "{name} is exported and not asserted");
        }
    }
    assert!(asserted.len() >= 22);
}
