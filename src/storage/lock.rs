//! The writer's lock: one process, one handle.

use std::io::{self, Write};
use std::path::Path;

use super::Boot;
use super::backend::{Access, File, Storage, StorageFile};
use crate::error::{Error, Result};
use crate::format::name;

/// Width of the file's text, padded with spaces: it is overwritten in place, so that noting a failed sync
/// needs no room on the device.
const TEXT_BYTES: usize = 128;

const WRITING: &str = "writing";
const POISONED: &str = "poisoned";

/// Holds `log.lock`. It is `flock`ed, so the lock dies with its holder, however that dies.
#[derive(Debug)]
pub(crate) struct WriterLock {
    file: File,
    boot: Boot,
    /// The process that took it.
    holder: u32,
    /// The previous holder's sync failed in this boot: what it wrote may be in the page cache alone, marked clean.
    pub(crate) found_poisoned: bool,
}

impl WriterLock {
    /// Takes the lock, or fails at once with the holder's pid.
    pub(crate) fn take(storage: &dyn Storage, directory: &Path, boot: Boot) -> Result<Self> {
        let path = directory.join(name::LOCK);
        let failed = |error| Error::io("cannot open the lock file", &path, error);
        let file = storage.open(&path, Access::Create).map_err(failed)?;
        // What an earlier holder wrote; not being able to read it is not a reason to fail.
        let text = read_text(&*file).unwrap_or_default();
        if !file.try_lock().map_err(failed)? {
            return Err(Error::locked(&path, field(&text, "pid")));
        }
        // Read again: the text may be that of a holder which has just gone.
        let text = read_text(&*file).map_err(failed)?;
        let same_boot = text.contains(&hex(boot));
        let found_poisoned = same_boot && text.contains(POISONED);
        let lock = Self { file, boot, holder: std::process::id(), found_poisoned };
        lock.write(if found_poisoned { POISONED } else { WRITING }).map_err(failed)?;
        Ok(lock)
    }

    fn write(&self, state: &str) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(TEXT_BYTES);
        write!(bytes, "pid {} boot {} {state}", std::process::id(), hex(self.boot))?;
        bytes.resize(TEXT_BYTES - 1, b' ');
        bytes.push(b'\n');
        self.file.write_all_at(&bytes, 0)
    }

    /// Notes that a sync failed, for the next opening in this boot. In the page cache is enough: after a
    /// reboot the device tells the truth by itself.
    pub(crate) fn note_poisoned(&self) {
        // The blocks were written when the lock was taken; a failure costs the next opening its extra care only.
        let _ = self.write(POISONED);
    }

    /// Notes that what the failed sync left behind was written again.
    pub(crate) fn note_healed(&self) -> io::Result<()> {
        self.write(WRITING)
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        // Not by closing the file alone: a process that another thread is just starting holds a copy of it until
        // it runs its program. In such a copy of this process itself the lock is not its to give up.
        if self.holder == std::process::id() {
            let _ = self.file.unlock();
        }
    }
}

/// What is to be seen of a log's lock without touching it: the text's pid, whether it notes a failed sync of this boot,
/// and who holds the lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LockSeen {
    pub(crate) noted_pid: Option<u32>,
    pub(crate) poisoned: bool,
    pub(crate) holder: Option<u32>,
}

impl LockSeen {
    pub(crate) fn look(storage: &dyn Storage, directory: &Path, boot: Boot) -> Result<Self> {
        let path = directory.join(name::LOCK);
        let failed = |error| Error::io("cannot look at the lock file", &path, error);
        let text = match storage.open(&path, Access::Read).and_then(|file| read_text(&*file)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(error)),
        };
        let noted_pid = field(&text, "pid");
        let poisoned = text.contains(&hex(boot)) && text.contains(POISONED);
        let holder = storage.lock_holder(&path, noted_pid).map_err(failed)?;
        Ok(Self { noted_pid, poisoned, holder })
    }
}

fn read_text(file: &dyn StorageFile) -> io::Result<String> {
    let mut bytes = [0; TEXT_BYTES];
    let read = file.read_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()).into_owned())
}

fn hex(boot: Boot) -> String {
    boot.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn field(text: &str, key: &str) -> Option<u32> {
    let mut words = text.split_whitespace();
    words.find(|word| *word == key)?;
    words.next()?.parse().ok()
}
