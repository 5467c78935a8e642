//! The real thing: a shared mapping of a file.

use std::fs::File;
use std::io;
use std::ops::Range;
#[cfg(feature = "testing")]
use std::panic::{RefUnwindSafe, UnwindSafe};

use memmap2::{MmapOptions, MmapRaw};

use crate::primitive::{AtomicU64, Ordering};

#[cfg(target_arch = "x86_64")]
const PREFETCH_LINE_BYTES: usize = 64;

/// How far ahead of the copy memory is fetched; 1 KiB is less than it takes to arrive, 4 KiB bring no more.
#[cfg(target_arch = "x86_64")]
const PREFETCH_DISTANCE_BYTES: usize = 2 << 10;

/// A shared mapping of a whole segment file, header page included. Offsets count from the file's beginning.
#[derive(Debug)]
pub(crate) struct Region {
    memory: Memory,
    writable: bool,
    copied_by_pages: bool,
}

#[derive(Debug)]
enum Memory {
    File(MmapRaw),
    #[cfg(feature = "testing")]
    Simulated(Box<dyn Simulated>),
}

/// A mapping of a simulated file.
#[cfg(feature = "testing")]
pub(crate) trait Simulated: core::fmt::Debug + Send + Sync + UnwindSafe + RefUnwindSafe {
    /// The bytes, always at the same place.
    fn words(&self) -> &[AtomicU64];

    /// A range is given out to be written to by this thread, until it stores a word.
    fn touched(&self, range: Range<usize>);

    /// A word was stored.
    fn stored(&self, offset: usize);

    fn flush(&self, range: Range<usize>) -> io::Result<()>;
}

impl Memory {
    #[inline]
    fn start(&self) -> *mut u8 {
        match self {
            Self::File(map) => map.as_mut_ptr(),
            #[cfg(feature = "testing")]
            Self::Simulated(simulated) => simulated.words().as_ptr().cast::<u8>().cast_mut(),
        }
    }

    #[inline]
    fn len(&self) -> usize {
        match self {
            Self::File(map) => map.len(),
            #[cfg(feature = "testing")]
            Self::Simulated(simulated) => simulated.words().len() * 8,
        }
    }

    #[cfg(feature = "testing")]
    fn touched(&self, range: Range<usize>) {
        if let Self::Simulated(simulated) = self {
            simulated.touched(range);
        }
    }

    #[cfg(feature = "testing")]
    fn stored(&self, offset: usize) {
        if let Self::Simulated(simulated) = self {
            simulated.stored(offset);
        }
    }
}

/// A range of a region, to read from. Offsets count from its beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    words: &'a [AtomicU64],
}

impl<'a> View<'a> {
    /// The first bytes of it; all where there are no more.
    pub(crate) fn up_to(self, len: u64) -> Self {
        let words = usize::try_from(len / 8).unwrap_or(usize::MAX).min(self.words.len());
        Self { words: &self.words[..words] }
    }

    #[inline]
    fn len(self) -> usize {
        size_of_val(self.words)
    }

    /// Loads a word, where there is one; pairs with `Region::store_release`.
    #[inline]
    pub(crate) fn load_acquire(self, offset: u64) -> Option<u64> {
        let offset = usize::try_from(offset).ok()?;
        if !offset.is_multiple_of(8) || offset >= self.len() {
            return None;
        }
        // SAFETY: a multiple of eight below the length in bytes is eight times a number below that in words.
        let word = unsafe { self.words.get_unchecked(offset / 8) };
        Some(u64::from_le(word.load(Ordering::Acquire)))
    }

    /// The bytes of a range, where there are as many.
    ///
    /// # Safety
    /// Nobody writes to the range while the slice lives.
    #[inline]
    pub(crate) unsafe fn slice(self, offset: u64, len: u64) -> Option<&'a [u8]> {
        let (offset, len) = (usize::try_from(offset).ok()?, usize::try_from(len).ok()?);
        if offset > self.len() || len > self.len() - offset {
            return None;
        }
        let start = self.words.as_ptr().cast::<u8>().wrapping_add(offset);
        // SAFETY: in bounds by the test above, initialised because file pages are, never written meanwhile by
        // this function's contract.
        Some(unsafe { core::slice::from_raw_parts(start, len) })
    }

    /// Tells the processor that a range will be read soon. It may lie beyond the end.
    #[inline]
    pub(crate) fn prefetch(self, range: Range<u64>) {
        let mut line = range.start | 63;
        while line < range.end {
            let at = self.words.as_ptr().cast::<i8>().wrapping_add(line as usize);
            #[cfg(target_arch = "x86_64")]
            // SAFETY: every such processor has the instruction, and it is a hint: whatever the address, it never faults.
            unsafe {
                core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(at);
            }
            #[cfg(not(target_arch = "x86_64"))]
            let _ = at;
            line += 64;
        }
    }
}

