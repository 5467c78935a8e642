//! From a run to its crash states, and on from them: crash, recover, judge, append, crash again.

use std::collections::HashMap;

use tidelog::LogReader;
use tidelog::testing::{Disk, Pick, Possibilities};

use crate::figures::Figures;
use crate::oracle::{Crash, judge, judge_reader};
use crate::random::Random;
use crate::run::{PLACE, Run};
use crate::story::{Claim, Story};

/// Crashes in a row.
pub const DEPTH: u32 = 3;

/// What went wrong, and how to see it again.
#[derive(Debug)]
pub struct Failure {
    pub seed: u64,
    pub what: String,
}

/// How thoroughly a run is explored.
#[derive(Clone, Copy, Debug)]
struct Effort {
    operations: u64,
    /// Moments at which the process is killed: every one, where there are no more, and else drawn at random.
    kills: u64,
    /// Moments at which the power is cut.
    moments: u64,
    /// States drawn at random at each moment, besides the systematic ones.
    random_states: u64,
    /// One in so many states is lived on in.
    live_on_once_in: u64,
}

const EFFORTS: [Effort; DEPTH as usize] = [
    Effort { operations: 50, kills: 300, moments: 60, random_states: 120, live_on_once_in: 500 },
    Effort { operations: 12, kills: 24, moments: 16, random_states: 24, live_on_once_in: 100 },
    Effort { operations: 6, kills: 12, moments: 8, random_states: 16, live_on_once_in: u64::MAX },
];

/// Explores everything that grows from one seed.
///
/// # Errors
/// The first state that breaks a promise.
pub fn explore(seed: u64, figures: &mut Figures) -> Result<(), Failure> {
    let mut random = Random::new(seed);
    let mut run = Run::new(random.word());
    let mut explorer = Explorer { random, figures, seen: HashMap::new() };
    explorer.figures.runs += 1;
    let outcome = run
        .open(explorer.figures)
        .map_err(|error| format!("a new log: {error}"))
        .and_then(|()| explorer.live(run, 0, 0, String::new()));
    outcome.map_err(|what| Failure { seed, what })
}

struct Explorer<'a> {
    random: Random,
    figures: &'a mut Figures,
    /// The disks that were judged, and against how much.
    seen: HashMap<u64, Claim>,
}

