//! A small file system of its own: in memory, or in an image behind a loop device. It is unmounted when its guard
//! goes, and what a killed run left is swept up when the next one begins.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use crate::support::lacks;

/// The file systems that the log is to work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tmpfs,
    Ext4,
    Xfs,
    Btrfs,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tmpfs => "tmpfs",
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }

    /// The smallest size that its `mkfs` takes, and a little more.
    fn image_bytes(self) -> u64 {
        match self {
            Self::Tmpfs => 16 << 20,
            Self::Ext4 => 32 << 20,
            Self::Xfs => 320 << 20,
            Self::Btrfs => 320 << 20,
        }
    }

    fn mkfs(self) -> &'static [&'static str] {
        match self {
            Self::Tmpfs => &[],
            Self::Ext4 => {
                &["mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"]
            }
            Self::Xfs => &["mkfs.xfs", "-q", "-f"],
            Self::Btrfs => &["mkfs.btrfs", "-q", "-f"],
        }
    }
}

const PREFIX: &str = "tidelog-fs-";

/// A mounted file system with nothing on it but `taken`.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) kind: Kind,
    scratch: tempfile::TempDir,
}

impl Device {
    /// Makes one with about `room` bytes left; or tells what is missing for that.
    pub(crate) fn new(kind: Kind, room: u64) -> Result<Self, String> {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(sweep);
        let place = if Path::new("/dev/shm").is_dir() { "/dev/shm".into() } else { std::env::temp_dir() };
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let scratch = tempfile::Builder::new().prefix(&prefix).tempdir_in(place).unwrap();
        let device = Self { kind, scratch };
        let path = device.path();
        std::fs::create_dir(&path).unwrap();
        let path = path.to_str().unwrap();
        let size = format!("size={}", kind.image_bytes());
        if kind == Kind::Tmpfs {
            missing(lacks("mount", &["-t", "tmpfs", "-o", &size, "tidelog-test", path]))?;
        } else {
            let image = device.scratch.path().join("image");
            File::create(&image).unwrap().set_len(kind.image_bytes()).unwrap();
            let image = image.to_str().unwrap();
            let mkfs = kind.mkfs();
            missing(lacks(mkfs[0], &[&mkfs[1..], &[image]].concat()))?;
            missing(lacks("mount", &["-o", "loop", image, path]))?;
        }
        device.leave(room);
        Ok(device)
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> PathBuf {
        self.scratch.path().join("mounted")
    }

    /// A directory that is not on it.
    pub(crate) fn beside(&self) -> &Path {
        self.scratch.path()
    }

    /// Takes what is free but for `room` bytes.
    fn leave(&self, room: u64) {
        // What a file system tells to be free may be reserved for other things: room is what a file had.
        let (kept, taken) = (self.path().join("kept"), self.path().join("taken"));
        take(&kept, room, room);
        take(&taken, u64::MAX, 128 << 20);
        std::fs::remove_file(kept).unwrap();
        rustix::fs::syncfs(File::open(self.path()).unwrap()).unwrap();
    }
}

/// Takes up to `bytes` of room for a file, in pieces of at most `piece` bytes.
fn take(path: &Path, bytes: u64, mut piece: u64) {
    let file = File::create(path).unwrap();
    let mut end = 0;
    while end < bytes && piece >= 16 << 10 {
        let flags = rustix::fs::FallocateFlags::empty();
        if rustix::fs::fallocate(&file, flags, end, piece).is_ok() {
            end += piece;
        } else {
            piece /= 2;
        }
    }
    file.sync_all().unwrap();
}

impl Drop for Device {
    fn drop(&mut self) {
        unmount(&self.path());
    }
}

fn missing(missing: Option<String>) -> Result<(), String> {
    missing.map_or(Ok(()), Err)
}

fn unmount(path: &Path) {
    // The loop device goes with the mount. A process that is just being killed may hold it for a moment.
    for options in [&[][..], &[], &["-l"]] {
        let done = Command::new("umount").args(options).arg(path).output();
        if done.is_ok_and(|output| output.status.success()) || !path.is_dir() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// Unmounts what runs that were killed left behind.
fn sweep() {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    for place in mounts.lines().filter_map(|line| line.split(' ').nth(1)) {
        let Some((_, rest)) = place.split_once(PREFIX) else { continue };
        let owner = rest.split('-').next().unwrap_or_default();
        if !Path::new("/proc").join(owner).exists() {
            println!("swept: {place}");
            unmount(Path::new(place));
            if let Some(scratch) = Path::new(place).parent() {
                let _ = std::fs::remove_dir_all(scratch);
            }
        }
    }
}
