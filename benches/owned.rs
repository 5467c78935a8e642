//! Records that are kept: what each form costs beside a borrowed record, in turns, over the same log.
//!
//! `cargo bench --bench owned --features bytes -- [--quick]`
#![allow(clippy::disallowed_types, reason = "the bench's own channel")]

mod support;

use std::hint::black_box;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use support::{Bench, payload};
use tidelog::{Options, Snapshot, SyncPolicy};

/// Payload bytes in the log.
const LOG_BYTES: usize = 64 << 20;

/// A form, and what reads all records in it.
type Run<'a> = (&'static str, Box<dyn Fn() -> usize + 'a>);

fn borrowed(snapshot: &Snapshot) -> usize {
    snapshot.iter().map(|record| record.expect("read").payload().len()).sum()
}

fn pinned(snapshot: &Snapshot) -> usize {
    snapshot.iter().pinned().map(|record| black_box(record.expect("read")).payload().len()).sum()
}

#[cfg(feature = "bytes")]
fn bytes(snapshot: &Snapshot) -> usize {
    snapshot.iter().bytes().map(|record| black_box(record.expect("read")).1.len()).sum()
}

fn copied(snapshot: &Snapshot) -> usize {
    snapshot.iter().map(|record| black_box(record.expect("read").payload().to_vec()).len()).sum()
}

/// All of what is given away is read and dropped on another thread.
fn handed<T: Send>(items: impl Iterator<Item = T>, read: impl Fn(T) -> usize + Send) -> usize {
    let (sender, receiver) = sync_channel(1024);
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || receiver.into_iter().map(read).sum());
        items.for_each(|item| sender.send(item).expect("the reader takes it"));
        drop(sender);
        reader.join().expect("the reader panicked")
    })
}

fn main() {
    let rounds = if std::env::args().any(|argument| argument == "--quick") { 3 } else { 9 };
    println!("ns a record, median; of a borrowed one");
    for len in [100, 1 << 10] {
        let bench = Bench::new(&Options::new().sync_policy(SyncPolicy::None).segment_bytes(16 << 20));
        let payload = payload(len);
        let records = LOG_BYTES / len;
        for _ in 0..records {
            bench.log.append(&payload).expect("append");
        }
        let snapshot = bench.log.snapshot();
        let runs: Vec<Run<'_>> = vec![
            ("borrowed", Box::new(|| borrowed(&snapshot))),
            ("pinned", Box::new(|| pinned(&snapshot))),
            #[cfg(feature = "bytes")]
            ("bytes", Box::new(|| bytes(&snapshot))),
            ("copied to a Vec", Box::new(|| copied(&snapshot))),
            (
                "segments to a thread",
                Box::new(|| {
                    handed(snapshot.segments().map(|part| part.pin().expect("pin")), |part| borrowed(&part))
                }),
            ),
            (
                "pinned to a thread",
                Box::new(|| handed(snapshot.iter().pinned(), |record| record.expect("read").payload().len())),
            ),
        ];
        let mut times = vec![Vec::new(); runs.len()];
        for _ in 0..rounds {
            for ((name, run), times) in runs.iter().zip(&mut times) {
                let began = Instant::now();
                assert_eq!(black_box(run()), records * len, "{name}");
                times.push(began.elapsed().as_nanos() as f64 / records as f64);
            }
        }
        let medians: Vec<f64> = times
            .into_iter()
            .map(|mut times| {
                times.sort_by(f64::total_cmp);
                times[times.len() / 2]
            })
            .collect();
        for ((name, _), median) in runs.iter().zip(&medians) {
            println!("{len:6} B  {name:22} {median:8.1}  {:6.2}", median / medians[0]);
        }
    }
}
