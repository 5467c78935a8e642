//! The file systems: how each is made and mounted, and which of its blocks a disk may tear.

use std::collections::BTreeSet;
use std::path::Path;

use crate::image::BLOCK;
use crate::mark::MARK_BYTES;
use crate::system::{Mounted, Outcome, run};

const MIB: u64 = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fs {
    Ext4,
    Xfs,
    Btrfs,
}

impl Fs {
    pub const ALL: [Self; 3] = [Self::Ext4, Self::Xfs, Self::Btrfs];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fs| fs.name() == name)
    }

    /// The programs that it needs.
    pub fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Ext4 => &["mkfs.ext4", "filefrag"],
            Self::Xfs => &["mkfs.xfs", "filefrag"],
            Self::Btrfs => &["mkfs.btrfs"],
        }
    }

    /// Size of the file system; marks lie behind it.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Ext4 => 23 * MIB,
            Self::Xfs => 31 * MIB,
            Self::Btrfs => 127 * MIB,
        }
    }

    /// Size of the disk.
    pub fn disk_bytes(self) -> u64 {
        self.bytes() + MARK_BYTES
    }

    /// Makes an empty one. Nothing is left to be initialised later, which would be noise in a recording.
    pub fn make(self, device: &Path) -> Outcome<()> {
        let device = device.to_string_lossy();
        let bytes = self.bytes().to_string();
        let kib = format!("{}k", self.bytes() / 1024);
        match self {
            Self::Ext4 => run(
                "mkfs.ext4",
                &[
                    "-q",
                    "-F",
                    "-b",
                    "4096",
                    "-N",
                    "128",
                    "-J",
                    "size=4",
                    "-E",
                    "lazy_itable_init=0,lazy_journal_init=0,nodiscard",
                    &device,
                    &kib,
                ],
            ),
            // A device of this size is not supported for use; for a test it is.
            Self::Xfs => run(
                "mkfs.xfs",
                &["--unsupported", "-q", "-f", "-K", "-d", &format!("size={bytes},agcount=1"), &device],
            ),
            Self::Btrfs => {
                run("mkfs.btrfs", &["-q", "-f", "-K", "-m", "single", "-d", "single", "-b", &bytes, &device])
            }
        }
        .map(drop)
    }

    pub fn mount(self, device: &Path, point: &Path) -> Outcome<Mounted> {
        let options = match self {
            Self::Ext4 => "errors=remount-ro",
            // Several images of one file system are mounted at a time.
            Self::Xfs => "nouuid",
            Self::Btrfs => "nodiscard",
        };
        Mounted::new(device, point, self.name(), options)
    }

    /// The blocks that a write cut short may leave torn, while the log's files in `directory` are where they are
    /// now.
    pub fn tearable(self, directory: &Path) -> Outcome<Tearable> {
        match self {
            Self::Ext4 | Self::Xfs => blocks_of(directory).map(Tearable::Only),
            Self::Btrfs => Ok(Tearable::CopyOnWrite),
        }
    }
}

/// Which blocks may be torn. Journals and superblocks may not: file systems assume that much of a disk, and what
/// becomes of them otherwise says nothing about the log.
#[derive(Clone, Debug)]
pub enum Tearable {
    /// Those that hold the log's files.
    Only(BTreeSet<u64>),
    /// Nothing is overwritten in place but the superblocks.
    CopyOnWrite,
}

impl Tearable {
    pub fn allows(&self, offset: u64, len: u64) -> bool {
        match self {
            Self::Only(blocks) => {
                let (from, to) = (offset / BLOCK as u64, (offset + len).div_ceil(BLOCK as u64));
                (from..to).all(|block| blocks.contains(&block))
            }
            Self::CopyOnWrite => {
                const SUPERBLOCKS: [u64; 2] = [64 << 10, 64 << 20];
                !SUPERBLOCKS.iter().any(|at| *at < offset + len && offset < at + BLOCK as u64)
            }
        }
    }
}

/// The device's blocks that hold the files of a directory.
fn blocks_of(directory: &Path) -> Outcome<BTreeSet<u64>> {
    let mut blocks = BTreeSet::new();
    let entries = std::fs::read_dir(directory).map_err(|error| error.to_string())?;
    for entry in entries.flatten() {
        for (first, count) in extents(&entry.path())? {
            blocks.extend(first..first + count);
        }
    }
    Ok(blocks)
}

/// Where a file lies: first block and number of blocks. A file that is gone lies nowhere.
pub fn extents(path: &Path) -> Outcome<Vec<(u64, u64)>> {
    let listing = match run("filefrag", &["-v", "-b4096", &path.to_string_lossy()]) {
        Ok(listing) => listing,
        Err(_) if !path.exists() => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    Ok(listing.lines().filter_map(parse_extent).collect())
}

/// A line of `filefrag -v`: `ext: logical: physical: length: expected: flags:`, ranges as `first.. last`.
fn parse_extent(line: &str) -> Option<(u64, u64)> {
    let mut fields = line.split(':');
    fields.next()?.trim().parse::<u64>().ok()?;
    fields.next()?;
    let first = fields.next()?.split("..").next()?.trim().parse().ok()?;
    let count = fields.next()?.trim().parse().ok()?;
    Some((first, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_are_read() {
        assert_eq!(
            parse_extent(
                "   1:        8..      16:       2058..      2066:      9:       2057: last,unwritten,eof"
            ),
            Some((2058, 9))
        );
        assert_eq!(
            parse_extent("   0:        0..       0:         34..        34:      1:             last,eof"),
            Some((34, 1))
        );
        assert_eq!(
            parse_extent(" ext:     logical_offset:        physical_offset: length:   expected: flags:"),
            None
        );
        assert_eq!(parse_extent("File size of x is 4096 (1 block of 4096 bytes)"), None);
    }
}
