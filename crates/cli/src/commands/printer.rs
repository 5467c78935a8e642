//! Records on standard output.

use serde_json::{Value, json};
use tidelog::inspect::FrameKind;

use crate::args::{Format, Global, Select, Show};
use crate::color::Colors;
use crate::decode::{Decode, escaped, hex};
use crate::exit::Fail;
use crate::out::{Out, inert};
use crate::select::kind_word;
use crate::unpack::{Unpacker, unpacker};

/// Prints records in the format that was asked for.
#[derive(Debug)]
pub(super) struct Printer {
    format: Format,
    decode: Decode,
    unpacker: Option<Unpacker>,
    colors: Colors,
    /// Whether the first line of a table is written.
    begun: bool,
    /// Whether it was said that a record does not unpack.
    told: bool,
}

/// A record as it is printed.
struct Shown<'a> {
    lsn: u64,
    /// Its place in what was packed together.
    index: Option<u32>,
    kind: &'a str,
    payload: &'a [u8],
    /// Why it is not unpacked.
    packed: Option<String>,
}

impl Printer {
    pub(super) fn new(show: &Show, global: &Global) -> Result<Self, Fail> {
        let decode =
            show.decoder.as_ref().map_or_else(|| show.decode.clone(), |run| Decode::Command(run.clone()));
        Ok(Self {
            format: if global.json { Format::Json } else { show.output },
            decode,
            unpacker: unpacker(&show.unpack)?,
            colors: global.colors(),
            begun: false,
            told: false,
        })
    }

    /// True where the payload was asked for, or something that is packed in it.
    pub(super) fn takes(&mut self, select: &Select, payload: &[u8]) -> bool {
        let Some(unpacker) = &mut self.unpacker else { return select.takes_payload(payload) };
        let mut taken = false;
        let opened = unpacker.open(payload, &mut |(_, payload)| {
            taken |= select.takes_payload(payload);
            Ok(())
        });
        taken || (!matches!(opened, Ok(Ok(()))) && select.takes_payload(payload))
    }

    /// Prints a record, or what is packed in it, as far as `select` takes it.
    pub(super) fn print(
        &mut self,
        lsn: u64,
        kind: &str,
        payload: &[u8],
        select: Option<&Select>,
        out: &mut Out,
    ) -> Result<(), Fail> {
        // Padding holds nothing.
        let Some(mut unpacker) = self.unpacker.take_if(|_| kind != kind_word(FrameKind::Padding)) else {
            return self.one(&Shown { lsn, index: None, kind, payload, packed: None }, out);
        };
        let opened = unpacker.open(payload, &mut |(index, payload)| {
            if select.is_none_or(|select| select.takes_payload(payload)) {
                self.one(&Shown { lsn, index, kind, payload, packed: None }, out)?;
            }
            Ok(())
        });
        self.unpacker = Some(unpacker);
        let Err(why) = opened? else { return Ok(()) };
        if !std::mem::replace(&mut self.told, true) {
            self.colors
                .remark(&format!("the record at LSN {lsn} is shown as it is, as are others like it: {why}"));
        }
        self.one(&Shown { lsn, index: None, kind, payload, packed: Some(why) }, out)
    }

    fn one(&mut self, shown: &Shown<'_>, out: &mut Out) -> Result<(), Fail> {
        let Shown { lsn, index, kind, payload, .. } = *shown;
        let place = index.map_or_else(|| lsn.to_string(), |index| format!("{lsn}.{index}"));
        match self.format {
            Format::Raw => out.bytes(payload),
            Format::Hex => print_hex(&place, kind, payload, out),
            Format::Text => {
                let text = plain(self.decode.value(lsn, payload)?);
                out.line(&format!("{place:>12} {:>8} {kind:<12} {text}", payload.len()))
            }
            Format::Json => out.json(self.json(shown)?),
            Format::Csv => {
                if !std::mem::replace(&mut self.begun, true) {
                    out.bytes(b"lsn,kind,bytes,payload\r\n")?;
                }
                let text = match self.decode.value(lsn, payload)? {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                out.bytes(
                    format!("{place},{kind},{},\"{}\"\r\n", payload.len(), text.replace('"', "\"\""))
                        .as_bytes(),
                )
            }
        }
    }

    fn json(&self, shown: &Shown<'_>) -> Result<Value, Fail> {
        let Shown { lsn, kind, payload, .. } = *shown;
        let value = self.decode.value(lsn, payload)?;
        let mut object = json!({"lsn": lsn, "kind": kind, "bytes": payload.len(), "payload": value});
        if let Some(index) = shown.index {
            object["index"] = json!(index);
        }
        if let Some(why) = &shown.packed {
            object["unpack_error"] = json!(why);
        }
        // Where the text is not the payload, so that nothing is lost.
        if std::str::from_utf8(payload).is_err() && self.decode.is_plain() {
            object["payload_hex"] = json!(hex(payload));
        }
        Ok(object)
    }
}

fn print_hex(place: &str, kind: &str, payload: &[u8], out: &mut Out) -> Result<(), Fail> {
    out.line(&format!("{place} {} {kind}", payload.len()))?;
    for (index, row) in payload.chunks(16).enumerate() {
        let digits: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown = |byte: &u8| if (32..127).contains(byte) { char::from(*byte) } else { '.' };
        let text: String = row.iter().map(shown).collect();
        out.line(&format!("  {:08x}  {:<47}  {text}", index * 16, digits.join(" ")))?;
    }
    Ok(())
}

/// On one line, without anything that a terminal would obey.
fn plain(value: Value) -> String {
    match value {
        Value::String(text) => escaped(text.as_bytes()),
        other => inert(&other.to_string()).into_owned(),
    }
}
