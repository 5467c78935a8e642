//! `top`: what a running writer does, look after look.

mod look;
mod print;

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use self::look::Look;
use self::print::{Screen, line, object};
use crate::args::{Global, Top};
use crate::exit::{Fail, Outcome};
use crate::out::Out;

/// What happened between two looks.
#[derive(Debug)]
struct Interval<'a> {
    now: &'a Look,
    /// The look before, where rates can be told: at the same log, which nobody has opened anew.
    before: Option<&'a Look>,
}

pub(super) fn run(directory: &Path, options: &Top, global: &Global, out: &mut Out) -> Result<Outcome, Fail> {
    // A first look that fails is told as by any command.
    let mut before = Look::new(directory, None)?;
    let mut screen =
        (!global.json && std::io::stdout().is_terminal()).then(|| Screen::new(directory, options.interval));
    if let Some(screen) = &mut screen {
        screen.draw(&Interval { now: &before, before: None }, global.colors(), out)?;
        out.flush()?;
    }
    let mut left = options.count.unwrap_or(u64::MAX);
    let mut due = Instant::now();
    let mut lines = 0_u64;
    while left > 0 {
        due = next(due, options.interval);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let now = Look::new(directory, Some(&before))?;
        let interval = Interval { now: &now, before: now.continues(&before).then_some(&before) };
        match &mut screen {
            Some(screen) => screen.draw(&interval, global.colors(), out)?,
            None if global.json => out.json(object(&interval))?,
            None => {
                for note in &now.notes {
                    global.colors().remark(note);
                }
                line(&interval, lines, out)?;
            }
        }
        out.flush()?;
        before = now;
        lines += 1;
        left -= 1;
    }
    Ok(Outcome::Clean)
}

/// Steady, but what was missed is not made up for.
fn next(due: Instant, interval: Duration) -> Instant {
    (due + interval).max(Instant::now())
}

impl Interval<'_> {
    fn seconds(&self) -> Option<f64> {
        self.before.map(|before| (self.now.at - before.at).as_secs_f64().max(1e-9))
    }

    /// How fast something grew that only grows.
    fn rate(&self, of: impl Fn(&Look) -> u64) -> Option<f64> {
        let grown = of(self.now).saturating_sub(of(self.before?));
        Some(grown as f64 / self.seconds()?)
    }

    fn records_per_second(&self) -> Option<f64> {
        Some(self.now.records?.count as f64 / self.seconds()?)
    }

    /// How fast a cursor moves; not at all where it was set back.
    fn cursor_rate(&self, name: &str) -> Option<f64> {
        let position = |look: &Look| {
            let cursor = look.cursors.iter().find(|cursor| cursor.name == name)?;
            Some(cursor.state.as_ref().ok()?.position.get())
        };
        let moved = position(self.now)?.saturating_sub(position(self.before?)?);
        Some(moved as f64 / self.seconds()?)
    }

    fn not_durable(&self) -> u64 {
        self.now.end.saturating_sub(self.now.durable)
    }
}
