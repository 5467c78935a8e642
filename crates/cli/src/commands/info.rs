//! `info`: the log at a glance.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};
use tidelog::inspect::{FORMAT_VERSION, Files, FrameCounts, Inspector, Opening, SegmentInfo, SegmentState};
use tidelog::{CursorInfo, LastClose, Lsn};

use super::walk::gap;
use crate::args::Global;
use crate::color::{Colors, Tone};
use crate::decode::hex;
use crate::exit::{Fail, Outcome};
use crate::out::Out;
use crate::parallel;
use crate::problem::Problem;
use crate::units::{bytes, time};
use crate::view::View;

pub(crate) fn state_word(state: SegmentState) -> &'static str {
    match state {
        SegmentState::Retired => "retired",
        SegmentState::Sealed => "sealed",
        SegmentState::Filled => "filled",
        SegmentState::Active => "active",
        SegmentState::Prepared => "prepared",
        SegmentState::Damaged => "damaged",
        _ => "unknown",
    }
}

/// What the structure alone shows to be wrong.
pub(crate) fn structure_problems(view: &View) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    let damaged = view.files.segments.iter().filter(|segment| segment.state != SegmentState::Retired);
    for segment in damaged {
        if let Err(error) = &segment.header
            && !view.was_retired(segment.base)
        {
            let end = view.has_place(segment).then(|| segment.end.min(view.end.max(segment.base)).get());
            problems.push(Problem::from(error).at(segment.base.get(), end));
        }
    }
    for (from, to) in view.gaps() {
        if !view.was_retired(Lsn::new(from)) {
            problems.push(gap(view, from, to));
        }
    }
    match &view.foreseen {
        Some(Ok(report)) if report.torn_tail.is_some() => {
            let what = format!(
                "the tail is torn: {} bytes behind the log's end at LSN {}, promised to nobody; the next opening cuts \
                 them away",
                report.truncated_bytes, report.end
            );
            problems.push(Problem::new(Outcome::TornTail, what).at(report.end.get(), None));
        }
        Some(Err(error)) => {
            let problem = Problem::from(error);
            // What an opening stumbles over may be what was found above.
            if !problems.iter().any(|known| known.lsn == problem.lsn || known.path == problem.path) {
                problems.push(problem);
            }
        }
        _ => {}
    }
    problems
}

/// What was counted, by the segments' bases.
type Counts = BTreeMap<Lsn, FrameCounts>;

pub(super) fn run(view: &View, count: bool, global: &Global, out: &mut Out) -> Result<Outcome, Fail> {
    let counts = count.then(|| count_all(view));
    let problems = structure_problems(view);
    let cursors = view.inspector.cursors(view.end)?;
    let broken = cursors.iter().filter_map(|cursor| cursor.state.as_ref().err()).map(Outcome::of);
    let outcome =
        problems.iter().map(|problem| problem.outcome).chain(broken).max().unwrap_or(Outcome::Clean);
    if global.json {
        out.json(to_json(view, counts.as_ref(), &cursors, &problems, outcome))?;
    } else {
        print(view, counts.as_ref(), &cursors, &problems, global.colors(), out)?;
    }
    Ok(outcome)
}

/// The records of each segment, those behind damage included. What is damaged, `verify` tells.
fn count_all(view: &View) -> Counts {
    let counts = parallel::each(view.written().collect(), parallel::threads(None), |segment| {
        let mut counts = FrameCounts::default();
        if let Ok(frames) = view.inspector.frames(segment.base) {
            let limit = if view.is_live() { segment.end } else { view.end };
            let mut frames = frames.until(limit);
            // A block that cannot be read is stepped over as damage is.
            while frames.count(&mut counts).is_ok() && matches!(frames.resume(), Ok(Some(_))) {}
        }
        ControlFlow::Continue((segment.base, counts))
    });
    counts.into_iter().collect()
}

fn last_close(view: &View) -> &'static str {
    match &view.foreseen {
        None => "open",
        Some(Err(_)) => "damaged",
        Some(Ok(report)) => match report.last_close {
            LastClose::Clean => "closed",
            LastClose::ProcessDied => "its process died",
            LastClose::MachineRestarted => "the machine restarted",
            _ => "unknown",
        },
    }
}