impl Explorer<'_> {
    /// Lets a run go on, then explores how it could have crashed. `opened` is the moment at which its opening returned.
    fn live(&mut self, mut run: Run, depth: u32, opened: u64, way: String) -> Result<(), String> {
        let effort = EFFORTS[depth as usize];
        self.figures.lives += 1;
        let operations = 1 + effort.operations / 3 + self.random.below(effort.operations);
        run.go(operations, self.figures);
        if let Some(kind) = run.ended {
            return Err(format!("{way}: the log ended by itself: {kind:?}"));
        }
        if let Some(log) = run.log() {
            let stats = log.stats();
            let number = |lsn: tidelog::Lsn| lsn.get() / log.segment_bytes();
            self.figures.rolls += number(log.watermarks().claimed) - number(log.recovery().end);
            self.figures.recycled += stats.segments_recycled;
        }
        let segment_bytes = run.segment_bytes();
        let (disk, story, end) = run.crash();
        let past = |moment| Past {
            disk: &disk,
            story: &story,
            segment_bytes,
            depth,
            moment,
            in_recovery: moment < opened,
        };
        for moment in self.moments(end, effort.moments) {
            self.cuts(&past(moment), &way)?;
        }
        for moment in self.moments(end, effort.kills) {
            self.kill(&past(moment), &way)?;
        }
        Ok(())
    }

    fn moments(&mut self, end: u64, most: u64) -> Vec<u64> {
        let moments: Vec<u64> = if end < most {
            (0..=end).collect()
        } else {
            (0..most).map(|_| self.random.below(end + 1)).collect()
        };
        self.figures.moments += moments.len() as u64;
        moments
    }

    /// Power cuts at one moment.
    fn cuts(&mut self, past: &Past<'_>, way: &str) -> Result<(), String> {
        let possibilities = past.disk.possibilities_at(past.moment);
        let claim = past.story.claim_at(past.moment);
        let uncertain = possibilities.uncertain();
        let effort = EFFORTS[past.depth as usize];
        // Nothing, everything, each alone, each missing.
        self.cut(past, &possibilities, &claim, way, Choice::Floor)?;
        self.cut(past, &possibilities, &claim, way, Choice::Newest)?;
        for one in 0..if uncertain > 1 { uncertain.min(24) } else { 0 } {
            self.cut(past, &possibilities, &claim, way, Choice::Only(one))?;
            self.cut(past, &possibilities, &claim, way, Choice::Without(one))?;
        }
        if uncertain + possibilities.changes() > 0 {
            for _ in 0..effort.random_states {
                let seed = self.random.word();
                let choice = match self.random.below(4) {
                    0 => Choice::Subset(seed),
                    1 => Choice::Versions(seed),
                    2 => Choice::Torn(512, seed),
                    _ => Choice::Torn(8, seed),
                };
                self.cut(past, &possibilities, &claim, way, choice)?;
            }
        }
        Ok(())
    }

    fn cut(
        &mut self,
        past: &Past<'_>,
        possibilities: &Possibilities,
        claim: &Claim,
        way: &str,
        choice: Choice,
    ) -> Result<(), String> {
        let mut picks = choice.picks();
        let mut entries = Random::new(self.random.word());
        // The directory's changes: all, none, or any.
        let keep = match choice {
            Choice::Newest => 0,
            Choice::Floor => 1,
            _ => entries.below(4),
        };
        let mut lost = 0;
        let cut = possibilities.cut(&mut picks, |_| {
            let kept = keep == 0 || (keep != 1 && entries.once_in(2));
            lost += u64::from(!kept);
            kept
        });
        match self.seen.get(&cut.key()) {
            // Judged before, against as much.
            Some(seen) if seen.durable >= claim.durable && seen.start.0 >= claim.start.0 => {
                self.figures.repeated += 1;
                return Ok(());
            }
            Some(_) => self.figures.repeated += 1,
            None => {
                self.figures.states_cut += 1;
                self.figures.entries_lost += u64::from(lost > 0);
                match choice {
                    Choice::Torn(512, _) => self.figures.torn_512 += 1,
                    Choice::Torn(..) => self.figures.torn_8 += 1,
                    _ => {}
                }
                self.count_depth(past);
            }
        }
        self.seen.insert(cut.key(), *claim);
        let live_on =
            past.depth + 1 < DEPTH && self.random.once_in(EFFORTS[past.depth as usize].live_on_once_in);
        let disk = if live_on { cut.disk() } else { cut.disk_without_history() };
        let say = || format!("{way}/ cut at {} by {choice:?}", past.moment);
        self.recover(past, disk, claim, Crash::Cut, live_on, &say)
    }

    /// The death of the process at one moment.
    fn kill(&mut self, past: &Past<'_>, way: &str) -> Result<(), String> {
        let claim = past.story.claim_at(past.moment);
        let disk = past.disk.possibilities_at(past.moment).kill();
        self.figures.states_kill += 1;
        self.count_depth(past);
        let once_in = EFFORTS[past.depth as usize].live_on_once_in;
        let live_on = past.depth + 1 < DEPTH && self.random.once_in((once_in / 20).max(4));
        self.recover(past, disk, &claim, Crash::Kill, live_on, &|| {
            format!("{way}/ killed at {}", past.moment)
        })
    }

    fn count_depth(&mut self, past: &Past<'_>) {
        match past.depth {
            0 => self.figures.depth_1 += 1,
            1 => self.figures.depth_2 += 1,
            _ => self.figures.depth_3 += 1,
        }
        self.figures.in_recovery += u64::from(past.in_recovery);
    }

    /// Opens what a crash left, judges it, and goes on with it where asked.
    fn recover(
        &mut self,
        past: &Past<'_>,
        disk: Disk,
        claim: &Claim,
        crash: Crash,
        live_on: bool,
        say: &dyn Fn() -> String,
    ) -> Result<(), String> {
        let mut run = Run::after(disk, Random::new(self.random.word()), past.segment_bytes);
        self.figures.no_log += u64::from(!run.has_log());
        run.open(self.figures).map_err(|error| format!("{}: {error}", say()))?;
        let Some(log) = run.log() else { return Ok(()) };
        let wrong = |what: String| format!("{}: {what}; {:?}", say(), log.recovery());
        let found = judge(log, past.story, claim, crash, past.moment).map_err(wrong)?;
        self.figures.records += found.records;
        let begun =
            past.story.units[..claim.begun].iter().filter(|unit| unit.lsn >= Some(found.start)).count();
        self.figures.dropped += begun
            .saturating_sub(found.kept.iter().filter(|unit| unit.lsn >= Some(found.start)).count())
            as u64;
        self.figures.torn_tails += u64::from(log.recovery().torn_tail.is_some());
        self.figures.holes += log.recovery().holes_skipped;
        if self.random.once_in(64) {
            let reader =
                LogReader::open_on(&run.disk, PLACE).map_err(|error| wrong(format!("a reader: {error}")))?;
            judge_reader(log, &reader).map_err(wrong)?;
        }
        if !live_on {
            drop(run.crash());
            return Ok(());
        }
        let opened = run.disk.moment();
        // What a power cut left is on the disk: a crash inside the recovery takes nothing more away.
        let certain = if crash == Crash::Cut { 0 } else { opened };
        let way = format!("{} [opened at {opened} {:?}, claim {claim:?}]", say(), log.recovery());
        run.go_on(Story::go_on(found.kept, claim, certain, found.start, found.end));
        self.live(run, past.depth + 1, opened, way)
    }
}

/// The moment of a run that is looked at.
struct Past<'a> {
    disk: &'a Disk,
    story: &'a Story,
    segment_bytes: u64,
    depth: u32,
    moment: u64,
    in_recovery: bool,
}

/// What a power cut leaves of the pages that were not synced.
#[derive(Clone, Copy, Debug)]
enum Choice {
    /// Nothing since the last sync.
    Floor,
    /// Everything.
    Newest,
    /// Nothing but the newest version of one page.
    Only(usize),
    /// Everything but one page.
    Without(usize),
    /// Some pages as they are, some as they were at the last sync.
    Subset(u64),
    /// Each page in any of its versions.
    Versions(u64),
    /// Each piece of so many bytes from any version.
    Torn(usize, u64),
}

impl Choice {
    fn picks(self) -> impl FnMut(usize, usize) -> Pick {
        let seed = match self {
            Self::Subset(seed) | Self::Versions(seed) | Self::Torn(_, seed) => seed,
            _ => 0,
        };
        let mut random = Random::new(seed);
        move |index, versions| {
            let newest = versions.saturating_sub(1);
            let newest_if = |yes: bool| Pick::Version(if yes { newest } else { 0 });
            match self {
                Self::Floor => Pick::Version(0),
                Self::Newest => Pick::Version(newest),
                Self::Only(one) => newest_if(index == one),
                Self::Without(one) => newest_if(index != one),
                Self::Subset(_) => newest_if(random.once_in(2)),
                Self::Versions(_) => Pick::Version(random.below(versions.max(1) as u64) as usize),
                Self::Torn(grain, _) => Pick::Torn { grain, seed: random.word() },
            }
        }
    }
}
