//! Crash states of a recording: between two FLUSHes any part of the writes may have reached the disk.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::check::{Claims, Seen, recover_and_judge};
use crate::child::Truth;
use crate::disk::Event;
use crate::fs::{Fs, Tearable};
use crate::image::{BLOCK, Image};
use crate::record::Recording;
use crate::system::{Context, Loop, Outcome, Random, Scratch, create_sparse, lock};

/// What is torn is torn at these.
const SECTOR: usize = 512;

/// The writes between two FLUSHes.
#[derive(Debug)]
pub struct Epoch {
    /// The disk before them.
    pub base: Image,
    /// Number of events before them, and before the FLUSH that ends them.
    pub begin: usize,
    pub end: usize,
    pub claims: Claims,
    writes: Vec<(u64, Arc<[u8]>)>,
}

/// Which of an epoch's writes are on the disk after the crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    None,
    /// The first so many.
    Prefix(usize),
    Alone(usize),
    Missing(usize),
    Random(u64),
    /// As `Random`, and writes may be there in part.
    Torn(u64),
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => write!(f, "none"),
            Self::Prefix(count) => write!(f, "prefix:{count}"),
            Self::Alone(index) => write!(f, "alone:{index}"),
            Self::Missing(index) => write!(f, "missing:{index}"),
            Self::Random(seed) => write!(f, "random:{seed}"),
            Self::Torn(seed) => write!(f, "torn:{seed}"),
        }
    }
}

/// The epochs of a recording, in order.
pub fn epochs(recording: &Recording) -> Vec<Epoch> {
    let mut epochs = Vec::new();
    let mut image = recording.base.clone();
    let mut claims = recording.origin;
    let mut begin = 0;
    let mut writes: Vec<(u64, Arc<[u8]>)> = Vec::new();
    for (at, event) in recording.events.iter().chain([&Event::Flush]).enumerate() {
        match event {
            Event::Write { offset, data } => {
                // A long write to the log is several: none of its blocks waits for another.
                let apart = recording
                    .tearable_at(at)
                    .is_some_and(|tearable| tearable.allows(*offset, data.len() as u64));
                let size = if apart { BLOCK } else { data.len().max(1) };
                writes.extend((*offset..).step_by(size).zip(data.chunks(size).map(Arc::from)));
            }
            Event::Mark(mark) => claims.take(*mark),
            Event::Flush => {
                let writes = std::mem::take(&mut writes);
                let base = image.clone();
                for (offset, data) in &writes {
                    image.write(*offset, data);
                }
                epochs.push(Epoch { base, begin, end: at, claims, writes });
                begin = at + 1;
            }
        }
    }
    epochs
}

impl Epoch {
    /// Everything that is tried, with so many random picks of each kind.
    pub fn picks(&self, random: &mut Random, randoms: usize) -> Vec<Pick> {
        let count = self.writes.len();
        let mut picks = vec![Pick::None];
        picks.extend((1..=count).map(Pick::Prefix));
        if count > 1 {
            picks.extend((1..count).map(Pick::Alone));
            picks.extend((0..count - 1).map(Pick::Missing));
        }
        if count > 2 {
            picks.extend((0..randoms).map(|_| Pick::Random(random.next())));
        }
        if count > 0 {
            picks.extend((0..randoms).map(|_| Pick::Torn(random.next())));
        }
        picks
    }

    pub fn image(&self, pick: Pick, recording: &Recording) -> Image {
        let tearable = recording.tearable_at(self.end);
        let mut image = self.base.clone();
        let mut random = Random(match pick {
            Pick::Random(seed) | Pick::Torn(seed) => seed,
            _ => 0,
        });
        let chance = 1 + random.below(3);
        for (index, (offset, data)) in self.writes.iter().enumerate() {
            let whole = match pick {
                Pick::None => false,
                Pick::Prefix(count) => index < count,
                Pick::Alone(alone) => index == alone,
                Pick::Missing(missing) => index != missing,
                Pick::Random(_) => random.below(4) < chance,
                Pick::Torn(_) => match random.below(3) {
                    0 => false,
                    1 => true,
                    _ => {
                        write_torn(&mut image, *offset, data, tearable, &mut random);
                        continue;
                    }
                },
            };
            if whole {
                image.write(*offset, data);
            }
        }
        image
    }
}

/// Some of the sectors of a write; where sectors may not be torn apart, some of its blocks.
fn write_torn(image: &mut Image, offset: u64, data: &[u8], tearable: Option<&Tearable>, random: &mut Random) {
    let mut at = offset;
    for block in data.chunks(BLOCK) {
        if tearable.is_some_and(|tearable| tearable.allows(at, block.len() as u64)) {
            for (sector, from) in block.chunks(SECTOR).zip((at..).step_by(SECTOR)) {
                if random.one_in(2) {
                    image.write(from, sector);
                }
            }
        } else if random.one_in(2) {
            image.write(at, block);
        }
        at += block.len() as u64;
    }
}

