//! Reads by LSN against what the memory itself costs, and opening against the length of the log.
//!
//! All lines do the same work in turn, round by round: at a random record, load the header word and touch the payload.
//! `warm` stays within half a mebibyte, `random` jumps over the whole log. `chained` makes the place of the next read
//! depend on this one's payload, as in a walk of an index; without it the processor may overlap neighbours.
#![allow(unsafe_code, reason = "the limit lines map the log's files themselves, and use the processor's CRC")]

#[path = "../tests/support/sparse.rs"]
mod sparse;
mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use support::{Bench, directory, payload};
use tidelog::{LogReader, Lsn, Options, Snapshot, SyncPolicy};

const WARM_BYTES: u64 = 512 << 10;

/// Where the records are: all of one size, in order, but for the padding between segments.
struct Places {
    segment_bytes: u64,
    frame_bytes: u64,
    payload_bytes: u64,
    /// Offset of the first record and number of records, for each segment.
    segments: Vec<(u64, u64)>,
}

/// A record to read.
#[derive(Clone, Copy)]
struct Place {
    number: u64,
    /// Bytes behind the segment's first record.
    from_first: u64,
    lsn: Lsn,
}

/// A share of one line's work.
struct Work<'a> {
    places: &'a Places,
    reads: u64,
    seed: u64,
    warm: bool,
    chained: bool,
    /// The last byte of each payload, which the compiler must not know.
    last: u8,
}

impl Work<'_> {
    #[inline(always)]
    fn run(&self, mut read: impl FnMut(Place) -> u8) {
        let mut state = self.seed;
        for _ in 0..self.reads {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let place = self.places.pick(state, self.warm);
            let byte = read(place);
            if self.chained {
                state ^= u64::from(byte ^ self.last);
            }
        }
        black_box(state);
    }
}

impl Places {
    #[inline(always)]
    fn pick(&self, random: u64, warm: bool) -> Place {
        let scale = |random: u64, count: u64| ((u128::from(random) * u128::from(count)) >> 64) as u64;
        let number = if warm { 0 } else { scale(random.rotate_left(32), self.segments.len() as u64) };
        let (first, count) = self.segments[number as usize];
        let count = if warm { count.min(WARM_BYTES / self.frame_bytes) } else { count };
        let from_first = scale(random, count) * self.frame_bytes;
        Place { number, from_first, lsn: Lsn::new(number * self.segment_bytes + first + from_first) }
    }
}

fn filled(payload_bytes: usize, log_bytes: u64) -> (Bench, Places) {
    let bench = Bench::new(&Options::new().sync_policy(SyncPolicy::None));
    let payload = payload(payload_bytes);
    let segment_bytes = bench.log.segment_bytes();
    let mut segments: Vec<(u64, u64)> = Vec::new();
    loop {
        let lsn = bench.log.append(&payload).expect("append").get();
        let (number, offset) = (lsn / segment_bytes, lsn % segment_bytes);
        if number >= log_bytes / segment_bytes {
            break;
        }
        match segments.get_mut(number as usize) {
            Some((_, count)) => *count += 1,
            None => segments.push((offset, 1)),
        }
    }
    // Warm: of the way to the record, not of page faults.
    assert!(bench.log.snapshot().iter().count() > 0);
    let frame_bytes = (payload_bytes as u64 + 16).next_multiple_of(8);
    (bench, Places { segment_bytes, frame_bytes, payload_bytes: payload_bytes as u64, segments })
}

/// The segments' bytes from their first record on, in the mappings that the log itself reads: another mapping of the
/// same files can be twice as slow or as fast, by the size of its pages.
fn mapped<'a>(snapshot: &'a Snapshot, places: &Places) -> Vec<&'a [u8]> {
    let bytes = |(number, &(first, count)): (usize, &(u64, u64))| {
        let lsn = Lsn::new(number as u64 * places.segment_bytes + first);
        let payload = snapshot.read(lsn).expect("the first record of a segment").payload();
        let frame = std::ptr::with_exposed_provenance(payload.as_ptr().expose_provenance() - 16);
        // SAFETY: the records of a segment lie one behind the other in its mapping, which the snapshot keeps; they are
        // published, so nobody writes to them.
        unsafe { std::slice::from_raw_parts(frame, (count * places.frame_bytes) as usize) }
    };
    places.segments.iter().enumerate().map(bytes).collect()
}

