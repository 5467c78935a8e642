//! Records on their way from one log to another: three formats, each of which loses nothing. `docs/CLI.md` describes them.

mod csv;
mod jsonl;
mod lengths;
mod lines;

use std::io::BufRead;

use crate::args::PortFormat;
use crate::exit::Fail;

/// What tells an export from other files.
const NAME: &str = "tidelog-export";

/// Where a record stands in its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In none.
    Single,
    First,
    Middle,
    Last,
}

impl Place {
    /// Of the one at `index` of `count` that belong together.
    pub(crate) fn of(index: usize, count: usize) -> Self {
        match (index, count) {
            (_, 0 | 1) => Self::Single,
            (0, _) => Self::First,
            (index, count) if index + 1 == count => Self::Last,
            _ => Self::Middle,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Single => "",
            Self::First => "first",
            Self::Middle => "middle",
            Self::Last => "last",
        }
    }

    fn from_word(word: &[u8]) -> Option<Self> {
        [Self::Single, Self::First, Self::Middle, Self::Last]
            .into_iter()
            .find(|place| place.word().as_bytes() == word)
    }
}

/// The log that was exported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) log_id: [u8; 16],
    pub(crate) segment_bytes: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// What an export holds; its end says so, so that a cut is noticed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) records: u64,
    pub(crate) batches: u64,
    pub(crate) payload_bytes: u64,
    /// Ranges of the log that could not be read.
    pub(crate) missing: Vec<(u64, u64)>,
}

/// A record of an input.
#[derive(Debug)]
pub(crate) struct Item {
    /// Where it stood in its log; inputs from elsewhere know of none.
    pub(crate) lsn: Option<u64>,
    pub(crate) place: Place,
    pub(crate) payload: Vec<u8>,
}

/// What comes next in an input.
#[derive(Debug)]
pub(crate) enum Next {
    Item(Item),
    /// The end, with the counts where the format has them.
    End(Option<Totals>),
}

/// What is wrong with an input.
#[derive(Debug)]
pub(crate) enum Bad {
    /// It ends where it should not.
    Cut(String),
    Wrong(String),
    Io(std::io::Error),
}

/// An input, record by record.
pub(crate) trait Source {
    fn next(&mut self) -> Result<Next, Bad>;
    /// The log that it is an export of, where it says so.
    fn header(&self) -> Option<&Header> {
        None
    }
    /// Where it has come to, for messages.
    fn place(&self) -> String;
}

impl PortFormat {
    pub(crate) fn begin(self, header: &Header, out: &mut Vec<u8>) {
        match self {
            Self::Jsonl => jsonl::begin(header, out),
            Self::Lengths => lengths::begin(header, out),
            Self::Csv => csv::begin(out),
        }
    }

    pub(crate) fn record(self, lsn: u64, place: Place, payload: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Jsonl => jsonl::record(lsn, place, payload, out),
            Self::Lengths => lengths::record(lsn, place, payload, out),
            Self::Csv => csv::record(lsn, place, payload, out),
        }
    }

    pub(crate) fn end(self, totals: &Totals, out: &mut Vec<u8>) {
        match self {
            Self::Jsonl => jsonl::end(totals, out),
            Self::Lengths => lengths::end(totals, out),
            Self::Csv => {}
        }
    }
}

/// Opens an input. Where no format was named, its first byte tells.
pub(crate) fn open(
    mut input: Box<dyn BufRead>,
    format: Option<PortFormat>,
    field: Option<&str>,
) -> Result<Box<dyn Source>, Bad> {
    let first = input.fill_buf().map_err(Bad::Io)?.first().copied();
    let format = match (format, first) {
        (Some(format), _) => format,
        (None, Some(b'{')) => PortFormat::Jsonl,
        (None, Some(b'T')) if field.is_none() => PortFormat::Lengths,
        (None, Some(_)) => PortFormat::Csv,
        (None, None) => return Err(Bad::Cut("the input is empty".to_owned())),
    };
    Ok(match (format, field) {
        (PortFormat::Lengths, None) => Box::new(lengths::Reader::new(input)?),
        (PortFormat::Lengths, Some(_)) => {
            return Err(Bad::Wrong(
                "this format has no fields; leave --field out, or name another format".to_owned(),
            ));
        }
        (PortFormat::Jsonl, None) => Box::new(jsonl::Reader::new(input)?),
        (PortFormat::Jsonl, Some(field)) => Box::new(jsonl::Foreign::new(input, field)),
        (PortFormat::Csv, field) => Box::new(csv::Reader::new(input, field)?),
    })
}

impl Bad {
    pub(crate) fn fail(self) -> Fail {
        match self {
            Self::Cut(what) | Self::Wrong(what) => Fail::Input(what),
            Self::Io(error) => Fail::io("cannot read the input", error),
        }
    }
}
