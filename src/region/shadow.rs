//! The model checkers' memory: heap bytes, and beside each word an atomic and a cell of the checker's.
//!
//! Words go to the atomics; slices touch the cells, so loom reports a write that is not ordered before a
//! read of the same bytes. (shuttle does not: there the checksums must tell.) The header page is not modelled:
//! nothing in it orders threads.

use std::io;
use std::ops::Range;

use crate::limits::HEADER_BYTES;
use crate::primitive::{Mutex, Ordering, RawAtomicU64, UnsafeCell, lock};

/// Modelled bytes of one segment.
#[derive(Debug)]
pub(crate) struct Region {
    words: Vec<RawAtomicU64>,
    cells: Vec<UnsafeCell<()>>,
    bytes: Box<[core::cell::UnsafeCell<u64>]>,
    /// What a power cut would leave: the header words as the last flush of their range saw them.
    image: UnsafeCell<Vec<u64>>,
    flush_lock: Mutex<()>,
}

// SAFETY: a model checker runs one thread at a time; loom's cells report every unordered access to the bytes.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// A zeroed segment with `data_bytes` after its header page.
    pub(crate) fn zeroed(data_bytes: usize) -> Self {
        let words = data_bytes / 8;
        Self {
            words: (0..words).map(|_| RawAtomicU64::new(0)).collect(),
            cells: (0..words).map(|_| UnsafeCell::new(())).collect(),
            bytes: (0..words).map(|_| core::cell::UnsafeCell::new(0)).collect(),
            image: UnsafeCell::new(vec![0; words]),
            flush_lock: Mutex::new(()),
        }
    }

    fn index(offset: usize) -> Option<usize> {
        offset.checked_sub(HEADER_BYTES as usize).map(|data| data / 8)
    }

    /// Everything behind the header page.
    pub(crate) fn view(&self, offset: usize) -> View<'_> {
        assert_eq!(offset, HEADER_BYTES as usize);
        View { region: self, words: self.words.len() }
    }

    pub(crate) fn store_relaxed(&self, offset: usize, value: u64) {
        if let Some(word) = Self::index(offset) {
            self.words[word].store(value, Ordering::Relaxed);
        }
    }

    fn store_release(&self, offset: usize, value: u64) {
        if let Some(word) = Self::index(offset) {
            self.words[word].store(value, Ordering::Release);
        }
    }

    pub(crate) fn window(&self, offset: usize, len: usize) -> Window<'_> {
        assert!(offset + len <= self.len() && len > 0, "window out of the region");
        Window { region: self, offset, len }
    }

    /// # Safety
    /// As for the mapped region; loom checks it.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn slice_mut(&self, offset: usize, len: usize) -> &mut [u8] {
        let Some(first) = Self::index(offset) else { return &mut [] };
        for cell in &self.cells[first..first + len.div_ceil(8)] {
            cell.with_mut(|_| ());
        }
        let start = self.bytes.as_ptr().cast::<u8>().cast_mut().wrapping_add(offset - HEADER_BYTES as usize);
        // SAFETY: in bounds by the slicing above; exclusion is loom's to check.
        unsafe { core::slice::from_raw_parts_mut(start, len) }
    }

    /// Files are not modelled.
    pub(crate) fn map(_file: &std::fs::File, _len: usize, _writable: bool) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn flush(&self, range: Range<usize>) -> io::Result<()> {
        let first = Self::index(range.start).unwrap_or(0);
        let last = Self::index(range.end).unwrap_or(0).min(self.words.len());
        let _guard = lock(&self.flush_lock);
        for word in first..last {
            let value = self.words[word].load(Ordering::Relaxed);
            // SAFETY: `flush_lock` is held.
            self.image.with_mut(|image| unsafe { (&mut *image)[word] = value });
        }
        Ok(())
    }

    /// The word at `offset` as a power cut now would leave it.
    pub(crate) fn durable_word(&self, offset: usize) -> u64 {
        let Some(word) = Self::index(offset) else { return 0 };
        let _guard = lock(&self.flush_lock);
        // SAFETY: `flush_lock` is held.
        self.image.with(|image| unsafe { (&*image)[word] })
    }

    /// Files are not modelled, nor that they are used again.
    pub(crate) fn clear(&mut self, _range: Range<usize>) {}

    pub(crate) fn populate(&self, _range: Range<usize>) {}

    pub(crate) fn prefer_large_pages(&self) {}

    pub(crate) fn prefetch(&self, _offset: usize) {}

    pub(crate) fn len(&self) -> usize {
        HEADER_BYTES as usize + self.words.len() * 8
    }

    pub(crate) fn copied_by_pages(self, _copied: bool) -> Self {
        self
    }

    pub(crate) fn is_writable(&self) -> bool {
        true
    }
}

/// A range of a region, to write to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    region: &'a Region,
    offset: usize,
    len: usize,
}

impl<'a> Window<'a> {
    pub(crate) fn store_first(&self, value: u64) {
        self.region.store_relaxed(self.offset, value);
    }

    pub(crate) fn store_release(&self, value: u64) {
        self.region.store_release(self.offset, value);
    }

    pub(crate) fn store_relaxed(&self, at: usize, value: u64) {
        self.region.store_relaxed(self.offset + at, value);
    }

    /// # Safety
    /// As for the mapped region; loom checks it.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn slice_mut(&self, at: usize, len: usize) -> &'a mut [u8] {
        assert!(at <= self.len && len <= self.len - at, "slice out of its window");
        // SAFETY: the contract is the same.
        unsafe { self.region.slice_mut(self.offset + at, len) }
    }

    pub(crate) fn prefetch_behind(&self, _at: usize, _bytes: usize) {}

    pub(crate) fn is_copied_by_pages(&self) -> bool {
        false
    }
}

/// A range of a region, to read from. Offsets count from its beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    region: &'a Region,
    words: usize,
}

impl<'a> View<'a> {
    pub(crate) fn up_to(self, len: u64) -> Self {
        Self { words: self.words.min(len as usize / 8), ..self }
    }

    pub(crate) fn load_acquire(self, offset: u64) -> Option<u64> {
        let word = offset as usize / 8;
        (offset.is_multiple_of(8) && word < self.words)
            .then(|| self.region.words[word].load(Ordering::Acquire))
    }

    /// # Safety
    /// As for the mapped region; loom checks it.
    pub(crate) unsafe fn slice(self, offset: u64, len: u64) -> Option<&'a [u8]> {
        let (offset, len) = (offset as usize, len as usize);
        if offset > self.words * 8 || len > self.words * 8 - offset {
            return None;
        }
        let first = offset / 8;
        for cell in &self.region.cells[first..first + len.div_ceil(8)] {
            cell.with(|_| ());
        }
        let start = self.region.bytes.as_ptr().cast::<u8>().wrapping_add(offset);
        // SAFETY: in bounds by the test above; exclusion is loom's to check.
        Some(unsafe { core::slice::from_raw_parts(start, len) })
    }

    pub(crate) fn prefetch(self, _range: Range<u64>) {}
}
