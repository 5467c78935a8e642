//! The published watermark: how far the log is published without a gap. Writers pay nothing for it; whoever
//! needs it walks the header words.

use crossbeam_utils::CachePadded;

use super::catalog::Catalog;
use crate::error::Result;
use crate::format::frame::{Parsed, frame_bytes};
use crate::primitive::{Arc, AtomicU64, Mutex, Ordering, Tally, lock};
use crate::segment::Segment;
use crate::segment::scan::{Damage, Mapped, Published};

/// The header so many frames ahead is asked for, as if all had one length.
const FORESEEN: u64 = 8;

#[derive(Debug)]
pub(crate) struct Frontier {
    /// What the last walk found.
    published: CachePadded<AtomicU64>,
    records: AtomicU64,
    /// Of their payloads.
    payload_bytes: Tally,
    walk: Mutex<Walk>,
}

#[derive(Debug)]
struct Walk {
    position: u64,
    records: u64,
    payload_bytes: u64,
    /// The segment at `position`, held so that it stays mapped.
    segment: Option<Arc<Segment>>,
}

impl Frontier {
    pub(crate) fn new(tail: u64) -> Self {
        Self {
            published: CachePadded::new(AtomicU64::new(tail)),
            records: AtomicU64::new(0),
            payload_bytes: Tally::new(0),
            walk: Mutex::new(Walk { position: tail, records: 0, payload_bytes: 0, segment: None }),
        }
    }

    pub(crate) fn last(&self) -> Published {
        // PUBLISHED, acquire side: pairs with the release store in `advance`, which follows the walk's acquires. It
        // hands over the later words of batches, and that the claims below are done with their ring slot.
        Published::witnessed(self.published.load(Ordering::Acquire))
    }

    pub(crate) fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    pub(crate) fn payload_bytes(&self) -> u64 {
        self.payload_bytes.load(Ordering::Relaxed)
    }

    /// Walks on from where the last walk stopped.
    pub(crate) fn advance(&self, catalog: &Catalog) -> Result<Published> {
        let mut walk = lock(&self.walk);
        let outcome = walk.run(catalog);
        self.records.store(walk.records, Ordering::Relaxed);
        self.payload_bytes.store(walk.payload_bytes, Ordering::Relaxed);
        // PUBLISHED, release side: pairs with the acquire load in `last`. Stored once, at the end of the walk, so
        // that it never stands inside a batch: a batch's words are all there when its first one is.
        self.published.store(walk.position, Ordering::Release);
        outcome.map(|()| Published::witnessed(walk.position))
    }
}

impl Walk {
    fn run(&mut self, catalog: &Catalog) -> Result<()> {
        // Another process' log may have been retired beyond where the last walk stopped.
        if self.position < catalog.start() {
            self.position = catalog.start();
            self.segment = None;
        }
        loop {
            if self.segment.as_ref().is_none_or(|segment| self.position >= segment.end()) {
                self.segment = catalog.find_at(self.position);
            }
            let Some(segment) = self.segment.as_ref() else { return Ok(()) };
            let mapped = Mapped::new(segment)?;
            let base = segment.base();
            let end = segment.end();
            while self.position < end {
                let bytes = match mapped.peek(self.position - base) {
                    Parsed::Unwritten | Parsed::Claimed { .. } => return Ok(()),
                    Parsed::Padding { bytes } => bytes,
                    Parsed::Record { payload_len, .. } => {
                        self.records += 1;
                        self.payload_bytes += payload_len;
                        frame_bytes(payload_len)
                    }
                    Parsed::Invalid => 0,
                };
                if bytes == 0 || bytes > end - self.position {
                    return Err(segment.corrupt(self.position, Damage::Word.describe()));
                }
                self.position += bytes;
                // Each header tells where the next one is, so a walk over large frames would wait for memory at each.
                // Many records are as long as the one before.
                mapped.foresee(self.position - base + FORESEEN * bytes);
            }
        }
    }
}
