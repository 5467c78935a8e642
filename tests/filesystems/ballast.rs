//! Takes a file system's room to the last byte, and gives it back.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, fstat, syncfs};

/// Names that are taken at most: more than fit into the blocks that directories have already.
const FILES_MAX: usize = 100;

/// What takes the room. It stays when this is dropped: `remove` it.
#[derive(Debug)]
pub(crate) struct Ballast {
    directory: PathBuf,
}

impl Ballast {
    pub(crate) fn new(device: &Path) -> Self {
        Self { directory: device.join("ballast") }
    }

    /// Takes what is left: whole blocks first, then single bytes, then names. What was freed a moment before may come
    /// back with a sync only, so it is done again after one.
    pub(crate) fn fill(&self) {
        if std::fs::create_dir_all(&self.directory).is_err() {
            return;
        }
        for name in ["first", "second"] {
            if let Ok(file) = OpenOptions::new().append(true).create(true).open(self.directory.join(name)) {
                take_blocks(&file);
                take_bytes(file);
            }
            self.sync();
        }
        for number in 0..FILES_MAX {
            let path = self.directory.join(format!("{number}-{}", "name".repeat(50)));
            match File::create(path) {
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
                    break;
                }
            }
        }
        self.sync();
    }

    /// Takes blocks as they come, without care for the last byte.
    pub(crate) fn fill_roughly(&self) {
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
        self.wait_for_room();
    }

    /// Some file systems give room back some time after files were deleted. What is waited for here is theirs, not
    /// the log's: that anybody can make a file.
    fn wait_for_room(&self) {
        let path = self.directory.with_extension("probe");
        for _ in 0..200 {
            let made = File::create(&path)
                .and_then(|file| Ok(fallocate(&file, FallocateFlags::empty(), 0, 1 << 20)?));
            let _ = std::fs::remove_file(&path);
            self.sync();
            match made {
                Ok(()) => return,
                Err(error) => assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}"),
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        panic!("the room does not come back");
    }

    fn sync(&self) {
        let device = File::open(self.directory.parent().unwrap()).unwrap();
        // A full file system may not be able to: no matter here.
        let _ = syncfs(&device);
    }
}

fn take_blocks(file: &File) {
    let mut bytes = 8 << 20;
    while bytes >= 64 << 10 {
        let end = fstat(file).unwrap().st_size as u64;
        if fallocate(file, FallocateFlags::empty(), end, bytes).is_err() {
            bytes /= 4;
        }
    }
}

/// Appends until not a byte fits.
fn take_bytes(mut file: File) {
    for bytes in [16 << 10, 4096, 64, 1] {
        while file.write_all(&vec![7; bytes]).is_ok() {}
    }
}
