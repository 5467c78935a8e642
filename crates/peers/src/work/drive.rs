//! Appending from several threads for a while, and measuring it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{BATCH, Kind, Work};
use crate::log::{Failure, Log, Setup};
use crate::stats::Histogram;

/// How long to append, and whether to look at the clock around each call.
#[derive(Clone, Copy)]
pub struct Phase {
    pub seconds: f64,
    /// Payload at most, of all threads.
    pub bytes: u64,
    pub each: bool,
}

/// What the threads did together.
pub struct Driven {
    pub records: u64,
    pub seconds: f64,
    pub histogram: Histogram,
    /// The log does not do this; nothing was measured.
    pub unable: bool,
}

/// Appends between two looks at the clock, where each takes nanoseconds.
const CHUNK: u64 = 64;

struct Shared<'a, T> {
    log: &'a T,
    setup: &'a Setup,
    work: &'a Work,
    phase: Phase,
    barrier: Barrier,
    stop: AtomicBool,
    unable: AtomicBool,
    failure: Mutex<Option<Failure>>,
}

struct Worker {
    began: Instant,
    ended: Instant,
    calls: u64,
    histogram: Histogram,
}

pub fn drive<T: Log>(log: &T, work: &Work, setup: &Setup, phase: Phase) -> Result<Driven, Failure> {
    let shared = Shared {
        log,
        setup,
        work,
        phase,
        barrier: Barrier::new(work.threads),
        stop: AtomicBool::new(false),
        unable: AtomicBool::new(false),
        failure: Mutex::new(None),
    };
    let workers: Vec<Worker> = std::thread::scope(|scope| {
        let shared = &shared;
        let threads: Vec<_> =
            (0..work.threads).map(|thread| scope.spawn(move || shared.run(thread))).collect();
        threads.into_iter().map(|thread| thread.join().expect("an appending thread panicked")).collect()
    });
    if let Some(failure) = shared.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(failure);
    }
    let mut histogram = Histogram::new();
    workers.iter().for_each(|worker| histogram.add(&worker.histogram));
    let began = workers.iter().map(|worker| worker.began).min();
    let ended = workers.iter().map(|worker| worker.ended).max();
    let took = began.zip(ended).map_or(Duration::ZERO, |(began, ended)| ended - began);
    Ok(Driven {
        records: workers.iter().map(|worker| worker.calls).sum::<u64>() * work.records_a_call(),
        seconds: took.as_secs_f64(),
        histogram,
        unable: shared.unable.into_inner(),
    })
}

impl<T: Log> Shared<'_, T> {
    fn run(&self, thread: usize) -> Worker {
        let payload = payload(self.work.record_bytes);
        let batch = vec![payload.as_slice(); BATCH];
        let call = || match self.work.kind {
            Kind::Batch => self.log.append_batch(&batch),
            _ => self.log.append(&payload).map(|()| true),
        };
        let a_call = self.work.records_a_call() * self.work.record_bytes as u64;
        let calls_max = self.phase.bytes.div_ceil(self.work.threads as u64).div_ceil(a_call);
        let look_every = if self.phase.each { 1 } else { CHUNK };
        let drop_every = (self.setup.segment_bytes / 2 / a_call / self.work.threads as u64).max(1);
        let drops = thread == 0 && self.setup.recycle;

        let mut histogram = Histogram::new();
        let (mut calls, mut next_drop) = (0, drop_every);
        self.barrier.wait();
        let began = Instant::now();
        let (mut last, mut ended) = (began, began);
        while calls < calls_max && !self.stop.load(Ordering::Relaxed) {
            match call() {
                Ok(true) => calls += 1,
                Ok(false) => {
                    self.unable.store(true, Ordering::Relaxed);
                    break;
                }
                Err(failure) => {
                    self.fail(failure);
                    break;
                }
            }
            if calls % look_every != 0 {
                continue;
            }
            let mut now = Instant::now();
            if self.phase.each {
                histogram.record((now - last).as_nanos() as u64);
            }
            ended = now;
            if (now - began).as_secs_f64() >= self.phase.seconds {
                break;
            }
            if drops && calls >= next_drop {
                next_drop += drop_every;
                if let Err(failure) = self.log.drop_old() {
                    self.fail(failure);
                    break;
                }
                now = Instant::now();
            }
            last = now;
        }
        if !self.phase.each {
            ended = Instant::now();
        }
        Worker { began, ended, calls, histogram }
    }

    fn fail(&self, failure: Failure) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// What is appended: not zeros, which a file system might treat in its own way.
pub fn payload(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| (index * 31 + 7) as u8).collect()
}
