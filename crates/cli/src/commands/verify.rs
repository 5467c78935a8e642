//! `verify`: every frame of every segment, on all processors, by `pread`.

use std::ops::ControlFlow;
use std::time::Instant;

use indicatif::ProgressBar;
use serde_json::json;
use tidelog::Lsn;
use tidelog::inspect::{FrameCounts, Frames, SegmentInfo, SegmentState, Stop};

use super::info::structure_problems;
use crate::args::{Global, Verify};
use crate::color::{Colors, Tone};
use crate::exit::{Fail, Outcome};
use crate::out::Out;
use crate::parallel;
use crate::problem::Problem;
use crate::progress;
use crate::units::bytes;
use crate::view::View;

/// What was read.
#[derive(Clone, Debug, Default)]
struct Tally {
    segments: u64,
    counts: FrameCounts,
    read_bytes: u64,
    /// Claims that never returned, which an opening pads.
    holes: u64,
    problems: Vec<Problem>,
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
        self.problems.extend(other.problems);
    }
}

pub(super) fn run(view: &View, options: &Verify, global: &Global, out: &mut Out) -> Result<Outcome, Fail> {
    let began = Instant::now();
    let mut tally = Tally { problems: structure_problems(view), ..Tally::default() };
    if !options.quick && (!options.fail_fast || tally.problems.is_empty()) {
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
fn without_repeats(problems: Vec<Problem>) -> Vec<Problem> {
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
    let limit = match &view.foreseen {
        Some(Ok(report)) => report.end,
        // Beside a writer, and where no end can be told, the frames themselves tell.
        _ => segment.end,
    };
    match view.inspector.frames(segment.base) {
        Ok(frames) => walk(view, segment, frames.until(limit), options, &mut tally, bar),
        Err(error) => {
            tally.problems.push(Problem::from(&error).at(segment.base.get(), Some(segment.end.get())));
        }
    }
    if !tally.problems.is_empty() && view.is_live() && view.was_retired(segment.base) {
        return Tally::default();
    }
    tally
}

fn walk(
    view: &View,
    segment: &SegmentInfo,
    mut frames: Frames,
    options: &Verify,
    tally: &mut Tally,
    bar: &ProgressBar,
) {
    loop {
        let from = frames.position();
        let failed = frames.count(&mut tally.counts).err();
        let batch = frames.open_batch();
        let at = frames.position();
        let read = at.get().saturating_sub(from.get());
        tally.read_bytes += read;
        bar.inc(read);
        let mut problem = match (failed, frames.stop()) {
            (Some(error), _) => Problem::from(&error).at(at.get(), None),
            (None, Some(Stop::Corrupt(error))) => Problem::from(error),
            (None, Some(Stop::SegmentEnd | Stop::Limit)) | (None, None) => return,
            (None, Some(stop)) if is_lost(view, segment, at) => {
                let what = match stop {
                    Stop::Claimed(_) => "a record is gone: an unpublished claim stands",
                    _ => "a record is gone: zeros stand",
                };
                let what = format!(
                    "{what} at LSN {at}, though the log was written beyond it [{}]",
                    segment.path.display()
                );
                Problem::new(Outcome::Corrupt, what).at(at.get(), None)
            }
            (None, Some(Stop::Unwritten)) => return,
            // A writer is at it, or was when it died.
            (None, Some(_)) => match frames.resume() {
                Ok(Some(_)) => {
                    tally.holes += 1;
                    continue;
                }
                _ => return,
            },
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
        if behind.is_none() || options.fail_fast {
            return;
        }
    }
}

/// True where the log is known to be written at this place, so that an empty one has lost its record.
pub(crate) fn is_lost(view: &View, segment: &SegmentInfo, at: Lsn) -> bool {
    let header = segment.header.as_ref().ok();
    let mark = header.and_then(|header| header.tail_mark);
    let marked = mark.filter(|mark| mark.durable || mark.this_boot).map(|mark| mark.end);
    let hint = header.and_then(|header| header.durable_hint);
    let foreseen = match &view.foreseen {
        Some(Ok(report)) => Some(report.proven_durable),
        _ => None,
    };
    marked.max(hint).max(foreseen).is_some_and(|known| at < known)
        || (segment.state == SegmentState::Sealed && at < segment.end)
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
        format!("headers, marks and continuity of {} segments", view.files.segments.len())
    } else {
        format!(
            "{} records ({} in payloads), {} batches, {} segments",
            tally.counts.records,
            bytes(tally.counts.payload_bytes),
            tally.counts.batches,
            tally.segments
        )
    };
    if tally.holes > 0 {
        out.line(&format!("{} claims that never returned; the next opening pads them", tally.holes))?;
    }
    let tone = match outcome {
        Outcome::Clean => Tone::Good,
        Outcome::TornTail => Tone::Doubtful,
        _ => Tone::Bad,
    };
    let live = if view.is_live() { ", being written" } else { "" };
    out.line(&format!(
        "{}: {what}, LSN {} to {}{live}",
        colors.paint(tone, outcome.word()),
        view.start(),
        view.end
    ))
}
