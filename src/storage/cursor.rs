//! The files of cursors.

use std::io;
use std::path::PathBuf;

use super::directory::{read_up_to, refuse};
use super::{Access, Directory, Failure, File, StorageFile};
use crate::error::{Error, Result};
use crate::format::cursor::{CURSOR_BYTES, SLOT_STRIDE, Stored};
use crate::format::header::HeaderError;
use crate::format::name;

/// A writer may be at the slots while they are read; twice in a row at both it is not.
const READS: usize = 4;

impl Directory {
    pub(crate) fn cursor_path(&self, name: &str) -> PathBuf {
        self.path().join(name::cursor(name))
    }

    /// Reads a cursor, and tells which slot is in force. `None` where there is no such file.
    pub(crate) fn read_cursor(&self, name: &str, log_id: [u8; 16]) -> Result<Option<(Stored, usize)>> {
        let path = self.cursor_path(name);
        let mut last = HeaderError::Corrupt("the cursor's file is empty");
        for _ in 0..READS {
            let bytes = match self.read_cursor_bytes(name) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(Error::io("cannot read a cursor", &path, error)),
            };
            match Stored::decode(&bytes) {
                Ok((stored, _)) if stored.log_id != log_id => {
                    return Err(Error::corrupt_cursor("the cursor is one of another log", &path));
                }
                Ok((stored, _)) if stored.name != name => {
                    let what = format!("the file is that of the cursor {:?}", stored.name);
                    return Err(Error::corrupt_cursor(&what, &path));
                }
                Ok(found) => return Ok(Some(found)),
                Err(error) => last = error,
            }
        }
        match last {
            HeaderError::Corrupt(what) => Err(Error::corrupt_cursor(what, &path)),
            HeaderError::Version(_) => Err(refuse(last, &path)),
        }
    }

    fn read_cursor_bytes(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = self.storage().open(&self.cursor_path(name), Access::Read)?;
        read_up_to(&*file, CURSOR_BYTES)
    }

    /// Makes a cursor's file, durably.
    pub(crate) fn create_cursor(&self, stored: &Stored) -> core::result::Result<(), Failure> {
        let path = self.cursor_path(&stored.name);
        let temporary = self.path().join(format!("{}{}", name::cursor(&stored.name), name::TEMPORARY));
        let failed = |error| Failure::from(Error::io("cannot create a cursor", &path, error));
        let storage = self.storage();
        // Opened first, so that what fails below is its sync and not for want of a descriptor.
        let directory = storage.open_directory(self.path()).map_err(failed)?;
        let file = storage.open(&temporary, Access::Replace).map_err(failed)?;
        let written = file.write_all_at(&stored.encode_new(), 0).map_err(failed);
        let synced = written.and_then(|()| file.sync_all().map_err(|error| failed(error).at_a_sync()));
        let named = synced.and_then(|()| storage.rename(&temporary, &path).map_err(failed));
        named.inspect_err(|_| {
            let _ = storage.remove(&temporary);
        })?;
        directory.sync_all().map_err(|error| failed(error).at_a_sync())
    }

    pub(crate) fn open_cursor(&self, name: &str) -> Result<File> {
        let path = self.cursor_path(name);
        self.storage().open(&path, Access::Write).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::no_cursor(name, &path),
            _ => Error::io("cannot open a cursor", &path, error),
        })
    }

    /// Writes a slot in place: after the death of the process it is there.
    pub(crate) fn write_cursor(&self, file: &dyn StorageFile, stored: &Stored, slot: usize) -> Result<()> {
        let written = file.write_all_at(&stored.encode(), (slot * SLOT_STRIDE) as u64);
        written.map_err(|error| Error::io("cannot write a cursor", &self.cursor_path(&stored.name), error))
    }

    /// Makes what was written durable.
    pub(crate) fn sync_cursor(
        &self,
        file: &dyn StorageFile,
        name: &str,
    ) -> core::result::Result<(), Failure> {
        let failed = |error| Error::io("cannot sync a cursor", &self.cursor_path(name), error);
        file.sync_data().map_err(|error| Failure::from(failed(error)).at_a_sync())
    }

    /// Removes a cursor's file, durably. False when there was none.
    pub(crate) fn remove_cursor(&self, name: &str) -> core::result::Result<bool, Failure> {
        let path = self.cursor_path(name);
        let failed = |error| Failure::from(Error::io("cannot remove a cursor", &path, error));
        let directory = self.storage().open_directory(self.path()).map_err(failed)?;
        match self.storage().remove(&path) {
            Ok(()) => {
                directory.sync_all().map_err(|error| failed(error).at_a_sync())?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }
}
