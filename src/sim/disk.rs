//! The simulated disk as a log sees it.

use core::fmt;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Random;
use super::crash::Possibilities;
use super::faults::{Fault, Faults, Operation};
use super::history::{Change, Moment, Name, Node, Versions};
use crate::primitive::{Mutex, MutexGuard, lock};

/// A disk in memory that can lose what was not synced. Clones are the same disk.
///
/// A log on it, opened by [`Options::disk`](crate::Options::disk), runs no threads of its own: whoever needs a
/// segment prepares it, and [`Log::upkeep`](crate::Log::upkeep) does what else the background would do. So the same
/// seed and the same calls give the same run, bit by bit. [`with_threads`](Self::with_threads) gives up on that.
///
/// ```
/// use tidelog::testing::Disk;
/// use tidelog::{LastClose, Options, SyncPolicy};
///
/// let disk = Disk::new(1);
/// let options = Options::new().segment_bytes(1 << 16).sync_policy(SyncPolicy::None);
/// let log = options.clone().disk(&disk).open("/log")?;
/// log.append(b"synced")?;
/// log.sync()?;
/// log.append(b"not synced")?;
///
/// // Any of the disks that a power cut can leave now.
/// let disk = disk.possibilities().cut_at_random(7).disk();
/// let log = options.disk(&disk).open("/log")?;
/// assert_eq!(log.recovery().last_close, LastClose::MachineRestarted);
/// let records: Vec<_> = log.snapshot().iter().map(|record| record.unwrap().payload().to_vec()).collect();
/// assert!(records[0] == b"synced" && records.len() <= 2);
/// # Ok::<(), tidelog::Error>(())
/// ```
#[derive(Clone)]
pub struct Disk {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Whether versions are kept; without them the disk cannot be cut.
    pub(super) records: bool,
}

#[derive(Debug)]
pub(super) struct State {
    /// Of the last change or sync.
    pub(super) moment: Moment,
    pub(super) boot: [u8; 16],
    pub(super) random: Random,
    pub(super) clock: u64,
    pub(super) nodes: Vec<Node>,
    pub(super) entries: BTreeMap<Name, usize>,
    /// The entries that the disk began with.
    pub(super) first_entries: BTreeMap<Name, usize>,
    pub(super) changes: Vec<Change>,
    pub(super) faults: Faults,
    /// Bytes that files may take; all of them together.
    capacity: u64,
    pub(super) syncs_lie: bool,
    off: bool,
    pub(super) threads: bool,
    pub(super) handles: u64,
}

impl Disk {
    /// An empty disk. What a log on it draws at random comes from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let root = (Name::from("/"), 0);
        let entries = BTreeMap::from([root]);
        Self::with(
            new_boot(&mut random),
            random,
            vec![Node::new(true, Versions::certain(0), Vec::new())],
            entries,
            true,
        )
    }

    pub(super) fn with(
        boot: [u8; 16],
        random: Random,
        nodes: Vec<Node>,
        entries: BTreeMap<Name, usize>,
        records: bool,
    ) -> Self {
        let state = State {
            moment: 0,
            boot,
            random,
            clock: 0,
            nodes,
            first_entries: entries.clone(),
            entries,
            changes: Vec::new(),
            faults: Faults::default(),
            capacity: u64::MAX,
            syncs_lie: false,
            off: false,
            threads: false,
            handles: 0,
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), records }) }
    }

    /// Logs on it run their background threads.
    #[must_use]
    pub fn with_threads(self) -> Self {
        self.lock().threads = true;
        self
    }

    /// Where the history stands: changes and syncs so far.
    #[must_use]
    pub fn moment(&self) -> u64 {
        self.lock().moment
    }

    /// What may be on the disk now, should the power go.
    #[must_use]
    pub fn possibilities(&self) -> Possibilities {
        let state = self.lock();
        Possibilities::new(&state, state.moment)
    }

    /// What may have been on the disk at an earlier moment.
    #[must_use]
    pub fn possibilities_at(&self, moment: u64) -> Possibilities {
        Possibilities::new(&self.lock(), moment)
    }

    /// Plans a failure.
    pub fn fail(&self, fault: Fault) {
        self.lock().faults.add(fault);
    }

    /// Failures that were planned do not happen any more.
    pub fn heal(&self) {
        self.lock().faults.clear();
    }

    /// How often an operation was called so far.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> u64 {
        self.lock().faults.calls(operation)
    }

    /// Files may take so many bytes in all; more is [`StorageFull`](io::ErrorKind::StorageFull).
    pub fn set_capacity(&self, bytes: u64) {
        self.lock().capacity = bytes;
    }

    /// Bytes that files take, those without a name in force included.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.lock().used()
    }

    /// From now on syncs succeed and do nothing, as on a drive that lies.
    pub fn lie_about_syncs(&self) {
        self.lock().syncs_lie = true;
    }

    /// The kernel writes back what is dirty, fails, and takes it for written; the next sync of each file tells of it,
    /// once.
    pub fn fail_background_write_back(&self) {
        let state = &mut *self.lock();
        state.moment += 1;
        for node in state.nodes.iter_mut().filter(|node| !node.is_directory) {
            let all = 0..usize::MAX / 2;
            node.error_unseen |= node.fail_to_write_back(state.moment, all);
        }
    }

    /// Changes a byte of a file, behind the back of whoever uses it; false when it is not there.
    pub fn damage(&self, path: impl AsRef<Path>, offset: u64, change: impl Fn(u8) -> u8) -> bool {
        let state = &mut *self.lock();
        let node = state.entries.get(path.as_ref().as_os_str()).and_then(|node| state.nodes.get_mut(*node));
        let Some(node) = node.filter(|node| offset < node.len_now()) else { return false };
        let contents = node.contents();
        let mut byte = [0];
        contents.read(&mut byte, offset as usize);
        contents.write(&byte.map(change), offset as usize);
        state.moment += 1;
        node.note_written(state.moment, offset as usize..offset as usize + 1);
        true
    }

    /// The files that are there now, and how long they are.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let state = self.lock();
        let files = state.entries.iter().filter_map(|(path, node)| Some((path, state.nodes.get(*node)?)));
        files
            .filter(|(_, node)| !node.is_directory)
            .map(|(path, node)| (path.into(), node.len_now()))
            .collect()
    }

    /// Sets the clock forward by so many nanoseconds. It stands still otherwise, but for a nanosecond at each look.
    pub fn advance_clock(&self, nanos: u64) {
        let mut state = self.lock();
        state.clock = state.clock.saturating_add(nanos);
    }

    /// Every operation fails from now on.
    pub fn power_off(&self) {
        self.lock().off = true;
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.shared.state)
    }
}

