//! A small part of what the binary does, for mutants and for whoever changes recovery: the same seeds each time.
#![allow(clippy::disallowed_types, reason = "not the protocol of the log")]

use std::sync::atomic::{AtomicU64, Ordering};

use tidelog_explorer::explore::explore;
use tidelog_explorer::figures::Figures;

const SEEDS: u64 = 10;

#[test]
fn crash_states_keep_every_promise() {
    let next = AtomicU64::new(1);
    let work = || {
        let mut figures = Figures::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > SEEDS {
                return figures;
            }
            if let Err(failure) = explore(seed, &mut figures) {
                // No other run begins.
                next.store(SEEDS + 1, Ordering::Relaxed);
                panic!("seed {}: {}", failure.seed, failure.what);
            }
        }
    };
    let figures = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        let mut total = Figures::default();
        for thread in threads {
            match thread.join() {
                Ok(figures) => total.add(&figures),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        total
    });
    print!("{figures}");
    assert!(figures.states() > 50_000, "too few states: {}", figures.states());
}
