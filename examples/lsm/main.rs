//! The write-ahead log of a small LSM tree: puts, deletes and puts with a time to live, in batches that are compressed.
//!
//! Each batch goes to the log, and when it is durable there, to a sorted table in memory. When that is large it is written to a
//! file, with the LSN up to which it has everything, and then the log drops what is before that LSN: garbage collection
//! is one call. Opening reads the files and replays the log from the newest file's LSN on.
//!
//! This is done twice, by LZ4 and by Zstd; each time the tree is dropped with a table in memory that is in the log alone,
//! opened again, and compared with a plain map.
//!
//! ```text
//! cargo run --release --example lsm --features lz4,zstd -- [DIRECTORY]
//! ```
//!
//! It exits with 0 when the tree held what was put there, and with 1 otherwise. The figures come from `Log::stats`; with the
//! feature `metrics` the same go to whatever recorder is installed, as the example `prometheus` shows.

#[path = "../support/mod.rs"]
mod support;
mod table;
mod tree;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use support::{Outcome, Place, check};
use tidelog::Stats;
use tidelog::compress::Compression;
use tidelog::kv::Entry;
use tree::Tree;

const BATCHES: u64 = 300;
const ENTRIES_PER_BATCH: u64 = 100;
const KEYS: u64 = 5_000;
const TTL: Duration = Duration::from_secs(60);

fn main() -> Outcome {
    let place = Place::new(std::env::args_os().nth(1).map(PathBuf::from))?;
    for (name, compression) in [("lz4", Compression::Lz4), ("zstd", Compression::Zstd { level: 1 })] {
        run(place.path(name), compression).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

fn run(directory: PathBuf, compression: Compression) -> Outcome {
    let now = u64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos())?;
    let mut tree = Tree::open(&directory, compression)?;
    // What another run left, as it will be when this one's entries have expired.
    let later = now + 2 * u64::try_from(TTL.as_nanos())?;
    let mut model: BTreeMap<Vec<u8>, Vec<u8>> = tree.iter(later).collect();
    let mut encoded_bytes = 0;
    for batch in 0..BATCHES {
        let rows: Vec<_> =
            (0..ENTRIES_PER_BATCH).map(|row| row_of(batch * ENTRIES_PER_BATCH + row)).collect();
        let entries: Vec<_> =
            rows.iter().map(|(number, key, value)| entry_of(*number, key, value, now)).collect();
        encoded_bytes += entries.iter().map(Entry::encoded_len).sum::<usize>() as u64;
        tree.write(&entries)?;
        for entry in entries {
            match entry.value() {
                Some(value) if !entry.is_expired(later) => model.insert(entry.key.to_vec(), value.to_vec()),
                _ => model.remove(entry.key),
            };
        }
    }
    print_stats(&format!("{compression:?}"), &tree.log().stats(), encoded_bytes);
    check(tree.iter(later).eq(model.clone()), || "the tree is not what was put there".to_owned())?;
    let (start, from, files) = (tree.log().watermarks().start, tree.flushed(), tree.files());
    check(files > 0 && start <= from, || {
        format!("{files} files up to LSN {from}, and the log starts at {start}")
    })?;
    check(tree.log().stats().segments_retired > 0, || "nothing was retired".to_owned())?;
    // Nothing is flushed for that: the log has what is lost here.
    let in_memory = tree.in_memory();
    drop(tree);

    let tree = Tree::open(&directory, compression)?;
    println!("  opened again: {files} files, and {in_memory} entries of the log from LSN {from} on");
    check(tree.in_memory() == in_memory, || format!("{} entries were replayed", tree.in_memory()))?;
    check(tree.iter(later).eq(model.clone()), || {
        "the tree that was opened again is not what was put there".to_owned()
    })?;
    let now_too = tree.iter(now).count();
    check(now_too > model.len(), || {
        format!("{now_too} entries now, {} later: nothing expires", model.len())
    })?;
    println!("  {now_too} keys are as they were put; {} of them when the others have expired", model.len());
    tree.log().close()?;
    Ok(())
}

/// A number, a key that comes again and again, and a value as programs write it.
fn row_of(number: u64) -> (u64, Vec<u8>, Vec<u8>) {
    let user = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31) % KEYS;
    let value = format!(
        r#"{{"user":{user},"event":"login","session":"{:016x}","attempt":{number}}}"#,
        number * number
    );
    (number, format!("user/{user:08}").into_bytes(), value.into_bytes())
}

/// Of sixteen, one deletes, four expire and the others stay.
fn entry_of<'a>(number: u64, key: &'a [u8], value: &'a [u8], now: u64) -> Entry<'a> {
    match number % 16 {
        0 => Entry::delete(key, now),
        1..=4 => Entry::put_with_ttl(key, value, now, TTL),
        _ => Entry::put(key, value, now),
    }
}

fn print_stats(name: &str, stats: &Stats, encoded_bytes: u64) {
    println!(
        "{name}: {} entries of {encoded_bytes} bytes are {} in the log; {} syncs, half of them within {:.1?}",
        BATCHES * ENTRIES_PER_BATCH,
        stats.payload_bytes_published,
        stats.syncs,
        stats.sync_latency.quantile_time(0.5)
    );
    println!(
        "  {} segments sealed, {} retired, {} made of retired ones; {} waits for a segment",
        stats.segments_sealed,
        stats.segments_retired,
        stats.segments_recycled,
        stats.segment_waits.count()
    );
}
