//! Writes units into the new log.

use tidelog::rebuild::Rebuild;
use tidelog::{Error, ErrorKind, Lsn};

use super::codec::{Changer, Codec, Origin};
use super::cursors::Cursors;
use super::digest::Digest;
use super::map::MapFile;
use super::source::{Read, Source, Unit};
use crate::args::Lsns;
use crate::exit::Fail;
use crate::problem::Problem;

#[derive(Debug)]
pub(super) struct Writer {
    changer: Changer,
    place: Place,
    source: usize,
    /// Where the last source ended.
    end: u64,
}

/// Where records go, and who must know.
#[derive(Debug)]
struct Place {
    rebuild: Rebuild,
    lsns: Lsns,
    cursors: Cursors,
    map: Option<MapFile>,
    digest: Digest,
}

/// What was written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) digest: Digest,
    pub(super) map: Option<MapFile>,
    pub(super) cursors: usize,
    pub(super) remarks: Vec<String>,
    pub(super) problems: Vec<Problem>,
}

impl Writer {
    pub(super) fn new(rebuild: Rebuild, lsns: Lsns, codec: &Codec, map: Option<MapFile>) -> Self {
        let place = Place { rebuild, lsns, cursors: Cursors::default(), map, digest: Digest::default() };
        Self { changer: Changer::new(codec.clone()), place, source: 0, end: 0 }
    }

    pub(super) fn begin(&mut self, source: &Source) -> Result<(), Fail> {
        self.source = source.number;
        self.place.cursors.begin(source)?;
        if self.place.lsns == Lsns::Keep {
            self.place.cursors.keep();
        }
        Ok(())
    }

    pub(super) fn unit(&mut self, unit: Unit<'_>) -> Result<(), Fail> {
        let packs = self.changer.packs();
        let (place, source) = (&mut self.place, self.source);
        self.changer.change(unit, &mut |payloads, origin| {
            let first = place.put(unit, payloads)?;
            place.note(source, unit, payloads, origin, first)?;
            if packs {
                // Whoever reads envelopes back gets these.
                place.digest.add(first, &unit.payloads());
            } else {
                place.digest.add(first, payloads);
            }
            Ok(())
        })
    }

    pub(super) fn end(&mut self, read: &Read) {
        self.place.cursors.end();
        self.end = read.end;
    }

    /// Makes a log of it.
    pub(super) fn finish(self) -> Result<Written, Fail> {
        let Place { mut rebuild, lsns, mut cursors, map, digest } = self.place;
        let position = rebuild.position().get();
        let end = if lsns == Lsns::Keep { end_at(&rebuild, self.end) } else { position };
        let settled = cursors.settle(rebuild.start().get(), end);
        for cursor in &settled {
            rebuild.cursor(&cursor.name, Lsn::new(cursor.position), cursor.gate)?;
        }
        rebuild.finish(Lsn::new(end))?;
        let Cursors { remarks, problems, .. } = cursors;
        Ok(Written { digest, map, cursors: settled.len(), remarks, problems })
    }
}

/// Where a log that keeps its LSNs ends: where the old one did, or eight bytes behind that, where padding would lack room.
fn end_at(rebuild: &Rebuild, end: u64) -> u64 {
    let position = rebuild.position().get();
    let segment_bytes = rebuild.segment_bytes();
    let at_an_edge = end.is_multiple_of(segment_bytes) || position.is_multiple_of(segment_bytes);
    match end.saturating_sub(position) {
        0 => position,
        8 if !at_an_edge => end + 8,
        _ => end,
    }
}

impl Place {
    /// Gives the first LSN.
    fn put(&mut self, unit: Unit<'_>, payloads: &[&[u8]]) -> Result<u64, Fail> {
        let old = unit.lsn();
        let put = match (self.lsns, payloads) {
            (Lsns::Keep, [only]) => self.rebuild.place(Lsn::new(old), only).map(|()| old),
            (Lsns::Keep, _) => self.rebuild.place_batch(Lsn::new(old), payloads).map(|()| old),
            (Lsns::Map, [only]) => self.rebuild.append(only).map(Lsn::get),
            (Lsns::Map, _) => {
                self.rebuild.append_batch(payloads).map(|mut lsns| lsns.next().map_or(0, Lsn::get))
            }
        };
        put.map_err(|error| misplaced(old, error))
    }

    /// Tells the map and the cursors where the records of a unit went.
    fn note(
        &mut self,
        source: usize,
        unit: Unit<'_>,
        payloads: &[&[u8]],
        origin: &Origin,
        first: u64,
    ) -> Result<(), Fail> {
        if self.lsns == Lsns::Keep {
            return Ok(());
        }
        let old = unit.lsns();
        let mut new = first;
        let mut pairs = Vec::with_capacity(payloads.len().max(old.len()));
        for (index, payload) in payloads.iter().enumerate() {
            match origin {
                Origin::Each => pairs.extend(old.get(index).map(|old| (*old, new))),
                Origin::Together => pairs.extend(old.iter().map(|old| (*old, new))),
                Origin::Of(indices) => {
                    let old = indices.get(index).and_then(|index| old.get(*index));
                    pairs.extend(old.map(|old| (*old, new)));
                }
            }
            new += (payload.len() as u64 + 16).next_multiple_of(8);
        }
        for (old, new) in pairs {
            self.cursors.pass(old, new);
            if let Some(map) = &mut self.map {
                map.line(source, old, new)?;
            }
        }
        Ok(())
    }
}

fn misplaced(lsn: u64, error: Error) -> Fail {
    let advice = match error.kind() {
        ErrorKind::InvalidOption => "records get new LSNs with --lsns map",
        ErrorKind::TooLarge => "larger segments take it: --segment-bytes",
        _ => return error.into(),
    };
    Fail::Usage(format!("the record at LSN {lsn} cannot be placed: {error}; {advice}"))
}
