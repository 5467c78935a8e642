//! The simulated disk behind the seam: names, and opening.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, State};
use super::faults::Operation;
use super::file::SimulatedFile;
use crate::storage::{Access, Boot, Extent, File, Storage};

impl Disk {
    fn handle(&self, state: &mut State, node: usize, writable: bool) -> File {
        state.handles += 1;
        Box::new(SimulatedFile::new(self.clone(), node, state.handles, writable))
    }
}

impl Storage for Disk {
    fn boot(&self) -> io::Result<Boot> {
        let state = self.lock();
        state.alive()?;
        Ok(Boot(state.boot))
    }

    fn random(&self) -> u64 {
        self.lock().random.next()
    }

    fn unix_nanos(&self) -> u64 {
        let mut state = self.lock();
        state.clock += 1;
        state.clock
    }

    fn has_threads(&self) -> bool {
        self.lock().threads
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.alive()?;
        let way: Vec<_> = path.ancestors().collect();
        for part in way.into_iter().rev().filter(|part| !part.as_os_str().is_empty()) {
            if state.find(part).is_err() {
                state.create(part, true)?;
            }
        }
        Ok(())
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let state = self.lock();
        state.alive()?;
        state.find(path).map(|_| path.to_owned())
    }

    fn list(&self, directory: &Path, tell: &mut dyn FnMut(&OsStr)) -> io::Result<()> {
        let mut state = self.lock();
        state.call(Operation::List)?;
        let paths = state.entries.keys().map(Path::new);
        let inside = paths.filter(|path| path.parent() == Some(directory));
        inside.filter_map(|path| path.file_name()).for_each(tell);
        Ok(())
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<File> {
        let state = &mut *self.lock();
        state.call(Operation::Open)?;
        let node = match state.find(path) {
            Err(_) if matches!(access, Access::Create | Access::Replace) => state.create(path, false)?,
            found => found?,
        };
        if access == Access::Replace {
            state.moment += 1;
            let moment = state.moment;
            state.node(node)?.empty(moment);
        }
        Ok(self.handle(state, node, access != Access::Read))
    }

    fn extent(&self, path: &Path) -> io::Result<Extent> {
        let mut state = self.lock();
        state.alive()?;
        let node = state.find(path)?;
        let len = state.node(node)?.len_now();
        Ok(Extent { len, allocated: len })
    }

    fn open_directory(&self, path: &Path) -> io::Result<File> {
        let state = &mut *self.lock();
        state.call(Operation::Open)?;
        let node = state.find(path)?;
        Ok(self.handle(state, node, false))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call(Operation::Rename)?;
        let node = state.find(from)?;
        if state.has_inside(to) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        state.change(node, Some(from), Some(to));
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call(Operation::Rename)?;
        let node = state.find(from)?;
        if state.find(to).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.change(node, None, Some(to));
        Ok(())
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call(Operation::Remove)?;
        let node = state.find(path)?;
        if state.has_inside(path) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        state.change(node, Some(path), None);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call(Operation::Remove)?;
        let node = state.find(path)?;
        state.change(node, Some(path), None);
        Ok(())
    }
}
