//! What becomes of payloads: nothing, envelopes of `tidelog::compress`, or what envelopes hold.

#[cfg(feature = "compress")]
use tidelog::compress::{Compression, Contents, Packer};

use super::source::Unit;
use crate::exit::Fail;

/// Envelopes of that size are opened: the largest batch and the largest record that a log takes are half of it.
#[cfg(feature = "compress")]
const UNPACKED_BYTES_MAX: u32 = 256 << 20;

#[derive(Clone, Debug)]
pub(crate) enum Codec {
    Plain,
    #[cfg(feature = "compress")]
    Pack(Packer),
    #[cfg(feature = "compress")]
    Unpack(Packer),
}

/// Which record of a unit has become which.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "compress"),
    allow(dead_code, reason = "only what packs or unpacks changes how many there are")
)]
pub(super) enum Origin {
    /// Each one of its own.
    Each,
    /// All the one that there is.
    Together,
    /// Of each new one, by index.
    Of(Vec<usize>),
}

/// Takes the payloads that a unit becomes.
pub(super) type Give<'a> = dyn FnMut(&[&[u8]], &Origin) -> Result<(), Fail> + 'a;

impl Codec {
    /// From `none`, `lz4`, `zstd` or `zstd:LEVEL`.
    pub(crate) fn parse(how: Option<&str>) -> Result<Self, Fail> {
        let Some(how) = how else { return Ok(Self::Plain) };
        Self::named(how).ok_or_else(|| {
            let known = if cfg!(feature = "compress") {
                "say none, lz4, zstd or zstd:LEVEL with a level from -7 to 22"
            } else {
                "this tool was built without the feature `compress`"
            };
            Fail::Usage(format!("--compress {how:?} is not known; {known}"))
        })
    }

    #[cfg(not(feature = "compress"))]
    fn named(_how: &str) -> Option<Self> {
        None
    }

    #[cfg(feature = "compress")]
    fn named(how: &str) -> Option<Self> {
        let packer = |compression| Packer::new(compression).unpacked_bytes_max(UNPACKED_BYTES_MAX);
        let level = match how.split_once(':') {
            Some(("zstd", level)) => level.parse().ok().filter(|level| (-7..=22).contains(level))?,
            Some(_) => return None,
            None => 3,
        };
        match how {
            "none" => Some(Self::Unpack(packer(Compression::None))),
            "lz4" => Some(Self::Pack(packer(Compression::Lz4))),
            _ if how.starts_with("zstd") && (how == "zstd" || how.contains(':')) => {
                Some(Self::Pack(packer(Compression::Zstd { level })))
            }
            _ => None,
        }
    }

    /// Payloads stay as they are.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }

    /// What brings back the payloads that were read from what was written. (What was unpacked is itself what is compared.)
    pub(super) fn reverse(&self) -> Opener {
        match self {
            #[cfg(feature = "compress")]
            Self::Pack(packer) => Opener(Changer::new(Self::Unpack(packer.clone()))),
            _ => Opener(Changer::new(Self::Plain)),
        }
    }
}

/// A codec at work.
#[derive(Debug)]
pub(super) struct Changer {
    pub(super) codec: Codec,
    #[cfg(feature = "compress")]
    buffer: Vec<u8>,
}

impl Changer {
    pub(super) fn new(codec: Codec) -> Self {
        Self {
            codec,
            #[cfg(feature = "compress")]
            buffer: Vec::new(),
        }
    }

    /// True where what is written is not what the records are to whoever reads them through `compress`.
    pub(super) fn packs(&self) -> bool {
        #[cfg(feature = "compress")]
        if let Codec::Pack(_) = self.codec {
            return true;
        }
        false
    }

    /// What a unit becomes: again a record, or a batch.
    pub(super) fn change(&mut self, unit: Unit<'_>, give: &mut Give<'_>) -> Result<(), Fail> {
        match &self.codec {
            Codec::Plain => match unit {
                Unit::Record(_, payload) => give(&[payload], &Origin::Each),
                Unit::Batch(_) => give(&unit.payloads(), &Origin::Each),
            },
            #[cfg(feature = "compress")]
            Codec::Pack(packer) => pack(packer, unit, &mut self.buffer, give),
            #[cfg(feature = "compress")]
            Codec::Unpack(packer) => unpack(packer, unit, &mut self.buffer, give),
        }
    }
}

/// A batch becomes one record where that saves something, as `CompressedLog` does it, else a batch.
#[cfg(feature = "compress")]
fn pack(packer: &Packer, unit: Unit<'_>, buffer: &mut Vec<u8>, give: &mut Give<'_>) -> Result<(), Fail> {
    let Unit::Batch(_) = unit else {
        unit.payloads().iter().for_each(|payload| packer.pack(payload, buffer));
        return give(&[&*buffer], &Origin::Each);
    };
    let payloads = unit.payloads();
    if packer.pack_batch(&payloads, buffer) {
        return give(&[&*buffer], &Origin::Together);
    }
    let mut envelopes = vec![Vec::new(); payloads.len()];
    for (payload, envelope) in payloads.iter().zip(&mut envelopes) {
        packer.pack(payload, envelope);
    }
    give(&envelopes.iter().map(Vec::as_slice).collect::<Vec<_>>(), &Origin::Each)
}

#[cfg(feature = "compress")]
fn unpack(packer: &Packer, unit: Unit<'_>, buffer: &mut Vec<u8>, give: &mut Give<'_>) -> Result<(), Fail> {
    if let Unit::Record(lsn, envelope) = unit {
        return match packer.unpack(envelope, buffer).map_err(|error| no_envelope(lsn, &error))? {
            Contents::One(payload) => give(&[&payload], &Origin::Each),
            Contents::Batch(inner) => {
                let payloads: Vec<&[u8]> = inner.collect();
                give(&payloads, &Origin::Of(vec![0; payloads.len()]))
            }
        };
    }
    let (mut payloads, mut origin): (Vec<Vec<u8>>, Vec<usize>) = Default::default();
    for (index, (lsn, envelope)) in unit.lsns().into_iter().zip(unit.payloads()).enumerate() {
        match packer.unpack(envelope, buffer).map_err(|error| no_envelope(lsn, &error))? {
            Contents::One(payload) => payloads.push(payload.to_vec()),
            Contents::Batch(inner) => payloads.extend(inner.map(<[u8]>::to_vec)),
        }
        origin.resize(payloads.len(), index);
    }
    give(&payloads.iter().map(Vec::as_slice).collect::<Vec<_>>(), &Origin::Of(origin))
}

#[cfg(feature = "compress")]
fn no_envelope(lsn: u64, error: &tidelog::Error) -> Fail {
    Fail::Usage(format!(
        "the record at LSN {lsn} cannot be unpacked: {error}; --compress none is for logs of which every record is an \
         envelope"
    ))
}

/// Brings back what records are to who reads them.
#[derive(Debug)]
pub(super) struct Opener(Changer);

impl Opener {
    pub(super) fn open(&mut self, unit: Unit<'_>, mut give: impl FnMut(u64, &[&[u8]])) -> Result<(), Fail> {
        let lsn = unit.lsn();
        self.0.change(unit, &mut |records, _| {
            give(lsn, records);
            Ok(())
        })
    }
}
