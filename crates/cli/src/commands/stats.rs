//! `stats`: what the log is made of.

#[cfg_attr(not(feature = "compress"), path = "stats/plain.rs")]
mod compression;

use std::time::{Duration, SystemTime};

use serde_json::json;
use tidelog::inspect::{FrameKind, SegmentInfo, SegmentState, Stop};

use self::compression::Compression;
use super::info::structure_problems;
use super::walk::gone;
use crate::args::{Global, Stats};
use crate::exit::{Fail, Outcome};
use crate::out::Out;
use crate::problem::Problem;
use crate::units::{bytes, counted, time};
use crate::view::View;

/// So many damaged places are told one by one; `verify` tells all.
const TOLD: u64 = 10;

#[derive(Debug)]
struct Counts {
    records: u64,
    batches: u64,
    payload_bytes: u64,
    padding_bytes: u64,
    /// Headers and alignment of records.
    frame_bytes: u64,
    smallest: u64,
    largest: u64,
    /// Records by size: the first has empty ones, number `n` those from `2^(n-1)` on.
    sizes: [u64; 65],
    damaged: u64,
    allocated_bytes: u64,
    first_made: Option<SystemTime>,
    last_sealed: Option<SystemTime>,
    /// Bytes of sealed segments that note their times, for the rate.
    sealed_bytes: u64,
    compression: Compression,
}

pub(super) fn run(view: &View, options: &Stats, global: &Global, out: &mut Out) -> Result<Outcome, Fail> {
    let mut counts = Counts {
        records: 0,
        batches: 0,
        payload_bytes: 0,
        padding_bytes: 0,
        frame_bytes: 0,
        smallest: u64::MAX,
        largest: 0,
        sizes: [0; 65],
        damaged: 0,
        allocated_bytes: view.files.segments.iter().map(|segment| segment.allocated_bytes).sum(),
        first_made: None,
        last_sealed: None,
        sealed_bytes: 0,
        compression: Compression::new(options, view.written().count())?,
    };
    let mut outcome = Outcome::Clean;
    for problem in structure_problems(view) {
        global.colors().remark(&problem.message);
        outcome = outcome.max(problem.outcome);
    }
    for segment in view.written() {
        let Ok(header) = &segment.header else { continue };
        if segment.state == SegmentState::Sealed
            && let (Some(made), Some(sealed)) =
                (header.created, header.tail_mark.and_then(|mark| mark.sealed))
        {
            counts.first_made = Some(counts.first_made.map_or(made, |first| first.min(made)));
            counts.last_sealed = Some(counts.last_sealed.map_or(sealed, |last| last.max(sealed)));
            counts.sealed_bytes += segment.end.get() - segment.base.get();
        }
        outcome = outcome.max(counts.read(view, segment, global)?);
    }
    if counts.records == 0 {
        counts.smallest = 0;
    }
    if options.prometheus {
        counts.prometheus(view, out)?;
    } else if global.json {
        counts.json(view, outcome, out)?;
    } else {
        counts.print(view, out)?;
    }
    Ok(outcome)
}

impl Counts {
    fn read(&mut self, view: &View, segment: &SegmentInfo, global: &Global) -> Result<Outcome, Fail> {
        let base = segment.base;
        let limit = match &view.foreseen {
            Some(Ok(report)) => report.end,
            _ => tidelog::Lsn::new(u64::MAX),
        };
        let mut frames = match view.inspector.frames(base) {
            Ok(frames) => frames.until(limit),
            Err(_) if view.was_retired(base) => return Ok(Outcome::Clean),
            Err(error) => return Err(error.into()),
        };
        self.compression.begin_segment();
        let mut outcome = Outcome::Clean;
        // Payloads of the batch whose last record was not met yet, with the bytes of their frames.
        let mut batch = Vec::new();
        loop {
            loop {
                let frame = match frames.next_frame() {
                    Ok(Some(frame)) => frame,
                    Ok(None) => break,
                    Err(_) if view.was_retired(base) => return Ok(outcome),
                    Err(error) => return Err(error.into()),
                };
                if frame.kind == FrameKind::Padding {
                    self.padding_bytes += frame.frame_bytes;
                    continue;
                }
                self.compression.add(frame.payload);
                batch.push((frame.payload.len() as u64, frame.frame_bytes));
                if matches!(frame.kind, FrameKind::Record | FrameKind::BatchLast) {
                    self.batches += u64::from(frame.kind == FrameKind::BatchLast);
                    batch.drain(..).for_each(|(len, frame_bytes)| self.add(len, frame_bytes));
                }
            }
            // All of a batch is lost with one of its records.
            batch.clear();
            let at = frames.position();
            let problem = match frames.stop() {
                Some(Stop::Corrupt(error)) => Some(Problem::from(error)),
                Some(stop) => gone(view, segment, stop, at),
                None => None,
            };
            match (problem, frames.stop()) {
                (Some(_), _) if view.was_retired(base) => return Ok(outcome),
                (Some(problem), _) => {
                    if self.damaged < TOLD {
                        global.colors().remark(&problem.message);
                    }
                    self.damaged += 1;
                    outcome = outcome.max(problem.outcome);
                }
                (None, Some(Stop::Hole(_) | Stop::Claimed(_))) => {}
                _ => return Ok(outcome),
            }
            if frames.resume()?.is_none() {
                return Ok(outcome);
            }
        }
    }

