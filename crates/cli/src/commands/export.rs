//! `export`: records on their way to another log, with nothing lost but what is damaged.

use serde_json::json;
use std::io::IsTerminal;
use tidelog::inspect::{Frame, FrameKind};

use super::walk::{Seen, Walk};
use crate::args::{Export, Global, Kind, PortFormat};
use crate::exit::{Fail, Outcome};
use crate::file::NewFile;
use crate::out::Out;
use crate::port::{Header, Place, Totals};
use crate::progress;
use crate::units::{bytes, counted};
use crate::view::View;

/// Where it goes.
enum Target<'a> {
    Stdout(&'a mut Out),
    File(NewFile),
}

struct Exporter<'a> {
    options: &'a Export,
    target: Target<'a>,
    buffer: Vec<u8>,
    /// What was asked for of the batch whose last record is yet to come.
    batch: Option<Vec<(u64, Vec<u8>)>>,
    totals: Totals,
    left: usize,
}

pub(super) fn run(view: &View, options: &Export, global: &Global, out: &mut Out) -> Result<Outcome, Fail> {
    if options.select.kind == Kind::Padding {
        return Err(Fail::Usage("padding is no record, and is not exported".to_owned()));
    }
    let target = match &options.out {
        Some(path) => Target::File(NewFile::create(path, view.inspector.directory())?),
        None if options.format == PortFormat::Lengths && std::io::stdout().is_terminal() => {
            return Err(Fail::Usage("this format is not for terminals; name a file with --out".to_owned()));
        }
        None => Target::Stdout(&mut *out),
    };
    let mut walk = Walk::new(view, &options.select, false, global);
    let segments = walk.segments();
    let total =
        segments.iter().map(|segment| segment.end.min(view.end).get().saturating_sub(segment.base.get()));
    let bar = progress::bar(total.sum(), options.out.is_some() && !global.json);
    let mut exporter = Exporter {
        options,
        target,
        buffer: Vec::new(),
        batch: None,
        totals: Totals::default(),
        left: options.select.limit.unwrap_or(usize::MAX),
    };
    exporter.begin(view)?;
    for segment in segments {
        if exporter.left == 0 {
            break;
        }
        walk.segment(segment, &mut |seen| match seen {
            Seen::Frame(frame) => {
                bar.inc(frame.frame_bytes);
                exporter.frame(frame)
            }
            Seen::Damage => {
                exporter.batch = None;
                Ok(true)
            }
        })?;
        // No batch goes on in the next segment.
        exporter.batch = None;
    }
    bar.finish_and_clear();
    if exporter.left > 0 {
        walk.end();
    }
    walk.lost.sort_unstable();
    exporter.totals.missing = walk.lost;
    let outcome = walk.outcome;
    let (target, totals) = exporter.end()?;
    if let (Target::File(file), Some(path)) = (target, &options.out) {
        file.finish()?;
        let (records, batches) = (totals.records, totals.batches);
        if global.json {
            out.json(json!({
                "command": "export",
                "outcome": outcome.word(),
                "file": path.display().to_string(),
                "records": records,
                "batches": batches,
                "payload_bytes": totals.payload_bytes,
                "missing": totals.missing.iter().map(|(from, to)| json!({"from": from, "to": to}))
                    .collect::<Vec<_>>(),
            }))?;
        } else {
            let (records, batches) = (counted(records, "record"), counted(batches, "batch"));
            let payloads = bytes(totals.payload_bytes);
            out.line(&format!("{records} ({payloads} in payloads), {batches}"))?;
        }
    }
    Ok(outcome)
}

impl<'a> Exporter<'a> {
    fn begin(&mut self, view: &View) -> Result<(), Fail> {
        let meta = view.inspector.meta();
        let header = Header {
            log_id: meta.log_id,
            segment_bytes: meta.segment_bytes,
            start: meta.start.get(),
            end: view.end.get(),
        };
        self.options.format.begin(&header, &mut self.buffer);
        self.write()
    }

    /// False where no further record was asked for.
    fn frame(&mut self, frame: &Frame<'_>) -> Result<bool, Fail> {
        let lsn = frame.lsn.get();
        let taken = frame.kind.is_record() && self.left > 0 && self.options.select.takes(frame);
        if taken {
            self.left -= 1;
        }
        match frame.kind {
            FrameKind::Record if taken => self.record(lsn, Place::Single, frame.payload)?,
            FrameKind::BatchFirst => self.batch = Some(Vec::new()),
            _ => {}
        }
        if let Some(batch) = &mut self.batch {
            if taken {
                batch.push((lsn, frame.payload.to_vec()));
            }
            if frame.kind != FrameKind::BatchLast {
                return Ok(true);
            }
            self.batch()?;
        }
        Ok(self.left > 0 && self.options.select.to.is_none_or(|to| lsn < to))
    }

    /// What was asked for of a batch is a batch again.
    fn batch(&mut self) -> Result<(), Fail> {
        let batch = self.batch.take().unwrap_or_default();
        self.totals.batches += u64::from(batch.len() > 1);
        for (index, (lsn, payload)) in batch.iter().enumerate() {
            self.record(*lsn, Place::of(index, batch.len()), payload)?;
        }
        Ok(())
    }

    fn record(&mut self, lsn: u64, place: Place, payload: &[u8]) -> Result<(), Fail> {
        self.totals.records += 1;
        self.totals.payload_bytes += payload.len() as u64;
        self.options.format.record(lsn, place, payload, &mut self.buffer);
        self.write()
    }

    fn end(mut self) -> Result<(Target<'a>, Totals), Fail> {
        self.options.format.end(&self.totals, &mut self.buffer);
        self.write()?;
        Ok((self.target, self.totals))
    }

    fn write(&mut self) -> Result<(), Fail> {
        match &mut self.target {
            Target::Stdout(out) => out.bytes(&self.buffer)?,
            Target::File(file) => file.bytes(&self.buffer)?,
        }
        self.buffer.clear();
        Ok(())
    }
}
