//! What happened to the files, moment by moment, and how much of it is certain to have reached the disk.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::ops::Range;
use std::path::Path;

use std::sync::Arc;
use std::thread::ThreadId;

use super::contents::{Contents, PAGE, Page, zero_page};

/// Counts the changes and syncs of a disk.
pub(super) type Moment = u64;

/// An absolute path, compared byte by byte.
pub(super) type Name = OsString;

/// Values that one thing had, oldest first, and from which on it is certain.
#[derive(Clone, Debug)]
pub(super) struct Versions<T> {
    values: Vec<(Moment, T)>,
    /// "Since this moment the disk has this version or a later one."
    floors: Vec<(Moment, usize)>,
    /// "Since this moment the kernel takes this version for written": a sync writes later ones only. A write that
    /// failed moves it too.
    cleans: Vec<(Moment, usize)>,
}

impl<T: Clone> Versions<T> {
    /// One certain value.
    pub(super) fn certain(value: T) -> Self {
        Self { values: vec![(0, value)], floors: vec![(0, 0)], cleans: vec![(0, 0)] }
    }

    /// Values of which any may be on the disk; the last is the current one.
    pub(super) fn uncertain(values: impl Iterator<Item = T>, clean: usize) -> Option<Self> {
        let values: Vec<_> = values.map(|value| (0, value)).collect();
        (!values.is_empty()).then_some(Self { values, floors: vec![(0, 0)], cleans: vec![(0, clean)] })
    }

    pub(super) fn last(&self) -> Option<&T> {
        self.values.last().map(|(_, value)| value)
    }

    pub(super) fn push(&mut self, moment: Moment, value: T) {
        self.values.push((moment, value));
    }

    fn is_dirty(&self) -> bool {
        self.cleans.last().is_none_or(|(_, clean)| clean + 1 < self.values.len())
    }

    /// What is dirty is written.
    pub(super) fn write_back(&mut self, moment: Moment) {
        if self.is_dirty() {
            self.floors.push((moment, self.values.len() - 1));
            self.cleans.push((moment, self.values.len() - 1));
        }
    }

    /// What is dirty may or may not be on the disk, and no later sync writes it.
    pub(super) fn fail_to_write_back(&mut self, moment: Moment) {
        if self.is_dirty() {
            self.cleans.push((moment, self.values.len() - 1));
        }
    }

    /// Indices of the values that the disk may have at `moment`; the last is the current one.
    pub(super) fn candidates(&self, moment: Moment) -> Range<usize> {
        let newest = self.values.partition_point(|(since, _)| *since <= moment);
        let floor = at(&self.floors, moment);
        floor..newest.max(floor + 1)
    }

    pub(super) fn get(&self, index: usize) -> Option<&T> {
        self.values.get(index).map(|(_, value)| value)
    }

    /// Which of the candidates the kernel took for written at `moment`, counted among them.
    pub(super) fn clean_among(&self, candidates: &Range<usize>, moment: Moment) -> usize {
        at(&self.cleans, moment).clamp(candidates.start, candidates.end - 1) - candidates.start
    }
}

/// What was in force at `moment`.
fn at(history: &[(Moment, usize)], moment: Moment) -> usize {
    let after = history.partition_point(|(since, _)| *since <= moment);
    history.get(after.saturating_sub(1)).map_or(0, |(_, index)| *index)
}

/// A file or directory.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) is_directory: bool,
    pub(super) len: Versions<u64>,
    pub(super) pages: Vec<Versions<Arc<Page>>>,
    /// Made of the pages when the file is first opened.
    contents: Option<Arc<Contents>>,
    pub(super) mappings: usize,
    /// Ranges that a thread was given to write to, and has not stored a word after.
    touched: HashMap<ThreadId, Vec<Range<usize>>>,
    /// A write-back failed and nobody was told.
    pub(super) error_unseen: bool,
    pub(super) locks: Vec<Lock>,
}

/// A lock on a file, held by a handle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lock {
    pub(super) handle: u64,
    pub(super) exclusive: bool,
}

impl Node {
    pub(super) fn new(is_directory: bool, len: Versions<u64>, pages: Vec<Versions<Arc<Page>>>) -> Self {
        Self {
            is_directory,
            len,
            pages,
            contents: None,
            mappings: 0,
            touched: HashMap::new(),
            error_unseen: false,
            locks: Vec::new(),
        }
    }

    pub(super) fn len_now(&self) -> u64 {
        self.len.last().copied().unwrap_or(0)
    }

    pub(super) fn contents(&mut self) -> Arc<Contents> {
        let pages = &self.pages;
        let contents = self.contents.get_or_insert_with(|| {
            let current: Vec<_> =
                pages.iter().map(|page| page.last().map_or_else(zero_page, Arc::clone)).collect();
            Arc::new(Contents::new(&current))
        });
        Arc::clone(contents)
    }

