//! Standard output: data, and nothing else.

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
        self.line(&Value::Object(object).to_string())
    }

    pub(crate) fn flush(&mut self) -> Result<(), Fail> {
        self.0.flush().map_err(Fail::output)
    }
}
