//! `append` and `retire`: what changes the log, as its writer.

use std::io::{BufRead, Read};
use std::path::Path;

use serde_json::json;
use tidelog::inspect::Inspector;
use tidelog::{Checksum, ErrorKind, Log, Lsn, Options, SyncPolicy};

use crate::args::{Append, Global, Sync};
use crate::exit::{Fail, Outcome};
use crate::out::Out;

/// Opens a log that is there as its writer; makes none. An opening that cuts a torn tail away, or pads claims that never
/// returned, says so.
pub(super) fn open(directory: &Path, global: &Global) -> Result<(Log, Outcome), Fail> {
    Inspector::open(directory)?;
    recovered(Options::new().sync_policy(SyncPolicy::None).open(directory)?, global)
}

fn recovered(log: Log, global: &Global) -> Result<(Log, Outcome), Fail> {
    let report = log.recovery();
    if report.torn_tail.is_none() && report.holes_skipped == 0 {
        return Ok((log, Outcome::Clean));
    }
    global.colors().remark(&report.to_string());
    Ok((log, Outcome::Repaired))
}

/// How what appends opens the log.
pub(super) struct Opening {
    pub(super) sync: Sync,
    /// Make the log where there is none.
    pub(super) create: bool,
    pub(super) segment_bytes: Option<u64>,
    pub(super) checksum: Checksum,
}

impl Opening {
    pub(super) fn open(&self, directory: &Path, global: &Global) -> Result<(Log, Outcome), Fail> {
        let there = match Inspector::open(directory) {
            Err(error) if error.kind() == ErrorKind::NotFound && self.create => false,
            other => other.map(|_| true)?,
        };
        let policy = match self.sync {
            Sync::Each => SyncPolicy::Immediate,
            Sync::End | Sync::Never => SyncPolicy::None,
        };
        let mut opening = Options::new().sync_policy(policy).checksum(self.checksum);
        if let Some(bytes) = self.segment_bytes.filter(|_| !there) {
            opening = opening.segment_bytes(bytes);
        }
        recovered(opening.open(directory)?, global)
    }
}

pub(super) fn run(
    directory: &Path,
    options: &Append,
    global: &Global,
    out: &mut Out,
) -> Result<Outcome, Fail> {
    let opening = Opening {
        sync: options.sync,
        create: options.create,
        segment_bytes: options.segment_bytes,
        checksum: Checksum::default(),
    };
    let (log, outcome) = opening.open(directory, global)?;
    let mut span = Span::default();
    if options.files.is_empty() {
        from_stdin(&log, options, &mut span)?;
    }
    for path in &options.files {
        let bytes = std::fs::read(path)
            .map_err(|error| Fail::io(format!("cannot read {}", path.display()), error))?;
        span.add(log.append(&bytes)?);
    }
    if options.sync == Sync::End {
        log.sync()?;
    }
    let marks = log.watermarks();
    if global.json {
        out.json(json!({
            "command": "append",
            "records": span.records,
            "first": span.first.map(Lsn::get),
            "last": span.last.map(Lsn::get),
            "end": marks.published.get(),
            "durable": options.sync != Sync::Never,
        }))?;
    } else if let (Some(first), Some(last)) = (span.first, span.last) {
        out.line(&format!("{} records, LSN {first} to {last}", span.records))?;
    } else {
        out.line("no records")?;
    }
    if options.sync != Sync::Never {
        log.close()?;
    }
    Ok(outcome)
}

/// What was appended.
#[derive(Debug, Default)]
pub(super) struct Span {
    pub(super) records: u64,
    pub(super) first: Option<Lsn>,
    pub(super) last: Option<Lsn>,
}

impl Span {
    pub(super) fn add(&mut self, lsn: Lsn) {
        self.records += 1;
        self.first.get_or_insert(lsn);
        self.last = Some(lsn);
    }
}

fn from_stdin(log: &Log, options: &Append, span: &mut Span) -> Result<(), Fail> {
    let failed = |error| Fail::io("cannot read standard input", error);
    let mut stdin = std::io::stdin().lock();
    let mut bytes = Vec::new();
    if options.whole {
        stdin.read_to_end(&mut bytes).map_err(failed)?;
        span.add(log.append(&bytes)?);
        return Ok(());
    }
    while stdin.read_until(b'\n', &mut bytes).map_err(failed)? > 0 {
        span.add(log.append(bytes.strip_suffix(b"\n").unwrap_or(&bytes))?);
        bytes.clear();
    }
    Ok(())
}

pub(super) fn retire(directory: &Path, before: u64, global: &Global, out: &mut Out) -> Result<Outcome, Fail> {
    let (log, outcome) = open(directory, global)?;
    let old = log.watermarks().start;
    let start = log.retire_before(Lsn::new(before))?;
    if global.json {
        out.json(json!({"command": "retire", "start_before": old.get(), "start": start.get()}))?;
    } else {
        out.line(&format!("the log begins at LSN {start} (before: {old})"))?;
    }
    log.close()?;
    Ok(outcome)
}
