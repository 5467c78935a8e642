//! The real storage: the operating system's files.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;
#[cfg(target_os = "linux")]
use rustix::fs::RawDir;

use super::backend::{Access, Extent, File, SharedStorage, Storage, StorageFile};
use super::filesystem;
use crate::region::{Region, Words};

/// Names are asked for by so many bytes at a time.
#[cfg(target_os = "linux")]
const NAMES_BYTES: usize = 32 << 10;

/// Identifies one boot of the machine. Two equal values mean that the page cache survived in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Boot(pub(crate) [u8; 16]);

impl Boot {
    /// The boot that this process runs in; a random value where the system has no such thing, so that every
    /// opening looks like one after a restart. Not being able to read it just now is an error: taking this boot for
    /// another one would cut away records that returned.
    fn current() -> io::Result<Self> {
        let text = match fs::read_to_string("/proc/sys/kernel/random/boot_id") {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            text => text.unwrap_or_default(),
        };
        let mut id = [0; 16];
        let digits: Vec<u8> =
            text.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
        if digits.len() != 32 {
            let (low, high) = id.split_at_mut(8);
            low.copy_from_slice(&System.random().to_le_bytes());
            high.copy_from_slice(&System.random().to_le_bytes());
            return Ok(Self(id));
        }
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (pair[0] << 4) | pair[1];
        }
        Ok(Self(id))
    }
}

/// The machine that this runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System;

impl System {
    pub(crate) fn shared() -> SharedStorage {
        std::sync::Arc::new(Self)
    }
}

impl Storage for System {
    fn boot(&self) -> io::Result<Boot> {
        Boot::current()
    }

    fn random(&self) -> u64 {
        use std::hash::BuildHasher;
        // std draws the keys of its hash maps from the system's random source.
        std::hash::RandomState::new().hash_one((std::process::id(), self.unix_nanos()))
    }

