//! JSON Lines: a header, an object for each record, and the counts.

use std::io::{BufRead, Write};

use serde_json::{Map, Value, json};

use super::lines::Lines;
use super::{Bad, Header, Item, NAME, Next, Place, Source, Totals};
use crate::decode::{base64, from_base64, hex};
use crate::out::{SCHEMA, inert};

/// Of the last line.
const END: &str = "tidelog-export-end";

pub(super) fn begin(header: &Header, out: &mut Vec<u8>) {
    let object = json!({
        "schema": SCHEMA,
        "format": NAME,
        "log_id": hex(&header.log_id),
        "segment_bytes": header.segment_bytes,
        "start": header.start,
        "end": header.end,
    });
    line(&object, out);
}

pub(super) fn record(lsn: u64, place: Place, payload: &[u8], out: &mut Vec<u8>) {
    let mut object = json!({"lsn": lsn});
    if place != Place::Single {
        object["batch"] = json!(place.word());
    }
    match std::str::from_utf8(payload) {
        Ok(text) => object["payload"] = json!(text),
        Err(_) => object["payload_base64"] = json!(base64(payload)),
    }
    line(&object, out);
}

pub(super) fn end(totals: &Totals, out: &mut Vec<u8>) {
    let missing: Vec<_> = totals.missing.iter().map(|(from, to)| json!({"from": from, "to": to})).collect();
    let object = json!({
        "schema": SCHEMA,
        "format": END,
        "records": totals.records,
        "batches": totals.batches,
        "payload_bytes": totals.payload_bytes,
        "missing": missing,
    });
    line(&object, out);
}

fn line(object: &Value, out: &mut Vec<u8>) {
    // Into a vector nothing fails.
    let _ = writeln!(out, "{}", inert(&object.to_string()));
}

/// Reads an export.
pub(super) struct Reader {
    lines: Lines,
    header: Header,
    last: Option<u64>,
}

impl Reader {
    pub(super) fn new(input: Box<dyn BufRead>) -> Result<Self, Bad> {
        let mut lines = Lines::new(input);
        if !lines.advance()? {
            return Err(Bad::Cut("the input is empty".to_owned()));
        }
        let object = object(&lines)?;
        if object.get("format").and_then(Value::as_str) != Some(NAME) {
            return Err(Bad::Wrong(format!(
                "line 1 is no header of an export ({{\"schema\":{SCHEMA},\"format\":\"{NAME}\",...}}); for objects from \
                 elsewhere name the field that is the payload, with --field, or append whole lines with `tidelog append`"
            )));
        }
        if object.get("schema") != Some(&json!(SCHEMA)) {
            let schema = object.get("schema").unwrap_or(&Value::Null);
            return Err(Bad::Wrong(format!(
                "the export has schema {schema}, and this tool reads {SCHEMA}; use a later one"
            )));
        }
        let number = |name: &str| object.get(name).and_then(Value::as_u64).unwrap_or_default();
        let header = Header {
            // Nothing hangs on it.
            log_id: [0; 16],
            segment_bytes: number("segment_bytes"),
            start: number("start"),
            end: number("end"),
        };
        Ok(Self { lines, header, last: None })
    }

    fn cut(&self) -> Bad {
        let number = self.lines.number;
        Bad::Cut(match self.last {
            Some(lsn) => {
                format!("the export is cut off at line {number}, behind the record that had LSN {lsn}")
            }
            None => format!("the export is cut off at line {number}, before its first record"),
        })
    }
}

impl Source for Reader {
    fn next(&mut self) -> Result<Next, Bad> {
        if !self.lines.advance()? {
            return Err(self.cut());
        }
        let number = self.lines.number;
        let mut object =
            object(&self.lines).map_err(|wrong| if self.lines.ended { wrong } else { self.cut() })?;
        if object.get("format").and_then(Value::as_str) == Some(END) {
            let totals = totals(&object)
                .ok_or_else(|| Bad::Wrong(format!("line {number}, the end, lacks one of its counts")))?;
            if self.lines.advance()? {
                return Err(Bad::Wrong(format!(
                    "the input goes on behind the end of the export, at line {}",
                    number + 1
                )));
            }
            return Ok(Next::End(Some(totals)));
        }
        let wrong = |what: &str| Bad::Wrong(format!("line {number} {what}"));
        let lsn = object
            .get("lsn")
            .and_then(Value::as_u64)
            .ok_or_else(|| wrong("has no \"lsn\" that is a number"))?;
        let place = match object.get("batch") {
            None => Some(Place::Single),
            Some(batch) => batch.as_str().and_then(|word| Place::from_word(word.as_bytes())),
        };
        let place = place.ok_or_else(|| wrong("has a \"batch\" that is none of first, middle and last"))?;
        let payload = match (object.remove("payload"), object.remove("payload_base64")) {
            (Some(Value::String(text)), None) => text.into_bytes(),
            (None, Some(Value::String(text))) => from_base64(text.as_bytes())
                .ok_or_else(|| wrong("has a \"payload_base64\" that is no base64"))?,
            _ => return Err(wrong("has not one \"payload\" or \"payload_base64\" that is a text")),
        };
        self.last = Some(lsn);
        Ok(Next::Item(Item { lsn: Some(lsn), place, payload }))
    }

    fn header(&self) -> Option<&Header> {
        Some(&self.header)
    }

    fn place(&self) -> String {
        format!("line {}", self.lines.number)
    }
}

fn object(lines: &Lines) -> Result<Map<String, Value>, Bad> {
    serde_json::from_slice(&lines.bytes)
        .map_err(|error| Bad::Wrong(format!("line {} is no JSON object: {error}", lines.number)))
}

fn totals(object: &Map<String, Value>) -> Option<Totals> {
    let number = |name: &str| object.get(name).and_then(Value::as_u64);
    let missing = object.get("missing")?.as_array()?;
    let range = |range: &Value| Some((range.get("from")?.as_u64()?, range.get("to")?.as_u64()?));
    Some(Totals {
        records: number("records")?,
        batches: number("batches")?,
        payload_bytes: number("payload_bytes")?,
        missing: missing.iter().map(range).collect::<Option<_>>()?,
    })
}

/// Reads objects from elsewhere, of which one field is the payload.
pub(super) struct Foreign {
    lines: Lines,
    field: String,
}

impl Foreign {
    pub(super) fn new(input: Box<dyn BufRead>, field: &str) -> Self {
        Self { lines: Lines::new(input), field: field.to_owned() }
    }
}

impl Source for Foreign {
    fn next(&mut self) -> Result<Next, Bad> {
        loop {
            if !self.lines.advance()? {
                return Ok(Next::End(None));
            }
            if !self.lines.bytes.iter().all(u8::is_ascii_whitespace) {
                break;
            }
        }
        let payload = match object(&self.lines)?.remove(&self.field) {
            Some(Value::String(text)) => text.into_bytes(),
            Some(Value::Null) | None => {
                let (number, field) = (self.lines.number, &self.field);
                return Err(Bad::Wrong(format!("line {number} has no field {field:?}")));
            }
            Some(other) => other.to_string().into_bytes(),
        };
        Ok(Next::Item(Item { lsn: None, place: Place::Single, payload }))
    }

    fn place(&self) -> String {
        format!("line {}", self.lines.number)
    }
}
