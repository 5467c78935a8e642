//! The seam under the log: what it asks of an operating system and its disk. `system` gives the real one; with the
//! feature `testing` there is a simulated one, which can lose what was not synced.

use core::fmt;
use std::ffi::OsStr;
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::{Path, PathBuf};

use super::Boot;
use crate::region::{Region, Words};

/// A storage as the parts of one log share it. (The standard `Arc`: it orders nothing that the model checker would
/// have to see.)
pub(crate) type SharedStorage = std::sync::Arc<dyn Storage>;

/// Directories, files by name, and what the machine tells about itself.
pub(crate) trait Storage: fmt::Debug + Send + Sync + UnwindSafe + RefUnwindSafe {
    /// The boot that this process runs in.
    fn boot(&self) -> io::Result<Boot>;

    /// A random word.
    fn random(&self) -> u64;

    /// Nanoseconds since 1970, for people to read; zero where the clock is before that.
    fn unix_nanos(&self) -> u64;

    /// Whether a log runs threads of its own; else whoever needs something does it.
    #[cfg(feature = "testing")]
    fn has_threads(&self) -> bool {
        true
    }

    /// Whether files are memory that processes share, and can sleep at.
    fn shares_memory(&self) -> bool {
        false
    }

    /// The process that holds the exclusive lock of a file, seen without touching the lock. `None` where none is seen:
    /// nobody holds it, or a process that this one cannot see. `noted` is who the file says it is.
    fn lock_holder(&self, path: &Path, noted: Option<u32>) -> io::Result<Option<u32>> {
        let _ = (path, noted);
        Ok(None)
    }

    /// Why guarantees cannot hold in a directory that is there; `None` where nothing is known against it.
    fn objection(&self, directory: &Path) -> io::Result<Option<String>> {
        let _ = directory;
        Ok(None)
    }

    /// Creates a directory and the way to it, where they are missing.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// The absolute path of what is there.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf>;

    /// Tells the names in a directory, in no order.
    fn list(&self, directory: &Path, tell: &mut dyn FnMut(&OsStr)) -> io::Result<()>;

    /// What is made by this is kept in its place: what is written again in it needs no new room.
    fn open(&self, path: &Path, access: Access) -> io::Result<File>;

    /// What a file takes, whoever changed it.
    fn extent(&self, path: &Path) -> io::Result<Extent>;

    /// True when the name is there, whatever it is a name of.
    fn has_name(&self, path: &Path) -> io::Result<bool> {
        match self.extent(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A directory, to be locked or synced.
    fn open_directory(&self, path: &Path) -> io::Result<File>;

    /// Gives a file another name, in place of what had it; or a directory, with all that is in it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a further name, which nothing has.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a file's name away; who has it open or mapped keeps it.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory in which nothing is.
    fn remove_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory's entries durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.open_directory(path)?.sync_all()
    }
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    /// For reading too.
    Write,
    /// As `Write`; made where it is missing, for less than a block.
    Create,
    /// As `Create`, and emptied.
    Replace,
}

/// What a file takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) len: u64,
    /// Of the blocks that it has.
    pub(crate) allocated: u64,
}

/// An open file. Its lock, if it takes one, lasts until it and all mappings made of it are gone.
pub(crate) type File = Box<dyn StorageFile>;

pub(crate) trait StorageFile: fmt::Debug + Send + Sync + UnwindSafe + RefUnwindSafe {
    fn len(&self) -> io::Result<u64>;

    /// Reads at most so much; zero at the end of the file.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;

    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;

    /// Makes the file that long, and reserves its blocks, so that a full device is an error here and not a signal
    /// at some later store. False where only the length was set: then zeros that are written reserve them.
    fn allocate(&self, len: u64) -> io::Result<bool>;

    /// Gives back at once the room of a file that has no name any more and is mapped nowhere.
    fn free(&self) -> io::Result<()> {
        Ok(())
    }

    /// True where what is written again may need new blocks: of a file that a snapshot shares, for example.
    fn may_move(&self) -> io::Result<bool> {
        Ok(false)
    }

    /// Gives the file blocks of its own where it shares some with a snapshot or a copy: a store to those would need
    /// room. False where only writing again what will be stored to does that.
    fn unshare(&self) -> io::Result<bool> {
        Ok(true)
    }

    /// Makes the contents durable.
    fn sync_data(&self) -> io::Result<()>;

    /// Makes the contents and all that is known of the file durable.
    fn sync_all(&self) -> io::Result<()>;

    /// Takes the exclusive lock, or tells that somebody holds a lock.
    fn try_lock(&self) -> io::Result<bool>;

    /// Takes a shared lock, or tells that somebody holds the exclusive one.
    fn try_lock_shared(&self) -> io::Result<bool>;

    fn unlock(&self) -> io::Result<()>;

    /// True when the name is this file's now.
    fn is_named(&self, path: &Path) -> io::Result<bool>;

    /// Maps the first `len` bytes, which the file must have.
    fn map(&self, len: usize, writable: bool) -> io::Result<Region>;

    /// Maps the page of shared words that the file is.
    fn map_words(&self) -> io::Result<Words> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn read_exact_at(&self, mut buffer: &mut [u8], mut at: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read_at(buffer, at)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => {
                    buffer = buffer.get_mut(read..).unwrap_or_default();
                    at += read as u64;
                }
            }
        }
        Ok(())
    }
}
