//! The process that writes a log while the disk records. It is a child of the process that serves the disk, since
//! a process that waits for its own disk inside a page fault would wait for ever.
//!
//! What it does it tells line by line on stdout; where the parent has something to do it waits for a line on stdin.

use std::fs::File;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use tidelog::{Checksum, Log, Lsn, Options, SyncPolicy};

use crate::mark::{Mark, Marker};
use crate::payload::{Id, PAYLOAD_MIN};
use crate::system::{Context, Outcome, Random};

pub const SEGMENT_BYTES: u64 = 64 << 10;

/// What a writer does.
#[derive(Clone, Debug)]
pub struct Plan {
    pub run: u16,
    pub policy: &'static str,
    pub crc64: bool,
    pub threads: u16,
    /// Units that each thread appends.
    pub units: u32,
    pub retire: bool,
    /// Another thread has dirty pages written back all the time.
    pub eager: bool,
    /// The last thread stops for ever between claiming and publishing, and the others go on behind it.
    pub parks: bool,
    /// The disk may fail: errors are told, and end a thread.
    pub failing: bool,
    pub seed: u64,
}

const POLICIES: [&str; 4] = ["immediate", "grouped", "none", "periodic"];

impl Plan {
    pub fn to_argument(&self) -> String {
        let Self { run, policy, crc64, threads, units, retire, eager, parks, failing, seed } = self;
        format!("{run},{policy},{crc64},{threads},{units},{retire},{eager},{parks},{failing},{seed}")
    }

    fn from_argument(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split(',').collect();
        let [run, policy, crc64, threads, units, retire, eager, parks, failing, seed] = fields[..] else {
            return None;
        };
        Some(Self {
            run: run.parse().ok()?,
            policy: POLICIES.into_iter().find(|known| *known == policy)?,
            crc64: crc64.parse().ok()?,
            threads: threads.parse().ok()?,
            units: units.parse().ok()?,
            retire: retire.parse().ok()?,
            eager: eager.parse().ok()?,
            parks: parks.parse().ok()?,
            failing: failing.parse().ok()?,
            seed: seed.parse().ok()?,
        })
    }

    fn options(&self) -> Options {
        let policy = match self.policy {
            "immediate" => SyncPolicy::Immediate,
            "grouped" => SyncPolicy::grouped(),
            "none" => SyncPolicy::None,
            _ => SyncPolicy::periodic(Duration::from_millis(5)),
        };
        let checksum = if self.crc64 { Checksum::Crc64 } else { Checksum::Crc32c };
        Options::new().segment_bytes(SEGMENT_BYTES).sync_policy(policy).checksum(checksum)
    }

    /// True where an append returns when it is durable.
    pub fn acks_durable(&self) -> bool {
        matches!(self.policy, "immediate" | "grouped")
    }
}

/// Writes a line that the parent reads. A parent that is gone is an end too.
fn tell(line: &str) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("stdout")
}

fn wait_for_parent() -> Outcome<()> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("stdin")?;
    if line.is_empty() { Err("the parent is gone".to_owned()) } else { Ok(()) }
}

/// The role `writer DIRECTORY DEVICE MARKS PLAN`.
pub fn main(arguments: &[String]) -> Outcome<()> {
    let [directory, device, marks, plan] = arguments else {
        return Err("writer DIRECTORY DEVICE MARKS PLAN".to_owned());
    };
    let plan = Plan::from_argument(plan).ok_or("not a plan")?;
    let marks: u64 = marks.parse().context(marks)?;
    let markers: Outcome<Vec<Marker>> = (0..=u64::from(plan.threads))
        .map(|thread| Marker::new(Path::new(device), marks, thread).context(device))
        .collect();
    let markers = markers?;
    let (own, markers) = markers.split_last().ok_or("no marker")?;
    let directory = PathBuf::from(directory);
    let log = match plan.options().open(&directory) {
        Ok(log) => log,
        Err(error) => return tell(&format!("unopened {:?} {error}", error.kind())),
    };
    let report = log.recovery();
    own.set(Mark::Opened(report.end.get())).context("mark")?;
    tell(&format!(
        "opened {} {} {:?} {} {}",
        report.start, report.end, report.last_close, report.segments_rewritten, report.holes_skipped
    ))?;
    for record in &log.snapshot() {
        let record = record.context("reading what was recovered")?;
        let id =
            Id::of(record.payload()).ok_or_else(|| format!("LSN {} was never appended", record.lsn()))?;
        tell(&format!("found {} {id}", record.lsn()))?;
    }
    tell("listed")?;
    wait_for_parent()?;
    let done = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let plan = &plan;
        if plan.eager {
            scope.spawn(|| write_back_eagerly(&directory, &done));
        }
        let threads: Vec<_> = markers
            .iter()
            .zip(0..)
            .map(|(marker, thread)| {
                let log = log.clone();
                scope.spawn(move || append_all(&log, plan, thread, marker))
            })
            .collect();
        let written: Vec<_> = threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        written
    });
    for written in written {
        written.map_err(|_| "a writing thread panicked".to_owned())??;
    }
    if plan.failing {
        tell_whether_it_sticks(&log)?;
    }
    tell("done")?;
    wait_for_parent()?;
    let closed = log.close();
    // Sealing is noted by the keeper and by closing.
    let stats = log.stats();
    match closed {
        Ok(()) => tell(&format!(
            "closed {} {} {}",
            stats.segments_sealed, stats.segments_retired, stats.segments_recycled
        )),
        Err(error) => tell(&format!("unclosed {:?} {error}", error.kind())),
    }
}

