//! Without the feature `tracing`: nothing, at no cost. The same names as in `trace.rs`.

use std::path::Path;

use crate::error::Error;

#[derive(Debug)]
pub(crate) struct Span;

pub(crate) fn open(_directory: &Path) -> Span {
    Span
}

pub(crate) fn recovery() -> Span {
    Span
}

pub(crate) fn recovered(_report: &dyn core::fmt::Debug, _truncated_bytes: u64) {}

pub(crate) fn prepare(_number: u64, _base: u64) -> Span {
    Span
}

pub(crate) fn prepare_failed(_error: &Error) {}

pub(crate) fn sealed(_segments: u64, _end: u64) {}

pub(crate) fn poisoned(_error: &Error) {}

pub(crate) fn retire(_before: u64) -> Span {
    Span
}

pub(crate) fn retired(_start: u64) {}

pub(crate) fn close(_directory: &Path) -> Span {
    Span
}

pub(crate) fn failed(_what: &'static str, _error: &Error) {}
