//! What a crash can leave: any version of each page since it was last synced, torn between versions at any sector or
//! word, and any of the directory's changes that were not synced, as far as the file system keeps them in order.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::Random;
use super::contents::{PAGE_WORDS, Page, zero_page};
use super::disk::{Disk, State, new_boot};
use super::history::{Change, Moment, Name, Node, Versions};

/// Everything that the disk may hold at one moment of its history.
#[derive(Debug)]
pub struct Possibilities {
    boot: [u8; 16],
    random: Random,
    nodes: BTreeMap<usize, Remains>,
    /// What has more than one possible value.
    uncertain: Vec<Thing>,
    durable_entries: BTreeMap<Name, usize>,
    pending: Vec<Change>,
}

/// What may be left of a file.
#[derive(Debug)]
struct Remains {
    is_directory: bool,
    len: Candidates<u64>,
    pages: Vec<Candidates<Arc<Page>>>,
    error_unseen: bool,
}

/// Values of which the disk has one; the last is the current one.
#[derive(Debug)]
struct Candidates<T> {
    values: Vec<T>,
    /// Up to this one the kernel takes them for written.
    clean: usize,
}

impl<T: Clone> Candidates<T> {
    fn at(versions: &Versions<T>, moment: Moment) -> Self {
        let range = versions.candidates(moment);
        let clean = versions.clean_among(&range, moment);
        Self { values: range.filter_map(|index| versions.get(index).cloned()).collect(), clean }
    }

    fn pick(&self, index: usize) -> Option<T> {
        self.values.get(index).or(self.values.last()).cloned()
    }

    fn versions(&self) -> Option<Versions<T>> {
        Versions::uncertain(self.values.iter().cloned(), self.clean)
    }
}

#[derive(Clone, Copy, Debug)]
enum Thing {
    Len(usize),
    Page(usize, usize),
}

/// What a page is to be after a cut.
#[derive(Clone, Copy, Debug)]
pub enum Pick {
    /// One of its versions; the last is what was current.
    Version(usize),
    /// Every piece of so many bytes (8 or a multiple) from one of its versions, drawn from the seed.
    Torn {
        /// Size of the pieces in bytes.
        grain: usize,
        /// Chooses the version of each piece.
        seed: u64,
    },
}

impl Possibilities {
    pub(super) fn new(state: &State, moment: Moment) -> Self {
        let mut durable_entries = state.first_entries.clone();
        let mut pending = Vec::new();
        for change in state.changes.iter().take_while(|change| change.moment <= moment) {
            if change.durable.is_some_and(|durable| durable <= moment) {
                change.apply(&mut durable_entries);
            } else {
                pending.push(change.clone());
            }
        }
        let mut nodes = BTreeMap::new();
        let mut uncertain = Vec::new();
        for index in durable_entries.values().copied().chain(pending.iter().map(|change| change.node)) {
            let Some(node) = state.nodes.get(index).filter(|_| !nodes.contains_key(&index)) else { continue };
            let remains = Remains {
                is_directory: node.is_directory,
                len: Candidates::at(&node.len, moment),
                pages: node.pages.iter().map(|page| Candidates::at(page, moment)).collect(),
                error_unseen: node.error_unseen,
            };
            if remains.len.values.len() > 1 {
                uncertain.push(Thing::Len(index));
            }
            let pages = remains.pages.iter().enumerate().filter(|(_, page)| page.values.len() > 1);
            uncertain.extend(pages.map(|(page, _)| Thing::Page(index, page)));
            nodes.insert(index, remains);
        }
        // Every boot's number is drawn from that of the one before.
        let random = Random::new(mix(moment, &state.boot));
        Self { boot: state.boot, random, nodes, uncertain, durable_entries, pending }
    }

    /// How many pages (and lengths of files) have more than one possible version.
    #[must_use]
    pub fn uncertain(&self) -> usize {
        self.uncertain.len()
    }

    /// How many versions the `index`th of them may have.
    #[must_use]
    pub fn versions(&self, index: usize) -> usize {
        match self.uncertain.get(index) {
            Some(Thing::Len(node)) => self.nodes.get(node).map_or(0, |node| node.len.values.len()),
            Some(Thing::Page(node, page)) => self
                .nodes
                .get(node)
                .and_then(|node| node.pages.get(*page))
                .map_or(0, |page| page.values.len()),
            None => 0,
        }
    }