impl Region {
    /// Maps `len` bytes of `file`, which must be at least that long.
    pub(crate) fn map(file: &File, len: usize, writable: bool) -> io::Result<Self> {
        if file.metadata()?.len() < len as u64 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than its segment"));
        }
        let mut options = MmapOptions::new();
        options.len(len);
        let map = if writable { options.map_raw(file)? } else { options.map_raw_read_only(file)? };
        Ok(Self { memory: Memory::File(map), writable, copied_by_pages: false })
    }

    /// Maps a simulated file.
    #[cfg(feature = "testing")]
    pub(crate) fn simulated(simulated: Box<dyn Simulated>, writable: bool) -> Self {
        Self { memory: Memory::Simulated(simulated), writable, copied_by_pages: false }
    }

    #[inline]
    fn words(&self) -> &[AtomicU64] {
        let start = self.memory.start().cast_const().cast::<AtomicU64>();
        // SAFETY: the mapping lives as long as `self`, and is aligned because mappings begin on a page (a simulated one
        // is a slice of such words). Concurrent accesses to a frame's header word are all atomic; other words are only
        // touched under the exclusion that the slice methods demand. A read-only mapping is only ever loaded from
        // (`store_*` assert that).
        unsafe { core::slice::from_raw_parts(start, self.memory.len() / 8) }
    }

    #[inline]
    fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8), "word offset {offset} out of place");
        &self.words()[offset / 8]
    }

    /// Everything from `offset` on, a multiple of eight, for reading.
    #[inline]
    pub(crate) fn view(&self, offset: usize) -> View<'_> {
        View { words: self.words().get(offset / 8..).unwrap_or_default() }
    }

    /// Stores a word without ordering.
    #[inline]
    pub(crate) fn store_relaxed(&self, offset: usize, value: u64) {
        assert!(self.writable, "store into a read-only mapping");
        self.word(offset).store(value.to_le(), Ordering::Relaxed);
        #[cfg(feature = "testing")]
        self.memory.stored(offset);
    }

    /// Asks for the cache lines of a small record at `offset`, which is about to be read. Else those behind its header
    /// are asked for only when the header has come and tells the length.
    #[inline]
    pub(crate) fn prefetch(&self, offset: usize) {
        const SMALL_RECORD_BYTES: u64 = 192;
        self.view(offset).prefetch(0..SMALL_RECORD_BYTES);
    }

    /// A range that can be written to. What the accesses through it would ask each time is asked here, once.
    #[inline]
    pub(crate) fn window(&self, offset: usize, len: usize) -> Window<'_> {
        assert!(self.writable, "write to a read-only mapping");
        assert!(
            offset <= self.memory.len() && len <= self.memory.len() - offset,
            "window out of the mapping"
        );
        assert!(
            offset.is_multiple_of(8) && len.is_multiple_of(8) && len > 0,
            "window {offset} {len} out of place"
        );
        Window { start: self.memory.start().wrapping_add(offset), len, offset, region: self }
    }

    /// Makes a range zeros. (`&mut`: nobody else in this process has the region, and a file that another process has
    /// mapped is not used again.)
    pub(crate) fn clear(&mut self, range: Range<usize>) {
        let window = self.window(range.start, range.len());
        // SAFETY: nobody else has the region, see above.
        unsafe { window.slice_mut(0, range.len()) }.fill(0);
        #[cfg(feature = "testing")]
        self.memory.stored(range.start);
    }

    /// Writes the dirty pages of a range to stable storage (`msync(MS_SYNC)`, which Linux carries out as a
    /// data sync of the range).
    pub(crate) fn flush(&self, range: Range<usize>) -> io::Result<()> {
        match &self.memory {
            Memory::File(map) => map.flush_range(range.start, range.len()),
            #[cfg(feature = "testing")]
            Memory::Simulated(simulated) => simulated.flush(range),
        }
    }

    /// Takes the write faults of a range now, so that writers do not. Best effort: without it writers fault.
    pub(crate) fn populate(&self, range: Range<usize>) {
        let end = range.end.min(self.memory.len());
        let start = range.start & !(crate::limits::HEADER_BYTES as usize - 1);
        #[cfg(target_os = "linux")]
        #[allow(irrefutable_let_patterns, reason = "the only memory without the feature `testing`")]
        if let Memory::File(map) = &self.memory
            && self.writable
            && start < end
        {
            // An error (an old kernel, a full file system) costs speed only: nothing depends on the pages.
            let _ = map.advise_range(memmap2::Advice::PopulateWrite, start, end - start);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (start, end);
    }

    /// Has what is not in memory yet come in the largest pages that there are. Best effort.
    pub(crate) fn prefer_large_pages(&self) {
        #[cfg(target_os = "linux")]
        #[allow(irrefutable_let_patterns, reason = "the only memory without the feature `testing`")]
        if let Memory::File(map) = &self.memory {
            // An error (a kernel or a file system without them) costs speed only.
            let _ = map.advise(memmap2::Advice::HugePage);
        }
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.memory.len()
    }

    /// The same, and no caller is to store to it directly: see `copy_payload`.
    pub(crate) fn copied_by_pages(mut self, copied: bool) -> Self {
        self.copied_by_pages = copied;
        self
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }
}

