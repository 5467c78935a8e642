//! The file by which readers in other processes are woken. Nothing in it is needed again, so nothing is synced; and
//! where there is none, readers look for themselves.

use std::io;
use std::path::{Path, PathBuf};

use super::Directory;
use super::backend::Access;
use crate::format::{name, signal};
use crate::limits::SIGNAL_BYTES;
use crate::region::Words;

impl Directory {
    fn signal_path(&self) -> PathBuf {
        self.path().join(name::SIGNAL)
    }

    /// The log's page, for its writer: the one that is there, so that readers who have it mapped go on, or a new one.
    /// `None` where there cannot be one: a log without it is as good.
    pub(crate) fn make_signal(&self, log_id: [u8; 16]) -> Option<Words> {
        if !self.storage().shares_memory() {
            return None;
        }
        let path = self.signal_path();
        let made = self.open_signal(&path, log_id).or_else(|_| self.create_signal(&path, log_id));
        if made.is_err() {
            // So that no reader relies on one that nobody serves.
            let _ = self.storage().remove(&path);
        }
        made.ok()
    }

    /// The log's page, for a reader: `None` where there is none, where it is not what it should be, or where this process
    /// may not write to it.
    pub(crate) fn find_signal(&self, log_id: [u8; 16]) -> Option<Words> {
        if !self.storage().shares_memory() {
            return None;
        }
        self.open_signal(&self.signal_path(), log_id).ok()
    }

    fn open_signal(&self, path: &Path, log_id: [u8; 16]) -> io::Result<Words> {
        let file = self.storage().open(path, Access::Write)?;
        let mut head = [0; signal::HEAD_BYTES];
        // A store to a file that shares its block with a snapshot may find no room, which ends the process.
        if file.len()? != SIGNAL_BYTES as u64 || file.may_move()? {
            return Err(io::ErrorKind::InvalidData.into());
        }
        file.read_exact_at(&mut head, 0)?;
        if head != signal::head(log_id) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        file.map_words()
    }

    /// It is written before it is mapped, so it has its room, and its length never changes: a store to it cannot fail.
    fn create_signal(&self, path: &Path, log_id: [u8; 16]) -> io::Result<Words> {
        match self.storage().remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = self.storage().open(path, Access::Create)?;
        let mut page = [0; SIGNAL_BYTES];
        page.iter_mut().zip(signal::head(log_id)).for_each(|(byte, head)| *byte = head);
        file.write_all_at(&page, 0)?;
        drop(file);
        self.open_signal(path, log_id)
    }
}