/// Once a sync has failed everything that would write must fail in the same way.
fn tell_whether_it_sticks(log: &Log) -> Outcome<()> {
    let kind = |result: Result<(), tidelog::Error>| match result {
        Ok(()) => "Ok".to_owned(),
        Err(error) => format!("{:?}", error.kind()),
    };
    let last = Id { run: u16::MAX, thread: 0, unit: 0, index: 0, count: 1, len: PAYLOAD_MIN }.payload();
    let append = kind(log.append_nowait(&last).map(drop));
    let batch = kind(log.append_batch(&[&last[..]]).map(drop));
    let with = kind(log.append_with(16, |buffer| buffer.copy_from_slice(&last)).map(drop));
    // A sync has nothing to do, and may say so, where the sync that failed was not one of records.
    let nothing_to_do = log.watermarks().durable >= log.watermarks().published;
    let sync = log.sync();
    let sync = if sync.is_ok() && nothing_to_do { "Durable".to_owned() } else { kind(sync) };
    tell(&format!("sticks {append} {batch} {with} {sync}"))
}

fn append_all(log: &Log, plan: &Plan, thread: u16, marker: &Marker) -> Outcome<()> {
    let mut random = Random(plan.seed ^ (u64::from(thread) << 32) ^ (u64::from(plan.run) << 48));
    let mut marked = 0;
    let mut retirements = 0;
    let enough = |unit: u32, retirements: u32| {
        // The one that retires goes on until a retired file is in use again.
        let waits = plan.retire && thread == 0 && (retirements < 2 || log.stats().segments_recycled == 0);
        unit >= plan.units && !(waits && unit < plan.units + 1_000)
    };
    let mut behind = 0;
    for unit in 0.. {
        if plan.parks {
            // Some records behind the claim that stays open.
            behind += u32::from(PARKED.load(Ordering::Relaxed));
            if behind > 10 {
                break;
            }
        } else if enough(unit, retirements) {
            break;
        }
        if plan.parks && thread + 1 == plan.threads && unit == plan.units / 2 {
            park(log)?;
        }
        let count = if random.one_in(5) { 2 + random.below(3) as u16 } else { 1 };
        let ids: Vec<Id> = (0..count)
            .map(|index| {
                let longest = if random.one_in(6) { 3_600 } else { 600 };
                let len = PAYLOAD_MIN + random.below(longest) as u32;
                Id { run: plan.run, thread, unit, index, count, len }
            })
            .collect();
        let payloads: Vec<Vec<u8>> = ids.iter().map(|id| id.payload()).collect();
        let appended: Result<Vec<Lsn>, tidelog::Error> = match &payloads[..] {
            [payload] => log.append(payload).map(|lsn| vec![lsn]),
            batch => log.append_batch(batch).map(Iterator::collect),
        };
        let lsns = match appended {
            Ok(lsns) => lsns,
            Err(error) if plan.failing => return tell(&format!("failed {:?} {error}", error.kind())),
            Err(error) => return Err(format!("appending: {error}")),
        };
        let pairs: Vec<String> = lsns.iter().zip(&ids).map(|(lsn, id)| format!("{lsn} {id}")).collect();
        tell(&format!("appended {}", pairs.join(" ")))?;
        let mut durable = log.watermarks().durable.get();
        if plan.acks_durable() {
            durable = durable.max(lsns.last().map_or(0, |lsn| lsn.get() + 1));
        } else if thread == 0 && unit % 16 == 15 && !plan.parks {
            match log.sync() {
                Ok(()) => {}
                Err(error) if plan.failing => return tell(&format!("failed {:?} {error}", error.kind())),
                Err(error) => return Err(format!("syncing: {error}")),
            }
            durable = log.watermarks().durable.get().max(lsns.last().map_or(0, |lsn| lsn.get() + 1));
        }
        if durable > marked {
            marked = durable;
            match marker.set(Mark::Durable(durable)) {
                // On a device that fails a mark may fail too; then the line alone counts.
                Err(_) if plan.failing => {}
                set => set.context("mark")?,
            }
            tell(&format!("durable {durable}"))?;
        }
        if plan.retire && thread == 0 && retirements < 2 {
            let marks = log.watermarks();
            if marks.published.get() >= marks.start.get() + 2 * SEGMENT_BYTES + SEGMENT_BYTES / 2 {
                retirements += 1;
                retire(log, marker, marks.published.get() - SEGMENT_BYTES / 2)?;
            }
        }
    }
    Ok(())
}

/// A claim stays open.
static PARKED: AtomicBool = AtomicBool::new(false);

/// Claims room for a record and never gives it up: the parent kills this process.
fn park(log: &Log) -> Outcome<()> {
    let parked = log.append_with(200, |_| {
        if tell("parked").is_ok() {
            PARKED.store(true, Ordering::Relaxed);
            loop {
                std::thread::park();
            }
        }
    });
    parked.context("parking").map(drop)
}

fn retire(log: &Log, marker: &Marker, before: u64) -> Outcome<()> {
    tell("checkpoint")?;
    wait_for_parent()?;
    marker.set(Mark::MayStartAt(before)).context("mark")?;
    let start = log.retire_before(Lsn::new(before)).context("retiring")?;
    marker.set(Mark::StartsAt(start.get())).context("mark")
}

/// The kernel may write any page back at any time; in a short run it would hardly do so by itself.
fn write_back_eagerly(directory: &Path, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let segment = entry.path().extension().is_some_and(|extension| extension == "seg");
            if let (true, Ok(file)) = (segment, File::open(entry.path())) {
                // For pages that are mapped, the advice does no more than begin to write the dirty ones.
                let _ = posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
            }
        }
        std::thread::sleep(Duration::from_micros(300));
    }
}
