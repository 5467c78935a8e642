//! How long an append takes at a steady rate, while segments are prepared, recycled and synced beside it. One thread;
//! the clock's own cost (some 20 ns) is part of each figure.

mod support;

use std::hint::spin_loop;
use std::time::{Duration, Instant};

use support::{Bench, payload, retire};
use tidelog::{Options, SyncPolicy};

/// One rate and policy.
struct Case {
    name: &'static str,
    policy: SyncPolicy,
    record_bytes: usize,
    bytes_per_second: u64,
    /// Appended in all.
    bytes: u64,
    recycled: bool,
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let each_ms = |ms| SyncPolicy::periodic(Duration::from_millis(ms));
    let case = |name, policy, record_bytes, mib_per_second: u64, recycled| {
        let seconds = if quick { 1 } else { 4 };
        let bytes_per_second = mib_per_second << 20;
        Case { name, policy, record_bytes, bytes_per_second, bytes: bytes_per_second * seconds, recycled }
    };
    let cases = [
        case("Periodic 1 ms,  256 B,   64 MiB/s", each_ms(1), 256, 64, true),
        case("Periodic 10 ms, 256 B,   64 MiB/s", each_ms(10), 256, 64, true),
        case("None,           256 B,   64 MiB/s", SyncPolicy::None, 256, 64, true),
        case("None,           1 KiB,    1 GiB/s", SyncPolicy::None, 1 << 10, 1 << 10, true),
        case("None,           1 KiB,    1 GiB/s, fresh segments", SyncPolicy::None, 1 << 10, 1 << 10, false),
    ];
    println!("ns an append             p50      p99    p99.9   p99.99      max   late, ms   rolls");
    for case in &cases {
        run(case);
    }
}

fn run(case: &Case) {
    let bench = Bench::new(&Options::new().sync_policy(case.policy));
    let payload = payload(case.record_bytes);
    let count = case.bytes / case.record_bytes as u64;
    let gap_nanos = case.record_bytes as f64 * 1e9 / case.bytes_per_second as f64;
    let retire_every = (64 << 20) / case.record_bytes as u64;
    let mut nanos = vec![0_u32; count as usize];
    let mut behind = Duration::ZERO;
    let start = Instant::now();
    for (n, took) in (0..count).zip(&mut nanos) {
        let due = start + Duration::from_nanos((n as f64 * gap_nanos) as u64);
        let mut began = Instant::now();
        while began < due {
            spin_loop();
            began = Instant::now();
        }
        behind = behind.max(began - due);
        bench.log.append(&payload).expect("append");
        *took = u32::try_from(began.elapsed().as_nanos()).unwrap_or(u32::MAX);
        // Between two appends; what it takes makes the next ones late, and none of them slow.
        if case.recycled && n % retire_every == 0 {
            retire(&bench.log);
        }
    }
    nanos.sort_unstable();
    let at = |part: f64| nanos[((count as f64 * part) as usize).min(nanos.len() - 1)];
    println!(
        "{}\n                    {:>8} {:>8} {:>8} {:>8} {:>8} {:>10.2} {:>7}",
        case.name,
        at(0.5),
        at(0.99),
        at(0.999),
        at(0.9999),
        at(1.0),
        behind.as_secs_f64() * 1e3,
        bench.log.stats().segments_sealed
    );
}
