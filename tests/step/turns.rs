//! Whose instruction is the next.

use nix::unistd::Pid;

use crate::script::Others;
use crate::support::Random;
use crate::tracee::{Stepped, Tracee};

/// Of a thousand instructions.
const ALL: u64 = 1000;

/// The threads that are stepped during one operation.
#[derive(Debug)]
pub(crate) struct Turns {
    script: Turn,
    keeper: Option<Turn>,
    /// How many instructions of a thousand are the script's; drawn anew now and then.
    share: u64,
    over: bool,
    /// The keeper has run since the operation ended.
    keeper_ran: bool,
}

#[derive(Debug)]
struct Turn {
    thread: Pid,
    /// Its last step does not end: it waits for another thread, or for time to pass.
    waits: bool,
}

impl Turn {
    fn take(&mut self, tracee: &Tracee) -> Stepped {
        let stepped = if self.waits { tracee.look(self.thread) } else { tracee.step_or_leave(self.thread) };
        self.waits = stepped == Stepped::Waiting;
        stepped
    }
}

impl Turns {
    pub(crate) fn new(tracee: &Tracee, others: Others, random: &mut Random) -> Self {
        let turn = |thread| Turn { thread, waits: false };
        let mut turns = Self {
            script: turn(tracee.script),
            keeper: (others == Others::Keeper).then(|| turn(tracee.keeper)),
            share: ALL,
            over: false,
            keeper_ran: false,
        };
        if let Some(keeper) = &mut turns.keeper
            && random.one_in(2)
        {
            // It looks after the log while the operation runs, not only afterwards.
            while keeper.take(tracee) != Stepped::Instruction {
                std::thread::yield_now();
            }
        }
        turns.share = random.below(ALL);
        turns
    }

    pub(crate) fn take(&mut self, tracee: &Tracee, random: &mut Random) -> Stepped {
        let Some(keeper) = &mut self.keeper else { return tracee.step(self.script.thread) };
        if random.one_in(50) {
            self.share = random.below(ALL + 1);
        }
        if !self.over && (keeper.waits || random.below(ALL) < self.share) {
            let stepped = self.script.take(tracee);
            if stepped != Stepped::Waiting {
                return stepped;
            }
        }
        let stepped = keeper.take(tracee);
        match stepped {
            Stepped::Waiting => std::thread::sleep(std::time::Duration::from_micros(50)),
            _ => self.keeper_ran |= self.over,
        }
        stepped
    }

    pub(crate) fn script_is_over(&mut self) {
        self.over = true;
    }

    /// It has looked after the log once more, and sleeps.
    pub(crate) fn is_keeper_done(&self) -> bool {
        self.keeper.as_ref().is_none_or(|keeper| self.keeper_ran && keeper.waits)
    }
}
