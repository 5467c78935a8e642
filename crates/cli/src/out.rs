//! Standard output: data, and nothing else.

use std::borrow::Cow;
use std::io::{BufWriter, Stdout, Write};

use serde_json::{Map, Value, json};

use crate::exit::Fail;

/// The version of what `--json` gives: it changes when a field changes its meaning or goes.
pub(crate) const SCHEMA: u32 = 1;

/// Buffered standard output, whose reader may go at any time.
#[derive(Debug)]
pub(crate) struct Out(BufWriter<Stdout>);

impl Out {
    pub(crate) fn new() -> Self {
        Self(BufWriter::with_capacity(64 << 10, std::io::stdout()))
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Fail> {
        self.0.write_all(bytes).map_err(Fail::output)
    }

    pub(crate) fn line(&mut self, text: &str) -> Result<(), Fail> {
        self.bytes(text.as_bytes())?;
        self.bytes(b"\n")
    }

    /// One object on a line of its own, with the schema's version first.
    pub(crate) fn json(&mut self, value: Value) -> Result<(), Fail> {
        let mut object = Map::new();
        object.insert("schema".to_owned(), json!(SCHEMA));
        if let Value::Object(fields) = value {
            object.extend(fields);
        }
        self.line(&inert(&Value::Object(object).to_string()))
    }

    pub(crate) fn flush(&mut self) -> Result<(), Fail> {
        self.0.flush().map_err(Fail::output)
    }
}

/// JSON without anything that a terminal would obey: it leaves DEL and the controls of ISO 6429's second set as they are, and
/// they stand inside of strings only.
pub(crate) fn inert(json: &str) -> Cow<'_, str> {
    if !json.contains(obeyed) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len() + 16);
    for letter in json.chars() {
        if obeyed(letter) {
            text.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            text.push(letter);
        }
    }
    Cow::Owned(text)
}

fn obeyed(letter: char) -> bool {
    matches!(letter, '\u{7f}'..='\u{9f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_no_controls_and_means_the_same() {
        let all: String = ('\0'..='\u{2ff}').collect();
        let text = json!([all]).to_string();
        let shown = inert(&text);
        assert!(!shown.chars().any(char::is_control), "{shown}");
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), json!([all]));
    }
}
