//! Words that a forked child does not inherit: in it they are zero.
//!
//! A child has copies of the log's counters and the very same mappings of its files. Were it to append, it would give out
//! ranges that its parent gives out too. So what every append looks at first, the limit, lies here: to a child no segment is
//! prepared, and what it is told when it waits for one is that it is a child. Appends pay nothing for that.

use memmap2::{MmapMut, MmapRaw};

use crate::primitive::{AtomicU64, Ordering};

const BYTES: usize = 4096;
/// Offsets, in words. The limit has its cache line to itself.
const LIMIT: usize = 0;
const AT_HOME: usize = 16;
const WORDS: usize = 32;
const _: () = assert!(WORDS * size_of::<AtomicU64>() <= BYTES);

/// The words of one log.
#[derive(Debug)]
pub(crate) struct Home {
    /// `WORDS` words in `memory`, which stays where it is.
    words: *const AtomicU64,
    #[allow(dead_code, reason = "it owns the words")]
    memory: Memory,
}

#[derive(Debug)]
#[allow(dead_code, reason = "they own the words")]
enum Memory {
    Page(MmapRaw),
    /// Where there is no such page: a child is not noticed.
    Heap(Vec<AtomicU64>),
}

// SAFETY: the words are atomics, in memory that `Home` owns and that does not depend on a thread.
unsafe impl Send for Home {}
// SAFETY: as above; they are only accessed through shared references to atomics.
unsafe impl Sync for Home {}

impl Home {
    /// With `guarded` a page that children find empty, if the system has such.
    pub(crate) fn new(guarded: bool) -> Self {
        let home = if guarded { page() } else { None }.unwrap_or_else(|| {
            let heap: Vec<AtomicU64> = (0..WORDS).map(|_| AtomicU64::new(0)).collect();
            Self { words: heap.as_ptr(), memory: Memory::Heap(heap) }
        });
        home.word(AT_HOME).store(1, Ordering::Relaxed);
        home
    }

    #[inline]
    fn word(&self, index: usize) -> &AtomicU64 {
        debug_assert!(index < WORDS, "a word that is not there");
        let word = self.words.wrapping_add(index);
        // SAFETY: `index` is one of the constants above, below `WORDS`; the memory has as many words, is aligned as a page or
        // as a slice of such words, was zeroed, and lives and stays in place as long as `self`.
        unsafe { &*word }
    }

    /// Zero in a child.
    #[inline]
    pub(crate) fn limit(&self) -> &AtomicU64 {
        self.word(LIMIT)
    }

    /// True in a child. Relaxed: nobody changes it.
    #[inline]
    pub(crate) fn is_inherited(&self) -> bool {
        self.word(AT_HOME).load(Ordering::Relaxed) == 0
    }
}

/// A page that is empty in children.
#[cfg(target_os = "linux")]
fn page() -> Option<Home> {
    use rustix::mm::{Advice, madvise};
    let memory = MmapRaw::from(MmapMut::map_anon(BYTES).ok()?);
    let start = memory.as_mut_ptr();
    // SAFETY: the page is this function's own, private and anonymous; the advice changes nothing in this process.
    unsafe { madvise(start.cast(), BYTES, Advice::LinuxWipeOnFork) }.ok()?;
    Some(Home { words: start.cast_const().cast(), memory: Memory::Page(memory) })
}

#[cfg(not(target_os = "linux"))]
fn page() -> Option<Home> {
    None
}
