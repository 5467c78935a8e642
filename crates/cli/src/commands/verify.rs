//! `verify`: every frame of every segment, on all processors, by `pread`.

use std::ops::ControlFlow;
use std::time::Instant;

use indicatif::ProgressBar;
use serde_json::json;
use tidelog::Lsn;
use tidelog::inspect::{FrameCounts, Frames, SegmentInfo, Stop};

use super::info::structure_problems;
use super::walk::gone;
use crate::args::{Global, Verify};
use crate::color::{Colors, Tone};
use crate::exit::{Fail, Outcome};
use crate::out::Out;
use crate::parallel;
use crate::problem::Problem;
use crate::progress;
use crate::units::{bytes, counted};
use crate::view::View;

/// What was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    segments: u64,
    counts: FrameCounts,
    read_bytes: u64,
    /// Claims that never returned, which an opening pads.
    holes: u64,
    /// Where claims stand that are not published: these, and those that a writer is at.
    pub(super) unpublished: Vec<(u64, u64)>,
    pub(super) problems: Vec<Problem>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.segments += other.segments;
        self.counts.records += other.counts.records;
        self.counts.batches += other.counts.batches;
        self.counts.payload_bytes += other.counts.payload_bytes;
        self.counts.padding_bytes += other.counts.padding_bytes;
        self.read_bytes += other.read_bytes;
        self.holes += other.holes;
        self.unpublished.extend(other.unpublished);
        self.problems.extend(other.problems);
    }
}

pub(super) fn run(view: &View, options: &Verify, global: &Global, out: &mut Out) -> Result<Outcome, Fail> {
    let began = Instant::now();
    let mut tally = Tally { problems: structure_problems(view), ..Tally::default() };
    // A torn tail is no damage.
    let is_damaged = tally.problems.iter().any(|problem| problem.outcome > Outcome::TornTail);
    if !(options.quick || options.fail_fast && is_damaged) {
        read_all(view, options, global, &mut tally);
    }
    tally.problems = without_repeats(tally.problems);
    let outcome = tally.problems.iter().map(|problem| problem.outcome).max().unwrap_or(Outcome::Clean);
    let seconds = began.elapsed().as_secs_f64();
    if global.json {
        out.json(json!({
            "command": "verify",
            "directory": view.inspector.directory().display().to_string(),
            "outcome": outcome.word(),
            "quick": options.quick,
            "live": view.is_live(),
            "start": view.start().get(),
            "end": view.end.get(),
            "segments": tally.segments,
            "records": tally.counts.records,
            "batches": tally.counts.batches,
            "payload_bytes": tally.counts.payload_bytes,
            "padding_bytes": tally.counts.padding_bytes,
            "read_bytes": tally.read_bytes,
            "unreturned_claims": tally.holes,
            "seconds": seconds,
            "problems": tally.problems.iter().map(Problem::to_json).collect::<Vec<_>>(),
        }))?;
    } else {
        print(view, options, &tally, outcome, global.colors(), out)?;
        if !options.quick {
            let rate = tally.read_bytes as f64 / seconds.max(1e-9);
            eprintln!("{} read in {seconds:.2} s: {}/s", bytes(tally.read_bytes), bytes(rate as u64));
        }
    }
    Ok(outcome)
}

/// What an opening stumbles over is found again by whoever reads every frame, who can tell what is lost.
pub(super) fn without_repeats(problems: Vec<Problem>) -> Vec<Problem> {
    let mut kept: Vec<Problem> = Vec::new();
    for problem in problems {
        match kept.iter_mut().find(|known| known.lsn.is_some() && known.lsn == problem.lsn) {
            Some(known) if known.lost_to.is_none() => known.lost_to = problem.lost_to,
            Some(_) => {}
            None => kept.push(problem),
        }
    }
    kept.sort_by_key(|problem| problem.lsn);
    kept
}

fn read_all(view: &View, options: &Verify, global: &Global, tally: &mut Tally) {
    let wanted: Vec<&SegmentInfo> = view
        .written()
        .filter(|segment| segment.header.is_ok())
        .filter(|segment| options.from.is_none_or(|from| segment.end.get() > from))
        .filter(|segment| options.to.is_none_or(|to| segment.base.get() < to))
        .collect();
    let total =
        wanted.iter().map(|segment| segment.end.min(view.end).get().saturating_sub(segment.base.get())).sum();
    let bar = progress::bar(total, !global.json);
    let parts = parallel::each(wanted, parallel::threads(options.threads), |segment| {
        let part = read_segment(view, segment, options, &bar);
        let stop = options.fail_fast && !part.problems.is_empty();
        if stop { ControlFlow::Break(part) } else { ControlFlow::Continue(part) }
    });
    bar.finish_and_clear();
    parts.into_iter().for_each(|part| tally.add(part));
}

