//! `crash`: recordings on each file system, and their crash states.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use crate::check::Claims;
use crate::child::Truth;
use crate::explore::{Bench, Epoch, Exploration, Job, Pick, Tally, epochs};
use crate::fs::Fs;
use crate::record::{End, Figures, Origin, Recording, fresh, record};
use crate::replay;
use crate::system::{BootId, Outcome, Random, Scratch};
use crate::writer::Plan;

/// The boot in which crash states are opened; no recording has it.
pub const BOOT_OF_STATES: u32 = 99;

/// How much is done.
#[derive(Clone, Debug)]
pub struct Effort {
    pub seed: u64,
    /// The file systems, and how many distinct states of each are wanted.
    pub states: Vec<(Fs, u64)>,
    /// Random states of each kind in each epoch.
    pub randoms: usize,
    /// After so many states everything is recorded anew, from another seed.
    pub states_per_round: u64,
}

/// What one file system gave.
#[derive(Debug, Default)]
struct Summary {
    recordings: u64,
    epochs: u64,
    candidates: u64,
    figures: Figures,
    tally: Tally,
    seconds: (f64, f64),
}

/// Where failing states are kept.
pub fn keep() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/blocks")
}

/// Runs it all; true when every state was as it must be.
pub fn crash(effort: &Effort, scratch: &Scratch, boot: &BootId) -> Outcome<bool> {
    println!("seed {}", effort.seed);
    let mut all_well = true;
    let mut summaries = Vec::new();
    for (fs, states) in &effort.states {
        let mut summary = Summary::default();
        let mut seed = effort.seed;
        while summary.tally.distinct < *states && summary.tally.failures.is_empty() {
            let left = states - summary.tally.distinct;
            one_round(*fs, left.min(effort.states_per_round), effort, seed, scratch, boot, &mut summary)?;
            seed += 1;
        }
        all_well &= summary.tally.failures.is_empty();
        summaries.push((*fs, summary));
    }
    print_table(&summaries);
    Ok(all_well)
}

fn one_round(
    fs: Fs,
    states: u64,
    effort: &Effort,
    seed: u64,
    scratch: &Scratch,
    boot: &BootId,
    summary: &mut Summary,
) -> Outcome<()> {
    let began = Instant::now();
    let recordings = make_recordings(fs, seed, scratch, boot)?;
    for (recording, _) in &recordings {
        let Figures { writes, flushes, rolls, retires, recycles, recoveries, kills, holes } =
            recording.figures;
        println!(
            "{}: {writes} writes, {flushes} flushes, {rolls} rolls, {retires} retired, {recycles} recycled, \
             {kills} kills, {recoveries} recoveries, {holes} holes, {} records",
            recording.name,
            recording.truth.len()
        );
        let sum = &mut summary.figures;
        sum.writes += writes;
        sum.flushes += flushes;
        sum.rolls += rolls;
        sum.retires += retires;
        sum.recycles += recycles;
        sum.recoveries += recoveries;
        sum.kills += kills;
        sum.holes += holes;
    }
    summary.recordings += recordings.len() as u64;
    summary.epochs += recordings.iter().map(|(_, epochs)| epochs.len() as u64).sum::<u64>();
    summary.seconds.0 += began.elapsed().as_secs_f64();
    let began = Instant::now();
    boot.set(BOOT_OF_STATES)?;
    let queue = queue(&recordings, effort.randoms, seed);
    summary.candidates += queue.len() as u64;
    let exploration = Exploration {
        recordings: &recordings,
        seed,
        states,
        queue: Mutex::new(queue.into_iter()),
        known: Mutex::new(HashMap::new()),
        tally: Mutex::new(Tally::default()),
    };
    // Mounting is mostly waiting.
    let benches: Vec<Bench> = (0..4).map(|number| Bench::new(fs, scratch, number)).collect::<Outcome<_>>()?;
    let ends: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            benches.iter().map(|bench| scope.spawn(|| exploration.work(bench, &keep()))).collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    for end in ends {
        end.map_err(|_| "an explorer panicked".to_owned())??;
    }
    let tally = exploration.tally.into_inner().unwrap_or_default();
    summary.tally.built += tally.built;
    summary.tally.distinct += tally.distinct;
    summary.tally.seen.records += tally.seen.records;
    summary.tally.seen.acknowledged += tally.seen.acknowledged;
    summary.tally.seen.lost += tally.seen.lost;
    summary.tally.seen.torn += tally.seen.torn;
    summary.tally.seen.truncated += tally.seen.truncated;
    summary.tally.failures.extend(tally.failures);
    summary.seconds.1 += began.elapsed().as_secs_f64();
    Ok(())
}

