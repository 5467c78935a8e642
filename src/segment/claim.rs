//! The write side of a frame: a claim, and the ways in which it ends.
#![allow(unsafe_code, reason = "see the proof at each block; listed in lib.rs")]

use crate::format::checksum::mask;
use crate::format::frame::{self, Kind, SHORT_PADDING_BYTES};
use crate::format::header::PAGE;
use crate::limits::FRAME_HEADER_BYTES;
use crate::region::{Region, Window};
use crate::signal::Signal;

/// The copy of a larger payload finds by itself what it goes on to need, and on several threads what lies behind it is
/// somebody else's.
const PREFETCHED_MAX: usize = 4 << 10;

/// Where a claim lies and what its frames are sealed with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Position in the log.
    pub(crate) lsn: u64,
    /// Offset in the segment's file.
    pub(crate) file_offset: usize,
    /// Size of the claim.
    pub(crate) bytes: u64,
    /// The opening's seed.
    pub(crate) seed: u64,
    /// How far durability lagged when it was claimed.
    pub(crate) lag: u64,
}

/// Proof that a range of a segment belongs to this thread alone, until it is published or aborted.
///
/// Dropping it aborts, so that a panic in between becomes padding and the log goes on.
#[derive(Debug)]
pub(crate) struct Claimed<'a> {
    region: &'a Region,
    window: Window<'a>,
    place: Place,
    /// Told when it ends, in either way.
    signal: &'a Signal,
}

impl<'a> Claimed<'a> {
    /// Begins a frame: from here on its header word says that the range is taken, and how long it is.
    ///
    /// # Safety
    /// The range was handed to the caller alone, lies in the region, and is zeroed; the region stays mapped
    /// and is not reused until the claim's last word is published.
    #[inline(always)]
    pub(crate) unsafe fn begin(region: &'a Region, place: Place, signal: &'a Signal) -> Self {
        let window = region.window(place.file_offset, place.bytes as usize);
        window.store_first(frame::word(Kind::Claimed, place.bytes, 0));
        Self { region, window, place, signal }
    }

    pub(crate) fn lsn(&self) -> u64 {
        self.place.lsn
    }

    /// The payload of the frame that begins `at` bytes into the claim.
    #[inline]
    pub(crate) fn payload_mut(&mut self, at: u64, len: u64) -> &mut [u8] {
        // SAFETY: the window is the claim, which is this thread's alone (contract of `begin`); `&mut self` keeps two
        // slices of it apart.
        unsafe { self.window.slice_mut((at + FRAME_HEADER_BYTES) as usize, len as usize) }
    }

    /// Copies a payload into the frame that begins `at` bytes into the claim, and fetches what the next ones need.
    ///
    /// No store reaches over the end of a page. On a full Btrfs the write fault of a page has all others written back
    /// and protected again, so that a store into two pages at once would fault in turns without end.
    #[inline(always)]
    pub(crate) fn copy_payload(&mut self, at: u64, payload: &[u8]) {
        let in_page = PAGE - (self.place.file_offset + (at + FRAME_HEADER_BYTES) as usize) % PAGE;
        if payload.len() <= PREFETCHED_MAX {
            self.window.prefetch_behind(at as usize, payload.len());
        }
        let slot = self.payload_mut(at, payload.len() as u64);
        if payload.len() <= in_page {
            slot.copy_from_slice(payload);
        } else {
            copy_by_pages(slot, payload, in_page);
        }
    }

    /// True where what a caller stores must be copied here by `copy_payload`.
    #[inline]
    pub(crate) fn is_copied_by_pages(&self) -> bool {
        self.window.is_copied_by_pages()
    }

    /// What frames within the claim, at their offsets in it, are written with through the file.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// Stores the checksum of the frame `at` bytes into the claim.
    #[inline]
    fn store_checksum(&mut self, at: u64, word: u64, crc: u64) {
        let value = crc ^ mask(self.place.seed, self.place.lsn + at, word);
        // SAFETY: the window is the claim, which is this thread's alone (contract of `begin`).
        let slot = unsafe { self.window.slice_mut(at as usize + 8, 8) };
        slot.copy_from_slice(&value.to_le_bytes());
    }

    /// Makes the one record of this claim readable. The word's store is the last touch of the mapping.
    #[inline(always)]
    pub(crate) fn publish(mut self, payload_len: u64, crc: u64) {
        let word = frame::word(Kind::Record, payload_len, self.place.lag);
        self.store_checksum(0, word, crc);
        self.finish(word);
    }

    /// Writes a later record of a batch. It stays unreadable until the batch's first record is published,
    /// because every reader comes by that one.
    #[inline]
    pub(crate) fn add_to_batch(&mut self, at: u64, payload: &[u8], crc: u64, last: bool) {
        self.copy_payload(at, payload);
        let kind = if last { Kind::BatchLast } else { Kind::BatchMiddle };
        let word = frame::word(kind, payload.len() as u64, frame::way_back(at));
        self.store_checksum(at, word, crc);
        // Relaxed: PUBLISH of the batch's first word, which comes later, orders it.
        self.window.store_relaxed(at as usize, word);
    }

    /// Makes the whole batch readable, by its first record.
    #[inline]
    pub(crate) fn publish_batch(mut self, first_len: u64, crc: u64) {
        let word = frame::word(Kind::BatchFirst, first_len, self.place.lag);
        self.store_checksum(0, word, crc);
        self.finish(word);
    }

    /// Turns the claim into padding.
    pub(crate) fn abort(self) {
        drop(self);
    }

    #[inline]
    #[allow(clippy::mem_forget, reason = "dropping a claim aborts it, and this one is published")]
    fn finish(self, word: u64) {
        let signal = self.signal;
        // PUBLISH, release side: pairs with the acquire load in `scan::examine` and in `Frontier::advance`.
        self.window.store_release(word);
        core::mem::forget(self);
        signal.tell();
    }
}

impl Drop for Claimed<'_> {
    /// By single values: a claim whose address is passed on, if only by a panic, does not live in registers.
    #[inline(always)]
    fn drop(&mut self) {
        let Place { lsn, file_offset, bytes, seed, .. } = self.place;
        pad(self.region, file_offset, bytes, lsn, seed, self.signal);
    }
}

/// Makes a claim padding.
#[cold]
fn pad(region: &Region, file_offset: usize, bytes: u64, lsn: u64, seed: u64, signal: &Signal) {
    let window = region.window(file_offset, bytes as usize);
    let word = frame::word(Kind::Padding, bytes, 0);
    if bytes > SHORT_PADDING_BYTES {
        let value = mask(seed, lsn, word);
        // SAFETY: the window is a claim that is being dropped, which is this thread's alone (contract of `begin`).
        let slot = unsafe { window.slice_mut(8, 8) };
        slot.copy_from_slice(&value.to_le_bytes());
    }
    // ABORT, release side: pairs with the acquire load in `scan::examine` and in `Frontier::advance`.
    window.store_release(word);
    signal.tell();
}

/// Copies so much first, and then page by page.
#[inline(never)]
fn copy_by_pages(slot: &mut [u8], payload: &[u8], first: usize) {
    let (slot, later_slots) = slot.split_at_mut(first);
    let (payload, later) = payload.split_at(first);
    slot.copy_from_slice(payload);
    for (slot, payload) in later_slots.chunks_mut(PAGE).zip(later.chunks(PAGE)) {
        slot.copy_from_slice(payload);
    }
}
