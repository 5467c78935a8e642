//! `tail`: the last records, and those to come.

use std::path::Path;
use std::time::Duration;

use tidelog::{Error, ErrorKind, LogReader, Lsn};

use super::dump;
use super::info::structure_problems;
use super::printer::Printer;
use crate::args::{Dump, Global, Kind, Select, Show, Tail};
use crate::exit::{Fail, Outcome};
use crate::out::Out;
use crate::view::View;

/// Between two looks. The library would let us sleep until we are woken, by a word that readers write into `log.signal`;
/// this tool writes nothing beside a writer.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) fn run(directory: &Path, options: &Tail, global: &Global, out: &mut Out) -> Result<Outcome, Fail> {
    let view = View::open(directory)?;
    let from = from(&view, options)?;
    if !options.follow && !options.durable {
        return there(&view, from, options, global, out);
    }
    let mut outcome = Outcome::Clean;
    let next = match from {
        Some(from) => from,
        None => {
            outcome = there(&view, None, options, global, out)?;
            view.end
        }
    };
    if from.is_none() && !options.follow {
        return Ok(outcome);
    }
    let mut printer = Printer::new(&options.show, global)?;
    let mut left = options.count.unwrap_or(usize::MAX);
    let judged = |error| judged(&view, error);
    let reader = LogReader::open(directory).map_err(judged)?;
    let begin = |from| if options.durable { reader.tail_durable(from) } else { reader.tail(from) };
    let mut tail = begin(next).map_err(judged)?;
    while left > 0 {
        match tail.try_next() {
            Ok(Some(record)) => {
                // A tail gives records; whether they came in a batch it does not say.
                printer.print(record.lsn().get(), "record", record.payload(), None, out)?;
                left -= 1;
            }
            Ok(None) if !options.follow => break,
            Ok(None) => {
                out.flush()?;
                std::thread::sleep(PAUSE);
            }
            Err(error) if error.kind() == ErrorKind::Retired && options.follow => {
                global.colors().remark(&error.to_string());
                let first = error.lsn().unwrap_or_else(|| tail.position());
                tail = begin(first).map_err(judged)?;
            }
            Err(error) => return Err(judged(error)),
        }
    }
    Ok(outcome)
}

/// Where to begin; `None` for the last few.
fn from(view: &View, options: &Tail) -> Result<Option<Lsn>, Fail> {
    if let Some(name) = &options.cursor {
        let cursors = view.inspector.cursors(view.end)?;
        let cursor = cursors.into_iter().find(|cursor| cursor.name == *name);
        let cursor = cursor.ok_or_else(|| Fail::NotFound(format!("there is no cursor {name:?}")))?;
        return Ok(Some(cursor.state?.position));
    }
    Ok(options.from.map(Lsn::new))
}

/// To readers what lies behind the end of a log is damage, as a writer may have written it; without a writer it may be a torn
/// tail.
fn judged(view: &View, error: Error) -> Fail {
    let is_behind = error.is_corruption() && error.lsn().is_some_and(|lsn| lsn >= view.end);
    let torn = structure_problems(view).into_iter().find(|problem| problem.outcome == Outcome::TornTail);
    match torn.filter(|_| is_behind) {
        Some(problem) => Fail::Problem(problem),
        None => Fail::Log(error),
    }
}

/// Prints what is there: from an LSN on, or the last records.
fn there(
    view: &View,
    from: Option<Lsn>,
    options: &Tail,
    global: &Global,
    out: &mut Out,
) -> Result<Outcome, Fail> {
    let (start, end) = (view.start(), view.end);
    match from {
        Some(from) if from < start => {
            return Err(Fail::NotFound(format!("LSN {from} was retired; the log begins at LSN {start}")));
        }
        Some(from) if from > end => {
            return Err(Fail::NotFound(format!(
                "nothing is written at LSN {from}; the log ends at LSN {end}"
            )));
        }
        _ => {}
    }
    let select = Select {
        from: from.map(Lsn::get),
        to: Some(end.get()),
        since: None,
        until: None,
        limit: options.count.filter(|_| from.is_some()),
        grep: None,
        prefix: None,
        key_prefix: None,
        kind: Kind::Records,
    };
    let show = Show {
        output: options.show.output,
        decode: options.show.decode.clone(),
        decoder: options.show.decoder.clone(),
        unpack: options.show.unpack.clone(),
    };
    let tail = from.is_none().then_some(options.lines);
    dump::run(view, &Dump { select, show, tail, reverse: false }, global, out)
}