    fn add(&mut self, len: u64, frame_bytes: u64) {
        self.records += 1;
        self.payload_bytes += len;
        self.frame_bytes += frame_bytes - len;
        self.smallest = self.smallest.min(len);
        self.largest = self.largest.max(len);
        self.sizes[(u64::BITS - len.leading_zeros()) as usize] += 1;
    }

    fn seconds(&self) -> Option<f64> {
        let took = self.last_sealed?.duration_since(self.first_made?).ok()?;
        Some(took).filter(|took| *took > Duration::ZERO).map(|took| took.as_secs_f64())
    }

    /// The upper bound of each class of sizes that has records, and how many.
    fn classes(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let bound = |index: usize| 1_u64.checked_shl(index as u32).map_or(u64::MAX, |power| power - 1);
        self.sizes
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(move |(index, count)| (bound(index), *count))
    }

    fn mean(&self) -> f64 {
        self.payload_bytes as f64 / self.records.max(1) as f64
    }

    fn json(&self, view: &View, outcome: Outcome, out: &mut Out) -> Result<(), Fail> {
        let (compression, estimate) = self.compression.json();
        out.json(json!({
            "command": "stats",
            "outcome": outcome.word(),
            "start": view.start().get(),
            "end": view.end.get(),
            "segments": view.files.segments.len(),
            "records": self.records,
            "batches": self.batches,
            "payload_bytes": self.payload_bytes,
            "frame_overhead_bytes": self.frame_bytes,
            "padding_bytes": self.padding_bytes,
            "allocated_bytes": self.allocated_bytes,
            "damaged_places": self.damaged,
            "record_bytes": {"min": self.smallest, "max": self.largest, "mean": self.mean()},
            "histogram": self.classes().map(|(most, count)| json!({"bytes_at_most": most, "records": count}))
                .collect::<Vec<_>>(),
            "sealed": {
                "from": self.first_made.map(time),
                "to": self.last_sealed.map(time),
                "bytes": self.sealed_bytes,
                "bytes_per_second": self.seconds().map(|seconds| self.sealed_bytes as f64 / seconds),
            },
            "compression": compression,
            "estimate": estimate,
        }))
    }

    fn print(&self, view: &View, out: &mut Out) -> Result<(), Fail> {
        let mut line = |name: &str, value: String| out.line(&format!("{name:<18} {value}"));
        line("records", format!("{} ({})", self.records, counted(self.batches, "batch")))?;
        line(
            "payloads",
            format!(
                "{} ({:.1} B a record, {} to {} B)",
                bytes(self.payload_bytes),
                self.mean(),
                self.smallest,
                self.largest
            ),
        )?;
        line("headers, alignment", bytes(self.frame_bytes))?;
        line("padding", bytes(self.padding_bytes))?;
        line("log", bytes(view.end.get().saturating_sub(view.start().get())))?;
        line(
            "files",
            format!(
                "{} in {}",
                bytes(self.allocated_bytes),
                counted(view.files.segments.len() as u64, "segment")
            ),
        )?;
        if let Some(seconds) = self.seconds() {
            let rate = self.sealed_bytes as f64 / seconds;
            line("rate", format!("{}/s over the sealed segments", bytes(rate as u64)))?;
        }
        if self.damaged > 0 {
            line("damaged places", self.damaged.to_string())?;
        }
        self.compression.print(out)?;
        let most = self.classes().map(|(_, count)| count).max().unwrap_or(1);
        out.line("")?;
        for (bound, count) in self.classes() {
            let bar = "#".repeat((count as f64 / most as f64 * 40.0).ceil() as usize);
            out.line(&format!("<= {bound:>10} B {count:>10}  {bar}"))?;
        }
        Ok(())
    }

    fn prometheus(&self, view: &View, out: &mut Out) -> Result<(), Fail> {
        let gauge = |out: &mut Out, name: &str, help: &str, value: u64| {
            out.line(&format!("# HELP tidelog_{name} {help}"))?;
            out.line(&format!("# TYPE tidelog_{name} gauge"))?;
            out.line(&format!("tidelog_{name} {value}"))
        };
        gauge(out, "start_lsn", "First LSN of the log.", view.start().get())?;
        gauge(out, "end_lsn", "Where the log ends.", view.end.get())?;
        gauge(out, "segments", "Segment files.", view.files.segments.len() as u64)?;
        gauge(out, "records", "Records in the log.", self.records)?;
        gauge(out, "batches", "Batches in the log.", self.batches)?;
        gauge(out, "payload_bytes", "Bytes of all payloads.", self.payload_bytes)?;
        gauge(out, "padding_bytes", "Bytes of padding.", self.padding_bytes)?;
        gauge(
            out,
            "allocated_bytes",
            "Bytes that the file system keeps for segments.",
            self.allocated_bytes,
        )?;
        gauge(out, "damaged_places", "Places where frames do not verify.", self.damaged)?;
        out.line("# HELP tidelog_record_bytes Sizes of payloads.")?;
        out.line("# TYPE tidelog_record_bytes histogram")?;
        let mut below = 0;
        for (bound, count) in self.classes() {
            below += count;
            out.line(&format!("tidelog_record_bytes_bucket{{le=\"{bound}\"}} {below}"))?;
        }
        out.line(&format!("tidelog_record_bytes_bucket{{le=\"+Inf\"}} {}", self.records))?;
        out.line(&format!("tidelog_record_bytes_sum {}", self.payload_bytes))?;
        out.line(&format!("tidelog_record_bytes_count {}", self.records))?;
        self.compression.prometheus(out)
    }
}
