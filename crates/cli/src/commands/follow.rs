//! `tail`: the last records, and those to come.

use std::path::Path;
use std::time::Duration;

use tidelog::{ErrorKind, LogReader, Lsn};

use super::dump;
use super::printer::Printer;
use crate::args::{Dump, Global, Kind, Select, Tail};
use crate::exit::{Fail, Outcome};
use crate::out::Out;
use crate::view::View;

/// Between two looks. The library would let us sleep until we are woken, by a word that readers write into `log.signal`;
/// this tool writes nothing beside a writer.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) fn run(directory: &Path, options: &Tail, global: &Global, out: &mut Out) -> Result<Outcome, Fail> {
    let view = View::open(directory)?;
    let from = from(&view, options)?;
    let mut outcome = Outcome::Clean;
    let next = match from {
        Some(from) => from,
        None => {
            let (told, next) = last(&view, options, global, out)?;
            outcome = told;
            next
        }
    };
    if from.is_none() && !options.follow {
        return Ok(outcome);
    }
    let mut printer = Printer::new(&options.show, global)?;
    let mut left = options.count.unwrap_or(usize::MAX);
    let reader = LogReader::open(directory)?;
    let mut tail = if options.durable { reader.tail_durable(next)? } else { reader.tail(next)? };
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
                tail = if options.durable { reader.tail_durable(first)? } else { reader.tail(first)? };
            }
            Err(error) => return Err(error.into()),
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

/// Prints the last records; and where what comes after them begins.
fn last(view: &View, options: &Tail, global: &Global, out: &mut Out) -> Result<(Outcome, Lsn), Fail> {
    let select = Select {
        from: None,
        to: Some(view.end.get()),
        since: None,
        until: None,
        limit: None,
        grep: None,
        prefix: None,
        key_prefix: None,
        kind: Kind::Records,
    };
    let show = crate::args::Show {
        output: options.show.output,
        decode: options.show.decode.clone(),
        decoder: options.show.decoder.clone(),
        unpack: options.show.unpack.clone(),
    };
    let dump = Dump { select, show, tail: Some(options.lines), reverse: false };
    let outcome = dump::run(view, &dump, global, out)?;
    Ok((outcome, view.end))
}
