//! Every public operation of a log at once, from nine threads, until it is closed among them: for ThreadSanitizer to
//! watch. `crates/races/tsan` builds it so and runs it; without the sanitizer it is a stress test like others.
//!
//! `tidelog-races [SEGMENTS]`: under each policy and each checksum the log grows by so many segments of 64 KiB.
//! `TIDELOG_SEED` gives every thread the same choices again, though not the same interleaving.
#![allow(clippy::disallowed_types, reason = "the test's own counters")]

mod read;
mod records;
mod write;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tidelog::{Checksum, Log, Lsn, Options, SyncPolicy};

/// Segments by which each log grows, where none are told.
const SEGMENTS: u64 = 400;
const SEGMENT_BYTES: u64 = 1 << 16;
const WRITERS: u64 = 4;

/// What the threads of one round share.
struct Round {
    log: Log,
    policy: SyncPolicy,
    /// The log is closed, and the readers have seen its end.
    over: AtomicBool,
    /// LSNs that were returned, for the threads that read.
    known: Mutex<Vec<Lsn>>,
    tally: Tally,
}

/// What happened, so that a run that watched nothing shows.
#[derive(Default)]
struct Tally {
    records: AtomicU64,
    batches: AtomicU64,
    panics: AtomicU64,
    durable_waits: AtomicU64,
    syncs: AtomicU64,
    reads: AtomicU64,
    snapshots: AtomicU64,
    snapshot_records: AtomicU64,
    tail_records: AtomicU64,
    other_records: AtomicU64,
    retirements: AtomicU64,
    rolls: AtomicU64,
    recycled: AtomicU64,
    refused: AtomicU64,
}

fn count(counter: &AtomicU64) {
    // Relaxed: TSan must not take the tally for what orders the log's threads.
    counter.fetch_add(1, Ordering::Relaxed);
}

fn main() -> ExitCode {
    let segments = std::env::args().nth(1).map_or(Ok(SEGMENTS), |text| text.parse());
    let Ok(segments) = segments else {
        eprintln!("usage: tidelog-races [SEGMENTS]");
        return ExitCode::from(2);
    };
    let seed = records::seed();
    println!("TIDELOG_SEED={seed}");
    // The panics of `append_with`'s closures are meant.
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload().downcast_ref::<&str>() != Some(&write::MEANT) {
            tell(panic);
        }
    }));
    let policies = [
        ("none", SyncPolicy::None),
        ("periodic", SyncPolicy::periodic(Duration::from_millis(2))),
        ("grouped", SyncPolicy::grouped()),
        ("immediate", SyncPolicy::Immediate),
    ];
    for (name, policy) in policies {
        for checksum in [Checksum::Crc32c, Checksum::Crc64] {
            let began = Instant::now();
            let tally = round(policy, checksum, segments, seed);
            println!("{name} {checksum:?}, {:.1} s: {}", began.elapsed().as_secs_f64(), tally.line());
            tally.check(segments);
        }
    }
    ExitCode::SUCCESS
}

/// One log, from its creation to its closing and what the next opening finds.
fn round(policy: SyncPolicy, checksum: Checksum, segments: u64, seed: u64) -> Tally {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path();
    let options = Options::new().segment_bytes(SEGMENT_BYTES).sync_policy(policy).checksum(checksum);
    let log = options.open(path).expect("the log opens");
    let round = Round {
        log,
        policy,
        over: AtomicBool::new(false),
        known: Mutex::new(Vec::new()),
        tally: Tally::default(),
    };
    let returned = std::thread::scope(|scope| {
        let round = &round;
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| scope.spawn(move || write::write(round, seed, writer))).collect();
        scope.spawn(move || write::retire(round, seed));
        scope.spawn(move || read::follow(round));
        scope.spawn(move || read::look(round, seed));
        scope.spawn(move || read::look_from_outside(round, path, seed));
        // Closes while all the others are at work.
        while round.log.watermarks().claimed.get() < segments * SEGMENT_BYTES {
            std::thread::sleep(Duration::from_millis(1));
        }
        let closers: Vec<_> = (0..2).map(|_| scope.spawn(|| round.log.close())).collect();
        for closer in closers {
            closer.join().expect("closing does not panic").expect("the log closes");
        }
        let returned = writers.into_iter().flat_map(|writer| writer.join().expect("no writer panics"));
        let returned: Vec<_> = returned.collect();
        round.over.store(true, Ordering::Relaxed);
        returned
    });
    let stats = round.log.stats();
    let tally = round.tally;
    tally.rolls.store(stats.segments_sealed, Ordering::Relaxed);
    tally.recycled.store(stats.segments_recycled, Ordering::Relaxed);
    drop(round.log);
    records::check_reopened(&options, path, returned);
    tally
}

impl Tally {
    fn line(&self) -> String {
        let figures = [
            (&self.records, "records"),
            (&self.batches, "batches"),
            (&self.panics, "panics"),
            (&self.durable_waits, "durable waits"),
            (&self.syncs, "syncs"),
            (&self.reads, "reads"),
            (&self.snapshots, "snapshots of"),
            (&self.snapshot_records, "records"),
            (&self.tail_records, "followed"),
            (&self.other_records, "seen by a LogReader"),
            (&self.retirements, "retirements"),
            (&self.rolls, "rolls"),
            (&self.recycled, "recycled"),
            (&self.refused, "appends refused by close"),
        ];
        let words = figures.map(|(counter, name)| format!("{} {name}", counter.load(Ordering::Relaxed)));
        words.join(", ")
    }

    /// Each kind of thread has done its part.
    fn check(&self, segments: u64) {
        let done = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let parts = [
            &self.records,
            &self.batches,
            &self.panics,
            &self.durable_waits,
            &self.syncs,
            &self.reads,
            &self.snapshot_records,
            &self.tail_records,
            &self.other_records,
            &self.retirements,
            &self.recycled,
            &self.refused,
        ];
        assert!(parts.iter().all(|part| done(part) > 0), "a thread did nothing: {}", self.line());
        assert!(done(&self.rolls) + 2 >= segments, "{} rolls of {segments}", done(&self.rolls));
    }
}
