//! Where the consumers of the old logs stand in the new one.

use tidelog::Lsn;

use super::source::Source;
use crate::exit::{Fail, Outcome};
use crate::problem::Problem;

/// A cursor of a source.
#[derive(Clone, Debug)]
struct Pending {
    name: String,
    gate: bool,
    /// It goes to the first record from here on; zero once its own log has ended.
    position: u64,
    /// All of its own log was consumed.
    at_end: bool,
}

/// A cursor, and where it goes.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    pub(super) name: String,
    pub(super) gate: bool,
    pub(super) position: u64,
    at_end: bool,
}

#[derive(Debug, Default)]
pub(super) struct Cursors {
    /// Descending by their positions.
    pending: Vec<Pending>,
    settled: Vec<Settled>,
    /// What people are told about them.
    pub(super) remarks: Vec<String>,
    pub(super) problems: Vec<Problem>,
}

impl Cursors {
    /// Takes in those of a source before its first record.
    pub(super) fn begin(&mut self, source: &Source) -> Result<(), Fail> {
        for cursor in source.cursors()? {
            let name = cursor.name;
            let state = match cursor.state {
                Ok(state) => state,
                Err(error) => {
                    let what = format!("the cursor {name:?} is left out: {error}");
                    self.problems.push(Problem::new(Outcome::of(&error), what));
                    continue;
                }
            };
            // A live log may have gone on since its end was seen, and its consumers with it.
            let beyond =
                (!source.is_live() && state.position.get() > source.end()).then(|| Lsn::new(source.end()));
            let ended = state.log_ended.or(beyond);
            if let Some(ended) = ended {
                self.remarks.push(format!(
                    "the cursor {name:?} stood at LSN {}, beyond where its log was found to end: what lay between is lost; it is \
                     taken to stand at that end, LSN {ended}",
                    state.position
                ));
            }
            let position = ended.unwrap_or(state.position).get();
            self.pending.push(Pending { name, gate: state.gate, position, at_end: false });
        }
        self.pending.sort_by_key(|cursor| core::cmp::Reverse(cursor.position));
        Ok(())
    }

    /// The record that was at `old` is at `new`.
    pub(super) fn pass(&mut self, old: u64, new: u64) {
        while let Some(cursor) = self.pending.pop_if(|cursor| cursor.position <= old) {
            let Pending { name, gate, at_end, .. } = cursor;
            self.settled.push(Settled { name, gate, position: new, at_end });
        }
    }

    /// The source has ended: what is left goes to the first record of the next.
    pub(super) fn end(&mut self) {
        for cursor in &mut self.pending {
            (cursor.position, cursor.at_end) = (0, true);
        }
    }

    /// The positions as they were: with LSNs that are kept.
    pub(super) fn keep(&mut self) {
        for Pending { name, gate, position, at_end } in self.pending.drain(..) {
            self.settled.push(Settled { name, gate, position, at_end });
        }
    }

    /// One of each name, none behind `end`. Of several, that of the first log which was not consumed to its end.
    pub(super) fn settle(&mut self, start: u64, end: u64) -> Vec<Settled> {
        self.end();
        self.pass(0, end);
        let mut all: Vec<Settled> = Vec::new();
        for cursor in self.settled.drain(..) {
            let Some(known) = all.iter_mut().find(|known| known.name == cursor.name) else {
                all.push(cursor);
                continue;
            };
            let gate = known.gate || cursor.gate;
            let moves_on = known.at_end || !cursor.at_end && cursor.position < known.position;
            if moves_on {
                *known = cursor;
            }
            known.gate = gate;
            self.remarks.push(format!(
                "the cursor {:?} is in several logs; it stands at LSN {}, and what lies from there on is consumed again",
                known.name, known.position
            ));
        }
        for cursor in &mut all {
            cursor.position = cursor.position.clamp(start, end);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursors(all: &[(&str, u64)]) -> Vec<Pending> {
        let mut all: Vec<Pending> = all
            .iter()
            .map(|(name, position)| Pending {
                name: (*name).to_owned(),
                gate: *name == "gate",
                position: *position,
                at_end: false,
            })
            .collect();
        all.sort_by_key(|cursor| core::cmp::Reverse(cursor.position));
        all
    }

    #[test]
    fn each_goes_to_the_next_record_or_the_end() {
        let mut known = Cursors {
            pending: cursors(&[("first", 0), ("between", 50), ("gate", 100), ("end", 200)]),
            ..Cursors::default()
        };
        for (old, new) in [(0, 1000), (24, 1024), (100, 1048)] {
            known.pass(old, new);
        }
        known.end();
        // The next log.
        known.pending.extend(cursors(&[("gate", 16), ("end", 0)]));
        known.pending.sort_by_key(|cursor| core::cmp::Reverse(cursor.position));
        known.pass(0, 2000);
        known.pass(16, 2024);
        let settled = known.settle(8, 3000);
        let mut found: Vec<_> =
            settled.iter().map(|cursor| (cursor.name.as_str(), cursor.position, cursor.gate)).collect();
        found.sort_unstable();
        assert_eq!(
            found,
            [("between", 1048, false), ("end", 2000, false), ("first", 1000, false), ("gate", 1048, true)]
        );
        assert_eq!(known.remarks.len(), 2);
    }

    #[test]
    fn none_lies_outside_of_the_log() {
        let mut known = Cursors { pending: cursors(&[("low", 0), ("high", 900)]), ..Cursors::default() };
        known.keep();
        let positions: Vec<u64> = known.settle(64, 800).iter().map(|cursor| cursor.position).collect();
        assert_eq!(positions, [800, 64]);
    }
}
