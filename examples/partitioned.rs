//! A key-value log in partitions: each key has its partition, each partition its own LSNs, and beside the writers a watcher
//! for each partition follows what is durable and keeps a map of it.
//!
//! ```text
//! cargo run --release --example partitioned -- [DIRECTORY]
//! ```
//!
//! It exits with 0 when the watchers' maps, those replayed after opening again, and what was written are the same, and with 1
//! otherwise.

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread::ScopedJoinHandle;

use support::{Outcome, Place, check};
use tidelog::kv::{Entry, Kv, replay_into};
use tidelog::{ErrorKind, Lsn, Options, PartitionOptions, Partitions, TypedLog};

const PARTITIONS: u32 = 4;
const WRITERS: u64 = 4;
const ENTRIES_PER_WRITER: u64 = 2_000;
/// Of each writer; they come again and again.
const KEYS: u64 = 100;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

fn main() -> Outcome {
    let place = Place::new(std::env::args_os().nth(1).map(PathBuf::from))?;
    // Records of keys and values have version 1 here; a log of others is not opened.
    let options =
        PartitionOptions::new().log(Options::new().segment_bytes(64 << 10).schema(1)).keyed(PARTITIONS);
    let partitions = options.open(place.path("partitioned"))?;
    let ids = 0..u64::from(PARTITIONS);
    let logs: Vec<_> =
        ids.map(|id| Ok(TypedLog::new(partitions.get(id)?, Kv))).collect::<tidelog::Result<_>>()?;
    let (written, watched) = std::thread::scope(|scope| {
        let partitions = &partitions;
        let watchers: Vec<_> = logs.into_iter().map(|log| scope.spawn(move || watch(&log))).collect();
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| scope.spawn(move || write(partitions, writer))).collect();
        let written: Vec<_> = writers.into_iter().map(ScopedJoinHandle::join).collect();
        // Whatever became of the writers: it ends the watchers, once they have seen all.
        let closed = partitions.close();
        let watched: Vec<_> = watchers.into_iter().map(ScopedJoinHandle::join).collect();
        closed?;
        Outcome::Ok((all(written)?, all(watched)?))
    })?;
    let written: Map = written.into_iter().flatten().collect();

    let partitions = options.open(place.path("partitioned"))?;
    let mut total = 0;
    for (id, watched) in (0..).zip(&watched) {
        let Watched { map, moves, records, end } = watched;
        println!(
            "partition {id}: {records:>4} records up to LSN {end:>6}, told in {moves:>4} moves; {} keys",
            map.len()
        );
        let mut replayed = Map::new();
        let snapshot = TypedLog::new(partitions.get_existing(id)?, Kv).snapshot();
        replay_into(&snapshot, 0, &mut replayed)?;
        check(replayed == *map, || format!("partition {id}: what is there is not what its watcher saw"))?;
        for (key, value) in map {
            check(partitions.id_of_key(key)? == id, || format!("partition {id} has the key of another"))?;
            check(written.get(key) == Some(value), || {
                format!("partition {id} has a value that is not the newest")
            })?;
        }
        total += map.len();
    }
    check(total == written.len(), || format!("{} keys were written, {total} are there", written.len()))?;
    println!("opened again: {total} keys are as they were written");

    // One partition goes as a whole; its number begins anew, and the others keep what they have.
    partitions.remove(0)?;
    let gone = partitions.get_existing(0).map(|_| ()).map_err(|error| error.kind());
    check(gone == Err(ErrorKind::NotFound), || {
        format!("partition 0 was removed, and asking for it gives {gone:?}")
    })?;
    println!("partition 0 removed: {:?} are left", partitions.ids()?);
    partitions.close()?;
    Ok(())
}

/// What the threads gave, or the first failure.
fn all<T>(joined: Vec<std::thread::Result<tidelog::Result<T>>>) -> Outcome<Vec<T>> {
    joined.into_iter().map(|outcome| Ok(outcome.map_err(|_| "a thread panicked")??)).collect()
}

/// Puts and deletes the writer's own keys, so that what each has in the end does not depend on the other writers. Every
/// entry is durable when the next one is written. Returns what is there in the end.
fn write(partitions: &Partitions, writer: u64) -> tidelog::Result<Map> {
    let mut map = Map::new();
    for number in 0..ENTRIES_PER_WRITER {
        let key = format!("writer-{writer}/key-{:03}", number.wrapping_mul(37) % KEYS).into_bytes();
        // Opens or creates the partition where it is not open; here the watchers hold them all.
        let log = TypedLog::new(partitions.of_key(&key)?, Kv);
        if number % 8 == 7 {
            log.append(&Entry::delete(&key, number))?;
            map.remove(&key);
        } else {
            let value = format!("value {number}").into_bytes();
            log.append(&Entry::put(&key, &value, number))?;
            map.insert(key, value);
        }
    }
    Ok(map)
}

/// What a watcher saw.
struct Watched {
    map: Map,
    moves: usize,
    records: u64,
    end: Lsn,
}

/// Takes over what became durable, each time that something did, until the log is closed.
fn watch(log: &TypedLog<Kv>) -> tidelog::Result<Watched> {
    let start = log.log().watermarks().start;
    let mut watcher = log.log().watch_durable(start);
    let mut watched = Watched { map: Map::new(), moves: 0, records: 0, end: start };
    loop {
        let durable = match watcher.wait() {
            Ok(durable) => durable,
            Err(error) if error.kind() == ErrorKind::Closed => return Ok(watched),
            Err(error) => return Err(error),
        };
        let snapshot = log.snapshot();
        let replayed = replay_into(snapshot.range(watched.end..durable), 0, &mut watched.map)?;
        watched.moves += 1;
        watched.records += replayed.puts + replayed.deletes;
        watched.end = durable;
    }
}