fn frame(map: &[u8], place: Place, payload_bytes: u64) -> &[u8] {
    let at = place.from_first as usize;
    &map[at..at + 16 + payload_bytes as usize]
}

/// The header word and the whole payload; returns its last byte.
#[inline(always)]
fn touch(map: &[u8], place: Place, payload_bytes: u64) -> u8 {
    let frame = frame(map, place, payload_bytes);
    let sum = frame.chunks_exact(8).fold(0, |sum: u64, word| {
        sum.wrapping_add(u64::from_ne_bytes(word.try_into().expect("eight bytes")))
    });
    black_box(sum);
    frame[frame.len() - 1]
}

/// As `touch`, with the CRC-32C of the payload, one instruction for eight bytes.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
fn touch_and_check(map: &[u8], place: Place, payload_bytes: u64) -> u8 {
    let frame = frame(map, place, payload_bytes);
    let word = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().expect("eight bytes"));
    let crc = frame[16..]
        .chunks_exact(8)
        .fold(u64::from(u32::MAX), |crc, bytes| core::arch::x86_64::_mm_crc32_u64(crc, word(bytes)));
    black_box((crc, word(&frame[..8]), word(&frame[8..16])));
    frame[frame.len() - 1]
}

type Line<'a> = (&'static str, Box<dyn Fn(&Work<'_>) + Sync + 'a>);

fn last(payload: &[u8]) -> u8 {
    payload.last().copied().unwrap_or_default()
}

/// Nanoseconds a read, the median over the rounds, for each line; all lines take their turn in each round.
fn compare(lines: &[Line<'_>], work: &Work<'_>, threads: usize, rounds: usize) -> Vec<f64> {
    let mut took = vec![Vec::new(); lines.len()];
    // Never the same places again: they would be in the cache.
    let mut seed = work.seed;
    let mut next = || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        Work { seed: (seed ^ (seed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9), ..*work }
    };
    for _ in 0..rounds {
        for (line, took) in lines.iter().zip(&mut took) {
            let (mine, others): (_, Vec<_>) = (next(), (1..threads).map(|_| next()).collect());
            let began = Instant::now();
            std::thread::scope(|scope| {
                for other in &others {
                    scope.spawn(|| line.1(other));
                }
                line.1(&mine);
            });
            took.push(began.elapsed().as_nanos() as f64 / work.reads as f64);
        }
    }
    took.into_iter()
        .map(|mut took| {
            took.sort_by(f64::total_cmp);
            took[took.len() / 2]
        })
        .collect()
}

fn reads(payload_bytes: usize, log_bytes: u64, rounds: usize) {
    let (bench, places) = filled(payload_bytes, log_bytes);
    let reader = LogReader::open(bench.path()).expect("open a reader");
    assert!(reader.snapshot().expect("look").iter().count() > 0);
    let snapshot = bench.log.snapshot();
    let maps = mapped(&snapshot, &places);
    let (log, reader, snapshot, maps) = (&bench.log, &reader, &snapshot, &maps);
    let bytes = places.payload_bytes;
    let lines: Vec<Line<'_>> = vec![
        (
            "limit: touch",
            Box::new(move |work| {
                work.run(|place| touch(maps[place.number as usize], place, bytes));
            }),
        ),
        #[cfg(target_arch = "x86_64")]
        (
            "limit: touch and CRC",
            Box::new(move |work| {
                // SAFETY: the library's own checksum asks for the same instruction; see `main`.
                work.run(|place| unsafe { touch_and_check(maps[place.number as usize], place, bytes) });
            }),
        ),
        (
            "Log::read",
            Box::new(move |work| {
                work.run(|place| last(log.read(place.lsn).expect("read").payload()));
            }),
        ),
        (
            "LogReader::read",
            Box::new(move |work| {
                work.run(|place| last(reader.read(place.lsn).expect("read").payload()));
            }),
        ),
        (
            "Snapshot::read",
            Box::new(move |work| {
                work.run(|place| last(snapshot.read(place.lsn).expect("read").payload()));
            }),
        ),
        (
            "Snapshot::range",
            Box::new(move |work| {
                work.run(|place| {
                    let record = snapshot.range(place.lsn..).next().expect("a record").expect("read");
                    last(record.payload())
                });
            }),
        ),
    ];
    let mut columns = Vec::new();
    for (warm, chained, threads) in
        [(true, true, 1), (true, false, 1), (false, true, 1), (false, false, 1), (false, true, 2)]
    {
        let reads = if warm { 200_000 } else { 50_000 };
        let last = black_box(last(&payload(payload_bytes)));
        let work = Work { places: &places, reads, seed: 1, warm, chained, last };
        columns.push(compare(&lines, &work, threads, rounds));
    }
    println!("\n{payload_bytes} B, log of {} MiB, ns a read", log_bytes >> 20);
    println!("{:24}{:>12}{:>12}{:>12}{:>12}{:>14}", "", "warm", "warm", "random", "random", "random");
    println!("{:24}{:>12}{:>12}{:>12}{:>12}{:>14}", "", "chained", "", "chained", "", "2 threads");
    for (index, (name, _)) in lines.iter().enumerate() {
        print!("{name:24}");
        for (column, width) in columns.iter().zip([12, 12, 12, 12, 14]) {
            print!("{:width$.0}", column[index]);
        }
        println!();
    }
}

