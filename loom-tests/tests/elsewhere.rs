//! ASK and TELL: a reader in another process is woken, by way of the thread that sleeps on its behalf.
#![cfg(tidelog_loom)]
#![allow(clippy::disallowed_types, reason = "what a scenario sets for itself is not to be explored")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidelog::model::Model;
use tidelog_loom_tests::{check, spawn};

/// Runs `readers` beside the thread that answers them, and ends that when they have returned. A lost wake-up is a thread
/// that sleeps for ever, which the checker reports as a deadlock.
fn answered(model: &Model, readers: impl FnOnce()) {
    let stopped = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&stopped);
    let listener = spawn(model, move |model| model.answer(|| ends.load(Ordering::SeqCst)));
    readers();
    stopped.store(true, Ordering::SeqCst);
    model.rouse();
    listener.join().unwrap();
}

#[test]
fn an_append_wakes_a_reader_elsewhere() {
    check(2, || {
        let model = Model::new(1);
        let writer = spawn(&model, |model| {
            model.append(b"").unwrap();
        });
        answered(&model, || {
            model.read_from_elsewhere(0);
        });
        writer.join().unwrap();
    });
}

/// Two readers, of whom one asks while the other is being answered.
#[test]
fn an_append_wakes_all_readers_elsewhere() {
    check(1, || {
        let model = Model::new(1);
        let writer = spawn(&model, |model| {
            model.append(b"").unwrap();
        });
        answered(&model, || {
            let other = spawn(&model, |model| drop(model.read_from_elsewhere(0)));
            model.read_from_elsewhere(0);
            other.join().unwrap();
        });
        writer.join().unwrap();
    });
}

#[test]
fn a_sync_wakes_a_reader_elsewhere() {
    check(2, || {
        let model = Model::new(1);
        let writer = spawn(&model, |model| {
            model.append(b"").unwrap();
            model.sync().unwrap();
        });
        answered(&model, || {
            assert_eq!(model.durable_from_elsewhere(0), 16);
        });
        writer.join().unwrap();
    });
}
