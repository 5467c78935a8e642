//! `dump` and `get`: records, as they are in the files.

use std::collections::VecDeque;

use serde_json::{Value, json};
use tidelog::inspect::{Frame, FrameKind, SegmentInfo, Stop};

use super::walk::{Seen, Walk};
use crate::args::{Dump, Format, Global, Show};
use crate::decode::{Decode, hex};
use crate::exit::{Fail, Outcome};
use crate::out::Out;
use crate::select::kind_word;
use crate::view::View;

/// Prints records in the format that was asked for.
#[derive(Debug)]
pub(super) struct Printer {
    format: Format,
    decode: Decode,
    begun: bool,
}

impl Printer {
    pub(super) fn new(show: &Show, global: &Global) -> Self {
        let format = if global.json { Format::Json } else { show.output };
        Self { format, decode: Decode::new(&show.decode, show.decoder.as_ref()), begun: false }
    }

    pub(super) fn print(&mut self, lsn: u64, kind: &str, payload: &[u8], out: &mut Out) -> Result<(), Fail> {
        match self.format {
            Format::Raw => out.bytes(payload),
            Format::Hex => {
                out.line(&format!("{lsn} {} {kind}", payload.len()))?;
                for (index, row) in payload.chunks(16).enumerate() {
                    let digits: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
                    let shown = |byte: &u8| if (32..127).contains(byte) { char::from(*byte) } else { '.' };
                    let text: String = row.iter().map(shown).collect();
                    out.line(&format!("  {:08x}  {:<47}  {text}", index * 16, digits.join(" ")))?;
                }
                Ok(())
            }
            Format::Text => {
                let text = plain(self.decode.value(lsn, payload)?);
                out.line(&format!("{lsn:>12} {:>8} {kind:<12} {text}", payload.len()))
            }
            Format::Json => {
                let value = self.decode.value(lsn, payload)?;
                let mut object = json!({"lsn": lsn, "kind": kind, "bytes": payload.len(), "payload": value});
                // Where the text is not the payload, so that nothing is lost.
                if std::str::from_utf8(payload).is_err()
                    && matches!(self.decode, Decode::Named("utf8" | "json"))
                {
                    object["payload_hex"] = json!(hex(payload));
                }
                out.json(object)
            }
            Format::Csv => {
                if !std::mem::replace(&mut self.begun, true) {
                    out.bytes(b"lsn,kind,bytes,payload\r\n")?;
                }
                let text = match self.decode.value(lsn, payload)? {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                out.bytes(
                    format!("{lsn},{kind},{},\"{}\"\r\n", payload.len(), text.replace('"', "\"\""))
                        .as_bytes(),
                )
            }
        }
    }
}

/// On one line, without anything that a terminal would obey.
fn plain(value: Value) -> String {
    match value {
        Value::String(text) => crate::decode::escaped(text.as_bytes()),
        other => other.to_string(),
    }
}

/// A frame that is kept until it is its turn.
type Kept = (u64, FrameKind, Vec<u8>);

pub(super) fn run(view: &View, options: &Dump, global: &Global, out: &mut Out) -> Result<Outcome, Fail> {
    let mut printer = Printer::new(&options.show, global);
    let mut walk = Walk::new(view, &options.select, global);
    let segments = walk.segments();
    if let Some(wanted) =
        options.tail.or_else(|| options.reverse.then(|| options.select.limit.unwrap_or(usize::MAX)))
    {
        // From the newest segment back, so that the end of a long log is there at once.
        let mut left = wanted;
        let mut kept: Vec<VecDeque<Kept>> = Vec::new();
        for segment in segments.into_iter().rev() {
            if left == 0 {
                break;
            }
            let mut last = VecDeque::new();
            visit(&mut walk, segment, options, &mut |frame| {
                if last.len() == left {
                    last.pop_front();
                }
                last.push_back((frame.lsn.get(), frame.kind, frame.payload.to_vec()));
                Ok(true)
            })?;
            left -= last.len();
            if options.reverse {
                for (lsn, kind, payload) in last.iter().rev() {
                    printer.print(*lsn, kind_word(*kind), payload, out)?;
                }
            } else {
                kept.push(last);
            }
        }
        for (lsn, kind, payload) in kept.iter().rev().flatten() {
            printer.print(*lsn, kind_word(*kind), payload, out)?;
        }
        return Ok(walk.outcome);
    }
    let mut left = options.select.limit.unwrap_or(usize::MAX);
    for segment in segments {
        if left == 0 {
            break;
        }
        visit(&mut walk, segment, options, &mut |frame| {
            printer.print(frame.lsn.get(), kind_word(frame.kind), frame.payload, out)?;
            left -= 1;
            Ok(left > 0)
        })?;
    }
    Ok(walk.outcome)
}

/// Shows the frames of a segment that were asked for to `show`, as long as it wants them.
fn visit(
    walk: &mut Walk<'_>,
    segment: &SegmentInfo,
    options: &Dump,
    show: &mut dyn FnMut(&Frame<'_>) -> Result<bool, Fail>,
) -> Result<(), Fail> {
    let to = options.select.to.unwrap_or(u64::MAX);
    walk.segment(segment, &mut |seen| match seen {
        Seen::Frame(frame) if frame.lsn.get() >= to => Ok(false),
        Seen::Frame(frame) if options.select.takes(frame) => show(frame),
        _ => Ok(true),
    })
}

pub(super) fn get(view: &View, lsn: u64, global: &Global, out: &mut Out) -> Result<Outcome, Fail> {
    let (start, end) = (view.start().get(), view.end.get());
    if lsn < start {
        return Err(Fail::NotFound(format!("LSN {lsn} was retired; the log begins at LSN {start}")));
    }
    if lsn >= end {
        return Err(Fail::NotFound(format!("nothing is written at LSN {lsn}; the log ends at LSN {end}")));
    }
    let base = lsn - lsn % view.inspector.meta().segment_bytes;
    let mut frames = view.inspector.frames(tidelog::Lsn::new(base))?;
    loop {
        match frames.next_frame()? {
            Some(frame) if frame.lsn.get() == lsn && frame.kind.is_record() => {
                print_one(&frame, global, out)?;
                return Ok(Outcome::Clean);
            }
            Some(frame) if frame.lsn.get() < lsn => continue,
            Some(_) => break,
            None => {}
        }
        let damage = match frames.stop() {
            Some(Stop::Corrupt(error)) => Some(error.clone()),
            Some(Stop::Hole(_) | Stop::Claimed(_)) => None,
            _ => break,
        };
        // What it covers cannot be told, but for where frames begin again.
        let behind = if frames.position().get() > lsn { None } else { frames.resume()? };
        match (behind.filter(|behind| behind.get() <= lsn), damage) {
            (Some(_), _) => {}
            (None, Some(error)) => return Err(Fail::Log(error)),
            (None, None) => break,
        }
    }
    Err(Fail::NotFound(format!("no record begins at LSN {lsn}")))
}

fn print_one(frame: &Frame<'_>, global: &Global, out: &mut Out) -> Result<(), Fail> {
    if !global.json {
        return out.bytes(frame.payload);
    }
    let text = std::str::from_utf8(frame.payload).ok();
    out.json(json!({
        "command": "get",
        "lsn": frame.lsn.get(),
        "kind": kind_word(frame.kind),
        "bytes": frame.payload.len(),
        "payload": text,
        "payload_hex": text.is_none().then(|| hex(frame.payload)),
    }))
}
