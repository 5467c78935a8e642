//! A log that rolls all the time: one writer, the smallest segments, four records in each. Prints how long each write took, a
//! segment a line, and checks every record after the log was opened again.
//!
//! The first record of a segment is the one that rolled, which costs it nothing: where it goes is arithmetic, and a thread of
//! the log has prepared the segment. What can wait is the last: a claim is given only while the segment behind it is there
//! too. Without syncs this writer is faster than any thread that prepares segments of 64 KiB; then each last one waits.
//!
//! ```text
//! cargo run --release --example rotation -- [none | periodic | grouped | immediate] [DIRECTORY]
//! ```
//!
//! It exits with 0 when every record was found again, and with 1 otherwise.

mod support;

use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use support::{Outcome, Place, check};
use tidelog::{Log, Lsn, Options, SyncPolicy};

const SEGMENT_BYTES: u64 = 64 << 10;
/// The largest that such a log takes: with their headers of 16 bytes, four fill a segment to the last byte.
const RECORD_BYTES: usize = (16 << 10) - 16;
const RECORDS_PER_SEGMENT: usize = 4;
const SEGMENTS: usize = 50;

struct Write {
    lsn: Lsn,
    took: Duration,
}

fn main() -> Outcome {
    let mut arguments = std::env::args_os().skip(1);
    let policy = arguments.next().unwrap_or_else(|| "grouped".into());
    let policy = match policy.to_str() {
        Some("none") => SyncPolicy::None,
        Some("periodic") => SyncPolicy::periodic(Duration::from_millis(10)),
        Some("grouped") => SyncPolicy::grouped(),
        Some("immediate") => SyncPolicy::Immediate,
        _ => return Err(format!("{policy:?} is no policy; give none, periodic, grouped or immediate").into()),
    };
    let place = Place::new(arguments.next().map(PathBuf::from))?;
    let options = Options::new().segment_bytes(SEGMENT_BYTES).sync_policy(policy);

    let log = options.open(place.path("rotation"))?;
    println!("{policy:?}; {RECORD_BYTES} bytes a record, {SEGMENT_BYTES} a segment");
    let writes = write(&log)?;
    let segments = by_segment(&log, &writes);
    for (number, writes) in segments.iter().cloned().map(|range| &writes[range]).enumerate() {
        let times: Vec<_> = writes.iter().map(|write| format!("{:>9.1?}", write.took)).collect();
        println!("segment {number:>3}, LSN {:>9}: {}", writes[0].lsn, times.join(" "));
    }
    for (place, name) in ["first (rolls)", "second", "third", "fourth"].iter().enumerate() {
        let writes = segments.iter().filter_map(|range| writes[range.clone()].get(place));
        print_quantiles(name, writes.map(|write| write.took).collect());
    }

    let stats = log.stats();
    println!(
        "{} segments filled; {} prepared in {:.1?} at the median; {} waits for one; {} syncs",
        segments.len(),
        stats.segments_prepared,
        stats.prepare_latency.quantile_time(0.5),
        stats.segment_waits.count(),
        stats.syncs
    );
    log.close()?;
    let log = options.open(place.path("rotation"))?;
    verify(&log, &writes)?;
    // What another run left may share the first of these segments.
    check(segments.iter().skip(1).rev().skip(1).all(|range| range.len() == RECORDS_PER_SEGMENT), || {
        format!("a segment has another number of records than {RECORDS_PER_SEGMENT}: {segments:?}")
    })?;
    println!("opened again: {} records are as they were written", writes.len());
    log.close()?;
    Ok(())
}

fn write(log: &Log) -> Outcome<Vec<Write>> {
    let mut writes = Vec::new();
    let mut payload = Vec::new();
    for number in 0..SEGMENTS * RECORDS_PER_SEGMENT {
        fill(&mut payload, number);
        let began = Instant::now();
        let lsn = log.append(&payload)?;
        writes.push(Write { lsn, took: began.elapsed() });
    }
    Ok(writes)
}

/// Other bytes in each record, and at each place of it.
fn fill(payload: &mut Vec<u8>, number: usize) {
    payload.clear();
    payload.extend(
        (0..RECORD_BYTES).map(|place| (number.wrapping_mul(31) ^ place.wrapping_mul(0x9e37) >> 7) as u8),
    );
}

/// The writes of each segment. The first in it is the one that rolled.
fn by_segment(log: &Log, writes: &[Write]) -> Vec<Range<usize>> {
    let snapshot = log.snapshot();
    let ranges = snapshot.segments().map(|segment| {
        let before = |lsn: Lsn| writes.partition_point(|write| write.lsn < lsn);
        before(segment.start())..before(segment.end())
    });
    ranges.filter(|range| !range.is_empty()).collect()
}

fn verify(log: &Log, writes: &[Write]) -> Outcome {
    let snapshot = log.snapshot();
    let mut expected = Vec::new();
    let mut found = 0;
    for record in snapshot.range(writes[0].lsn..) {
        let record = record?;
        fill(&mut expected, found);
        check(writes.get(found).is_some_and(|write| write.lsn == record.lsn()), || {
            format!("record {found} is at LSN {}, where it was not written", record.lsn())
        })?;
        check(record.payload() == expected, || format!("record {found} is not what was written"))?;
        found += 1;
    }
    check(found == writes.len(), || format!("{} records were written, {found} are there", writes.len()))
}

fn print_quantiles(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let Some(max) = times.last() else { return };
    let quantile = |percent: usize| times[(times.len() * percent).div_ceil(100) - 1];
    let (median, high) = (quantile(50), quantile(99));
    println!("{name:>13}: {:>3} writes, p50 {median:>7.1?}, p99 {high:>7.1?}, max {max:>7.1?}", times.len());
}
