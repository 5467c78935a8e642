//! Group commit for the logs that leave it to their user: one writer, one sync for all that came meanwhile.
//!
//! The first caller in line leads: it takes everything that is waiting, puts it into the log and syncs once; who comes
//! meanwhile waits and is covered by the next leader. This is what the documentation of those logs asks for ("one
//! fsync for many appends"), so their rows carry this code and not a sync for every record.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::log::Failure;

/// A log with one writer.
pub trait Single: Send {
    fn put(&mut self, payload: &[u8]) -> Result<(), Failure>;
    /// Makes durable what was put.
    fn sync(&mut self) -> Result<(), Failure>;
}

#[derive(Default)]
struct Line {
    waiting: Payloads,
    spare: Payloads,
    came: u64,
    done: u64,
    led: bool,
    failed: Option<String>,
}

#[derive(Default)]
struct Payloads {
    bytes: Vec<u8>,
    lens: Vec<usize>,
}

pub struct Group<S> {
    line: Mutex<Line>,
    turn: Condvar,
    single: Mutex<S>,
}

impl<S: Single> Group<S> {
    pub fn new(single: S) -> Self {
        Self { line: Mutex::default(), turn: Condvar::new(), single: Mutex::new(single) }
    }

    /// The log itself, for what needs no group.
    pub fn single(&self) -> MutexGuard<'_, S> {
        held(self.single.lock())
    }

    pub fn into_single(self) -> S {
        self.single.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts all without a sync.
    pub fn put(&self, payloads: &[&[u8]]) -> Result<(), Failure> {
        let mut single = self.single();
        payloads.iter().try_for_each(|payload| single.put(payload))
    }

    /// Returns when all are durable.
    pub fn put_durable(&self, payloads: &[&[u8]]) -> Result<(), Failure> {
        let mut line = held(self.line.lock());
        for payload in payloads {
            line.waiting.bytes.extend_from_slice(payload);
            line.waiting.lens.push(payload.len());
        }
        line.came += payloads.len() as u64;
        let mine = line.came;
        while line.led && line.done < mine {
            line = held(self.turn.wait(line));
        }
        if line.done < mine && line.failed.is_none() {
            line = self.lead(line);
        }
        if line.done < mine { Err(line.failed.clone().unwrap_or_default().into()) } else { Ok(()) }
    }

    fn lead<'a>(&'a self, mut line: MutexGuard<'a, Line>) -> MutexGuard<'a, Line> {
        line.led = true;
        let covered = line.came;
        let spare = std::mem::take(&mut line.spare);
        let mut taken = std::mem::replace(&mut line.waiting, spare);
        drop(line);
        let result = self.put_all(&taken);
        let mut line = held(self.line.lock());
        line.led = false;
        match result {
            Ok(()) => line.done = covered,
            Err(why) => line.failed = Some(why.to_string()),
        }
        taken.bytes.clear();
        taken.lens.clear();
        line.spare = taken;
        self.turn.notify_all();
        line
    }

    fn put_all(&self, taken: &Payloads) -> Result<(), Failure> {
        let mut single = self.single();
        let mut rest = taken.bytes.as_slice();
        for &len in &taken.lens {
            let (payload, after) = rest.split_at(len);
            single.put(payload)?;
            rest = after;
        }
        single.sync()
    }
}

fn held<T>(lock: Result<T, PoisonError<T>>) -> T {
    lock.unwrap_or_else(PoisonError::into_inner)
}
