//! A new log out of one or several: what `merge` and `convert` have in common.
//!
//! Sources are only read. The new log is built under a temporary name beside its place, read back, and renamed: it is there
//! whole or not at all.

mod codec;
mod cursors;
mod digest;
mod fits;
mod map;
mod report;
mod source;
mod target;
mod writer;

pub(crate) use self::codec::Codec;

use std::path::PathBuf;

use indicatif::ProgressBar;
use tidelog::Lsn;
use tidelog::rebuild::{Rebuild, RebuildOptions};

use self::digest::Digest;
use self::map::MapFile;
use self::report::{Report, Size};
use self::source::Source;
use self::target::Target;
use self::writer::Writer;
use crate::args::{Global, Lsns, Rewrite};
use crate::exit::{Fail, Outcome};
use crate::out::Out;
use crate::progress;

/// What is wanted of the new log.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// The command's name.
    pub(crate) command: &'static str,
    pub(crate) options: &'a Rewrite,
    pub(crate) checksum: Option<tidelog::Checksum>,
    pub(crate) codec: Codec,
}

/// Reads the logs in `directories` and writes the new one.
pub(crate) fn run(
    plan: &Plan<'_>,
    directories: &[PathBuf],
    global: &Global,
    out: &mut Out,
) -> Result<Outcome, Fail> {
    let options = plan.options;
    let lsns = which_lsns(plan, directories.len())?;
    let target = Target::new(&options.out, directories)?;
    let map = options.map.as_deref().map(|path| MapFile::create(path, directories)).transpose()?;
    let mut sources = Vec::new();
    for (number, directory) in (1..).zip(directories) {
        sources.push(Source::open(directory, number, options.skip_damage)?);
    }
    let first = sources.first().ok_or_else(|| Fail::Usage("no log was named".to_owned()))?;
    let schema = first.schema();
    if let Some(other) = sources.iter().find(|source| source.schema() != schema) {
        return Err(Fail::Usage(format!(
            "the logs have different schema tags: {} in {}, {} in {}; bring their records into one form first",
            schema,
            first.directory().display(),
            other.schema(),
            other.directory().display()
        )));
    }
    let largest = sources.iter().map(Source::segment_bytes).max().unwrap_or_default();
    let segment_bytes = options.segment_bytes.unwrap_or(largest);
    let start = match lsns {
        Lsns::Keep => first.start().get() / segment_bytes.max(1) * segment_bytes,
        Lsns::Map => 0,
    };
    let settings = RebuildOptions::new()
        .segment_bytes(segment_bytes)
        .checksum(plan.checksum.unwrap_or_else(|| first.checksum()))
        .schema(schema)
        .start(Lsn::new(start));
    let total: u64 = sources.iter().map(Source::bytes).sum();
    let bar = progress::bar(if options.no_verify { total } else { total * 2 }, !global.json);
    if lsns == Lsns::Keep && segment_bytes < first.segment_bytes() {
        fits::check(first, segment_bytes)?;
    }
    let rebuild = Rebuild::create(target.temporary(), &settings)?;
    let mut writer = Writer::new(rebuild, lsns, &plan.codec, map);
    let mut report = Report::default();
    for source in &sources {
        writer.begin(source)?;
        let read = source.read(&bar, &mut |unit| writer.unit(unit))?;
        writer.end(&read);
        report.add(source, read);
    }
    let mut written = writer.finish()?;
    let built = Source::open(target.temporary(), 0, false)?;
    if !options.no_verify {
        read_back(&built, plan, &written.digest, &bar)?;
    }
    bar.finish_and_clear();
    let after = Size::of(&built, built.end());
    target.commit(written.map.take())?;
    report.tell(plan, lsns, &written, after, global, out)
}

fn which_lsns(plan: &Plan<'_>, sources: usize) -> Result<Lsns, Fail> {
    let must_map = if sources > 1 {
        Some("several logs cannot keep their LSNs in one")
    } else if !plan.codec.is_plain() {
        Some("records of another size cannot keep their LSNs")
    } else {
        None
    };
    let lsns = match (plan.options.lsns, must_map) {
        (Some(Lsns::Keep), Some(why)) => {
            return Err(Fail::Usage(format!("{why}; leave --lsns keep away, or say --lsns map")));
        }
        (Some(lsns), _) => lsns,
        (None, Some(_)) => Lsns::Map,
        (None, None) => Lsns::Keep,
    };
    if lsns == Lsns::Keep && plan.options.map.is_some() {
        return Err(Fail::Usage(
            "records keep their LSNs, so there is nothing to map; leave --map away, or say --lsns map"
                .to_owned(),
        ));
    }
    Ok(lsns)
}

/// Reads the new log back: an opening would find it closed, and its records are those that were written.
fn read_back(built: &Source, plan: &Plan<'_>, written: &Digest, bar: &ProgressBar) -> Result<(), Fail> {
    let mut digest = Digest::default();
    let mut opener = plan.codec.reverse();
    built.read(bar, &mut |unit| opener.open(unit, |lsn, records| digest.add(lsn, records)))?;
    if built.was_closed() && digest == *written {
        return Ok(());
    }
    Err(Fail::Refused(
        Outcome::Corrupt,
        "the new log does not read back as it was written, and was taken away again; see to the device"
            .to_owned(),
    ))
}
