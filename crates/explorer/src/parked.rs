//! A writer that stops in the middle: its claim is open, its payload half written.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use tidelog::{Error, Log, Lsn};

/// A thread inside the closure of `append_with`.
#[derive(Debug)]
pub struct Parked {
    go: Sender<()>,
    thread: JoinHandle<Result<Lsn, Error>>,
    /// Where the claim begins, or a little before.
    pub near: u64,
}

impl Parked {
    /// Begins an append and stops it; `None` when it could not begin.
    #[must_use]
    pub fn begin(log: &Log, payload: Vec<u8>) -> Option<Self> {
        let near = log.watermarks().claimed.get();
        let (inside, is_inside): (Sender<()>, Receiver<()>) = channel();
        let (go, may_go) = channel();
        let log = log.clone();
        let thread = std::thread::spawn(move || {
            log.append_with(payload.len(), move |buffer| {
                let half = payload.len() / 2;
                buffer[..half].copy_from_slice(&payload[..half]);
                let _ = inside.send(());
                // When the other side is gone there is no reason to wait either.
                let _ = may_go.recv();
                buffer[half..].copy_from_slice(&payload[half..]);
            })
        });
        if is_inside.recv().is_ok() {
            return Some(Self { go, thread, near });
        }
        // The append failed before it had its claim.
        let _ = thread.join();
        None
    }

    /// Lets it go on, and waits for what the append returns.
    pub fn finish(self) -> Result<Lsn, Error> {
        let _ = self.go.send(());
        match self.thread.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}
