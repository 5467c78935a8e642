//! `import`: appends what `export` wrote, or a column of a table.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde_json::json;
use tidelog::{Log, Lsn};

use super::append::{Opening, Span};
use crate::args::{Checksum, Global, Import, Sync};
use crate::exit::{Fail, Outcome};
use crate::file::NewFile;
use crate::out::Out;
use crate::port::{self, Bad, Item, Next, Place, Source, Totals};
use crate::units::{bytes, counted};

/// No claim of a log is larger, headers included.
const BATCH_BYTES_MAX: usize = 128 << 20;

struct Importer<'a> {
    log: Log,
    options: &'a Import,
    span: Span,
    batches: u64,
    /// Records of the input, those that were left out too.
    seen: u64,
    /// The same, but of a batch all or none.
    settled: u64,
    /// The input is inside a batch.
    is_open: bool,
    /// What is there of the batch that is to be appended.
    batch: Vec<Vec<u8>>,
    batch_lsns: Vec<Option<u64>>,
    batch_bytes: usize,
    map: Option<NewFile>,
}

pub(super) fn run(
    directory: &Path,
    options: &Import,
    global: &Global,
    out: &mut Out,
) -> Result<Outcome, Fail> {
    let input: Box<dyn std::io::BufRead> = match &options.file {
        None => Box::new(BufReader::with_capacity(256 << 10, std::io::stdin())),
        Some(path) => {
            let file = File::open(path)
                .map_err(|error| Fail::io(format!("cannot read {}", path.display()), error))?;
            Box::new(BufReader::with_capacity(256 << 10, file))
        }
    };
    // What is no export at all makes no log.
    let mut source = port::open(input, options.format, options.field.as_deref()).map_err(Bad::fail)?;
    let map = options.map.as_ref().map(|path| NewFile::create(path, directory)).transpose()?;
    let (log, outcome) = opening(options, &*source).open(directory, global)?;
    let mut importer = Importer {
        log,
        options,
        span: Span::default(),
        batches: 0,
        seen: 0,
        settled: 0,
        is_open: false,
        batch: Vec::new(),
        batch_lsns: Vec::new(),
        batch_bytes: 0,
        map,
    };
    if let Some(map) = &mut importer.map {
        map.bytes(b"old,new\r\n")?;
    }
    let ended = importer.all(&mut *source);
    // Whatever came of the rest: what was appended is made durable, and told.
    let kept = importer.keep();
    let ended = ended.and_then(|totals| kept.map(|()| totals));
    importer.tell(ended.as_ref().err(), &*source, global, out)?;
    Ok(outcome.max(missing(ended?.as_ref(), options, global)))
}

fn opening(options: &Import, source: &dyn Source) -> Opening {
    let exported = source.header().map(|header| header.segment_bytes).filter(|bytes| *bytes > 0);
    Opening {
        sync: options.sync,
        create: options.create,
        segment_bytes: options.segment_bytes.or(exported),
        checksum: match options.checksum {
            Some(Checksum::Crc64) => tidelog::Checksum::Crc64,
            Some(Checksum::Crc32c) | None => tidelog::Checksum::Crc32c,
        },
    }
}

