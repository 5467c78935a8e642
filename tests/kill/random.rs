//! Writers are killed at random moments: by the hundred, in every phase of their lives.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::checker::Examined;
use crate::record::{POLICIES, checksum, policy};
use crate::support::{Random, role, seed};
use crate::victim::{Death, Phase, Victim};

/// Directories that are attacked at the same time.
const AT_A_TIME: u64 = 3;

/// Figures of a run.
#[derive(Debug, Default)]
struct Tally {
    kills: u64,
    phases: BTreeMap<Phase, u64>,
    /// By policy and checksum.
    ways: BTreeMap<(u64, u64), u64>,
    preparing: u64,
    segments: u64,
    acknowledged: u64,
    examined: Examined,
}

impl Tally {
    fn note(&mut self, death: &Death) {
        self.kills += 1;
        *self.phases.entry(death.phase).or_default() += 1;
        *self.ways.entry((death.policy, death.checksum)).or_default() += 1;
        self.preparing += u64::from(death.preparing);
    }

    fn add(&mut self, other: Self) {
        self.kills += other.kills;
        for (phase, count) in other.phases {
            *self.phases.entry(phase).or_default() += count;
        }
        for (way, count) in other.ways {
            *self.ways.entry(way).or_default() += count;
        }
        self.preparing += other.preparing;
        self.segments += other.segments;
        self.acknowledged += other.acknowledged;
        self.examined += other.examined;
    }
}

/// Kills `wanted` writers, of one directory after the other.
fn kill(wanted: u64, mut random: Random) -> Tally {
    let mut tally = Tally::default();
    while tally.kills < wanted {
        let mut victim = Victim::new(&mut random);
        for _ in 0..3 + random.below(8) {
            // Up to three deaths in a row, the later ones over what the earlier left unrepaired by anyone else.
            loop {
                let before = victim.records.len();
                tally.note(&victim.kill_a_writer(&mut random));
                tally.acknowledged += (victim.records.len() - before) as u64;
                if !random.one_in(3) || victim.unseen_rounds.len() == 3 {
                    break;
                }
            }
            tally.examined += victim.examine(&mut random);
        }
        let end = victim.records.last_key_value().map_or(0, |(lsn, _)| *lsn);
        tally.segments += end / victim.segment_bytes;
    }
    tally
}

#[test]
fn nothing_acknowledged_is_lost_however_often_the_writer_is_killed() {
    if role().is_some() {
        return;
    }
    let wanted: u64 = std::env::var("TIDELOG_KILLS").map_or(210, |text| text.parse().unwrap());
    let began = Instant::now();
    let seed = seed("kill");
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let killer = |index| move || kill(wanted.div_ceil(AT_A_TIME), Random::new(seed ^ index << 32));
        let killers: Vec<_> = (0..AT_A_TIME).map(|index| scope.spawn(killer(index))).collect();
        for killer in killers {
            tally.add(killer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
    });
    let Examined { checked, unacknowledged, holes, torn } = tally.examined;
    println!(
        "{} kills, {} of them while a segment was being prepared; {} segments filled; {checked} records verified, {} \
         of them acknowledged by writers that were killed, {unacknowledged} there without that; {holes} holes \
         skipped, {torn} tails cut, in {:.1?}",
        tally.kills,
        tally.preparing,
        tally.segments,
        tally.acknowledged,
        began.elapsed()
    );
    println!("what the writers did when they were killed: {:?}", tally.phases);
    for ((policy_number, checksum_number), count) in &tally.ways {
        println!("{count} kills under {:?} with {:?}", policy(*policy_number), checksum(*checksum_number));
    }
    assert!(
        tally.acknowledged > tally.kills,
        "the writers were killed before they wrote anything worth the name"
    );
    // A long run that misses a phase would prove less than it says.
    if tally.kills >= 1000 {
        use Phase::{Appending, Closing, Opening, Outside, Parked, Retiring};
        for phase in [Outside, Opening, Appending, Parked, Retiring, Closing] {
            assert!(tally.phases.contains_key(&phase), "no writer was killed while {phase:?}");
        }
        assert!(tally.ways.len() as u64 == 2 * POLICIES && holes > 0 && torn > 0 && tally.preparing > 0);
    }
}
