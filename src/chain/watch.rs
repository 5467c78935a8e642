//! The log as another process sees it: the same segments, without the lock, looked up in the directory.

use super::Page;
use super::catalog::{Catalog, View};
use super::frontier::Frontier;
use super::list::{List, Origin};
use crate::error::{Error, Result};
use crate::format::header::Identity;
use crate::format::meta::Meta;
use crate::format::verify::Verifiers;
use crate::primitive::{Arc, Mutex, lock};
use crate::segment::Segment;
use crate::segment::scan::Published;
use crate::storage::{Access, Directory, Listing};

/// A log that somebody else may be writing.
#[derive(Debug)]
pub(crate) struct Watch {
    directory: Arc<Directory>,
    pub(crate) catalog: Catalog,
    frontier: Frontier,
    /// One refresh at a time. The segments that end at or below this were looked at after all their frames had been
    /// seen, so no later opening wrote to them.
    settled: Mutex<u64>,
}

impl Watch {
    /// Begins to look at the log in `directory`.
    pub(crate) fn new(directory: Arc<Directory>) -> Result<Self> {
        let meta = read_meta(&directory)?;
        let listing = directory.list()?;
        let from = known_complete(&directory, &meta, &listing)?;
        let list = listed(&directory, &meta, &listing);
        let catalog = Catalog::new(list);
        Ok(Self { directory, catalog, frontier: Frontier::new(from), settled: Mutex::new(from) })
    }

    /// Which log it is, by its metadata as it is now.
    pub(crate) fn log_id(&self) -> Result<[u8; 16]> {
        read_meta(&self.directory).map(|meta| meta.log_id)
    }

    /// The log's schema tag, by its metadata as it is now.
    pub(crate) fn schema(&self) -> Result<u64> {
        read_meta(&self.directory).map(|meta| meta.schema)
    }

    /// Looks which segments there are now.
    pub(crate) fn refresh(&self) -> Result<()> {
        let mut settled = lock(&self.settled);
        // Before the headers are read, so that what was seen by now was written under what they tell.
        let seen = self.frontier.last().position();
        let meta = read_meta(&self.directory)?;
        let mut list = List::clone(&self.catalog.view());
        drop(list.take_before(meta.start / meta.segment_bytes));
        let all_there = self.see_unsettled(&mut list, *settled / meta.segment_bytes)?;
        if !all_there || list.numbers().is_empty() {
            // Some that were known are gone, by a retirement since `meta` was read or by a later opening; or none were.
            let meta = read_meta(&self.directory)?;
            list = listed(&self.directory, &meta, &self.directory.list()?);
        }
        // By name, one after the other, so that a look does not grow with the log. Behind a gap all is being removed or
        // is yet to be named, or it is for the writer's recovery to judge.
        while !list.numbers().is_empty() && self.directory.has_segment(list.end())? {
            list.push_unmade();
        }
        self.catalog.replace(list);
        *settled = seen.max(*settled);
        Ok(())
    }

    /// Looks at the segments that a later opening may have written to, removed or made anew. False when one is gone.
    fn see_unsettled(&self, list: &mut List, first: u64) -> Result<bool> {
        for number in first.max(list.numbers().start)..list.numbers().end {
            let Some(segment) = list.find(number) else { break };
            if !self.directory.has_segment(segment.base())? {
                return Ok(false);
            } else if !self.is_current(segment) {
                list.renew(number);
            }
        }
        Ok(true)
    }

    /// False when a later opening of the log wrote to the segment: its frames are checked in another way, which
    /// the header tells.
    fn is_current(&self, segment: &Segment) -> bool {
        let Some(body) = segment.mapped_body() else { return true };
        let header = self.directory.open_segment(segment.base(), Access::Read);
        let header = header.and_then(|file| self.directory.read_header(&*file, segment.identity()));
        header.is_ok_and(|header| Verifiers::new(&header.identity, &header.sessions) == body.verifiers)
    }

    /// The published log now: the segments, and how far they reach.
    pub(crate) fn look(&self) -> Result<(View, Published)> {
        self.refresh()?;
        let published = self.frontier.advance(&self.catalog)?;
        let published = self.see_proven(published)?;
        // Again, after the walk: a frame that it passed may be from an opening that began in between.
        self.refresh()?;
        Ok((self.catalog.view(), published))
    }

