//! `map`: a picture of the log.

mod cells;
mod html;
mod survey;
mod svg;
mod terminal;

use serde_json::{Value, json};

use self::cells::{Kind, Share};
use self::survey::Survey;
use crate::args::{Drawing, Global, Map};
use crate::exit::{Fail, Outcome};
use crate::out::Out;
use crate::picture::{Target, terminal_width};
use crate::problem::Problem;
use crate::units::{bytes, time};
use crate::view::View;

/// Of many problems a picture tells the first.
const PROBLEMS_TOLD: usize = 50;
/// Parts of a segment that `--json` tells, and how many parts there are at most in all.
const JSON_CELLS: usize = 64;
const JSON_CELLS_MAX: usize = 8192;

pub(super) fn run(view: &View, options: &Map, global: &Global, out: &mut Out) -> Result<Outcome, Fail> {
    let target = Target::new(options.picture.out.as_deref(), Some(view.inspector.directory()))?;
    let survey = |cells: &dyn Fn(usize) -> usize| Survey::new(view, options, global, cells);
    if global.json {
        let survey = survey(&|slots| (JSON_CELLS_MAX / slots.max(1)).clamp(1, JSON_CELLS))?;
        out.json(survey.json())?;
        return Ok(survey.outcome);
    }
    let (survey, text) = match options.picture.output {
        Drawing::Text => {
            let width = options.width.map_or_else(terminal_width, usize::from);
            let layout = |slots| terminal::Layout::new(width, options.rows, slots);
            let survey = survey(&|slots| layout(slots).cells())?;
            let colors = target.colors(global.colors());
            let text = terminal::draw(&survey, layout(survey.slots.len()), colors);
            (survey, text)
        }
        drawing => {
            let survey = survey(&|slots| svg::Layout::new(slots).cells())?;
            let picture = svg::draw(&survey);
            let text = if drawing == Drawing::Html { html::page(&survey, &picture) } else { picture };
            (survey, text)
        }
    };
    target.write(&text, out)?;
    Ok(survey.outcome)
}

/// What is there is never nothing.
fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.1 { " <0.1%".to_owned() } else { format!("{share:>5.1}%") }
}

impl Survey {
    /// The log in a sentence, without its place.
    fn summary(&self) -> String {
        let (start, end) = (self.lsn_of("S"), self.lsn_of("E"));
        let states: Vec<String> =
            self.states().iter().map(|(state, count)| format!("{count} {state}")).collect();
        let states = if states.is_empty() { String::new() } else { format!(" ({})", states.join(", ")) };
        let spares = self.spares;
        let writer = self.writer.map_or(String::new(), |pid| format!(", pid {pid} has it open"));
        format!(
            "{}, LSN {start} to {end} ({}), segments of {}{states}, {spares} spare{writer}",
            self.outcome.word(),
            bytes(end.saturating_sub(start)),
            bytes(self.segment_bytes),
        )
    }

    /// What the log is made of: the kind, the bytes, and the share or what else is to be said.
    fn figures(&self) -> Vec<(&'static str, String, String)> {
        let all = self.total.total().max(1) as f64;
        let there = Kind::ALL.into_iter().filter(|kind| self.total.of(*kind) > 0);
        let rows = there.map(|kind| {
            let much = self.total.of(kind);
            let share = percent(much as f64 * 100.0 / all);
            let more = match kind {
                Kind::Record if self.batches > 0 => {
                    format!(", {} records, with those in batches", self.records)
                }
                Kind::Record => format!(", {} records", self.records),
                Kind::Batch => format!(", {} batches", self.batches),
                Kind::Written => ", not read".to_owned(),
                Kind::Unpublished if self.unpublished.len() == 1 => ", one claim".to_owned(),
                Kind::Unpublished => format!(", {} claims", self.unpublished.len()),
                _ => String::new(),
            };
            (kind.word(), bytes(much), share + &more)
        });
        rows.collect()
    }

    /// The problems that a picture tells, and how many there are besides.
    fn told(&self) -> (&[Problem], usize) {
        let told = self.problems.len().min(PROBLEMS_TOLD);
        (&self.problems[..told], self.problems.len() - told)
    }

    fn json(&self) -> Value {
        let share = |share: &Share| {
            let there = Kind::ALL.into_iter().filter(|kind| share.of(*kind) > 0);
            there
                .map(|kind| (kind.word().to_owned(), json!(share.of(kind))))
                .collect::<serde_json::Map<_, _>>()
        };
        let slots = self.slots.iter().map(|slot| {
            let header = slot.segment.as_ref().and_then(|segment| segment.header.as_ref().ok());
            json!({
                "number": slot.number,
                "base": slot.base,
                "end": slot.end,
                "state": slot.state(),
                "created": header.and_then(|header| header.created).map(time),
                "sealed": header.and_then(|header| header.tail_mark?.sealed).map(time),
                "bytes": share(&slot.share()),
                "cells": slot.cells.iter().enumerate().map(|(part, cell)| json!({
                    "start": slot.part(part),
                    "end": slot.part(part + 1),
                    "shows": cell.shows().word(),
                    "bytes": share(cell),
                })).collect::<Vec<_>>(),
            })
        });
        json!({
            "command": "map",
            "directory": self.directory,
            "outcome": self.outcome.word(),
            "quick": self.quick,
            "live": self.writer.is_some(),
            "start": self.lsn_of("S"),
            "durable": self.lsn_of("D"),
            "end": self.lsn_of("E"),
            "segment_bytes": self.segment_bytes,
            "spares": self.spares,
            "records": if self.quick { Value::Null } else { json!(self.records) },
            "batches": if self.quick { Value::Null } else { json!(self.batches) },
            "bytes": share(&self.total),
            "segments": slots.collect::<Vec<_>>(),
            "cursors": self.marks.iter().filter_map(|mark| {
                let (lag, gate) = mark.lag?;
                Some(json!({"name": mark.name, "position": mark.lsn, "lag_bytes": lag, "gate": gate}))
            }).chain(self.broken_cursors.iter().map(|(name, error)| json!({"name": name, "error": error})))
                .collect::<Vec<_>>(),
            "unpublished": self.unpublished.iter()
                .map(|(from, to)| json!({"start": from, "end": to})).collect::<Vec<_>>(),
            "problems": self.problems.iter().map(Problem::to_json).collect::<Vec<_>>(),
        })
    }
}
