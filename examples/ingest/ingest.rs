//! Append, close, open again, compare.

use std::io::IsTerminal;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tidelog::{Log, Lsn, Options};

use crate::args::Args;
use crate::latency::Latency;
use crate::sources::{Input, Line};

/// Before each line: its source, the round of `--repeat`, and its number, little-endian.
const HEADER_BYTES: usize = 16;

/// Lines between two looks at the progress bar.
const PROGRESS_LINES: u64 = 256;

/// What one thread did.
struct Appended {
    latency: Latency,
    last: Option<Lsn>,
}

pub fn run(args: &Args, input: &Input, directory: &Path) -> Result<(), String> {
    let mut options = Options::new().sync_policy(args.policy).checksum(args.checksum);
    if let Some(bytes) = args.segment_bytes {
        options = options.segment_bytes(bytes);
    }
    let log = options.open(directory).map_err(|error| error.to_string())?;
    println!(
        "log:   {} ({:?}, {:?}, {} threads)",
        log.directory().display(),
        args.policy,
        args.checksum,
        args.threads
    );
    refuse_long_lines(&log, input)?;

    // A log that was there before keeps its records; what is added begins here.
    let from = log.watermarks().claimed;
    let began = Instant::now();
    let appended = append_all(args, input, &log)?;
    let took = began.elapsed();
    print_figures(args, input, &appended, took);
    let stats = log.stats();
    println!(
        "syncs: {} in {:.3?}; segments: {} prepared, {} sealed",
        stats.syncs, stats.sync_time, stats.segments_prepared, stats.segments_sealed
    );
    log.close().map_err(|error| error.to_string())?;

    let log = options.open(directory).map_err(|error| error.to_string())?;
    println!("open:  {}", log.recovery());
    verify(args, input, &log, from, &appended)?;
    log.close().map_err(|error| error.to_string())
}

fn refuse_long_lines(log: &Log, input: &Input) -> Result<(), String> {
    let limit = log.record_bytes_max() - HEADER_BYTES;
    match input.lines.iter().find(|line| line.range.len() > limit) {
        None => Ok(()),
        Some(line) => Err(format!(
            "{}: the line has {} bytes, and this log takes at most {limit}; use a larger --segment-bytes",
            place(input, line),
            line.range.len()
        )),
    }
}

fn place(input: &Input, line: &Line) -> String {
    format!("{}:{}", input.sources[line.source as usize].name, line.number)
}

/// The lines that a thread appends in each round.
fn share(args: &Args, input: &Input, thread: usize) -> Range<usize> {
    let cut = |thread: usize| (input.lines.len() as u128 * thread as u128 / args.threads as u128) as usize;
    cut(thread)..cut(thread + 1)
}

fn append_all(args: &Args, input: &Input, log: &Log) -> Result<Vec<Appended>, String> {
    let total = input.lines.len() as u64 * u64::from(args.repeat);
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(total) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} lines, {per_sec}, {eta} left") {
        bar.set_style(style);
    }
    let outcome = std::thread::scope(|scope| {
        let bar = &bar;
        let threads: Vec<_> = (0..args.threads)
            .map(|thread| {
                scope.spawn(move || append_share(args, input, log, share(args, input, thread), bar))
            })
            .collect();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("an appending thread panicked".to_owned())));
        joined.collect()
    });
    bar.finish_and_clear();
    outcome
}

fn append_share(
    args: &Args,
    input: &Input,
    log: &Log,
    share: Range<usize>,
    bar: &ProgressBar,
) -> Result<Appended, String> {
    let mut appended = Appended { latency: Latency::new(), last: None };
    let mut record = Vec::new();
    let mut unreported = 0;
    for round in 0..args.repeat {
        for line in &input.lines[share.clone()] {
            record.clear();
            encode(&mut record, input, line, round);
            let began = Instant::now();
            let lsn = log.append(&record).map_err(|error| format!("{}: {error}", place(input, line)))?;
            appended.latency.note(began.elapsed());
            if appended.last >= Some(lsn) {
                return Err(format!("{}: LSN {lsn} is not above the one before", place(input, line)));
            }
            appended.last = Some(lsn);
            unreported += 1;
            if unreported == PROGRESS_LINES {
                bar.inc(unreported);
                unreported = 0;
            }
        }
    }
    bar.inc(unreported);
    Ok(appended)
}