fn read_segment(view: &View, segment: &SegmentInfo, options: &Verify, bar: &ProgressBar) -> Tally {
    let mut tally = Tally { segments: 1, ..Tally::default() };
    let mut counts = FrameCounts::default();
    match view.inspector.frames(segment.base) {
        Ok(frames) => {
            let frames = frames.until(limit(view, segment));
            walk(view, segment, frames, options.fail_fast, &mut tally, &mut |frames| {
                let from = frames.position();
                let counted = frames.count(&mut counts);
                bar.inc(frames.position().get().saturating_sub(from.get()));
                counted
            });
            tally.counts = counts;
        }
        Err(error) => {
            tally.problems.push(Problem::from(&error).at(segment.base.get(), Some(segment.end.get())));
        }
    }
    if !tally.problems.is_empty() && view.is_live() && view.was_retired(segment.base) {
        return Tally::default();
    }
    tally
}

/// Where the frames of a segment must have ended.
pub(super) fn limit(view: &View, segment: &SegmentInfo) -> Lsn {
    match &view.foreseen {
        Some(Ok(report)) => report.end,
        // Beside a writer, and where no end can be told, the frames themselves tell.
        _ => segment.end,
    }
}

/// Goes over the frames of a segment, by `go` up to where they end, and judges why they do; then on behind damage and claims
/// that are not published.
pub(super) fn walk(
    view: &View,
    segment: &SegmentInfo,
    mut frames: Frames,
    fail_fast: bool,
    tally: &mut Tally,
    go: &mut dyn FnMut(&mut Frames) -> tidelog::Result<()>,
) {
    loop {
        let from = frames.position();
        let failed = go(&mut frames).err();
        let batch = frames.open_batch();
        let at = frames.position();
        tally.read_bytes += at.get().saturating_sub(from.get());
        let mut problem = match (failed, frames.stop()) {
            (Some(error), _) => Problem::from(&error).at(at.get(), None),
            (None, Some(Stop::Corrupt(error))) => Problem::from(error),
            (None, Some(Stop::SegmentEnd | Stop::Limit)) | (None, None) => return,
            (None, Some(stop)) if let Some(gone) = gone(view, segment, stop, at) => gone,
            (None, Some(Stop::Unwritten)) => return,
            // A writer is at it, or was when it died.
            (None, Some(stop)) => {
                let claimed = match stop {
                    Stop::Claimed(bytes) => at.get().saturating_add(*bytes),
                    Stop::Hole(behind) => behind.get(),
                    _ => at.get(),
                };
                let resumed = frames.resume().ok().flatten();
                tally.unpublished.push((at.get(), resumed.map_or(claimed, Lsn::get)));
                if resumed.is_none() {
                    return;
                }
                tally.holes += 1;
                continue;
            }
        };
        if problem.path.is_none() {
            problem.path = Some(segment.path.clone());
            problem.offset = Some(4096 + at.get().saturating_sub(segment.base.get()));
        }
        let resumed = frames.resume();
        let behind = resumed.as_ref().ok().copied().flatten();
        if let Some(first) = batch {
            // All of a batch is there or none of it.
            problem.lsn = Some(first.get());
        }
        problem.lost_to = Some(behind.unwrap_or(segment.end.min(view.end.max(at))).get());
        tally.problems.push(problem);
        if behind.is_none() || fail_fast {
            return;
        }
    }
}

fn print(
    view: &View,
    options: &Verify,
    tally: &Tally,
    outcome: Outcome,
    colors: Colors,
    out: &mut Out,
) -> Result<(), Fail> {
    for problem in &tally.problems {
        let tone = if problem.outcome == Outcome::TornTail { Tone::Doubtful } else { Tone::Bad };
        out.line(&format!("{}: {}", colors.paint(tone, problem.outcome.word()), problem.message))?;
        if let (Some(from), Some(to)) = (problem.lsn, problem.lost_to) {
            out.line(&format!("    lost: LSN {from} to {to}"))?;
        }
    }
    let what = if options.quick {
        format!("headers, marks and continuity of {}", counted(view.files.segments.len() as u64, "segment"))
    } else {
        format!(
            "{} ({} in payloads), {}, {}",
            counted(tally.counts.records, "record"),
            bytes(tally.counts.payload_bytes),
            counted(tally.counts.batches, "batch"),
            counted(tally.segments, "segment")
        )
    };
    if tally.holes > 0 {
        out.line(&format!(
            "{} that never returned; the next opening pads them",
            counted(tally.holes, "claim")
        ))?;
    }
    let tone = match outcome {
        Outcome::Clean => Tone::Good,
        Outcome::TornTail => Tone::Doubtful,
        _ => Tone::Bad,
    };
    let live = if view.is_live() { ", being written" } else { "" };
    let stopped = if options.fail_fast && outcome > Outcome::TornTail { "; it stopped there" } else { "" };
    out.line(&format!(
        "{}: {what}, LSN {} to {}{live}{stopped}",
        colors.paint(tone, outcome.word()),
        view.start(),
        view.end
    ))
}
