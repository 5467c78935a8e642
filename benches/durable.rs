//! Appends that return when they are durable: policy and threads. Throughput is in records, of all threads.

mod support;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use support::{Bench, on_threads, payload};
use tidelog::SyncPolicy;

fn durable(criterion: &mut Criterion) {
    for (name, policy) in [("grouped", SyncPolicy::grouped()), ("immediate", SyncPolicy::Immediate)] {
        let mut group = criterion.benchmark_group(format!("durable/{name}"));
        group.throughput(Throughput::Elements(1));
        for bytes in [100, 1 << 10] {
            let payload = payload(bytes);
            for threads in [1, 4, 16] {
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

criterion_group!(benches, durable);
criterion_main!(benches);
