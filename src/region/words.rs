//! Words that several processes share: one page of a file, mapped by all of them, at whose words they can also sleep.

use std::fs::File;
use std::io;
use std::time::Duration;

use memmap2::{MmapOptions, MmapRaw};

use crate::limits::SIGNAL_BYTES;
use crate::primitive::{AtomicU64, Ordering};

/// The words of a page. Offsets count in bytes from its beginning; each word is eight of them.
///
/// Whoever may write to the file may store what he likes at any moment, so a value from here is a hint and nothing else.
/// Should somebody cut the file, the next access ends the process (`SIGBUS`), as with a segment.
#[derive(Debug)]
pub(crate) struct Words {
    map: MmapRaw,
}

impl Words {
    /// Maps the page. The file must have exactly its length, and be open for writing.
    pub(crate) fn map(file: &File) -> io::Result<Self> {
        if file.metadata()?.len() != SIGNAL_BYTES as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file has another length"));
        }
        Ok(Self { map: MmapOptions::new().len(SIGNAL_BYTES).map_raw(file)? })
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset < SIGNAL_BYTES, "word offset {offset} out of place");
        // SAFETY: by the assertion the word lies inside the mapping, which begins on a page, so it is aligned. The mapping
        // is writable and lives as long as `self`, which the reference borrows. All accesses to it are atomic.
        unsafe { AtomicU64::from_ptr(self.map.as_mut_ptr().wrapping_add(offset).cast()) }
    }

    pub(crate) fn load_acquire(&self, offset: usize) -> u64 {
        self.word(offset).load(Ordering::Acquire)
    }

    pub(crate) fn store_release(&self, offset: usize, value: u64) {
        self.word(offset).store(value, Ordering::Release);
    }

    /// One more; returns what it is then.
    pub(crate) fn count_up(&self, offset: usize) -> u64 {
        self.word(offset).fetch_add(1, Ordering::AcqRel).wrapping_add(1)
    }

    pub(crate) fn lower_to(&self, offset: usize, value: u64) {
        self.word(offset).fetch_min(value, Ordering::AcqRel);
    }

    pub(crate) fn swap(&self, offset: usize, value: u64) -> u64 {
        self.word(offset).swap(value, Ordering::AcqRel)
    }

    /// Sleeps until somebody wakes here, for `timeout` at most, unless the word is not `seen` any more. May return early.
    #[cfg(target_os = "linux")]
    pub(crate) fn sleep(&self, offset: usize, seen: u64, timeout: Duration) {
        use rustix::thread::futex;
        let timeout = futex::Timespec::try_from(timeout).ok();
        // An error says that the word has changed, that a signal came, or that the time is over: the caller looks in any
        // case. Not private: who wakes may be another process.
        let _ = futex::wait(self.half(offset), futex::Flags::empty(), seen as u32, timeout.as_ref());
    }

    /// Wakes all who sleep at the word, in all processes.
    #[cfg(target_os = "linux")]
    pub(crate) fn wake(&self, offset: usize) {
        use rustix::thread::futex;
        let _ = futex::wake(self.half(offset), futex::Flags::empty(), i32::MAX as u32);
    }

    /// The lower half of a word, at which the kernel lets sleep. Nobody but the kernel reads it.
    #[cfg(target_os = "linux")]
    #[allow(clippy::disallowed_types, reason = "the kernel's type")]
    fn half(&self, offset: usize) -> &std::sync::atomic::AtomicU32 {
        let lower = if cfg!(target_endian = "little") { 0 } else { 4 };
        let word = core::ptr::from_ref(self.word(offset)).cast::<u8>().cast_mut();
        // SAFETY: half of a word that is inside the mapping, see `word`, aligned for its size. This process reads and writes
        // it by whole words only; what is made here is handed to the kernel as an address.
        unsafe { std::sync::atomic::AtomicU32::from_ptr(word.wrapping_add(lower).cast()) }
    }

    /// Elsewhere nothing wakes: no page is mapped there.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn sleep(&self, _offset: usize, _seen: u64, timeout: Duration) {
        std::thread::sleep(timeout);
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn wake(&self, _offset: usize) {}
}