fn plan(run: u16, policy: &'static str, crc64: bool, threads: u16, units: u32, seed: u64) -> Plan {
    Plan {
        run,
        policy,
        crc64,
        threads,
        units,
        retire: false,
        eager: false,
        parks: false,
        failing: false,
        seed,
    }
}

/// Two logs, each with what a log goes through; and each again from a crash image of the first time.
fn make_recordings(
    fs: Fs,
    seed: u64,
    scratch: &Scratch,
    boot: &BootId,
) -> Outcome<Vec<(Recording, Vec<Epoch>)>> {
    let full = |plan: Plan| Plan { retire: true, ..plan };
    let parks = |plan: Plan| Plan { parks: true, ..plan };
    let eager = |plan: Plan| Plan { eager: true, ..plan };
    let first: [(&str, Vec<(Plan, End)>); 2] = [
        (
            "durable",
            vec![
                (full(plan(1, "immediate", false, 3, 75, seed)), End::Close),
                (plan(2, "grouped", true, 3, 30, seed), End::Kill(20)),
                (plan(3, "immediate", false, 2, 8, seed), End::Close),
            ],
        ),
        (
            "published",
            vec![
                (full(eager(plan(1, "none", true, 3, 110, seed))), End::Close),
                (eager(plan(2, "periodic", false, 3, 60, seed)), End::Kill(6)),
                (parks(eager(plan(4, "none", false, 3, 30, seed))), End::KillParked),
                (plan(3, "grouped", true, 2, 8, seed), End::Close),
            ],
        ),
    ];
    let second: [Vec<(Plan, End)>; 2] = [
        vec![
            (plan(11, "none", true, 2, 30, seed), End::Kill(3)),
            (full(eager(plan(12, "periodic", false, 3, 60, seed))), End::Close),
        ],
        vec![
            (plan(11, "immediate", false, 2, 30, seed), End::Kill(10)),
            (full(plan(12, "grouped", true, 3, 60, seed)), End::Close),
        ],
    ];
    let empty = fresh(fs, scratch)?;
    let mut recordings = Vec::new();
    for ((name, phases), again) in first.into_iter().zip(second) {
        let origin = Origin { image: empty.clone(), truth: Truth::new(), claims: Claims::default(), boot: 1 };
        let name = format!("{}-{name}", fs.name());
        let recording = record(fs, name.clone(), scratch, boot, origin, &phases)?;
        let Figures { rolls, retires, recycles, recoveries, holes, .. } = recording.figures;
        let parked = phases.iter().any(|(plan, _)| plan.parks);
        if rolls < 2 || retires < 1 || recycles < 1 || recoveries < 1 || (parked && holes < 1) {
            return Err(format!("{name} lacks something: {:?}", recording.figures));
        }
        let epochs = epochs(&recording);
        let origin = crash_image(&recording, &epochs, seed);
        recordings.push((recording, epochs));
        let name = format!("{name}-again");
        let (image, claims) = (origin.image.clone(), origin.claims);
        let recording = record(fs, name.clone(), scratch, boot, origin, &again).map_err(|error| {
            // The image may be at fault: it was not judged before.
            let folder = keep().join(&name);
            match replay::save(
                &folder,
                fs,
                &image,
                &recordings[recordings.len() - 1].0.truth,
                &claims,
                &error,
            ) {
                Ok(()) => format!("{error}; the image that it began with is in {}", folder.display()),
                Err(lost) => format!("{error}; {lost}"),
            }
        })?;
        let epochs = self::epochs(&recording);
        recordings.push((recording, epochs));
    }
    Ok(recordings)
}