    fn unix_nanos(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    fn shares_memory(&self) -> bool {
        cfg!(target_os = "linux")
    }

    fn lock_holder(&self, path: &Path, noted: Option<u32>) -> io::Result<Option<u32>> {
        #[cfg(target_os = "linux")]
        {
            let (inode, device) = match fs::metadata(path) {
                Ok(found) => (found.ino(), found.dev()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            let table = fs::read_to_string("/proc/locks")?;
            let device = (rustix::fs::major(device), rustix::fs::minor(device));
            Ok(table.lines().find_map(|line| holder_in(line, inode, device, noted)))
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = (path, noted);
            Ok(None)
        }
    }

    fn objection(&self, directory: &Path) -> io::Result<Option<String>> {
        filesystem::objection(directory)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }

    /// (The standard library allocates twice for each name, which takes longer than the kernel.)
    #[cfg(target_os = "linux")]
    fn list(&self, directory: &Path, tell: &mut dyn FnMut(&OsStr)) -> io::Result<()> {
        let directory = fs::File::open(directory)?;
        let mut buffer = Vec::with_capacity(NAMES_BYTES);
        let mut names = RawDir::new(&directory, buffer.spare_capacity_mut());
        while let Some(entry) = names.next() {
            match entry {
                Ok(entry) => tell(OsStr::from_bytes(entry.file_name().to_bytes())),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn list(&self, directory: &Path, tell: &mut dyn FnMut(&OsStr)) -> io::Result<()> {
        fs::read_dir(directory)?.try_for_each(|entry| entry.map(|entry| tell(&entry.file_name())))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true);
        options.write(access != Access::Read);
        options.create(matches!(access, Access::Create | Access::Replace));
        options.truncate(access == Access::Replace);
        // Under the name may stand anything: a pipe would be waited for without end. Means nothing for plain files.
        options.custom_flags(i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default());
        let file = options.open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is not a plain file"));
        }
        match access {
            Access::Replace => filesystem::keep_in_place(&file)?,
            Access::Create => filesystem::keep_small_in_place(&file)?,
            Access::Read | Access::Write => {}
        }
        Ok(Box::new(file))
    }

    fn extent(&self, path: &Path) -> io::Result<Extent> {
        /// The unit of `st_blocks`, whatever the file system's own is.
        const BLOCK_BYTES: u64 = 512;
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
            // Not its times: asking for those was seen to cost the next sync one more write, on ext4 without a journal.
            // (Presumably as Linux takes note of who reads a time, and then gives the file a new one.) Where this fails,
            // for want of the call or of leave to make it, the general one tells why.
            if let Ok(found) = statx(CWD, path, AtFlags::empty(), StatxFlags::SIZE | StatxFlags::BLOCKS) {
                return Ok(Extent { len: found.stx_size, allocated: found.stx_blocks * BLOCK_BYTES });
            }
        }
        let found = fs::metadata(path)?;
        Ok(Extent { len: found.len(), allocated: found.blocks() * BLOCK_BYTES })
    }

    fn has_name(&self, path: &Path) -> io::Result<bool> {
        match fs::symlink_metadata(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn open_directory(&self, path: &Path) -> io::Result<File> {
        Ok(Box::new(fs::File::open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }
}

impl StorageFile for fs::File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        loop {
            match FileExt::read_at(self, buffer, at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, at)
    }

    fn allocate(&self, len: u64) -> io::Result<bool> {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::FallocateFlags;
            loop {
                match rustix::fs::fallocate(self, FallocateFlags::empty(), 0, len) {
                    Ok(()) => return Ok(true),
                    Err(rustix::io::Errno::INTR) => {}
                    Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        self.set_len(len)?;
        Ok(false)
    }

    fn free(&self) -> io::Result<()> {
        self.set_len(0)
    }

    fn may_move(&self) -> io::Result<bool> {
        filesystem::may_move(self)
    }

    fn unshare(&self) -> io::Result<bool> {
        filesystem::unshare(self)
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }

    fn sync_all(&self) -> io::Result<()> {
        Self::sync_all(self)
    }

    fn try_lock(&self) -> io::Result<bool> {
        taken(Self::try_lock(self))
    }

    fn try_lock_shared(&self) -> io::Result<bool> {
        taken(Self::try_lock_shared(self))
    }

    fn unlock(&self) -> io::Result<()> {
        Self::unlock(self)
    }

    fn is_named(&self, path: &Path) -> io::Result<bool> {
        let (opened, named) = (self.metadata()?, fs::metadata(path)?);
        Ok((opened.dev(), opened.ino()) == (named.dev(), named.ino()))
    }

    fn map_words(&self) -> io::Result<Words> {
        Words::map(self)
    }

    fn map(&self, len: usize, writable: bool) -> io::Result<Region> {
        Ok(Region::map(self, len, writable)?.copied_by_pages(writable && filesystem::may_move(self)?))
    }
}

/// The holder that a line of `/proc/locks` tells (`1: FLOCK  ADVISORY  WRITE 77 fe:01:8 0 EOF`), if it is of that file.
/// Some file systems show programs another device than the kernel has; there the pid that the file notes must be it.
#[cfg(target_os = "linux")]
fn holder_in(line: &str, inode: u64, device: (u32, u32), noted: Option<u32>) -> Option<u32> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, "FLOCK", _, "WRITE", pid, file, ..] = words.as_slice() else { return None };
    let pid = pid.parse().ok()?;
    let mut parts = file.split(':');
    let major = u32::from_str_radix(parts.next()?, 16).ok()?;
    let minor = u32::from_str_radix(parts.next()?, 16).ok()?;
    let same = parts.next()?.parse() == Ok(inode) && ((major, minor) == device || noted == Some(pid));
    same.then_some(pid)
}

fn taken(outcome: Result<(), TryLockError>) -> io::Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_lock_table_tells_the_holder_of_its_file_alone() {
        let line = "3: FLOCK  ADVISORY  WRITE 4711 fe:1f:88 0 EOF";
        assert_eq!(holder_in(line, 88, (0xfe, 0x1f), None), Some(4711));
        assert_eq!(holder_in(line, 88, (0, 0x1f), None), None, "another device");
        assert_eq!(holder_in(line, 88, (0, 0x1f), Some(4711)), Some(4711), "which the file's text bears out");
        assert_eq!(holder_in(line, 89, (0xfe, 0x1f), Some(4711)), None, "another file");
        for other in [
            "3: FLOCK  ADVISORY  READ  4711 fe:1f:88 0 EOF",
            "3: POSIX  ADVISORY  WRITE 4711 fe:1f:88 0 EOF",
            "3: -> FLOCK  ADVISORY  WRITE 4711 fe:1f:88 0 EOF",
            "3: FLOCK  ADVISORY  WRITE 4711",
            "3: FLOCK  ADVISORY  WRITE x fe:1f:88 0 EOF",
            "",
        ] {
            assert_eq!(holder_in(other, 88, (0xfe, 0x1f), Some(4711)), None, "{other}");
        }
    }
}
