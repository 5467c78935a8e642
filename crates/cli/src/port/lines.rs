//! Lines of an input, of bounded length.

use std::io::{BufRead, Read};

use super::Bad;

/// No record is larger than 128 MiB, and JSON takes up to six bytes for one, as `\u0000`.
pub(super) const LINE_BYTES_MAX: u64 = 6 * (128 << 20) + (64 << 10);

pub(super) struct Lines {
    input: Box<dyn BufRead>,
    /// Of the line that was read last, from 1.
    pub(super) number: u64,
    pub(super) bytes: Vec<u8>,
    /// Whether that line had an end.
    pub(super) ended: bool,
}

impl Lines {
    pub(super) fn new(input: Box<dyn BufRead>) -> Self {
        Self { input, number: 0, bytes: Vec::new(), ended: true }
    }

    /// Reads the next line into `bytes`, without its end; false where there is none.
    pub(super) fn advance(&mut self) -> Result<bool, Bad> {
        self.bytes.clear();
        let mut limited = (&mut self.input).take(LINE_BYTES_MAX + 1);
        if limited.read_until(b'\n', &mut self.bytes).map_err(Bad::Io)? == 0 {
            return Ok(false);
        }
        self.number += 1;
        self.ended = self.bytes.pop_if(|last| *last == b'\n').is_some();
        if self.bytes.len() as u64 > LINE_BYTES_MAX {
            let number = self.number;
            return Err(Bad::Wrong(format!(
                "line {number} is longer than any record can be ({LINE_BYTES_MAX} bytes)"
            )));
        }
        Ok(true)
    }
}
