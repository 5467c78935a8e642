//! How records are compressed, and how they could be.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidelog::ErrorKind;
use tidelog::compress::{self, Codec, EnvelopeInfo, Packer};

use crate::args::Stats;
use crate::exit::Fail;
use crate::out::Out;
use crate::units::bytes;

const SAMPLE_BYTES: usize = 16 << 20;
/// A sample is from so many segments at most, far from one another.
const SAMPLE_SEGMENTS: usize = 64;
/// So many envelopes are opened, to see whether they are some.
const OPENED: u32 = 256;
/// Raw ones are told by one byte; by chance so many have it hardly.
const RAW_LEAST: u64 = 16;
/// Records that are packed together in an estimate.
const TOGETHER: usize = 64;

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    envelopes: u64,
    batches: u64,
    packed_bytes: u64,
    unpacked_bytes: u64,
}

/// What was seen of envelopes.
#[derive(Debug)]
pub(super) struct Compression {
    /// Somebody said that records are envelopes.
    is_told: bool,
    codecs: [(Codec, &'static str, Tally); 3],
    dictionaries: BTreeMap<u32, u64>,
    /// Records that are no envelopes.
    strangers: u64,
    opened: u32,
    packer: Packer,
    buffer: Vec<u8>,
    sample: Option<Sample>,
}

#[derive(Debug)]
struct Sample {
    records: Vec<Vec<u8>>,
    stride: usize,
    segment: usize,
    /// For each segment that is looked at, and what is left of it.
    share: usize,
    left: usize,
}

/// What a sample becomes.
struct Way {
    codec: &'static str,
    together: usize,
    bytes: u64,
}

impl Compression {
    pub(super) fn new(options: &Stats, segments: usize) -> Result<Self, Fail> {
        let stride = segments.div_ceil(SAMPLE_SEGMENTS).max(1);
        let share = SAMPLE_BYTES / segments.div_ceil(stride).max(1);
        let sample = || Sample { records: Vec::new(), stride, segment: 0, share, left: 0 };
        Ok(Self {
            is_told: options.unpack,
            codecs: [
                (Codec::Raw, "raw", Tally::default()),
                (Codec::Lz4, "lz4", Tally::default()),
                (Codec::Zstd, "zstd", Tally::default()),
            ],
            dictionaries: BTreeMap::new(),
            strangers: 0,
            opened: 0,
            packer: Packer::new(compress::Compression::None),
            buffer: Vec::new(),
            sample: options.estimate.then(sample),
        })
    }

    pub(super) fn begin_segment(&mut self) {
        if let Some(sample) = &mut self.sample {
            sample.left = if sample.segment.is_multiple_of(sample.stride) { sample.share } else { 0 };
            sample.segment += 1;
        }
    }

    pub(super) fn add(&mut self, payload: &[u8]) {
        if let Some(sample) = &mut self.sample {
            match sample.left.checked_sub(payload.len()) {
                Some(left) => {
                    sample.left = left;
                    sample.records.push(payload.to_vec());
                }
                None => sample.left = 0,
            }
        }
        // One that is none tells enough, unless it was said that there are such.
        if self.strangers > 0 && !self.is_told {
            return;
        }
        let info = EnvelopeInfo::read(payload).ok().filter(|info| self.opens(info, payload));
        let Some(info) = info else {
            self.strangers += 1;
            return;
        };
        if let Some((_, _, tally)) = self.codecs.iter_mut().find(|(codec, ..)| *codec == info.codec) {
            tally.envelopes += 1;
            tally.batches += u64::from(info.is_batch);
            tally.packed_bytes += payload.len() as u64;
            tally.unpacked_bytes += info.unpacked_bytes;
        }
        if let Some(id) = info.dictionary {
            *self.dictionaries.entry(id).or_default() += 1;
        }
    }

    /// False for bytes that only look like an envelope, as far as that is tried.
    fn opens(&mut self, info: &EnvelopeInfo, payload: &[u8]) -> bool {
        if info.codec == Codec::Raw || info.dictionary.is_some() || self.opened == OPENED {
            return true;
        }
        self.opened += 1;
        let opened = self.packer.unpack(payload, &mut self.buffer);
        opened.is_ok() || opened.is_err_and(|error| error.kind() == ErrorKind::NotFound)
    }

    /// Whether records are envelopes, by all that was seen.
    fn are_envelopes(&self) -> bool {
        let total = self.total();
        let compressed = total.envelopes - self.codecs[0].2.envelopes;
        total.envelopes > 0
            && (self.is_told || (self.strangers == 0 && (compressed > 0 || total.envelopes >= RAW_LEAST)))
    }

    fn total(&self) -> Tally {
        self.codecs.iter().fold(Tally::default(), |sum, (_, _, tally)| Tally {
            envelopes: sum.envelopes + tally.envelopes,
            batches: sum.batches + tally.batches,
            packed_bytes: sum.packed_bytes + tally.packed_bytes,
            unpacked_bytes: sum.unpacked_bytes + tally.unpacked_bytes,
        })
    }

    fn used(&self) -> impl Iterator<Item = (&'static str, Tally)> {
        self.codecs.iter().map(|(_, name, tally)| (*name, *tally)).filter(|(_, tally)| tally.envelopes > 0)
    }

    /// For `compression` and `estimate`.
    pub(super) fn json(&self) -> (Value, Value) {
        let total = self.total();
        let compression = self.are_envelopes().then(|| {
            json!({
                "packed_bytes": total.packed_bytes,
                "unpacked_bytes": total.unpacked_bytes,
                "ratio": share(total.packed_bytes, total.unpacked_bytes),
                "codecs": self.used().map(|(codec, tally)| json!({
                    "codec": codec,
                    "envelopes": tally.envelopes,
                    "packed_batches": tally.batches,
                    "packed_bytes": tally.packed_bytes,
                    "unpacked_bytes": tally.unpacked_bytes,
                })).collect::<Vec<_>>(),
                "dictionaries": self.dictionaries.iter().map(|(id, envelopes)| json!({
                    "id": format!("{id:#010x}"), "envelopes": envelopes,
                })).collect::<Vec<_>>(),
                "no_envelopes": self.strangers,
            })
        });
        let estimate = self.estimate().map(|(ways, sample, records)| {
            json!({
                "sample_records": records,
                "sample_bytes": sample,
                "ways": ways.iter().map(|way| json!({
                    "codec": way.codec, "together": way.together, "bytes": way.bytes,
                    "ratio": share(way.bytes, sample),
                })).collect::<Vec<_>>(),
            })
        });
        (json!(compression), json!(estimate))
    }

    pub(super) fn print(&self, out: &mut Out) -> Result<(), Fail> {
        let ratio = |part: u64, of: u64| format!("{:.1} %", share(part, of) * 100.0);
        if self.are_envelopes() {
            let total = self.total();
            let text = format!("{} for {}", bytes(total.packed_bytes), bytes(total.unpacked_bytes));
            out.line(&format!(
                "{:<18} {text} ({})",
                "compressed",
                ratio(total.packed_bytes, total.unpacked_bytes)
            ))?;
            for (name, tally) in self.used() {
                let Tally { envelopes, batches, .. } = tally;
                let (packed, unpacked) = (bytes(tally.packed_bytes), bytes(tally.unpacked_bytes));
                out.line(&format!(
                    "  {name:<16} {packed} for {unpacked} ({}), {envelopes} records, {batches} of them packed batches",
                    ratio(tally.packed_bytes, tally.unpacked_bytes)
                ))?;
            }
            for (id, envelopes) in &self.dictionaries {
                out.line(&format!("  {:<16} {id:#010x}, {envelopes} records", "dictionary"))?;
            }
            if self.strangers > 0 {
                out.line(&format!("  {:<16} {} records", "no envelopes", self.strangers))?;
            }
        }
        match self.estimate() {
            Some((ways, sample, records)) => {
                out.line(&format!(
                    "{:<18} {} in a sample of {records} records would be",
                    "estimate",
                    bytes(sample)
                ))?;
                for way in ways {
                    let how = if way.together > 1 {
                        format!("{} a batch", way.together)
                    } else {
                        "each".to_owned()
                    };
                    let name = format!("{}, {how}", way.codec);
                    out.line(&format!("  {name:<16} {} ({})", bytes(way.bytes), ratio(way.bytes, sample)))?;
                }
            }
            None if self.sample.is_some() => {
                let why =
                    if self.are_envelopes() { "the records are compressed" } else { "there are no records" };
                out.line(&format!("{:<18} none: {why}", "estimate"))?;
            }
            None => {}
        }
        Ok(())
    }

    pub(super) fn prometheus(&self, out: &mut Out) -> Result<(), Fail> {
        let mut gauge = |name: &str, help: &str, values: &[(String, u64)]| {
            out.line(&format!("# HELP tidelog_{name} {help}"))?;
            out.line(&format!("# TYPE tidelog_{name} gauge"))?;
            values
                .iter()
                .try_for_each(|(labels, value)| out.line(&format!("tidelog_{name}{{{labels}}} {value}")))
        };
        if self.are_envelopes() {
            let mut by_codec = |name: &str, help: &str, of: fn(&Tally) -> u64| {
                let values: Vec<_> =
                    self.used().map(|(codec, tally)| (format!("codec=\"{codec}\""), of(&tally))).collect();
                gauge(name, help, &values)
            };
            by_codec("envelopes", "Records that are envelopes of compressed ones.", |tally| tally.envelopes)?;
            by_codec("envelopes_packed_bytes", "Bytes of envelopes.", |tally| tally.packed_bytes)?;
            by_codec("envelopes_unpacked_bytes", "Bytes that envelopes hold.", |tally| tally.unpacked_bytes)?;
        }
        if let Some((ways, sample, _)) = self.estimate() {
            let values: Vec<_> = ways
                .iter()
                .map(|way| (format!("codec=\"{}\",together=\"{}\"", way.codec, way.together), way.bytes))
                .chain([("codec=\"none\",together=\"1\"".to_owned(), sample)])
                .collect();
            gauge("estimated_bytes", "What a sample of the records would be, compressed.", &values)?;
        }
        Ok(())
    }

    /// What the sample becomes, and how many bytes and records it has. None of what is compressed.
    fn estimate(&self) -> Option<(Vec<Way>, u64, usize)> {
        let records = &self.sample.as_ref()?.records;
        if records.is_empty() || self.are_envelopes() {
            return None;
        }
        let sample = records.iter().map(|record| record.len() as u64).sum();
        let kinds = [("lz4", compress::Compression::Lz4), ("zstd", compress::Compression::Zstd { level: 3 })];
        let ways = kinds.into_iter().flat_map(|(codec, compression)| {
            let packer = Packer::new(compression);
            [1, TOGETHER].map(|together| Way {
                codec,
                together,
                bytes: packed_bytes(&packer, records, together),
            })
        });
        Some((ways.collect(), sample, records.len()))
    }
}

fn packed_bytes(packer: &Packer, records: &[Vec<u8>], together: usize) -> u64 {
    let mut envelope = Vec::new();
    let mut sum = 0;
    for batch in records.chunks(together) {
        if batch.len() > 1 && packer.pack_batch(batch, &mut envelope) {
            sum += envelope.len() as u64;
            continue;
        }
        for record in batch {
            packer.pack(record, &mut envelope);
            sum += envelope.len() as u64;
        }
    }
    sum
}

fn share(part: u64, of: u64) -> f64 {
    part as f64 / of.max(1) as f64
}
