//! Work on logs that were written before.

use super::{FILL_LIMIT_SECONDS, LIMIT_SECONDS, Runner, row};
use crate::logs::{Entry, Role};
use crate::results::{Row, Section};
use crate::work::{Outcome, Pass, Work};

/// A log with its records, and what came out of reading it: a row for each work, none where it takes no part.
struct Filled<'a> {
    entry: &'a Entry,
    records: u64,
    rows: Vec<Option<Row>>,
}

impl Runner<'_> {
    /// Several kinds of work on the same records. Each log is filled and read in its turn, as all together would not
    /// stay in memory. Those that the others are compared with stay, and are read once more beside each.
    pub(super) fn read(&self, works: &[Work]) -> Vec<Section> {
        let takes = |entry: &&Entry| works.iter().any(|work| (entry.takes)(work));
        let stays = |entry: &&Entry| matches!(entry.role, Role::Subject | Role::Limit);
        let (stay, go): (Vec<&Entry>, Vec<&Entry>) =
            self.run.logs.iter().copied().filter(takes).partition(stays);
        let mut staying: Vec<Filled> = stay.into_iter().map(|entry| self.fill(entry, works)).collect();
        let mut gone = Vec::new();
        for entry in &go {
            let mut going = self.fill(entry, works);
            staying.iter_mut().for_each(|filled| self.read_once(filled, works));
            (0..self.plan.rounds).for_each(|_| self.read_once(&mut going, works));
            self.clear(entry, &works[0]);
            gone.push(going);
        }
        if go.is_empty() {
            for _ in 0..self.plan.rounds {
                staying.iter_mut().for_each(|filled| self.read_once(filled, works));
            }
        }
        staying.iter().for_each(|filled| self.clear(filled.entry, &works[0]));
        staying.append(&mut gone);
        let rows = |at: usize| staying.iter().filter_map(|filled| filled.rows[at].clone()).collect();
        let sections = works.iter().enumerate();
        sections
            .map(|(at, work)| Section { work: *work, name: work.name(), took: 0.0, rows: rows(at) })
            .collect()
    }

    fn fill<'a>(&self, entry: &'a Entry, works: &[Work]) -> Filled<'a> {
        let rows = works.iter().map(|work| (entry.takes)(work).then(|| row(entry))).collect();
        let mut filled = Filled { entry, records: 0, rows };
        match self.child(entry, &works[0], Pass::Fill, None, FILL_LIMIT_SECONDS) {
            Outcome::Measured(measured) => filled.records = measured.records,
            other => filled.rows.iter_mut().flatten().for_each(|row| row.add(other.clone())),
        }
        filled
    }

    fn read_once(&self, filled: &mut Filled<'_>, works: &[Work]) {
        for (work, row) in works.iter().zip(&mut filled.rows) {
            if let Some(row) = row.as_mut().filter(|row| !row.over()) {
                row.add(self.child(filled.entry, work, Pass::Timed, Some(filled.records), LIMIT_SECONDS));
            }
        }
    }
}
