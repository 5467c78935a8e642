//! Appends that return when they are published: size, threads and policy.

mod support;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use support::{Bench, PERIODIC, SIZES, on_threads, payload};
use tidelog::SyncPolicy;

fn append(criterion: &mut Criterion) {
    for (name, policy) in [("none", SyncPolicy::None), ("periodic-1ms", PERIODIC)] {
        let mut group = criterion.benchmark_group(format!("append/{name}"));
        for bytes in SIZES {
            let payload = payload(bytes);
            group.throughput(Throughput::Bytes(bytes as u64));
            for threads in [1, 2, 4] {
                let bench = Bench::with_policy(policy);
                let id = BenchmarkId::new(format!("{bytes}B"), format!("{threads}threads"));
                group.bench_function(id, |bencher| {
                    bencher.iter_custom(|iterations| {
                        on_threads(&bench, threads, iterations, bytes, |log| {
                            log.append(&payload).expect("append");
                        })
                    });
                });
            }
        }
        group.finish();
    }
}

fn in_place(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append_with/none");
    for bytes in SIZES {
        let payload = payload(bytes);
        let bench = Bench::with_policy(SyncPolicy::None);
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new(format!("{bytes}B"), "1threads"), |bencher| {
            bencher.iter_custom(|iterations| {
                on_threads(&bench, 1, iterations, bytes, |log| {
                    log.append_with(bytes, |buffer| buffer.copy_from_slice(&payload)).expect("append");
                })
            });
        });
    }
    group.finish();
}

fn batch(criterion: &mut Criterion) {
    const RECORDS: usize = 100;
    let records = vec![payload(1 << 10); RECORDS];
    let mut group = criterion.benchmark_group("batch/100x1KiB");
    group.throughput(Throughput::Elements(RECORDS as u64));
    for (name, policy) in
        [("none", SyncPolicy::None), ("periodic-1ms", PERIODIC), ("grouped", SyncPolicy::grouped())]
    {
        let bench = Bench::with_policy(policy);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                on_threads(&bench, 1, iterations, RECORDS << 10, |log| {
                    log.append_batch(&records).expect("append");
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, append, in_place, batch);
criterion_main!(benches);