impl Importer<'_> {
    /// Appends all records; the counts that the input gives at its end.
    fn all(&mut self, source: &mut dyn Source) -> Result<Option<Totals>, Fail> {
        loop {
            match source.next() {
                Ok(Next::Item(item)) => self.item(item, source)?,
                Ok(Next::End(_)) if self.is_open => {
                    return self.cut(format!("the input ends inside a batch, behind {}", source.place()));
                }
                Ok(Next::End(totals)) => {
                    if let Some(totals) = &totals
                        && totals.records != self.seen
                    {
                        return Err(Fail::Input(format!(
                            "the export says that it has {} records, and {} are there",
                            totals.records, self.seen
                        )));
                    }
                    if self.seen < self.options.skip {
                        return Err(Fail::Usage(format!(
                            "--skip {} leaves out more than the {} records that are there",
                            self.options.skip, self.seen
                        )));
                    }
                    return Ok(totals);
                }
                Err(Bad::Cut(what)) => return self.cut(what),
                Err(bad) => return Err(bad.fail()),
            }
        }
    }

    /// The input ends too soon.
    fn cut(&mut self, what: String) -> Result<Option<Totals>, Fail> {
        if self.options.partial {
            return Ok(None);
        }
        Err(Fail::Input(format!("{what}; --partial takes what is there")))
    }

    fn item(&mut self, item: Item, source: &dyn Source) -> Result<(), Fail> {
        let begins = matches!(item.place, Place::Single | Place::First);
        if begins == self.is_open {
            let what = if begins {
                "begins while the batch before it has no end"
            } else {
                "is of a batch that has not begun"
            };
            return Err(Fail::Input(format!("the record at {} {what}", source.place())));
        }
        self.seen += 1;
        self.is_open = matches!(item.place, Place::First | Place::Middle);
        let skip = self.options.skip;
        if self.seen <= skip {
            self.settled = self.seen;
            return Ok(());
        }
        if !begins && self.batch.is_empty() {
            return Err(Fail::Usage(format!(
                "--skip {skip} ends inside a batch, which is appended as a whole or not at all; give a number that an earlier \
                 run told"
            )));
        }
        self.batch_bytes += item.payload.len() + 16;
        if self.batch_bytes > BATCH_BYTES_MAX {
            return Err(Fail::Input(format!(
                "the batch that ends behind {} has more than {}, which no log takes",
                source.place(),
                bytes(BATCH_BYTES_MAX as u64)
            )));
        }
        self.batch.push(item.payload);
        self.batch_lsns.push(item.lsn);
        if !self.is_open {
            self.append()?;
        }
        Ok(())
    }

    /// Appends what came of a batch, or the record that is in none.
    fn append(&mut self) -> Result<(), Fail> {
        let lsns: Vec<Lsn> = self.log.append_batch(&self.batch)?.collect();
        self.settled = self.seen;
        self.batches += u64::from(self.batch.len() > 1);
        self.batch.clear();
        self.batch_bytes = 0;
        for (old, new) in self.batch_lsns.drain(..).zip(lsns) {
            self.span.add(new);
            if let (Some(map), Some(old)) = (&mut self.map, old) {
                map.bytes(format!("{old},{new}\r\n").as_bytes())?;
            }
        }
        Ok(())
    }

    fn keep(&mut self) -> Result<(), Fail> {
        if self.options.sync != Sync::Never {
            self.log.close()?;
        }
        self.map.take().map_or(Ok(()), NewFile::finish)
    }

    fn tell(
        &self,
        fail: Option<&Fail>,
        source: &dyn Source,
        global: &Global,
        out: &mut Out,
    ) -> Result<(), Fail> {
        let Span { records, first, last } = self.span;
        if fail.is_some() {
            let range = first.zip(last).map(|(first, last)| format!(", at LSN {first} to {last}"));
            global.colors().remark(&format!(
                "{} appended{}; it ended at {} of the input. When what is wrong is mended, go on with \
                 --skip {}",
                counted(records, "record"),
                range.unwrap_or_default(),
                source.place(),
                self.settled
            ));
            if !global.json {
                return Ok(());
            }
        }
        if global.json {
            return out.json(json!({
                "command": "import",
                "outcome": fail.map_or(Outcome::Clean, Fail::outcome).word(),
                "records": records,
                "batches": self.batches,
                "skipped": self.options.skip.min(self.seen),
                "settled": self.settled,
                "first": first.map(Lsn::get),
                "last": last.map(Lsn::get),
                "end": self.log.watermarks().published.get(),
                "durable": self.options.sync != Sync::Never,
            }));
        }
        match (first, last) {
            (Some(first), Some(last)) => out.line(&format!(
                "{}, {}, LSN {first} to {last}",
                counted(records, "record"),
                counted(self.batches, "batch")
            )),
            _ => out.line("no records"),
        }
    }
}

/// What was not in the export either.
fn missing(totals: Option<&Totals>, options: &Import, global: &Global) -> Outcome {
    let Some(totals) = totals.filter(|totals| !totals.missing.is_empty()) else { return Outcome::Clean };
    for (from, to) in totals.missing.iter().take(20) {
        global.colors().remark(&format!("missing in the export: LSN {from} to {to}"));
    }
    global.colors().remark(&format!(
        "the log was damaged in {} places when it was exported; what could be read of it is appended",
        totals.missing.len()
    ));
    if options.partial { Outcome::Clean } else { Outcome::Corrupt }
}