    /// How many changes of directories may or may not have reached the disk.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.pending.len()
    }

    /// A power cut: `pick` tells for each uncertain page which version is left, by its index and the number of
    /// its versions; `keep` tells for each change of a directory whether it is. (A change is also gone when an
    /// earlier one of the same file or name is.)
    #[must_use]
    pub fn cut(
        &self,
        mut pick: impl FnMut(usize, usize) -> Pick,
        mut keep: impl FnMut(usize) -> bool,
    ) -> Cut {
        let mut entries = self.durable_entries.clone();
        let mut lost: Vec<&Change> = Vec::new();
        for (index, change) in self.pending.iter().enumerate() {
            if !keep(index) || lost.iter().any(|lost| change.depends_on(lost)) {
                lost.push(change);
            } else {
                change.apply(&mut entries);
            }
        }
        let mut picked: HashMap<(usize, Option<usize>), Pick> = HashMap::new();
        for (index, thing) in self.uncertain.iter().enumerate() {
            let choice = pick(index, self.versions(index));
            picked.insert(
                match *thing {
                    Thing::Len(node) => (node, None),
                    Thing::Page(node, page) => (node, Some(page)),
                },
                choice,
            );
        }
        let mut files = Vec::with_capacity(entries.len());
        let mut key = 0_u64;
        for (path, index) in &entries {
            let reachable =
                Path::new(path).ancestors().skip(1).all(|part| entries.contains_key(part.as_os_str()));
            let Some(remains) = self.nodes.get(index).filter(|_| reachable) else { continue };
            let len = match picked.get(&(*index, None)) {
                Some(Pick::Version(version)) => remains.len.pick(*version),
                _ => remains.len.values.last().copied(),
            };
            let pages = remains.pages.iter().enumerate().map(|(page, candidates)| {
                match picked.get(&(*index, Some(page))) {
                    Some(Pick::Version(version)) => candidates.pick(*version).unwrap_or_else(zero_page),
                    Some(Pick::Torn { grain, seed }) => tear(&candidates.values, *grain, *seed),
                    None => candidates.pick(0).unwrap_or_else(zero_page),
                }
            });
            let file =
                Left { is_directory: remains.is_directory, len: len.unwrap_or(0), pages: pages.collect() };
            key = file.mix_into(mix(key, path.as_encoded_bytes()));
            files.push((path.clone(), file));
        }
        let mut random = self.random.clone();
        Cut { boot: new_boot(&mut random), random, files, key }
    }

    /// A power cut that leaves something at random.
    #[must_use]
    pub fn cut_at_random(&self, seed: u64) -> Cut {
        let mut random = Random::new(seed);
        let mut keep = Random::new(random.next());
        self.cut(
            |_, versions| match random.next() % 4 {
                0 => Pick::Torn { grain: 8, seed: random.next() },
                1 => Pick::Torn { grain: 512, seed: random.next() },
                _ => Pick::Version((random.next() % versions.max(1) as u64) as usize),
            },
            |_| keep.next().is_multiple_of(2),
        )
    }

    /// The death of the process alone: the page cache survives, and what was not synced still is not.
    #[must_use]
    pub fn kill(&self) -> Disk {
        let mut entries = self.durable_entries.clone();
        for change in &self.pending {
            change.apply(&mut entries);
        }
        let mut places = HashMap::new();
        let mut nodes = Vec::new();
        for (index, remains) in &self.nodes {
            places.insert(*index, nodes.len());
            let pages = remains.pages.iter().filter_map(Candidates::versions).collect();
            let len = remains.len.versions().unwrap_or_else(|| Versions::certain(0));
            let mut node = Node::new(remains.is_directory, len, pages);
            node.error_unseen = remains.error_unseen;
            nodes.push(node);
        }
        let place = |index: &usize| places.get(index).copied().unwrap_or(usize::MAX);
        let moved = |entries: &BTreeMap<Name, usize>| {
            entries.iter().map(|(path, node)| (path.clone(), place(node))).collect::<BTreeMap<_, _>>()
        };
        let disk = Disk::with(self.boot, self.random.clone(), nodes, moved(&entries), true);
        {
            let mut state = disk.lock();
            state.first_entries = moved(&self.durable_entries);
            state.changes = self.pending.clone();
            for change in &mut state.changes {
                change.moment = 0;
                change.node = place(&change.node);
                change.durable = None;
            }
        }
        disk
    }
}

/// A page whose pieces are from any of its versions.
fn tear(versions: &[Arc<Page>], grain: usize, seed: u64) -> Arc<Page> {
    let mut random = Random::new(seed);
    let mut words = [0; PAGE_WORDS];
    let piece = (grain / 8).max(1);
    for (index, words) in words.chunks_mut(piece).enumerate() {
        let version = versions.get((random.next() % versions.len().max(1) as u64) as usize);
        let from = version.and_then(|version| version.words.get(index * piece..index * piece + words.len()));
        words.copy_from_slice(from.unwrap_or(&[0; PAGE_WORDS][..words.len()]));
    }
    Arc::new(Page::new(words))
}

fn mix(key: u64, bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(key, |key, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        Random::new(key ^ u64::from_le_bytes(word)).next()
    })
}

/// What a power cut left.
#[derive(Clone, Debug)]
pub struct Cut {
    boot: [u8; 16],
    random: Random,
    files: Vec<(Name, Left)>,
    key: u64,
}

#[derive(Clone, Debug)]
struct Left {
    is_directory: bool,
    len: u64,
    pages: Vec<Arc<Page>>,
}

impl Left {
    fn mix_into(&self, key: u64) -> u64 {
        let key = Random::new(key ^ self.len).next();
        self.pages.iter().fold(key, |key, page| Random::new(key ^ page.hash).next())
    }
}

impl Cut {
    /// Two cuts with the same key left the same files with the same bytes (by a 64-bit hash).
    #[must_use]
    pub fn key(&self) -> u64 {
        self.key
    }

    /// The disk after the restart.
    #[must_use]
    pub fn disk(&self) -> Disk {
        self.restart(true)
    }

    /// As [`disk`](Self::disk), without a history: faster, but it cannot be cut again.
    #[must_use]
    pub fn disk_without_history(&self) -> Disk {
        self.restart(false)
    }

    fn restart(&self, records: bool) -> Disk {
        let mut nodes = Vec::with_capacity(self.files.len());
        let mut entries = BTreeMap::new();
        for (path, left) in &self.files {
            let pages = left.pages.iter().map(|page| Versions::certain(Arc::clone(page))).collect();
            entries.insert(path.clone(), nodes.len());
            nodes.push(Node::new(left.is_directory, Versions::certain(left.len), pages));
        }
        Disk::with(self.boot, self.random.clone(), nodes, entries, records)
    }
}
