//! `dump` and `get`: records, as they are in the files.

use std::collections::VecDeque;

use serde_json::json;
use tidelog::Lsn;
use tidelog::inspect::{Frame, FrameKind, SegmentInfo, Stop};

use super::printer::Printer;
use super::walk::{Seen, Walk, gone};
use crate::args::{Dump, Global};
use crate::decode::hex;
use crate::exit::{Fail, Outcome};
use crate::out::Out;
use crate::select::kind_word;
use crate::view::View;

/// A frame that is kept until it is its turn.
type Kept = (u64, FrameKind, Vec<u8>);

pub(super) fn run(view: &View, options: &Dump, global: &Global, out: &mut Out) -> Result<Outcome, Fail> {
    let mut printer = Printer::new(&options.show, global)?;
    let wanted = options.tail.or_else(|| options.reverse.then(|| options.select.limit.unwrap_or(usize::MAX)));
    let mut walk = Walk::new(view, &options.select, wanted.is_some(), global);
    let select = Some(&options.select);
    let segments = walk.segments();
    if let Some(wanted) = wanted {
        // From the newest segment back, so that the end of a long log is there at once.
        let mut left = wanted;
        let mut kept: Vec<VecDeque<Kept>> = Vec::new();
        for segment in segments {
            if left == 0 {
                break;
            }
            let mut last = VecDeque::new();
            visit(&mut walk, segment, options, &mut printer, &mut |_, frame| {
                if last.len() == left {
                    last.pop_front();
                }
                last.push_back((frame.lsn.get(), frame.kind, frame.payload.to_vec()));
                Ok(true)
            })?;
            left -= last.len();
            if options.reverse {
                for (lsn, kind, payload) in last.iter().rev() {
                    printer.print(*lsn, kind_word(*kind), payload, select, out)?;
                }
            } else {
                kept.push(last);
            }
        }
        if left > 0 {
            walk.end();
        }
        for (lsn, kind, payload) in kept.iter().rev().flatten() {
            printer.print(*lsn, kind_word(*kind), payload, select, out)?;
        }
        return Ok(walk.outcome);
    }
    let mut left = options.select.limit.unwrap_or(usize::MAX);
    for segment in segments {
        if left == 0 {
            break;
        }
        visit(&mut walk, segment, options, &mut printer, &mut |printer, frame| {
            printer.print(frame.lsn.get(), kind_word(frame.kind), frame.payload, select, out)?;
            left -= 1;
            Ok(left > 0)
        })?;
    }
    if left > 0 {
        walk.end();
    }
    Ok(walk.outcome)
}

/// What wants a frame, and says whether it wants more.
type Wants<'a> = &'a mut dyn FnMut(&mut Printer, &Frame<'_>) -> Result<bool, Fail>;

/// Shows the frames of a segment that were asked for to `show`, as long as it wants them.
fn visit(
    walk: &mut Walk<'_>,
    segment: &SegmentInfo,
    options: &Dump,
    printer: &mut Printer,
    show: Wants<'_>,
) -> Result<(), Fail> {
    let select = &options.select;
    let to = select.to.unwrap_or(u64::MAX);
    walk.segment(segment, &mut |seen| match seen {
        Seen::Frame(frame) if frame.lsn.get() >= to => Ok(false),
        Seen::Frame(frame) if select.takes_place(frame) && printer.takes(select, frame.payload) => {
            show(printer, frame)
        }
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
    let mut frames = view.inspector.frames(Lsn::new(base))?;
    let segment = view.files.segments.iter().find(|segment| segment.base.get() == base);
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
        let at = frames.position();
        let damage = match frames.stop() {
            Some(Stop::Corrupt(error)) => Some(Fail::Log(error.clone())),
            Some(stop) => segment.and_then(|segment| gone(view, segment, stop, at)).map(Fail::Problem),
            None => None,
        };
        if damage.is_none() && !matches!(frames.stop(), Some(Stop::Hole(_) | Stop::Claimed(_))) {
            break;
        }
        // What it covers cannot be told, but for where frames begin again.
        let behind = if at.get() > lsn { None } else { frames.resume()? };
        match (behind.filter(|behind| behind.get() <= lsn), damage) {
            (Some(_), _) => {}
            (None, Some(damage)) => return Err(damage),
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
