//! Reading: replay of a snapshot, records by LSN, and opening a log that was closed.
//!
//! Before criterion's figures come ratios: replay beside a bare loop over the same bytes, in turns.

#[path = "support/limit.rs"]
mod limit;
mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group};
use support::{Bench, payload};
use tidelog::{Checksum, Log, Lsn, Options, SegmentSnapshot, SyncPolicy};

/// Payload bytes in a log that is read.
const LOG_BYTES: usize = 256 << 20;

fn filled(bytes: usize, checksum: Checksum) -> (Bench, Vec<Lsn>) {
    let bench = Bench::new(&Options::new().sync_policy(SyncPolicy::None).checksum(checksum));
    let payload = payload(bytes);
    let records = LOG_BYTES / bytes;
    let lsns = (0..records).map(|_| bench.log.append(&payload).expect("append")).collect();
    (bench, lsns)
}

fn replay(criterion: &mut Criterion) {
    for bytes in [100, 1 << 10] {
        for (name, checksum) in [("crc32c", Checksum::Crc32c), ("crc64", Checksum::Crc64)] {
            let (bench, lsns) = filled(bytes, checksum);
            let snapshot = bench.log.snapshot();
            let mut group = criterion.benchmark_group(format!("replay/{bytes}B/{name}"));
            group.throughput(Throughput::Elements(lsns.len() as u64));
            group.sample_size(10);
            group.bench_function("1thread", |bencher| {
                bencher.iter(|| {
                    let read: usize =
                        snapshot.iter().map(|record| record.expect("read").payload().len()).sum();
                    assert_eq!(read, lsns.len() * bytes);
                });
            });
            group.bench_function("2threads-by-segment", |bencher| {
                bencher.iter(|| {
                    let parts: Vec<_> = snapshot.segments().collect();
                    assert_eq!(read_in_two(&parts), lsns.len() * bytes);
                });
            });
            group.finish();
        }
    }
}

fn read(part: &SegmentSnapshot<'_>) -> usize {
    let mut bytes = 0;
    for record in part.iter() {
        bytes += record.expect("read").payload().len();
    }
    bytes
}

fn read_in_two(parts: &[SegmentSnapshot<'_>]) -> usize {
    in_two(parts, read)
}

/// Every other part on a second thread.
fn in_two<T: Sync>(parts: &[T], read: impl Fn(&T) -> usize + Sync) -> usize {
    let share = |first: usize| parts.iter().skip(first).step_by(2).map(&read).sum::<usize>();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| share(1));
        share(0) + other.join().expect("a worker panicked")
    })
}

/// Prints what replay reaches of what a bare loop reaches, from medians of rounds in which they take turns.
fn ratios(rounds: usize) {
    println!("replay, M records/s: median (best); of the limit");
    for bytes in [16, 100, 1 << 10, 10 << 10] {
        let (bench, lsns) = filled(bytes, Checksum::Crc32c);
        let snapshot = bench.log.snapshot();
        let frames = limit::Frames::of(&bench.path(), snapshot.end().get());
        let parts: Vec<_> = snapshot.segments().collect();
        let all = lsns.len() * bytes;
        let runs: [(&str, &dyn Fn() -> usize); 5] = [
            ("limit, 1 thread", &|| frames.iter().map(limit::Frames::read).sum()),
            ("tidelog, for", &|| parts.iter().map(read).sum()),
            ("tidelog, map and sum", &|| {
                snapshot.iter().map(|record| record.expect("read").payload().len()).sum()
            }),
            ("limit, 2 threads", &|| in_two(&frames, limit::Frames::read)),
            ("tidelog, 2 threads", &|| read_in_two(&parts)),
        ];
        let mut times = [const { Vec::new() }; 5];
        for _ in 0..rounds {
            for ((_, run), times) in runs.iter().zip(&mut times) {
                let began = Instant::now();
                assert_eq!(black_box(run()), all);
                times.push(began.elapsed());
            }
        }
        let mut limit = f64::NAN;
        for ((name, _), mut times) in runs.iter().zip(times) {
            times.sort();
            let rate = |took: Duration| lsns.len() as f64 / took.as_secs_f64() / 1e6;
            let (median, best) = (rate(times[times.len() / 2]), rate(times[0]));
            if name.starts_with("limit") {
                limit = median;
            }
            println!("{bytes:6} B  {name:21} {median:7.2} ({best:7.2})  {:4.2}", median / limit);
        }
    }
}

fn read_by_lsn(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read");
    for bytes in [100, 1 << 10] {
        let (bench, lsns) = filled(bytes, Checksum::Crc32c);
        // Warm: the benchmark is of the way to the record, not of page faults.
        assert_eq!(bench.log.snapshot().iter().count(), lsns.len());
        let mut at = 0;
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("random", format!("{bytes}B")), |bencher| {
            bencher.iter(|| {
                // A stride that is prime to the count: every record in its turn, neighbours far apart.
                at = (at + 999_983) % lsns.len();
                black_box(bench.log.read(lsns[at]).expect("read").payload().len())
            });
        });
    }
    group.finish();
}

fn open(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("open-closed");
    group.sample_size(20);
    for segments in [1, 4] {
        let options = Options::new().segment_bytes(16 << 20).sync_policy(SyncPolicy::None);
        let bench = Bench::new(&options);
        let payload = payload(1 << 10);
        while bench.log.watermarks().published.get() < segments * (16 << 20) - (1 << 20) {
            bench.log.append(&payload).expect("append");
        }
        let path = bench.path();
        bench.log.close().expect("close");
        group.bench_function(BenchmarkId::from_parameter(format!("{segments}x16MiB")), |bencher| {
            bencher.iter_custom(|iterations| {
                let mut took = Duration::ZERO;
                for _ in 0..iterations {
                    let began = Instant::now();
                    let log = options.open(&path).expect("open");
                    took += began.elapsed();
                    log.close().expect("close");
                }
                took
            });
        });
    }
    group.finish();
}

fn snapshot(criterion: &mut Criterion) {
    let bench = Bench::with_policy(SyncPolicy::None);
    criterion.bench_function("snapshot/after-one-append", |bencher| {
        bencher.iter_batched(
            || bench.log.append(b"one").expect("append"),
            |_| black_box(Log::snapshot(&bench.log)),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, replay, read_by_lsn, open, snapshot);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |what: &str| arguments.iter().any(|argument| argument == what);
    // A name or an option that asks for something else leaves them out.
    let alone =
        arguments.iter().all(|argument| ["--bench", "--quick", "ratios"].contains(&argument.as_str()));
    if alone {
        ratios(if given("--quick") { 5 } else { 15 });
    }
    if !given("ratios") {
        benches();
        Criterion::default().configure_from_args().final_summary();
    }
}
