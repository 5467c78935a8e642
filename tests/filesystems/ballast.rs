//! Takes a file system's room to the last byte, and gives it back.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, fstat, syncfs};

/// More than any of the file systems here has entries for without new blocks.
const FILES_MAX: usize = 2000;

/// What takes the room. It stays when this is dropped: `remove` it.
#[derive(Debug)]
pub(crate) struct Ballast {
    directory: PathBuf,
    rounds: usize,
}

impl Ballast {
    pub(crate) fn new(device: &Path) -> Self {
        Self { directory: device.join("ballast"), rounds: 0 }
    }

    /// Takes what is left: whole blocks first, then single bytes, then names. What was freed a moment before may come
    /// back with a sync only, so it is done again after one.
    pub(crate) fn fill(&mut self) {
        if std::fs::create_dir_all(&self.directory).is_err() {
            return;
        }
        for _ in 0..2 {
            self.rounds += 1;
            let path = self.directory.join(format!("bytes-{}", self.rounds));
            if let Ok(file) = OpenOptions::new().append(true).create(true).open(path) {
                take_blocks(&file);
                take_bytes(file);
            }
            self.sync();
        }
        for number in 0..FILES_MAX {
            let path = self.directory.join(format!("{number}-{}", "name".repeat(50)));
            match File::create(path) {
                Ok(mut file) => drop(file.write_all(&[1; 1000])),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
                    break;
                }
            }
        }
        self.sync();
    }

    /// Takes blocks as they come, without care for the last byte.
    pub(crate) fn fill_roughly(&mut self) {
        if std::fs::create_dir_all(&self.directory).is_ok()
            && let Ok(file) = File::create(self.directory.join("blocks"))
        {
            take_blocks(&file);
        }
    }

    /// Gives it all back.
    pub(crate) fn remove(&self) {
        match std::fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != ErrorKind::NotFound => panic!("{error}"),
            _ => self.sync(),
        }
    }

    fn sync(&self) {
        let device = File::open(self.directory.parent().unwrap()).unwrap();
        // A full file system may not be able to: no matter here.
        let _ = syncfs(&device);
    }
}

fn take_blocks(file: &File) {
    let mut bytes = 64 << 20;
    while bytes >= 4096 {
        let end = fstat(file).unwrap().st_size as u64;
        if fallocate(file, FallocateFlags::empty(), end, bytes).is_err() {
            bytes /= 2;
        }
    }
}

/// Appends until not a byte fits.
fn take_bytes(mut file: File) {
    let mut bytes = 4096;
    while bytes > 0 {
        if file.write_all(&vec![7; bytes]).is_err() {
            bytes /= 2;
        }
    }
}
