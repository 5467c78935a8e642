//! With the feature `tracing`: spans and events for what happens rarely. `trace_off.rs` has the same names for builds
//! without it.
//!
//! A subscriber is a stranger's code: it is called without a lock of the crate, and what it does cannot end a thread.

use core::fmt::Debug;
use std::path::Path;

use tracing::span::EnteredSpan;
use tracing::{debug, debug_span, error, info, info_span, warn};

use crate::error::Error;
use crate::reentry::shielded;

/// Of all spans and events; filters go by it.
const TARGET: &str = "tidelog";

/// A span that this thread is in, until it is dropped.
#[derive(Debug)]
pub(crate) struct Span(Option<EnteredSpan>);

impl Span {
    fn enter(make: impl FnOnce() -> tracing::Span) -> Self {
        Self(shielded(|| make().entered()))
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let entered = self.0.take();
        shielded(|| drop(entered));
    }
}

pub(crate) fn open(directory: &Path) -> Span {
    Span::enter(|| info_span!(target: TARGET, "open", directory = %directory.display()))
}

pub(crate) fn recovery() -> Span {
    Span::enter(|| info_span!(target: TARGET, "recovery"))
}

/// What it found. A tail that was cut is worth a warning.
pub(crate) fn recovered(report: &dyn Debug, truncated_bytes: u64) {
    shielded(|| {
        if truncated_bytes > 0 {
            warn!(target: TARGET, ?report, truncated_bytes, "recovered, and cut off a torn tail");
        } else {
            info!(target: TARGET, ?report, "recovered");
        }
    });
}

/// Making a segment ready for the log to roll into.
pub(crate) fn prepare(number: u64, base: u64) -> Span {
    Span::enter(|| debug_span!(target: TARGET, "prepare", segment = number, base))
}

pub(crate) fn prepare_failed(error: &Error) {
    shielded(|| warn!(target: TARGET, %error, "no segment could be made ready"));
}

pub(crate) fn sealed(segments: u64, end: u64) {
    shielded(|| debug!(target: TARGET, segments, end, "sealed"));
}

pub(crate) fn poisoned(error: &Error) {
    shielded(|| error!(target: TARGET, %error, "the log takes no more appends"));
}

pub(crate) fn retire(before: u64) -> Span {
    Span::enter(|| info_span!(target: TARGET, "retire", before))
}

pub(crate) fn retired(start: u64) {
    shielded(|| info!(target: TARGET, start, "retired"));
}

pub(crate) fn close(directory: &Path) -> Span {
    Span::enter(|| info_span!(target: TARGET, "close", directory = %directory.display()))
}

/// Something that the caller is told of too.
pub(crate) fn failed(what: &'static str, error: &Error) {
    shielded(|| warn!(target: TARGET, %error, what, "failed"));
}
