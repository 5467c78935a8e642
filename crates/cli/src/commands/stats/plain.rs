//! Of a tool that knows nothing of compressed records.

use serde_json::Value;

use crate::args::Stats;
use crate::exit::Fail;
use crate::out::Out;

#[derive(Debug)]
pub(super) struct Compression;

impl Compression {
    pub(super) fn new(options: &Stats, _: usize) -> Result<Self, Fail> {
        if options.unpack || options.estimate {
            let what =
                "this tool was built without its feature `compress`, and has no figures of compression";
            return Err(Fail::Usage(what.to_owned()));
        }
        Ok(Self)
    }

    pub(super) fn begin_segment(&mut self) {}

    pub(super) fn add(&mut self, _: &[u8]) {}

    pub(super) fn json(&self) -> (Value, Value) {
        (Value::Null, Value::Null)
    }

    pub(super) fn print(&self, _: &mut Out) -> Result<(), Fail> {
        Ok(())
    }

    pub(super) fn prometheus(&self, _: &mut Out) -> Result<(), Fail> {
        Ok(())
    }
}
