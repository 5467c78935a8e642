//! What a run did to its log, and when: all that is needed to judge what a crash left of it.

use std::fmt;

use tidelog::Lsn;

/// One append: a record, or a batch that stays whole.
#[derive(Clone)]
pub struct Unit {
    /// Unknown where the append failed, and may yet have been written.
    pub lsn: Option<u64>,
    pub records: Vec<(u64, Vec<u8>)>,
    /// The moment of the disk at which it began.
    pub begun: u64,
    /// The moment at which it returned; none when it did not, or failed.
    pub returned: Option<u64>,
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: Vec<_> = self.records.iter().map(|(lsn, payload)| (*lsn, payload.len())).collect();
        let mut f = f.debug_struct("Unit");
        f.field("lsn", &self.lsn).field("records (LSN, bytes)", &sizes);
        f.field("begun", &self.begun).field("returned", &self.returned).finish()
    }
}

/// The appends of a log since it was created, in the order of their LSNs, and its watermarks.
#[derive(Clone, Debug, Default)]
pub struct Story {
    pub units: Vec<Unit>,
    /// "From this moment on everything below was called durable."
    durable: Vec<(u64, u64)>,
    /// Retirements: when each began, when it returned, and the log's start after it.
    retired: Vec<(u64, Option<u64>, u64)>,
}

/// What a crash at some moment may leave, and must.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim {
    /// Units that had begun.
    pub begun: usize,
    /// Everything below must be there.
    pub durable: u64,
    /// The log begins at one of these or between.
    pub start: (u64, u64),
}

impl Story {
    pub fn note_durable(&mut self, moment: u64, durable: Lsn) {
        if self.durable.last().is_none_or(|(_, last)| *last < durable.get()) {
            self.durable.push((moment, durable.get()));
        }
    }

    pub fn begin_retirement(&mut self, moment: u64, start: u64) {
        self.retired.push((moment, None, start));
    }

    pub fn end_retirement(&mut self, moment: u64, start: Option<Lsn>) {
        if let (Some(last), Some(start)) = (self.retired.last_mut(), start) {
            last.1 = Some(moment);
            last.2 = start.get();
        }
    }

    /// What held at `moment`.
    #[must_use]
    pub fn claim_at(&self, moment: u64) -> Claim {
        let before = |then: u64| then <= moment;
        let durable =
            self.durable.iter().take_while(|(then, _)| before(*then)).last().map_or(0, |(_, at)| *at);
        let begun = self.units.iter().take_while(|unit| before(unit.begun)).count();
        let returned =
            self.retired.iter().filter(|(_, end, _)| end.is_some_and(before)).map(|(.., at)| *at).max();
        let wanted = self.retired.iter().filter(|(begin, ..)| before(*begin)).map(|(.., at)| *at).max();
        Claim {
            begun,
            durable,
            start: (returned.unwrap_or(0), wanted.unwrap_or(0).max(returned.unwrap_or(0))),
        }
    }

    /// The story as it goes on after a crash that left these units. What `claim` says is certain from the beginning,
    /// and what the opening found from `opened` on.
    #[must_use]
    pub fn go_on(kept: Vec<Unit>, claim: &Claim, opened: u64, start: u64, end: u64) -> Self {
        let units = kept.into_iter().map(|unit| Unit { begun: 0, returned: Some(0), ..unit }).collect();
        Self {
            units,
            durable: vec![(0, claim.durable), (opened, end.max(claim.durable))],
            retired: vec![(0, Some(0), claim.start.0), (0, Some(opened), start)],
        }
    }
}