/// A range of a writable region: at least one word, of whole words, inside the mapping.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    /// Its first byte, in the mapping of `region`.
    start: *mut u8,
    len: usize,
    /// Of its first byte, in the file.
    offset: usize,
    region: &'a Region,
}

impl<'a> Window<'a> {
    #[inline]
    fn first_word(&self) -> &'a AtomicU64 {
        // SAFETY: `window` made sure that the word lies inside the mapping, at a multiple of eight in it, and that the
        // mapping may be stored to; the rest as in `Region::word`. `self` borrows the region.
        unsafe { AtomicU64::from_ptr(self.start.cast::<u64>()) }
    }

    /// Stores the first word before any later store of this thread, as seen after the thread is killed: the compiler
    /// keeps the order, and a kill lets every store of the instructions before it reach the page cache.
    #[inline]
    pub(crate) fn store_first(&self, value: u64) {
        self.first_word().store(value.to_le(), Ordering::Relaxed);
        core::sync::atomic::compiler_fence(Ordering::SeqCst);
        self.stored();
    }

    /// Stores the first word and with it publishes what this thread wrote before; pairs with `load_acquire`.
    #[inline]
    pub(crate) fn store_release(&self, value: u64) {
        self.first_word().store(value.to_le(), Ordering::Release);
        self.stored();
    }

    /// Stores a later word without ordering.
    #[inline]
    pub(crate) fn store_relaxed(&self, at: usize, value: u64) {
        assert!(at < self.len, "word out of its window");
        self.region.store_relaxed(self.offset + at, value);
    }

    #[inline]
    fn stored(&self) {
        #[cfg(feature = "testing")]
        self.region.memory.stored(self.offset);
    }

    /// The bytes of a range of it, to write to.
    ///
    /// # Safety
    /// The caller has the range to itself while the slice lives.
    #[inline]
    #[allow(clippy::mut_from_ref, reason = "exclusion is the caller's, by the contract")]
    pub(crate) unsafe fn slice_mut(&self, at: usize, len: usize) -> &'a mut [u8] {
        assert!(at <= self.len && len <= self.len - at, "slice out of its window");
        #[cfg(feature = "testing")]
        self.region.memory.touched(self.offset + at..self.offset + at + len);
        // SAFETY: inside the window by the assertion, and with it inside the mapping, which may be written to;
        // initialised because file pages are, exclusive by this function's contract.
        unsafe { core::slice::from_raw_parts_mut(self.start.wrapping_add(at), len) }
    }

    /// Fetches the memory that will be stored to soon: so much, some way behind `at`. A claim's add waits
    /// for the stores of the claim before, and those for their memory.
    #[inline]
    pub(crate) fn prefetch_behind(&self, at: usize, bytes: usize) {
        #[cfg(target_arch = "x86_64")]
        for line in (at..at + bytes).step_by(PREFETCH_LINE_BYTES) {
            let address = self.start.wrapping_add(PREFETCH_DISTANCE_BYTES + line);
            // SAFETY: a prefetch is a hint. It changes nothing but caches, and never faults, wherever the address points: at
            // the end of the segment that is behind the mapping. Processors that do not know it do nothing.
            unsafe {
                core::arch::asm!("prefetchw [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (at, bytes);
    }

    /// True where what a caller stores must be copied here page by page.
    #[inline]
    pub(crate) fn is_copied_by_pages(&self) -> bool {
        self.region.copied_by_pages
    }
}