/// Opening a closed log whose segments are holes with a header and one record each, and syncs of small records in it.
fn opening(lengths: &[(u64, u64)], rounds: usize) {
    println!("\nopen of a closed log, us (median, least, most)");
    let logs: Vec<_> = lengths
        .iter()
        .map(|&(segment_bytes, segments)| {
            let directory = directory();
            sparse::make(directory.path(), segment_bytes, segments).expect("make a sparse log");
            (directory, segment_bytes, segments)
        })
        .collect();
    let mut took = vec![Vec::new(); logs.len()];
    let mut looked = vec![Vec::new(); logs.len()];
    let mut synced = vec![Vec::new(); logs.len()];
    for _ in 0..rounds {
        let figures = took.iter_mut().zip(&mut looked).zip(&mut synced);
        for ((directory, ..), ((took, looked), synced)) in logs.iter().zip(figures) {
            let began = Instant::now();
            let log = Options::new().sync_policy(SyncPolicy::None).open(directory.path()).expect("open");
            took.push(began.elapsed());
            for _ in 0..20 {
                log.append(b"a record").expect("append");
                let began = Instant::now();
                log.sync().expect("sync");
                synced.push(began.elapsed());
            }
            log.close().expect("close");
            let began = Instant::now();
            black_box(LogReader::open(directory.path()).expect("open a reader"));
            looked.push(began.elapsed());
        }
    }
    let figures = |mut took: Vec<Duration>| {
        took.sort();
        let micros = |at: usize| took[at].as_micros();
        format!("{:>8}{:>8}{:>8}", micros(took.len() / 2), micros(0), micros(took.len() - 1))
    };
    let rows = took.into_iter().zip(looked).zip(synced);
    for ((_, segment_bytes, segments), ((took, looked), synced)) in logs.iter().zip(rows) {
        let name =
            format!("{segments} x {} KiB ({} GiB)", segment_bytes >> 10, (segment_bytes * segments) >> 30);
        println!("{name:32} log {}   reader {}   a sync {}", figures(took), figures(looked), figures(synced));
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    #[cfg(target_arch = "x86_64")]
    assert!(std::arch::is_x86_feature_detected!("sse4.2"), "the limit line needs the instruction");
    let (log_bytes, rounds) = if has("--quick") { (256 << 20, 5) } else { (1 << 30, 7) };
    if !has("--only-open") {
        for payload_bytes in [100, 1 << 10] {
            reads(payload_bytes, log_bytes, rounds);
        }
    }
    if !has("--only-read") {
        let mut lengths = vec![(64 << 20, 16), (64 << 20, 256)];
        if has("--long") {
            lengths.extend([(64 << 20, 16_384), (1 << 20, 100_000)]);
        }
        opening(&lengths, rounds);
    }
}
