//! What is wrong with a log, place by place.

use std::path::PathBuf;

use serde_json::{Value, json};
use tidelog::Error;

use crate::exit::Outcome;

/// One finding.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) outcome: Outcome,
    /// What, where and what to do, for people.
    pub(crate) message: String,
    pub(crate) lsn: Option<u64>,
    /// Where valid frames begin again; records between `lsn` and here are lost.
    pub(crate) lost_to: Option<u64>,
    pub(crate) path: Option<PathBuf>,
    pub(crate) offset: Option<u64>,
}

impl Problem {
    pub(crate) fn new(outcome: Outcome, message: impl Into<String>) -> Self {
        Self { outcome, message: message.into(), lsn: None, lost_to: None, path: None, offset: None }
    }

    pub(crate) fn at(mut self, lsn: u64, lost_to: Option<u64>) -> Self {
        self.lsn = Some(lsn);
        self.lost_to = lost_to;
        self
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "kind": self.outcome.word(),
            "message": self.message,
            "lsn": self.lsn,
            "lost_to": self.lost_to,
            "path": self.path.as_ref().map(|path| path.display().to_string()),
            "offset": self.offset,
        })
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        Self {
            outcome: Outcome::of(error),
            message: error.to_string(),
            lsn: error.lsn().map(|lsn| lsn.get()),
            lost_to: None,
            path: error.path().map(Into::into),
            offset: error.offset(),
        }
    }
}
