//! Open files of a simulated disk, and their mappings.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::contents::Contents;
use super::disk::{Disk, State};
use super::faults::Operation;
use super::history::Lock;
use crate::primitive::AtomicU64;
use crate::region::{Region, Simulated};
use crate::storage::StorageFile;

/// What an opening gave; the file and its mappings share it, and its lock goes with the last of them.
#[derive(Debug)]
struct Handle {
    disk: Disk,
    node: usize,
    number: u64,
    writable: bool,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Ok(node) = self.disk.lock().node(self.node) {
            node.locks.retain(|lock| lock.handle != self.number);
        }
    }
}

#[derive(Debug)]
pub(super) struct SimulatedFile {
    handle: Arc<Handle>,
}

impl SimulatedFile {
    pub(super) fn new(disk: Disk, node: usize, number: u64, writable: bool) -> Self {
        Self { handle: Arc::new(Handle { disk, node, number, writable }) }
    }

    fn try_lock(&self, exclusive: bool) -> io::Result<bool> {
        let mut state = self.handle.disk.lock();
        state.alive()?;
        let locks = &mut state.node(self.handle.node)?.locks;
        let number = self.handle.number;
        if locks.iter().any(|lock| lock.handle != number && (exclusive || lock.exclusive)) {
            return Ok(false);
        }
        locks.retain(|lock| lock.handle != number);
        locks.push(Lock { handle: number, exclusive });
        Ok(true)
    }
}

/// A sync of a range of a file.
fn sync(
    state: &mut State,
    node: usize,
    operation: Operation,
    range: Range<usize>,
    records: bool,
) -> io::Result<()> {
    let outcome = state.call(operation);
    state.alive()?;
    if !records || (state.syncs_lie && outcome.is_ok()) {
        return outcome;
    }
    state.moment += 1;
    let moment = state.moment;
    let node = state.node(node)?;
    if outcome.is_err() {
        node.fail_to_write_back(moment, range);
        return outcome;
    }
    node.write_back(moment, range);
    if core::mem::take(&mut node.error_unseen) {
        return Err(io::Error::other("an earlier write-back failed"));
    }
    Ok(())
}

impl StorageFile for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.handle.disk.lock();
        state.alive()?;
        Ok(state.node(self.handle.node)?.len_now())
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let contents;
        let count;
        {
            let mut state = self.handle.disk.lock();
            state.call(Operation::Read)?;
            let node = state.node(self.handle.node)?;
            count = node.len_now().saturating_sub(at).min(buffer.len() as u64) as usize;
            contents = node.contents();
        }
        contents.read(buffer.get_mut(..count).unwrap_or_default(), at as usize);
        Ok(count)
    }

    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut state = self.handle.disk.lock();
        state.call(Operation::Write)?;
        if !self.handle.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let end = at + bytes.len() as u64;
        state.reserve(self.handle.node, end)?;
        state.moment += 1;
        let moment = state.moment;
        let node = state.node(self.handle.node)?;
        grow(node, moment, end)?;
        node.contents().write(bytes, at as usize);
        if self.handle.disk.shared.records {
            node.note_written(moment, at as usize..end as usize);
        }
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<bool> {
        let mut state = self.handle.disk.lock();
        state.call(Operation::Allocate)?;
        state.reserve(self.handle.node, len)?;
        state.moment += 1;
        let moment = state.moment;
        grow(state.node(self.handle.node)?, moment, len)?;
        Ok(true)
    }

    fn free(&self) -> io::Result<()> {
        let mut state = self.handle.disk.lock();
        state.call(Operation::Write)?;
        state.moment += 1;
        let moment = state.moment;
        state.node(self.handle.node)?.empty(moment);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.handle.disk.lock();
        let records = self.handle.disk.shared.records;
        sync(&mut state, self.handle.node, Operation::Sync, 0..usize::MAX / 2, records)
    }

    fn sync_all(&self) -> io::Result<()> {
        let mut state = self.handle.disk.lock();
        if state.node(self.handle.node)?.is_directory {
            return state.sync_entries(self.handle.node);
        }
        drop(state);
        self.sync_data()
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.try_lock(true)
    }

    fn try_lock_shared(&self) -> io::Result<bool> {
        self.try_lock(false)
    }

    fn unlock(&self) -> io::Result<()> {
        let mut state = self.handle.disk.lock();
        state.node(self.handle.node)?.locks.retain(|lock| lock.handle != self.handle.number);
        Ok(())
    }

    fn is_named(&self, path: &Path) -> io::Result<bool> {
        Ok(self.handle.disk.lock().entries.get(path.as_os_str()) == Some(&self.handle.node))
    }

    fn map(&self, len: usize, writable: bool) -> io::Result<Region> {
        let mut state = self.handle.disk.lock();
        state.call(Operation::Map)?;
        let node = state.node(self.handle.node)?;
        if node.len_now() < len as u64 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than its segment"));
        }
        node.mappings += 1;
        let contents = node.contents();
        let mapping = Mapping { handle: Arc::clone(&self.handle), contents };
        Ok(Region::simulated(Box::new(mapping), writable))
    }
}

/// A file that is mapped keeps its bytes where they are.
fn grow(node: &mut super::history::Node, moment: u64, len: u64) -> io::Result<()> {
    if node.mappings > 0 && len > node.len_now() {
        return Err(io::Error::other("the simulated disk cannot grow a file that is mapped"));
    }
    node.grow(moment, len);
    Ok(())
}

#[derive(Debug)]
struct Mapping {
    handle: Arc<Handle>,
    contents: Arc<Contents>,
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if let Ok(node) = self.handle.disk.lock().node(self.handle.node) {
            node.mappings -= 1;
        }
    }
}

impl Simulated for Mapping {
    fn words(&self) -> &[AtomicU64] {
        self.contents.words()
    }

    fn touched(&self, range: Range<usize>) {
        if self.handle.disk.shared.records
            && let Ok(node) = self.handle.disk.lock().node(self.handle.node)
        {
            node.touch(range);
        }
    }

    fn stored(&self, offset: usize) {
        if !self.handle.disk.shared.records {
            return;
        }
        let mut state = self.handle.disk.lock();
        let moment = state.moment + 1;
        if state.node(self.handle.node).is_ok_and(|node| node.note_store(moment, offset)) {
            state.moment = moment;
        }
    }

    fn flush(&self, range: Range<usize>) -> io::Result<()> {
        let mut state = self.handle.disk.lock();
        let records = self.handle.disk.shared.records;
        sync(&mut state, self.handle.node, Operation::Flush, range, records)
    }
}
