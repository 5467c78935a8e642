//! What a writer told.

use crate::child::{Child, Known, Told, Truth};
use crate::system::Outcome;

/// What a writer told while the disk failed.
#[derive(Debug, Default)]
pub struct Run {
    pub truth: Truth,
    pub durable: u64,
    pub failures: Vec<String>,
    pub sticks: Vec<String>,
    /// The writer ended before it was done.
    pub died: bool,
}

impl Run {
    /// Listens until the writer is done.
    pub fn watch(child: &Child) -> Outcome<Self> {
        let mut run = Self::default();
        loop {
            match child.next()? {
                Some((_, Told::Appended(records))) => {
                    for (lsn, id) in records {
                        run.truth.insert(lsn, Known { id, at: 0 });
                    }
                }
                Some((_, Told::Durable(lsn))) => run.durable = run.durable.max(lsn),
                Some((_, Told::Failed(error))) => run.failures.push(error),
                Some((_, Told::Sticks(kinds))) => run.sticks = kinds,
                Some((_, Told::Done)) => return Ok(run),
                None => return Ok(Self { died: true, ..run }),
                other => return Err(format!("while appending: {other:?}")),
            }
        }
    }
}