/// A crash state, by name.
#[derive(Clone, Debug)]
pub struct Job {
    pub recording: usize,
    pub epoch: usize,
    pub pick: Pick,
}

/// What exploring gave.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Crash states that were built, and those among them that were new.
    pub built: u64,
    pub distinct: u64,
    pub seen: Seen,
    pub failures: Vec<String>,
}

/// A place to mount crash states.
#[derive(Debug)]
pub struct Bench {
    device: Loop,
    file: File,
    point: PathBuf,
    fs: Fs,
}

impl Bench {
    pub fn new(fs: Fs, scratch: &Scratch, number: usize) -> Outcome<Self> {
        let directory = scratch.directory("images")?;
        let path = directory.join(scratch.backing_name(&format!("bench{number}-{}", fs.name())));
        let file = create_sparse(&path, fs.disk_bytes()).context("image")?;
        let point = scratch.directory(&format!("bench{number}"))?;
        Ok(Self { device: Loop::attach(&path)?, file, point, fs })
    }

    /// Mounts a crash state and judges the log in it.
    pub fn judge(
        &self,
        image: &Image,
        truth: &Truth,
        claims: &Claims,
        crashed_at: usize,
        seed: u64,
    ) -> Outcome<Seen> {
        image.store(&self.file, self.fs.disk_bytes()).context("image")?;
        let mounted = self.fs.mount(self.device.device(), &self.point)?;
        let directory = self.point.join("log");
        let judged =
            catch_unwind(AssertUnwindSafe(|| recover_and_judge(&directory, truth, claims, crashed_at, seed)));
        let judged = judged.unwrap_or_else(|_| Err("it panicked".to_owned()));
        let unmounted = mounted.unmount();
        judged.and_then(|seen| unmounted.map(|()| seen))
    }
}

/// Everything that the explorers share.
pub struct Exploration<'a> {
    pub recordings: &'a [(Recording, Vec<Epoch>)],
    pub seed: u64,
    pub states: u64,
    pub queue: Mutex<std::vec::IntoIter<Job>>,
    /// By image: what it was judged by.
    pub known: Mutex<HashMap<u64, Claims>>,
    pub tally: Mutex<Tally>,
}

/// Failures after which there is no point in going on.
const FAILURES_MAX: usize = 5;

impl Exploration<'_> {
    pub fn work(&self, bench: &Bench, keep: &Path) -> Outcome<()> {
        loop {
            let job = lock(&self.queue).next();
            let tally = lock(&self.tally);
            let enough = tally.distinct >= self.states || tally.failures.len() >= FAILURES_MAX;
            drop(tally);
            let Some(job) = job.filter(|_| !enough) else { return Ok(()) };
            let (recording, epochs) = &self.recordings[job.recording];
            let epoch = &epochs[job.epoch];
            let image = epoch.image(job.pick, recording);
            let (new, known) = {
                let mut known = lock(&self.known);
                let before = known.get(&image.identity()).copied();
                let done = before.is_some_and(|before| before.imply(&epoch.claims));
                if !done {
                    known.insert(image.identity(), epoch.claims);
                }
                (before.is_none(), done)
            };
            let judged = if known {
                Ok(Seen::default())
            } else {
                bench.judge(
                    &image,
                    &recording.truth,
                    &epoch.claims,
                    epoch.begin,
                    self.seed ^ image.identity(),
                )
            };
            let mut tally = lock(&self.tally);
            tally.built += 1;
            tally.distinct += u64::from(new);
            match judged {
                Ok(seen) => {
                    tally.seen.records += seen.records;
                    tally.seen.acknowledged += seen.acknowledged;
                    tally.seen.lost += seen.lost;
                    tally.seen.torn += seen.torn;
                    tally.seen.truncated += seen.truncated;
                }
                Err(error) => {
                    let what = format!(
                        "{} of seed {}, epoch {} of {} ({} writes), {}: {error}",
                        recording.name,
                        self.seed,
                        job.epoch,
                        epochs.len(),
                        epoch.writes.len(),
                        job.pick
                    );
                    let number = tally.failures.len();
                    let folder = keep.join(format!("{}-{number}", recording.name));
                    crate::replay::save(
                        &folder,
                        recording.fs,
                        &image,
                        &recording.truth,
                        &epoch.claims,
                        &what,
                    )?;
                    println!(
                        "FAILED {what}\n    again by: cargo run --release -p tidelog-blocks -- replay {}",
                        folder.display()
                    );
                    tally.failures.push(what);
                }
            }
        }
    }
}
