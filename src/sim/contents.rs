//! The bytes of a simulated file: what a page cache would hold.

use std::sync::Arc;

use crate::primitive::{AtomicU64, Ordering};

pub(super) const PAGE: usize = 4096;
pub(super) const PAGE_WORDS: usize = PAGE / 8;

/// One version of a page.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) words: [u64; PAGE_WORDS],
    /// Tells contents apart.
    pub(super) hash: u64,
}

impl Page {
    pub(super) fn new(words: [u64; PAGE_WORDS]) -> Self {
        let hash = words
            .iter()
            .fold(0_u64, |hash, word| (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self { words, hash }
    }
}

pub(super) fn zero_page() -> Arc<Page> {
    static ZERO: std::sync::LazyLock<Arc<Page>> =
        std::sync::LazyLock::new(|| Arc::new(Page::new([0; PAGE_WORDS])));
    Arc::clone(&ZERO)
}

/// Whole pages, at a place that never changes. Threads that share them are ordered by the log's own protocol.
#[derive(Debug)]
pub(super) struct Contents {
    words: Box<[AtomicU64]>,
}

impl Contents {
    pub(super) fn new(pages: &[Arc<Page>]) -> Self {
        let mut words = Vec::with_capacity(pages.len() * PAGE_WORDS);
        for page in pages {
            words.extend(page.words.iter().map(|word| AtomicU64::new(word.to_le())));
        }
        Self { words: words.into() }
    }

    pub(super) fn words(&self) -> &[AtomicU64] {
        &self.words
    }

    fn words_of(&self, page: usize) -> &[AtomicU64] {
        let start = page * PAGE_WORDS;
        self.words.get(start..start + PAGE_WORDS).unwrap_or_default()
    }

    /// The page, if it differs from an earlier version.
    pub(super) fn changed(&self, page: usize, since: &Page) -> Option<Arc<Page>> {
        let now = self.words_of(page);
        let differs =
            now.iter().zip(&since.words).any(|(now, then)| now.load(Ordering::Relaxed) != then.to_le());
        differs.then(|| {
            let mut copy = [0; PAGE_WORDS];
            for (copy, word) in copy.iter_mut().zip(now) {
                *copy = u64::from_le(word.load(Ordering::Relaxed));
            }
            Arc::new(Page::new(copy))
        })
    }

    /// Copies bytes out; the caller keeps inside.
    pub(super) fn read(&self, buffer: &mut [u8], at: usize) {
        if at.is_multiple_of(8) && buffer.len().is_multiple_of(8) {
            let words = self.words.get(at / 8..).unwrap_or_default();
            for (bytes, word) in buffer.chunks_exact_mut(8).zip(words) {
                bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
            }
            return;
        }
        for (index, byte) in buffer.iter_mut().enumerate() {
            let place = at + index;
            let word = self.words.get(place / 8).map_or(0, |word| word.load(Ordering::Relaxed));
            *byte = word.to_ne_bytes()[place % 8];
        }
    }

    /// Copies bytes in; the caller keeps inside.
    pub(super) fn write(&self, bytes: &[u8], at: usize) {
        if at.is_multiple_of(8) && bytes.len().is_multiple_of(8) {
            let words = self.words.get(at / 8..).unwrap_or_default();
            for (bytes, word) in bytes.chunks_exact(8).zip(words) {
                word.store(u64::from_ne_bytes(bytes.try_into().unwrap_or_default()), Ordering::Relaxed);
            }
            return;
        }
        for (index, byte) in bytes.iter().enumerate() {
            let place = at + index;
            if let Some(word) = self.words.get(place / 8) {
                let mut value = word.load(Ordering::Relaxed).to_ne_bytes();
                value[place % 8] = *byte;
                word.store(u64::from_ne_bytes(value), Ordering::Relaxed);
            }
        }
    }
}
