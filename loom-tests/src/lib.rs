//! How the model-checked scenarios in `tests` are run.
//!
//! `RUSTFLAGS="--cfg tidelog_loom" cargo test -p tidelog-loom-tests --profile model --target-dir target/loom` checks
//! every scenario with a few preemptions; `TIDELOG_LOOM_FULL=1` before it checks them with more. `docs/CONCURRENCY.md`
//! tells which scenario stands for which edge.
#![cfg(tidelog_loom)]
#![allow(clippy::disallowed_types, reason = "the count of interleavings outlives each of them")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tidelog::model::Model;

/// Checks `scenario` in every interleaving with at most `quick` preemptions, or one more in the full set.
pub fn check(quick: usize, scenario: impl Fn() + Sync + Send + 'static) {
    let full = std::env::var_os("TIDELOG_LOOM_FULL").is_some();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(quick + usize::from(full)));
    // Far above what the longest scenario takes, so that only a thread that waits for ever gets there.
    builder.max_branches = 20_000;
    let interleavings = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&interleavings);
    let began = std::time::Instant::now();
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        scenario();
    });
    let (count, time) = (interleavings.load(Ordering::Relaxed), began.elapsed());
    println!("{count} interleavings in {time:.1?}: {}", std::thread::current().name().unwrap_or_default());
}

/// Runs `body` in a thread of its own, on the same log.
pub fn spawn<T: 'static>(
    model: &Model,
    body: impl FnOnce(&Model) -> T + 'static,
) -> loom::thread::JoinHandle<T> {
    let model = model.clone();
    loom::thread::spawn(move || body(&model))
}

/// The records are exactly these, in this order.
pub fn assert_records(model: &Model, expected: &[(u64, &[u8])]) {
    let found = model.audit();
    let found: Vec<_> = found.iter().map(|(lsn, payload)| (*lsn, payload.as_slice())).collect();
    assert_eq!(found, expected);
}

/// The records are exactly these, in whatever order their claims came.
pub fn assert_record_set(model: &Model, mut expected: Vec<(u64, Vec<u8>)>) {
    expected.sort();
    assert_eq!(model.audit(), expected);
}
