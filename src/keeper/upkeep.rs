//! The rounds of upkeep: by a thread of the log's own, or as the chore of one that many logs share.

use std::time::{Duration, Instant};

use super::{Keeper, Marks};
use crate::chain::Demand;
use crate::crew::{Chore, Next};
use crate::error::{Error, Result};
use crate::listener::Listener;
use crate::primitive::Arc;

/// The keeper looks this often while the log grows, and backs off to the other while it does not.
pub(super) const PERIOD_BUSY: Duration = Duration::from_millis(1);
pub(super) const PERIOD_IDLE: Duration = Duration::from_millis(100);
/// Where one thread looks after many logs, to a longer one: what must not wait rings a bell.
const PERIOD_IDLE_SHARED: Duration = Duration::from_secs(1);
/// After a failure the keeper tries again when somebody waits, and else only so often.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// What is remembered from one round to the next.
#[derive(Debug)]
pub(crate) struct Rounds {
    marks: Marks,
    period: Duration,
    /// Where the log ended.
    seen: u64,
    failed_at: Option<Instant>,
    listener: Option<Listener>,
}

impl Rounds {
    pub(super) fn new(keeper: &Keeper) -> Self {
        let chain = &keeper.chain;
        let marks = Marks::new(chain.published().position(), chain.geometry.segment_bytes());
        Self { marks, period: PERIOD_BUSY, seen: 0, failed_at: None, listener: None }
    }

    /// How long to wait for the next round.
    pub(super) fn period(&mut self, keeper: &Keeper, idle: Duration) -> Duration {
        let claimed = keeper.chain.claimed();
        self.period = if claimed == self.seen { (self.period * 2).min(idle) } else { PERIOD_BUSY };
        self.seen = claimed;
        self.period
    }
}

impl Keeper {
    /// One round, in which no more than `most` segments are prepared. What came of that, where it was tried.
    pub(super) fn go_round(&self, rounds: &mut Rounds, waiting: bool, most: u64) -> Option<Result<bool>> {
        if rounds.listener.is_none() {
            rounds.listener = self.listen();
        }
        self.look_after(&mut rounds.marks);
        self.telemetry.report_when_due();
        let due = waiting || rounds.failed_at.is_none_or(|at| at.elapsed() >= RETRY_AFTER);
        let tried = due.then(|| self.supply(waiting, most));
        if let Some(tried) = &tried {
            rounds.failed_at = tried.is_err().then(Instant::now);
        }
        self.retain(false);
        tried
    }
}

/// The upkeep of one log, as the chore of a thread that many share.
#[derive(Debug)]
pub(crate) struct Upkeep {
    keeper: Arc<Keeper>,
    rounds: Rounds,
}

impl Upkeep {
    pub(crate) fn new(keeper: Arc<Keeper>) -> Self {
        let rounds = Rounds::new(&keeper);
        Self { keeper, rounds }
    }
}

impl Chore for Upkeep {
    fn step(&mut self) -> Next {
        let Self { keeper, rounds } = self;
        let waiting = match keeper.chain.supply().look_for_demand() {
            Demand::Stop => return Next::Never,
            demand => demand == Demand::Waiting,
        };
        // One segment a step: the other logs come in between.
        let tried = keeper.go_round(rounds, waiting, 1);
        let again = match tried {
            // No slot is free yet: the demand stands.
            Some(Ok(false)) if waiting => Some(PERIOD_BUSY),
            Some(Ok(true)) if keeper.wants_segment() && keeper.chain.has_slot() => Some(Duration::ZERO),
            _ => None,
        };
        let period = rounds.period(keeper, PERIOD_IDLE_SHARED);
        Next::After(again.unwrap_or(period))
    }

    fn panicked(&mut self) {
        let name = "tidelog-keeper";
        self.keeper.chain.abandon(Error::thread_panicked(name, self.keeper.directory.path()));
    }
}