    /// Makes room for a longer file: zeros, not yet on the disk.
    pub(super) fn grow(&mut self, moment: Moment, len: u64) {
        if len > self.len_now() {
            self.len.push(moment, len);
        }
        let pages = (len as usize).div_ceil(PAGE);
        if pages > self.pages.len() {
            // The bytes move, so what was written in place is noted first.
            self.note(moment, 0..self.pages.len() * PAGE);
            self.contents = None;
            self.pages.resize_with(pages, || Versions::certain(zero_page()));
        }
    }

    pub(super) fn empty(&mut self, moment: Moment) {
        if self.len_now() > 0 {
            self.note(moment, 0..self.pages.len() * PAGE);
            self.len.push(moment, 0);
            // Should the file grow again, it is zeros; what it was is part of the history.
            for page in &mut self.pages {
                page.push(moment, zero_page());
            }
            self.contents = None;
        }
    }

    pub(super) fn touch(&mut self, range: Range<usize>) {
        self.touched.entry(std::thread::current().id()).or_default().push(range);
    }

    /// Notes what this thread wrote before it stored the word at `offset`. True when there is something new.
    pub(super) fn note_store(&mut self, moment: Moment, offset: usize) -> bool {
        let touched = self.touched.remove(&std::thread::current().id()).unwrap_or_default();
        let mut news = false;
        for range in touched {
            news |= self.note(moment, range);
        }
        news | self.note_written(moment, offset..offset + 8)
    }

    /// Notes the pages in the range that changed.
    pub(super) fn note(&mut self, moment: Moment, range: Range<usize>) -> bool {
        self.note_pages(moment, range, false)
    }

    /// Notes pages that were written to: dirty, even if they hold the same as before.
    pub(super) fn note_written(&mut self, moment: Moment, range: Range<usize>) -> bool {
        self.note_pages(moment, range, true)
    }

    fn note_pages(&mut self, moment: Moment, range: Range<usize>, written: bool) -> bool {
        let Some(contents) = &self.contents else { return false };
        let mut news = false;
        for index in range.start / PAGE..range.end.div_ceil(PAGE).min(self.pages.len()) {
            let Some(page) = self.pages.get_mut(index) else { break };
            let changed = page.last().and_then(|last| contents.changed(index, last));
            let rewritten = (written && !page.is_dirty()).then(|| page.last().map(Arc::clone)).flatten();
            if let Some(version) = changed.or(rewritten) {
                page.push(moment, version);
                news = true;
            }
        }
        news
    }

    /// Every page in the range that is dirty reaches the disk.
    pub(super) fn write_back(&mut self, moment: Moment, range: Range<usize>) {
        self.note(moment, range.clone());
        for page in self.pages_in(range) {
            page.write_back(moment);
        }
        self.len.write_back(moment);
    }

    /// What is dirty in the range is lost to later syncs; true when there was anything.
    pub(super) fn fail_to_write_back(&mut self, moment: Moment, range: Range<usize>) -> bool {
        self.note(moment, range.clone());
        let mut lost = false;
        for page in self.pages_in(range) {
            lost |= page.is_dirty();
            page.fail_to_write_back(moment);
        }
        lost
    }

    fn pages_in(&mut self, range: Range<usize>) -> &mut [Versions<Arc<Page>>] {
        let end = range.end.div_ceil(PAGE).min(self.pages.len());
        self.pages.get_mut((range.start / PAGE).min(end)..end).unwrap_or_default()
    }
}

/// A change of a directory.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) moment: Moment,
    pub(super) node: usize,
    /// The name that goes.
    pub(super) from: Option<Name>,
    /// The name that comes.
    pub(super) to: Option<Name>,
    /// When a sync of the directory made it durable.
    pub(super) durable: Option<Moment>,
}

impl Change {
    /// True when the file system keeps the two in order: they concern the same file or the same name.
    pub(super) fn depends_on(&self, earlier: &Self) -> bool {
        let names = |change: &Self| [change.from.clone(), change.to.clone()];
        self.node == earlier.node
            || names(self)
                .iter()
                .flatten()
                .any(|name| names(earlier).iter().flatten().any(|other| name == other))
    }

    /// Carries it out. A directory takes along what is in it; and what is removed from a directory is removed wherever that
    /// is: on a disk a directory's entries know nothing of its name.
    pub(super) fn apply(&self, entries: &mut BTreeMap<Name, usize>) {
        if let Some(from) = &self.from
            && entries.remove(from).is_none()
            && self.to.is_none()
        {
            entries.retain(|_, node| *node != self.node);
        }
        let Some(to) = &self.to else { return };
        entries.insert(to.clone(), self.node);
        let Some(from) = &self.from else { return };
        let inside = entries.keys().filter(|name| Path::new(name).starts_with(from)).cloned();
        for name in inside.collect::<Vec<_>>() {
            if let (Ok(rest), Some(node)) = (Path::new(&name).strip_prefix(from), entries.remove(&name)) {
                entries.insert(Path::new(to).join(rest).into(), node);
            }
        }
    }

    pub(super) fn is_in(&self, directory: &Path) -> bool {
        self.from.iter().chain(&self.to).any(|name| Path::new(name).parent() == Some(directory))
    }
}
