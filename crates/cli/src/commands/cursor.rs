//! `cursor`: where consumers stand.

use std::path::Path;

use serde_json::json;
use tidelog::{Log, Lsn};

use super::append::open;
use super::info::{cursor_json, print_cursors};
use crate::args::{Cursor, Global};
use crate::exit::{Fail, Outcome};
use crate::out::Out;
use crate::view::View;

pub(super) fn run(
    directory: &Path,
    action: &Cursor,
    global: &Global,
    out: &mut Out,
) -> Result<Outcome, Fail> {
    match action {
        Cursor::List => list(&View::open(directory)?, global, out),
        Cursor::Set { name, position, gate } => {
            let (log, outcome) = open(directory, global)?;
            set(&log, name, position, *gate, global, out)?;
            Ok(outcome)
        }
        Cursor::Rm { name } => {
            let (log, outcome) = open(directory, global)?;
            if !log.remove_cursor(name)? {
                return Err(Fail::NotFound(format!("there is no cursor {name:?}")));
            }
            log.close()?;
            Ok(outcome)
        }
    }
}

fn list(view: &View, global: &Global, out: &mut Out) -> Result<Outcome, Fail> {
    let cursors = view.inspector.cursors(view.end)?;
    if global.json {
        for cursor in &cursors {
            out.json(cursor_json(cursor))?;
        }
    } else if !cursors.is_empty() {
        print_cursors(&cursors, global.colors(), out)?;
    }
    let broken = cursors.iter().filter_map(|cursor| cursor.state.as_ref().err()).map(Outcome::of);
    Ok(broken.max().unwrap_or(Outcome::Clean))
}

fn set(
    log: &Log,
    name: &str,
    position: &str,
    gate: Option<bool>,
    global: &Global,
    out: &mut Out,
) -> Result<(), Fail> {
    let marks = log.watermarks();
    let position = match position {
        "start" => marks.start,
        "end" => marks.published,
        lsn => lsn
            .parse::<Lsn>()
            .map_err(|_| Fail::Usage(format!("{lsn:?} is no LSN, nor \"start\" or \"end\"")))?,
    };
    let cursor = log.cursor_from(name, position)?;
    if cursor.position() != position {
        cursor.reset(position)?;
    }
    if let Some(gate) = gate {
        cursor.set_gate(gate)?;
    }
    cursor.sync()?;
    if global.json {
        out.json(json!({"command": "cursor set", "name": name, "position": cursor.position().get(), "gate": cursor.gate()}))?;
    } else {
        out.line(&format!("{name} stands at LSN {}", cursor.position()))?;
    }
    Ok(log.close()?)
}
