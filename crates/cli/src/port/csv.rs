//! Comma-separated values after RFC 4180.

use std::io::BufRead;

use super::lines::LINE_BYTES_MAX;
use super::{Bad, Item, Next, Place, Source};
use crate::decode::{base64, from_base64};

const COLUMNS: &str = "lsn,batch,encoding,payload";

pub(super) fn begin(out: &mut Vec<u8>) {
    out.extend_from_slice(COLUMNS.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// As text where that is one which a terminal, a spreadsheet and a change of line ends leave as it is.
pub(super) fn record(lsn: u64, place: Place, payload: &[u8], out: &mut Vec<u8>) {
    let inert =
        |text: &&str| text.chars().all(|letter| !letter.is_control() || letter == '\t' || letter == '\n');
    let word = place.word();
    let row = match std::str::from_utf8(payload).ok().filter(inert) {
        Some(text) => format!("{lsn},{word},utf8,\"{}\"\r\n", text.replace('"', "\"\"")),
        None => format!("{lsn},{word},base64,{}\r\n", base64(payload)),
    };
    out.extend_from_slice(row.as_bytes());
}

/// Rows, of bounded length.
struct Rows {
    input: Box<dyn BufRead>,
    /// Line ends that were read.
    lines: u64,
    /// Where the row that was read last begins, from 1.
    line: u64,
    /// Whether that row had an end.
    ended: bool,
}

#[derive(Clone, Copy)]
enum State {
    Begin,
    Plain,
    Quoted,
    /// Behind a quote inside a quoted field: its end, or the first of two that stand for one.
    Quote,
    CarriageReturn,
}

impl Rows {
    /// The next row's fields; `None` at the end.
    fn next(&mut self) -> Result<Option<Vec<Vec<u8>>>, Bad> {
        self.line = self.lines + 1;
        self.ended = false;
        let (mut fields, mut field, mut state) = (Vec::new(), Vec::new(), State::Begin);
        let mut row_bytes = 0_u64;
        loop {
            let buffered = self.input.fill_buf().map_err(Bad::Io)?;
            if buffered.is_empty() {
                break;
            }
            let len = buffered.len();
            for (index, byte) in buffered.iter().enumerate() {
                self.lines += u64::from(*byte == b'\n');
                state = match (state, byte) {
                    (State::Begin | State::Plain | State::Quote, b',') => {
                        fields.push(std::mem::take(&mut field));
                        State::Begin
                    }
                    (State::Begin | State::Plain | State::Quote | State::CarriageReturn, b'\n') => {
                        fields.push(field);
                        self.input.consume(index + 1);
                        self.ended = true;
                        return Ok(Some(fields));
                    }
                    (State::Begin | State::Plain | State::Quote, b'\r') => State::CarriageReturn,
                    (State::Begin | State::Quote, b'"') => {
                        if matches!(state, State::Quote) {
                            field.push(b'"');
                        }
                        State::Quoted
                    }
                    (State::Quoted, b'"') => State::Quote,
                    (State::Quote, _) => {
                        return Err(wrong(self.lines + 1, "has something behind a closing quote"));
                    }
                    (State::Plain, b'"') => {
                        return Err(wrong(self.lines + 1, "has a quote inside a field that is not quoted"));
                    }
                    (State::CarriageReturn, _) => {
                        return Err(wrong(self.lines + 1, "has a carriage return that no line feed follows"));
                    }
                    (State::Quoted, _) => {
                        field.push(*byte);
                        State::Quoted
                    }
                    (State::Begin | State::Plain, _) => {
                        field.push(*byte);
                        State::Plain
                    }
                };
            }
            self.input.consume(len);
            row_bytes += len as u64;
            if row_bytes > LINE_BYTES_MAX {
                return Err(wrong(self.line, "begins a row that is longer than any record can be"));
            }
        }
        match state {
            State::Begin if fields.is_empty() => Ok(None),
            State::Quoted => Err(Bad::Cut(format!(
                "the input is cut off: the row that begins at line {} ends inside a quoted field",
                self.line
            ))),
            _ => {
                fields.push(field);
                Ok(Some(fields))
            }
        }
    }
}

fn wrong(line: u64, what: &str) -> Bad {
    Bad::Wrong(format!("line {line} {what}"))
}

/// Reads an export, or one column of a table from elsewhere.
pub(super) struct Reader {
    rows: Rows,
    columns: usize,
    /// The column that is the payload, of a table from elsewhere.
    column: Option<usize>,
    last: Option<u64>,
}

impl Reader {
    pub(super) fn new(input: Box<dyn BufRead>, field: Option<&str>) -> Result<Self, Bad> {
        let mut rows = Rows { input, lines: 0, line: 0, ended: false };
        let Some(mut names) = rows.next()? else { return Err(Bad::Cut("the input is empty".to_owned())) };
        if let Some(rest) = names.first().and_then(|name| name.strip_prefix("\u{feff}".as_bytes())) {
            names[0] = rest.to_vec();
        }
        let column = match field {
            Some(field) => {
                let column = names.iter().position(|name| name == field.as_bytes());
                let there = names.iter().map(|name| String::from_utf8_lossy(name).escape_debug().to_string());
                let there: Vec<String> = there.take(20).collect();
                Some(column.ok_or_else(|| {
                    Bad::Wrong(format!("line 1 has no column {field:?}; it has {}", there.join(", ")))
                })?)
            }
            None if names.join(&b',') == COLUMNS.as_bytes() => None,
            None => {
                return Err(Bad::Wrong(format!(
                    "line 1 is not {COLUMNS}, so this is no export as CSV; name another format with --format, and for tables \
                     from elsewhere the column that is the payload with --field"
                )));
            }
        };
        Ok(Self { rows, columns: names.len(), column, last: None })
    }

    fn row(&self, mut fields: Vec<Vec<u8>>) -> Result<Item, Bad> {
        let wrong = |what: &str| wrong(self.rows.line, what);
        if fields.len() != self.columns {
            let (found, line) = (fields.len(), self.rows.line);
            return Err(Bad::Wrong(format!(
                "line {line} has {found} fields, and the first has {}",
                self.columns
            )));
        }
        if let Some(column) = self.column {
            return Ok(Item { lsn: None, place: Place::Single, payload: fields.swap_remove(column) });
        }
        let lsn = std::str::from_utf8(&fields[0]).ok().and_then(|text| text.parse().ok());
        let lsn = lsn.ok_or_else(|| wrong("has no number in the column lsn"))?;
        let place = Place::from_word(&fields[1]).ok_or_else(|| {
            wrong("has something else than first, middle, last or nothing in the column batch")
        })?;
        let payload = match fields[2].as_slice() {
            b"utf8" => fields.swap_remove(3),
            b"base64" => from_base64(&fields[3])
                .ok_or_else(|| wrong("has something else than base64 in the column payload"))?,
            _ => return Err(wrong("has something else than utf8 or base64 in the column encoding")),
        };
        Ok(Item { lsn: Some(lsn), place, payload })
    }
}

impl Source for Reader {
    fn next(&mut self) -> Result<Next, Bad> {
        let Some(fields) = self.rows.next()? else { return Ok(Next::End(None)) };
        // Each row of an export has its end; tables from elsewhere may leave it out of the last one.
        if !self.rows.ended && self.column.is_none() {
            let line = self.rows.line;
            return Err(Bad::Cut(match self.last {
                Some(lsn) => {
                    format!("the export is cut off in line {line}, behind the record that had LSN {lsn}")
                }
                None => format!("the export is cut off in line {line}"),
            }));
        }
        let item = self.row(fields)?;
        self.last = item.lsn;
        Ok(Next::Item(item))
    }

    fn place(&self) -> String {
        format!("line {}", self.rows.line)
    }
}
