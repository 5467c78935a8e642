//! Four concurrent writers under each sync policy with each checksum. Prints how many records a second and how many syncs
//! that made, and checks every record after the log was opened again.
//!
//! `None` and `Periodic` return when a record can be read, `Grouped` and `Immediate` when it is durable, so the latter wait for
//! the device; one sync serves all who wait.
//!
//! ```text
//! cargo run --release --example policies -- [DIRECTORY]
//! ```
//!
//! It exits with 0 when every record was found again, and with 1 otherwise.

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use support::{Outcome, Place, check};
use tidelog::{Checksum, Log, Lsn, Options, SyncPolicy};

const WRITERS: u32 = 4;
const RECORD_BYTES: usize = 256;

fn main() -> Outcome {
    let place = Place::new(std::env::args_os().nth(1).map(PathBuf::from))?;
    let policies = [
        ("None", SyncPolicy::None, 20_000),
        ("Periodic, 10 ms", SyncPolicy::periodic(Duration::from_millis(10)), 20_000),
        ("Grouped", SyncPolicy::grouped(), 250),
        ("Immediate", SyncPolicy::Immediate, 250),
    ];
    println!("{WRITERS} writers, {RECORD_BYTES} bytes a record");
    println!(
        "{:<16} {:<8} {:>8} {:>10} {:>6} {:>8}",
        "policy", "checksum", "records", "records/s", "syncs", "verified"
    );
    for (name, policy, records_per_writer) in policies {
        for checksum in [Checksum::Crc32c, Checksum::Crc64] {
            let options = Options::new().segment_bytes(1 << 20).sync_policy(policy).checksum(checksum);
            let directory = place.path(&format!("{name}-{checksum:?}").replace(", ", "-").replace(' ', ""));
            let row = run(&options, &directory, records_per_writer)
                .map_err(|error| format!("{name}, {checksum:?}: {error}"))?;
            let Row { records, took, syncs, verified } = row;
            let per_second = records as f64 / took.as_secs_f64();
            println!("{name:<16} {checksum:<8?} {records:>8} {per_second:>10.0} {syncs:>6} {verified:>8}");
        }
    }
    Ok(())
}

struct Row {
    records: usize,
    took: Duration,
    syncs: u64,
    verified: usize,
}

fn run(options: &Options, directory: &Path, records_per_writer: u32) -> Outcome<Row> {
    let log = options.open(directory)?;
    let from = log.watermarks().claimed;
    let began = Instant::now();
    let lsns = std::thread::scope(|scope| {
        let log = &log;
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| scope.spawn(move || write(log, writer, records_per_writer))).collect();
        let joined = writers.into_iter().map(|writer| {
            let outcome = writer.join().map_err(|_| "a writer panicked")?;
            Ok(outcome?)
        });
        joined.collect::<Outcome<Vec<Vec<Lsn>>>>()
    })?;
    let took = began.elapsed();

    let marks = log.watermarks();
    check(!log.sync_policy().acknowledges_durable() || marks.durable == marks.claimed, || {
        format!("acknowledged as durable, which it is not: {marks:?}")
    })?;
    let syncs = log.stats().syncs;
    log.close()?;
    let log = options.open(directory)?;
    let verified = verify(&log, from, &lsns)?;
    log.close()?;
    Ok(Row { records: lsns.iter().map(Vec::len).sum(), took, syncs, verified })
}

fn write(log: &Log, writer: u32, records: u32) -> tidelog::Result<Vec<Lsn>> {
    (0..records).map(|number| log.append(&payload(writer, number))).collect()
}

/// Who wrote it, its number among those, and bytes that follow from both.
fn payload(writer: u32, number: u32) -> [u8; RECORD_BYTES] {
    let mut payload = [0; RECORD_BYTES];
    let mut word = u64::from(writer) << 32 | u64::from(number);
    for place in payload.chunks_exact_mut(8) {
        place.copy_from_slice(&word.to_le_bytes());
        word = word.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    }
    payload
}

/// Every record is there once, as it was written, at the LSN that its writer was told, and nothing else is.
fn verify(log: &Log, from: Lsn, lsns: &[Vec<Lsn>]) -> Outcome<usize> {
    let mut seen = vec![0; lsns.len()];
    for record in log.snapshot().range(from..) {
        let record = record?;
        let head = record.payload().first_chunk().map(|head| u64::from_le_bytes(*head));
        let writer = head.map_or(usize::MAX, |head| (head >> 32) as usize);
        let number =
            seen.get(writer).copied().ok_or_else(|| format!("LSN {}: nobody wrote this", record.lsn()))?;
        check(record.payload() == payload(writer as u32, number as u32), || {
            format!("LSN {}: not record {number} of writer {writer}, which comes next", record.lsn())
        })?;
        check(lsns[writer].get(number) == Some(&record.lsn()), || {
            format!("record {number} of writer {writer} is at LSN {}, which it was not told", record.lsn())
        })?;
        seen[writer] += 1;
    }
    check(seen.iter().zip(lsns).all(|(seen, lsns)| *seen == lsns.len()), || {
        format!("each writer wrote {}, and of each there are {seen:?}", lsns[0].len())
    })?;
    Ok(seen.iter().sum())
}