pub(super) fn new_boot(random: &mut Random) -> [u8; 16] {
    let mut boot = [0; 16];
    let (low, high) = boot.split_at_mut(8);
    low.copy_from_slice(&random.next().to_le_bytes());
    high.copy_from_slice(&random.next().to_le_bytes());
    boot
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("moment", &self.moment()).finish_non_exhaustive()
    }
}

impl State {
    /// Counts a call; an error when it is to fail.
    pub(super) fn call(&mut self, operation: Operation) -> io::Result<()> {
        self.alive()?;
        self.faults.call(operation)
    }

    pub(super) fn alive(&self) -> io::Result<()> {
        if self.off { Err(io::Error::other("the simulated disk is off")) } else { Ok(()) }
    }

    fn used(&self) -> u64 {
        self.nodes
            .iter()
            .filter(|node| node.mappings > 0 || !node.locks.is_empty() || self.is_named(node))
            .map(Node::len_now)
            .sum()
    }

    fn is_named(&self, node: &Node) -> bool {
        self.entries
            .values()
            .any(|index| self.nodes.get(*index).is_some_and(|other| core::ptr::eq(other, node)))
    }

    /// Room for a file to grow to `len`.
    pub(super) fn reserve(&self, node: usize, len: u64) -> io::Result<()> {
        let more = self.nodes.get(node).map_or(0, |node| len.saturating_sub(node.len_now()));
        if self.capacity != u64::MAX && self.used().saturating_add(more) > self.capacity && more > 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    pub(super) fn node(&mut self, index: usize) -> io::Result<&mut Node> {
        self.nodes.get_mut(index).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// A sync of a directory.
    pub(super) fn sync_entries(&mut self, node: usize) -> io::Result<()> {
        self.call(Operation::SyncDirectory)?;
        let path = self.entries.iter().find(|(_, index)| **index == node).map(|(path, _)| path.clone());
        let (Some(path), false) = (path, self.syncs_lie) else { return Ok(()) };
        self.moment += 1;
        let moment = self.moment;
        let pending = self.changes.iter_mut().filter(|change| change.durable.is_none());
        for change in pending.filter(|change| change.is_in(Path::new(&path))) {
            change.durable = Some(moment);
        }
        Ok(())
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<usize> {
        self.entries.get(path.as_os_str()).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn change(&mut self, node: usize, from: Option<&Path>, to: Option<&Path>) {
        self.moment += 1;
        let (from, to) = (from.map(Name::from), to.map(Name::from));
        let change = Change { moment: self.moment, node, from, to, durable: None };
        change.apply(&mut self.entries);
        self.changes.push(change);
    }

    /// True where it is a directory with something in it.
    pub(super) fn has_inside(&self, path: &Path) -> bool {
        self.entries.keys().any(|entry| Path::new(entry).parent() == Some(path))
    }

    pub(super) fn create(&mut self, path: &Path, is_directory: bool) -> io::Result<usize> {
        self.find(path.parent().unwrap_or(path))?;
        self.nodes.push(Node::new(is_directory, Versions::certain(0), Vec::new()));
        let node = self.nodes.len() - 1;
        self.change(node, None, Some(path));
        Ok(node)
    }
}
