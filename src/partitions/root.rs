//! The directory that partitions lie under: what it is, and how a partition leaves it.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::format::root::{self, META, Name, ROOT_BYTES, Root};
use crate::format::{header::HeaderError, name};
use crate::storage::{Access, Directory, SharedStorage};

/// Looks what the root is; makes it one where it is nothing yet. `keyed` is what it must be, or will be.
pub(super) fn settle(directory: &Directory, keyed: Option<u32>) -> Result<Root> {
    let (storage, path) = (directory.storage(), directory.path().join(META));
    let has_log = storage.has_name(&directory.path().join(name::META));
    if has_log.map_err(|error| Error::io("cannot look into the directory", directory.path(), error))? {
        return Err(Error::invalid_option(format!(
            "{} holds a log, so partitions cannot lie there; give another directory",
            directory.path().display()
        )));
    }
    let Some(root) = read(storage, &path)? else {
        let root = Root { keyed: keyed.unwrap_or_default() };
        write(directory, &path, root)?;
        return Ok(root);
    };
    match keyed {
        Some(keyed) if keyed != root.keyed => Err(Error::invalid_option(format!(
            "keyed is {keyed}, and {} was created with {}; keys would change their partition: open it without, or with \
             the same",
            directory.path().display(),
            root.keyed
        ))),
        _ => Ok(root),
    }
}

fn read(storage: &SharedStorage, path: &Path) -> Result<Option<Root>> {
    let file = match storage.open(path, Access::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("cannot read the root's metadata", path, error)),
    };
    let mut bytes = [0; ROOT_BYTES];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(Error::corrupt("the root's metadata are cut short", path, 0, None));
        }
        Err(error) => return Err(Error::io("cannot read the root's metadata", path, error)),
    }
    Root::decode(&bytes).map(Some).map_err(|error| match error {
        HeaderError::Corrupt(what) => Error::corrupt(what, path, 0, None),
        HeaderError::Version(version) => Error::unsupported(
            format!(
                "the root has format version {version}, which this build does not read: use a newer tidelog"
            ),
            path,
        ),
    })
}

/// As `log.meta`: complete under its name, or not there.
fn write(directory: &Directory, path: &Path, root: Root) -> Result<()> {
    let storage = directory.storage();
    let temporary = directory.path().join(format!("{META}{}", name::TEMPORARY));
    let written = storage.open(&temporary, Access::Replace).and_then(|file| {
        file.write_all_at(&root.encode(), 0)?;
        file.sync_all()?;
        storage.rename(&temporary, path)
    });
    written.map_err(|error| {
        let _ = storage.remove(&temporary);
        Error::io("cannot write the root's metadata", path, error)
    })?;
    directory.sync_names()
}

/// The partitions that are there. What is left of dropped ones is removed; where that fails, the next opening tries again.
pub(super) fn survey(directory: &Directory) -> Result<std::collections::BTreeSet<u64>> {
    let failed = |error| Error::io("cannot list the root's directory", directory.path(), error);
    let (mut ids, mut gone) = (std::collections::BTreeSet::new(), Vec::new());
    let mut sort = |entry: &std::ffi::OsStr| match entry.to_str().map_or(Name::Foreign, root::parse) {
        Name::Partition(id) => {
            ids.insert(id);
        }
        Name::Gone => gone.push(directory.path().join(entry)),
        Name::Foreign => {}
    };
    directory.storage().list(directory.path(), &mut sort).map_err(failed)?;
    for left in gone {
        let _ = clear(directory.storage(), &left);
    }
    Ok(ids)
}

pub(super) fn path_of(directory: &Directory, id: u64) -> PathBuf {
    directory.path().join(root::partition(id))
}

/// Takes a partition away, durably and as a whole: its directory gets the name of one that is gone, and that is synced;
/// what is in it is removed after that. A partition that somebody writes to is left alone.
pub(super) fn remove(directory: &Directory, id: u64, any_file_system: bool) -> Result<()> {
    let storage = directory.storage();
    let path = path_of(directory, id);
    // Nobody opens it meanwhile, in no process.
    let lock = Directory::lock_for_writing(std::sync::Arc::clone(storage), &path, any_file_system)?;
    let gone = directory.path().join(root::gone(id));
    let failed = |error| Error::io("cannot drop the partition", &path, error);
    // Of an earlier one with this id, where its removal was cut short.
    let _ = clear(storage, &gone);
    storage.rename(&path, &gone).map_err(failed)?;
    if let Err(error) = directory.sync() {
        // Nobody was told that it is gone, so it had better be there.
        let _ = storage.rename(&gone, &path);
        return Err(error);
    }
    let _ = clear(storage, &gone);
    drop(lock);
    Ok(())
}

/// Removes a directory and the files in it.
fn clear(storage: &SharedStorage, path: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    storage.list(path, &mut |entry| {
        if entry != "." && entry != ".." {
            files.push(path.join(entry));
        }
    })?;
    for file in files {
        storage.remove(&file)?;
    }
    storage.remove_directory(path)
}