fn to_json(
    view: &View,
    counts: Option<&Counts>,
    cursors: &[CursorInfo],
    problems: &[Problem],
    outcome: Outcome,
) -> Value {
    let meta = view.inspector.meta();
    json!({
        "command": "info",
        "directory": view.inspector.directory().display().to_string(),
        "outcome": outcome.word(),
        "format_version": FORMAT_VERSION,
        "log_id": hex(&meta.log_id),
        "segment_bytes": meta.segment_bytes,
        "start": meta.start.get(),
        "end": view.end.get(),
        "proven_durable": durable(view),
        "last_close": last_close(view),
        "writer": {
            "pid": view.lock.holder,
            "last_pid": view.lock.noted_pid,
            "sync_failed": view.lock.poisoned,
        },
        "segments": view.files.segments.iter()
            .map(|segment| segment_json(segment, counts)).collect::<Vec<_>>(),
        "missing": view.files.missing.iter()
            .map(|gap| json!({"start": gap.start.get(), "end": gap.end.get()})).collect::<Vec<_>>(),
        "spares": view.files.spares,
        "leftovers": view.files.temporaries.len(),
        "cursors": cursors.iter().map(cursor_json).collect::<Vec<_>>(),
        "problems": problems.iter().map(Problem::to_json).collect::<Vec<_>>(),
    })
}

/// Everything below is known to be durable: by the frames where they were looked at, else by the marks.
pub(super) fn durable(view: &View) -> u64 {
    let foreseen = view.foreseen.iter().flatten().map(|report| report.proven_durable.get()).max();
    foreseen.unwrap_or_default().max(marked_durable(&view.inspector, &view.files))
}

/// The same by the marks alone.
pub(super) fn marked_durable(inspector: &Inspector, files: &Files) -> u64 {
    let headers = files.segments.iter().filter_map(|segment| segment.header.as_ref().ok());
    let marks = headers.flat_map(|header| {
        let mark = header.tail_mark.filter(|mark| mark.durable).map(|mark| mark.end.get());
        [mark, header.durable_hint.map(|hint| hint.get())]
    });
    marks.flatten().max().unwrap_or_default().max(inspector.meta().proven_durable.get())
}

fn segment_json(segment: &SegmentInfo, counts: Option<&Counts>) -> Value {
    let counts = counts.and_then(|counts| counts.get(&segment.base));
    let header = segment.header.as_ref().ok();
    let mark = header.and_then(|header| header.tail_mark);
    json!({
        "number": segment.number,
        "base": segment.base.get(),
        "end": segment.end.get(),
        "file": segment.path.file_name().map(|name| name.to_string_lossy()),
        "state": state_word(segment.state),
        "file_bytes": segment.file_bytes,
        "allocated_bytes": segment.allocated_bytes,
        "records": counts.map(|counts| counts.records),
        "payload_bytes": counts.map(|counts| counts.payload_bytes),
        "created": header.and_then(|header| header.created).map(time),
        "sealed": mark.and_then(|mark| mark.sealed).map(time),
        "tail_mark": mark.map(|mark| json!({
            "end": mark.end.get(), "durable": mark.durable, "this_boot": mark.this_boot,
        })),
        "durable_hint": header.and_then(|header| header.durable_hint).map(|hint| hint.get()),
        "openings": header.map(|header| header.openings.iter().map(|opening| json!({
            "number": opening.number,
            "start": opening.start.get(),
            "opened": opening.opened.map(time),
            "checksum": checksum(opening),
            "acknowledges_durable": opening.acks_durable,
            "this_boot": opening.this_boot,
        })).collect::<Vec<_>>()),
        "error": segment.header.as_ref().err().map(ToString::to_string),
    })
}

pub(super) fn cursor_json(cursor: &CursorInfo) -> Value {
    match &cursor.state {
        Ok(state) => json!({
            "name": cursor.name,
            "position": state.position.get(),
            "lag_bytes": state.lag_bytes,
            "gate": state.gate,
            "log_ended": state.log_ended.map(|lsn| lsn.get()),
            "committed": time(state.committed),
        }),
        Err(error) => json!({"name": cursor.name, "error": error.to_string()}),
    }
}

