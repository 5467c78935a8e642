//! What is told at the end.

use serde_json::{Value, json};

use super::Plan;
use super::source::{Read, Source};
use super::writer::Written;
use crate::args::{Global, Lsns};
use crate::exit::{Fail, Outcome};
use crate::out::Out;
use crate::problem::Problem;
use crate::units::{bytes, counted};

/// A log by its numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    start: u64,
    end: u64,
    segments: u64,
    segment_bytes: u64,
    file_bytes: u64,
}

impl Size {
    pub(super) fn of(source: &Source, end: u64) -> Self {
        let (segments, file_bytes) = source.files();
        Self { start: source.start().get(), end, segments, segment_bytes: source.segment_bytes(), file_bytes }
    }

    fn json(self) -> Value {
        json!({
            "start": self.start,
            "end": self.end,
            "segments": self.segments,
            "segment_bytes": self.segment_bytes,
            "file_bytes": self.file_bytes,
        })
    }

    fn text(self) -> String {
        let segments =
            if self.segments == 1 { "1 segment".to_owned() } else { format!("{} segments", self.segments) };
        format!(
            "LSN {} to {}, {segments} of {} ({})",
            self.start,
            self.end,
            bytes(self.segment_bytes),
            bytes(self.file_bytes)
        )
    }
}

/// A source that was read.
#[derive(Debug)]
struct Taken {
    directory: String,
    size: Size,
    live: bool,
    problems: Vec<Problem>,
}

#[derive(Debug, Default)]
pub(super) struct Report {
    sources: Vec<Taken>,
    remarks: Vec<String>,
}

impl Report {
    pub(super) fn add(&mut self, source: &Source, read: Read) {
        let directory = source.directory().display().to_string();
        if source.is_live() {
            self.remarks.push(format!(
                "{directory} is being written; what was published when this began was taken, up to LSN {}",
                read.end
            ));
        }
        if let Some(torn) = source.torn_bytes() {
            self.remarks.push(format!(
                "the tail of {directory} is torn: {torn} bytes behind its end at LSN {}, promised to nobody, were left out",
                read.end
            ));
        }
        for problem in &read.problems {
            let lost = match (problem.lsn, problem.lost_to) {
                (Some(from), Some(to)) => format!("lost: LSN {from} to {to} of {directory}: "),
                _ => String::new(),
            };
            self.remarks.push(format!("{lost}{}", problem.message));
        }
        let size = Size::of(source, read.end);
        self.sources.push(Taken { directory, size, live: source.is_live(), problems: read.problems });
    }

    /// Gives the worst that was met.
    pub(super) fn tell(
        self,
        plan: &Plan<'_>,
        lsns: Lsns,
        written: &Written,
        after: Size,
        global: &Global,
        out: &mut Out,
    ) -> Result<Outcome, Fail> {
        for remark in self.remarks.iter().chain(&written.remarks) {
            global.colors().remark(remark);
        }
        for problem in &written.problems {
            global.colors().remark(&problem.message);
        }
        let problems = self.sources.iter().flat_map(|source| &source.problems).chain(&written.problems);
        let outcome = problems.clone().map(|problem| problem.outcome).max().unwrap_or(Outcome::Clean);
        let digest = &written.digest;
        if global.json {
            out.json(json!({
                "command": plan.command,
                "outcome": outcome.word(),
                "out": plan.options.out.display().to_string(),
                "lsns": if lsns == Lsns::Keep { "keep" } else { "map" },
                "records": digest.records,
                "batches": digest.batches,
                "payload_bytes": digest.payload_bytes,
                "cursors": written.cursors,
                "verified": !plan.options.no_verify,
                "sources": self.sources.iter().map(Taken::json).collect::<Vec<_>>(),
                "after": after.json(),
                "problems": problems.map(Problem::to_json).collect::<Vec<_>>(),
            }))?;
            return Ok(outcome);
        }
        for source in &self.sources {
            out.line(&format!("from       {}: {}", source.directory, source.size.text()))?;
        }
        out.line(&format!("to         {}: {}", plan.options.out.display(), after.text()))?;
        out.line(&format!(
            "records    {} ({} in payloads), {}, {}; LSNs {}",
            digest.records,
            bytes(digest.payload_bytes),
            counted(digest.batches, "batch"),
            counted(written.cursors as u64, "cursor"),
            if lsns == Lsns::Keep { "as they were" } else { "are new" }
        ))?;
        out.line(if plan.options.no_verify { "verified   no" } else { "verified   all was read back" })?;
        Ok(outcome)
    }
}

impl Taken {
    fn json(&self) -> Value {
        let mut value = self.size.json();
        if let Some(fields) = value.as_object_mut() {
            fields.insert("directory".to_owned(), json!(self.directory));
            fields.insert("live".to_owned(), json!(self.live));
        }
        value
    }
}
