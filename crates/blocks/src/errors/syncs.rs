//! Writes and FLUSHes that fail under a sync: the Nth, for every N, once and for ever.

use super::{Lab, Run, plan, remount};
use crate::child::{Child, Told};
use crate::disk::{Fault, Faults};
use crate::system::Outcome;

/// Which call fails, and what the next opening finds.
#[derive(Clone, Debug)]
struct Case {
    name: String,
    faults: Faults,
    /// The disk still fails when the log is opened again.
    still_failing: bool,
    /// The file system is mounted anew before that, so that nothing is left in the page cache.
    remount: bool,
}

impl Lab<'_> {
    /// The Nth write and the Nth FLUSH, for every N, once and for ever.
    pub(super) fn syncs(&mut self) -> Outcome<()> {
        let none =
            Case { name: String::new(), faults: Faults::default(), still_failing: false, remount: true };
        let counted = self.sync_case(&none)?;
        let mut cases = Vec::new();
        for (writes, count) in [(true, counted.writes_seen), (false, counted.flushes_seen)] {
            for nth in 1..=count {
                for once in [true, false] {
                    let fault = if once { Fault::Once(nth) } else { Fault::From(nth) };
                    let what = if writes { "write" } else { "flush" };
                    let when = if once { "once" } else { "from there on" };
                    let faults = if writes {
                        Faults { writes: fault, ..Faults::default() }
                    } else {
                        // Every other time the disk's cache goes with it. Not where the next FLUSH succeeds again:
                        // that disk would tell others that their writes are safe which it has lost.
                        Faults {
                            flushes: fault,
                            flush_loses_cache: !once && nth % 2 == 0,
                            ..Faults::default()
                        }
                    };
                    let name = format!("{what} {nth} fails {when}");
                    let loses = faults.flush_loses_cache;
                    cases.push(Case { name, faults, still_failing: !once, remount: loses || nth % 3 == 0 });
                }
            }
        }
        for case in cases {
            let outcome = self.sync_case(&case).map(drop);
            if case.name.starts_with("write") {
                self.tally.write_faults += 1;
            } else {
                self.tally.flush_faults += 1;
            }
            self.note(&case.name, outcome);
        }
        Ok(())
    }

    /// Three threads append durably while the disk fails; then the log is opened again, until it can be.
    fn sync_case(&mut self, case: &Case) -> Outcome<Faults> {
        let mut stack = self.stack(&self.closed)?;
        let mut child = stack.writer(&plan(2, "immediate", 3, 5, self.seed))?;
        child.opened()??;
        stack.disk.inject(case.faults.clone());
        child.go_on()?;
        let mut run = Run::watch(&child)?;
        let seen = stack.disk.faults();
        run.truth.extend(self.truth.iter().map(|(lsn, known)| (*lsn, *known)));
        run.durable = run.durable.max(self.truth.last_key_value().map_or(0, |(lsn, _)| lsn + 1));
        if run.died {
            // A file system that shut itself down takes no more stores through mappings.
            self.expect_bus_error(&mut child)?;
        } else {
            self.check_poison(&mut child, &run)?;
        }
        if !case.still_failing {
            stack.disk.heal();
        }
        let mut refused = if case.remount && remount(&mut stack).is_err() {
            Some("Io the file system cannot be mounted".to_owned())
        } else {
            self.reopen(&stack, &mut run)?.err()
        };
        if let Some(refused) = refused.take() {
            self.tally.refused += 1;
            if !(refused.starts_with("Io") || refused.starts_with("Poisoned")) {
                return Err(format!("opening again was refused by {refused}"));
            }
            // With a disk that works, and nothing in the page cache, it must open.
            stack.disk.heal();
            remount(&mut stack)?;
            if let Err(refused) = self.reopen(&stack, &mut run)? {
                return Err(format!("opening on a disk that works again: {refused}"));
            }
        }
        Ok(seen)
    }

    /// After a failed sync every waiter has the error, and nothing goes on. Closes the log.
    fn check_poison(&mut self, child: &mut Child, run: &Run) -> Outcome<()> {
        child.go_on()?;
        let closing = match child.next()? {
            Some((_, Told::Closed { .. })) => None,
            Some((_, Told::Unclosed(error))) => Some(error),
            other => return Err(format!("instead of closing: {other:?}")),
        };
        child.finish()?;
        let poisoned = run.failures.iter().any(|failure| failure.starts_with("Poisoned"));
        if poisoned {
            self.tally.poisoned += 1;
            self.tally.waiters += run.failures.len() as u64;
            let appends = run.sticks.iter().take(3).all(|kind| kind == "Poisoned");
            let sync = run.sticks.last().is_some_and(|kind| kind == "Poisoned" || kind == "Durable");
            if !(appends && sync) {
                return Err(format!("after a failed sync: {:?}", run.sticks));
            }
            if !closing.as_ref().is_some_and(|error| error.starts_with("Poisoned")) {
                return Err(format!("closing after a failed sync: {closing:?}"));
            }
        } else if let Some(failure) = run.failures.iter().find(|failure| !failure.starts_with("Io")) {
            return Err(format!("an append failed by {failure}"));
        }
        Ok(())
    }
}