    /// Holds what was seen against what the writer noted as durable: a log that ends before that has lost frames.
    fn see_proven(&self, published: Published) -> Result<Published> {
        let position = published.position();
        let Some(segment) = self.catalog.find_at(position) else { return Ok(published) };
        let proven = self.proven(&segment)?;
        if proven <= position {
            return Ok(published);
        }
        // The note may be newer than the walk, but not newer than this one.
        let published = self.frontier.advance(&self.catalog)?;
        if published.position() < proven {
            return Err(segment.corrupt(published.position(), "a frame that was durable is gone"));
        }
        Ok(published)
    }

    /// How far the writer noted in the segment's header that the log is durable; zero where it did not.
    fn proven(&self, segment: &Segment) -> Result<u64> {
        let header = self.directory.open_segment(segment.base(), Access::Read);
        let header = header.and_then(|file| self.directory.read_header(&*file, segment.identity()));
        let header = match header {
            Ok(header) => header,
            // One that has been retired meanwhile has nothing to tell.
            Err(_) if segment.base() < read_meta(&self.directory)?.start => return Ok(0),
            Err(error) => return Err(error),
        };
        let marked = header.tail_mark.filter(|mark| mark.durable).map(|mark| mark.end);
        Ok(header.durable_hint.max(marked).unwrap_or(0))
    }

    /// The same, in the segment at `position`.
    pub(crate) fn proven_at(&self, position: u64) -> Result<u64> {
        self.find_at(position)?.map_or(Ok(0), |segment| self.proven(&segment))
    }

    /// The page by which this log's writer wakes readers, if there is one that this process may use.
    pub(crate) fn find_page(&self) -> Option<std::sync::Arc<Page>> {
        let meta = read_meta(&self.directory).ok()?;
        let words = self.directory.find_signal(meta.log_id)?;
        Some(std::sync::Arc::new(Page::new(words)))
    }

    /// How far the log was published when somebody last looked.
    pub(crate) fn published(&self) -> Published {
        self.frontier.last()
    }

    /// The segment at `position`, if it is there by now.
    pub(crate) fn find_at(&self, position: u64) -> Result<Option<Arc<Segment>>> {
        if let Some(segment) = self.catalog.find_at(position) {
            return Ok(Some(segment));
        }
        self.refresh()?;
        Ok(self.catalog.find_at(position))
    }
}

fn read_meta(directory: &Directory) -> Result<Meta> {
    directory.read_meta()?.ok_or_else(|| Error::not_found(directory.path()))
}

/// The segments up to the first that is not there.
fn listed(directory: &Arc<Directory>, meta: &Meta, listing: &Listing) -> List {
    let mut bases = live(listing, meta);
    let first = bases.next().map(|base| base / meta.segment_bytes);
    let start = first.unwrap_or(meta.start / meta.segment_bytes);
    let mut end = start + u64::from(first.is_some());
    while bases.next().is_some_and(|base| base == end * meta.segment_bytes) {
        end += 1;
    }
    let origin = Origin { log_id: meta.log_id, directory: Arc::clone(directory) };
    List::new(start..end, meta.segment_bytes.trailing_zeros(), Some(origin))
}

/// The bases of the log's segments. A name that fits no place in the log is for the writer's recovery to judge.
fn live(listing: &Listing, meta: &Meta) -> impl DoubleEndedIterator<Item = u64> {
    let (start, segment_bytes) = (meta.start, meta.segment_bytes);
    let bases = listing.segments.iter().copied();
    bases.filter(move |base| *base >= start && base.is_multiple_of(segment_bytes))
}

/// Everything below is written, by the marks and the durable hints in the headers: nothing before it need be walked,
/// and a word that says otherwise there is damaged.
fn known_complete(directory: &Directory, meta: &Meta, listing: &Listing) -> Result<u64> {
    for base in live(listing, meta).rev() {
        let number = base / meta.segment_bytes;
        let identity = Identity { log_id: meta.log_id, number, segment_bytes: meta.segment_bytes };
        let Ok(file) = directory.open_segment(base, Access::Read) else { continue };
        let header = directory.read_header(&*file, &identity)?;
        let trusted = header.tail_mark.filter(|mark| mark.durable || mark.boot == directory.boot().0);
        if let Some(end) = trusted.map(|mark| mark.end).max(header.durable_hint) {
            return Ok(end);
        }
    }
    Ok(meta.start)
}