/// A torn crash state from the later half of a recording.
fn crash_image(recording: &Recording, epochs: &[Epoch], seed: u64) -> Origin {
    let mut random = Random(seed ^ 0x6167_6169);
    let half = epochs.len() as u64 / 2;
    let epoch = &epochs[(half + random.below(half)) as usize];
    let image = epoch.image(Pick::Torn(random.next()), recording);
    Origin { image, truth: recording.truth.clone(), claims: epoch.claims, boot: 2 }
}

/// All crash states, in an order in which any beginning of it visits every epoch about as often.
fn queue(recordings: &[(Recording, Vec<Epoch>)], randoms: usize, seed: u64) -> Vec<Job> {
    let mut random = Random(seed);
    let mut jobs = Vec::new();
    for (recording, (_, epochs)) in recordings.iter().enumerate() {
        for (epoch, writes) in epochs.iter().enumerate() {
            let mut picks = writes.picks(&mut random, randoms);
            shuffle(&mut picks, &mut random);
            for (turn, pick) in picks.into_iter().enumerate() {
                jobs.push(((turn, random.next()), Job { recording, epoch, pick }));
            }
        }
    }
    jobs.sort_by_key(|(turn, _)| *turn);
    jobs.into_iter().map(|(_, job)| job).collect()
}

fn shuffle<T>(items: &mut [T], random: &mut Random) {
    for index in (1..items.len()).rev() {
        items.swap(index, random.below(index as u64 + 1) as usize);
    }
}

fn print_table(summaries: &[(Fs, Summary)]) {
    let row = |name: &str, value: &dyn Fn(&Summary) -> String| {
        print!("{name:34}");
        for (_, summary) in summaries {
            print!("{:>12}", value(summary));
        }
        println!();
    };
    println!();
    print!("{:34}", "");
    for (fs, _) in summaries {
        print!("{:>12}", fs.name());
    }
    println!();
    row("recordings", &|s| s.recordings.to_string());
    row("  writes", &|s| s.figures.writes.to_string());
    row("  flushes", &|s| s.figures.flushes.to_string());
    row("  rolls", &|s| s.figures.rolls.to_string());
    row("  segments retired", &|s| s.figures.retires.to_string());
    row("  segments recycled", &|s| s.figures.recycles.to_string());
    row("  writers killed", &|s| s.figures.kills.to_string());
    row("  holes padded", &|s| s.figures.holes.to_string());
    row("  recoveries recorded", &|s| s.figures.recoveries.to_string());
    row("epochs", &|s| s.epochs.to_string());
    row("crash states to choose from", &|s| s.candidates.to_string());
    row("crash states built", &|s| s.tally.built.to_string());
    row("  distinct, mounted and recovered", &|s| s.tally.distinct.to_string());
    row("  with a torn tail", &|s| s.tally.seen.torn.to_string());
    row("records verified", &|s| s.tally.seen.records.to_string());
    row("  acknowledged as durable", &|s| s.tally.seen.acknowledged.to_string());
    row("records lost, none acknowledged", &|s| s.tally.seen.lost.to_string());
    row("failures", &|s| s.tally.failures.len().to_string());
    row("seconds recording", &|s| format!("{:.1}", s.seconds.0));
    row("seconds exploring", &|s| format!("{:.1}", s.seconds.1));
    row("distinct states per second", &|s| format!("{:.1}", s.tally.distinct as f64 / s.seconds.1));
}