fn print(
    view: &View,
    counts: Option<&Counts>,
    cursors: &[CursorInfo],
    problems: &[Problem],
    colors: Colors,
    out: &mut Out,
) -> Result<(), Fail> {
    let meta = view.inspector.meta();
    let mut line = |name: &str, value: &str| out.line(&format!("{name:<10} {value}"));
    line("log", &view.inspector.directory().display().to_string())?;
    line("id", &format!("{}, format version {FORMAT_VERSION}", hex(&meta.log_id)))?;
    line(
        "range",
        &format!(
            "LSN {} to {} ({})",
            meta.start,
            view.end,
            bytes(view.end.get().saturating_sub(meta.start.get()))
        ),
    )?;
    line("durable", &format!("at least to LSN {}", durable(view)))?;
    let ended = match last_close(view) {
        "damaged" => "damage hides how it ended",
        word => word,
    };
    let writer = match (view.lock.holder, view.lock.noted_pid) {
        (Some(pid), _) => format!("pid {pid} has it open"),
        (None, Some(pid)) => format!("none ({ended}; the last was pid {pid})"),
        (None, None) => format!("none ({ended})"),
    };
    line("writer", &writer)?;
    if view.lock.poisoned {
        line("", "a sync failed in this boot; the next opening writes again what it keeps")?;
    }
    line(
        "segments",
        &format!(
            "{} of {}, {} spare",
            view.files.segments.len(),
            bytes(meta.segment_bytes),
            view.files.spares
        ),
    )?;
    if let Some(opening) = last_opening(view) {
        let acks =
            if opening.acks_durable { "durable when they return" } else { "published when they return" };
        let at = opening.opened.map_or_else(|| "at a time not noted".to_owned(), time);
        line("opened", &format!("{at}, number {}: {}, appends {acks}", opening.number, checksum(opening)))?;
    }
    out.line("")?;
    out.line(&segment_table(view, counts).to_string())?;
    if !cursors.is_empty() {
        out.line("")?;
        print_cursors(cursors, colors, out)?;
    }
    for problem in problems {
        out.line("")?;
        out.line(&format!("{}: {}", colors.paint(Tone::Bad, problem.outcome.word()), problem.message))?;
    }
    Ok(())
}

pub(super) fn table(header: &[&str], numbers: std::ops::Range<usize>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    for column in table
        .column_iter_mut()
        .enumerate()
        .filter(|(index, _)| numbers.contains(index))
        .map(|(_, column)| column)
    {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The newest opening by a writer that the segments note.
fn last_opening(view: &View) -> Option<&Opening> {
    let headers = view.files.segments.iter().filter_map(|segment| segment.header.as_ref().ok());
    headers.flat_map(|header| &header.openings).max_by_key(|opening| opening.number)
}

fn checksum(opening: &Opening) -> String {
    format!("{:?}", opening.checksum).to_lowercase()
}

fn segment_table(view: &View, counts: Option<&Counts>) -> Table {
    const FIRST: [&str; 4] = ["SEGMENT", "BASE", "END", "ALLOCATED"];
    const COUNTED: [&str; 2] = ["RECORDS", "PAYLOADS"];
    const LAST: [&str; 4] = ["STATE", "MADE", "SEALED", "DURABLE TO"];
    let counted: &[&str] = if counts.is_some() { &COUNTED } else { &[] };
    let numbers = FIRST.len() + counted.len();
    let mut table = table(&[&FIRST, counted, &LAST].concat(), 0..numbers);
    for segment in &view.files.segments {
        let header = segment.header.as_ref().ok();
        let mark = header.and_then(|header| header.tail_mark);
        let durable = mark.filter(|mark| mark.durable).map(|mark| mark.end);
        let durable = durable.max(header.and_then(|header| header.durable_hint));
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let mut row = vec![
            segment.number.to_string(),
            segment.base.to_string(),
            segment.end.to_string(),
            bytes(segment.allocated_bytes),
        ];
        if let Some(counts) = counts {
            let counts = counts.get(&segment.base);
            row.push(or_dash(counts.map(|counts| counts.records.to_string())));
            row.push(or_dash(counts.map(|counts| bytes(counts.payload_bytes))));
        }
        row.extend([
            state_word(segment.state).to_owned(),
            or_dash(header.and_then(|header| header.created).map(time)),
            or_dash(mark.and_then(|mark| mark.sealed).map(time)),
            or_dash(durable.map(|lsn| lsn.to_string())),
        ]);
        table.add_row(row);
    }
    table
}

/// A table of the cursors, and under it what is wrong with some.
pub(super) fn print_cursors(cursors: &[CursorInfo], colors: Colors, out: &mut Out) -> Result<(), Fail> {
    out.line(&cursor_table(cursors).to_string())?;
    for cursor in cursors {
        if let Err(error) = &cursor.state {
            out.line("")?;
            out.line(&format!(
                "{}: cursor {}: {error}",
                colors.paint(Tone::Bad, Outcome::of(error).word()),
                cursor.name
            ))?;
        }
    }
    Ok(())
}

fn cursor_table(cursors: &[CursorInfo]) -> Table {
    let mut table = table(&["CURSOR", "POSITION", "BEHIND", "GATE", "COMMITTED"], 1..3);
    for cursor in cursors {
        match &cursor.state {
            Ok(state) => table.add_row([
                cursor.name.clone(),
                state.position.to_string(),
                bytes(state.lag_bytes),
                if state.gate { "yes" } else { "no" }.to_owned(),
                time(state.committed),
            ]),
            // What is wrong with it is told below: it would make the column of positions as wide as a sentence.
            Err(_) => table.add_row([cursor.name.clone(), "damaged".to_owned()]),
        };
    }
    table
}