fn encode(record: &mut Vec<u8>, input: &Input, line: &Line, round: u32) {
    record.extend_from_slice(&line.source.to_le_bytes());
    record.extend_from_slice(&round.to_le_bytes());
    record.extend_from_slice(&line.number.to_le_bytes());
    record.extend_from_slice(input.text(line));
}

fn print_figures(args: &Args, input: &Input, appended: &[Appended], took: Duration) {
    let mut latency = Latency::new();
    for thread in appended {
        latency.merge(&thread.latency);
    }
    let rounds = f64::from(args.repeat);
    let records = input.lines.len() as f64 * rounds;
    let bytes =
        (input.lines.iter().map(|line| line.range.len() + HEADER_BYTES).sum::<usize>()) as f64 * rounds;
    let seconds = took.as_secs_f64().max(1e-9);
    println!(
        "append: {records} records in {took:.3?}: {:.0} records/s, {:.1} MiB/s",
        records / seconds,
        bytes / seconds / f64::from(1 << 20)
    );
    println!(
        "latency of append: p50 {:.2?}, p99 {:.2?}, p99.9 {:.2?}, max {:.2?}",
        latency.per_mille(500),
        latency.per_mille(990),
        latency.per_mille(999),
        latency.max()
    );
}

/// Replays what was appended. Every thread's lines must come in its order, and each exactly once: so a record is
/// right if it is the next one of its thread.
fn verify(args: &Args, input: &Input, log: &Log, from: Lsn, appended: &[Appended]) -> Result<(), String> {
    let began = Instant::now();
    let shares: Vec<_> = (0..args.threads).map(|thread| share(args, input, thread)).collect();
    let mut next: Vec<(u32, usize)> = shares.iter().map(|share| (0, share.start)).collect();
    let mut last: Vec<Option<Lsn>> = vec![None; args.threads];
    // Where each source's lines begin.
    let mut first_line = vec![0; input.sources.len()];
    for (index, line) in input.lines.iter().enumerate().rev() {
        first_line[line.source as usize] = index;
    }
    let mut records = 0_u64;
    let mut expected = Vec::new();
    for record in log.snapshot().range(from..) {
        let record = record.map_err(|error| error.to_string())?;
        let wrong = |what: &str| format!("LSN {}: {what}", record.lsn());
        let (source, number) =
            decode(record.payload()).ok_or_else(|| wrong("this is no record of this program"))?;
        let index = first_line.get(source as usize).and_then(|first| {
            let line: usize = usize::try_from(number).ok()?.checked_sub(1)?;
            Some(first + line).filter(|index| *index < input.lines.len())
        });
        let index = index.ok_or_else(|| wrong("it names a line that the input does not have"))?;
        let thread = shares.partition_point(|share| share.end <= index);
        let (round, due) = &mut next[thread];
        if *round >= args.repeat {
            return Err(wrong("a line is there once too often"));
        }
        expected.clear();
        encode(&mut expected, input, &input.lines[*due], *round);
        if record.payload() != expected {
            let due = place(input, &input.lines[*due]);
            return Err(wrong(&format!(
                "expected round {round} of {due} as the next line of thread {thread}"
            )));
        }
        last[thread] = Some(record.lsn());
        *due += 1;
        if *due == shares[thread].end {
            *round += 1;
            *due = shares[thread].start;
        }
        records += 1;
    }
    for (thread, share) in shares.iter().enumerate() {
        let (round, due) = next[thread];
        if !share.is_empty() && round != args.repeat {
            return Err(format!(
                "lost: round {round} of {} and what thread {thread} appended after it",
                place(input, &input.lines[due])
            ));
        }
        if last[thread] != appended[thread].last {
            return Err(format!(
                "the last LSN of thread {thread} is {:?}, not {:?}",
                last[thread], appended[thread].last
            ));
        }
        if let Some(lsn) = last[thread] {
            log.read(lsn).map_err(|error| format!("LSN {lsn}: {error}"))?;
        }
    }
    let took = began.elapsed();
    println!(
        "replay: {records} records in {took:.3?}: {:.0} records/s",
        records as f64 / took.as_secs_f64().max(1e-9)
    );
    println!("verified: every line is there exactly once, with its content, in the order of its thread");
    Ok(())
}

fn decode(payload: &[u8]) -> Option<(u32, u64)> {
    let source = payload.get(..4)?.try_into().ok()?;
    let number = payload.get(8..HEADER_BYTES)?.try_into().ok()?;
    Some((u32::from_le_bytes(source), u64::from_le_bytes(number)))
}
