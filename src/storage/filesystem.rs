//! What the log must know of the file system that it lies on: whether it may lie there, and how to keep what is
//! written again in its place.

use std::fs::File;
use std::io;
use std::path::Path;

/// What can be expected of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It keeps a file's blocks in their places, or is not known to move them.
    InPlace,
    /// It writes elsewhere what is written again, unless a file is told not to be treated so.
    CopyOnWrite,
    /// Guarantees cannot hold there.
    Unsupported { name: &'static str, why: &'static str },
}

const REMOTE: &str = "mappings of one file are not coherent between machines, and locks may not hold";
const USER: &str = "a program decides what a sync, a lock and a shared mapping mean there";
const MOVING: &str = "a store to a page that was written before needs room there, so a full disk is a signal";

/// The types of file systems on which the log refuses to lie, as `statfs` tells them: those whose ways are known to
/// break a guarantee. What is not known is taken for an ordinary one.
const UNSUPPORTED: [(u32, &str, &str); 18] = [
    (0x0000_6969, "NFS", REMOTE),
    (0x0000_517b, "SMB", REMOTE),
    (0xff53_4d42, "CIFS", REMOTE),
    (0xfe53_4d42, "SMB2", REMOTE),
    (0x0102_1997, "9p", REMOTE),
    (0x5346_414f, "AFS", REMOTE),
    (0x6b41_4653, "AFS", REMOTE),
    (0x7375_7245, "Coda", REMOTE),
    (0x00c3_6400, "Ceph", REMOTE),
    (0x0bd0_0bd0, "Lustre", REMOTE),
    (0x2003_0528, "OrangeFS", REMOTE),
    (0x4750_4653, "GPFS", REMOTE),
    (0x786f_4256, "a VirtualBox shared folder", REMOTE),
    (0xbacb_acbc, "a VMware shared folder", REMOTE),
    (0x6573_5546, "FUSE or virtiofs", USER),
    (0x2fc1_2fc1, "ZFS", MOVING),
    (0xca45_1a4e, "bcachefs", MOVING),
    (0x0000_3434, "NILFS2", MOVING),
];

const BTRFS: u32 = 0x9123_683e;

fn verdict(magic: u32) -> Verdict {
    if magic == BTRFS {
        return Verdict::CopyOnWrite;
    }
    let known = UNSUPPORTED.iter().find(|(unsupported, ..)| *unsupported == magic);
    known.map_or(Verdict::InPlace, |(_, name, why)| Verdict::Unsupported { name, why })
}

/// Why guarantees cannot hold in the directory, where that is known.
pub(super) fn objection(directory: &Path) -> io::Result<Option<String>> {
    match verdict(magic(directory)?) {
        Verdict::InPlace | Verdict::CopyOnWrite => Ok(None),
        Verdict::Unsupported { name, why } => Ok(Some(format!("on {name}: {why}"))),
    }
}

/// True where what is written again may need new blocks: of a file that a snapshot shares, for example.
pub(super) fn may_move(file: &File) -> io::Result<bool> {
    Ok(verdict(magic_of(file)?) == Verdict::CopyOnWrite)
}

/// Sees to it that what will be written again in the file is written in place. To be called while the file is empty:
/// later it has no effect. A spare keeps what its file was told.
pub(super) fn keep_in_place(file: &File) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if may_move(file)? && file.metadata()?.len() == 0 {
        use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
        let flags = ioctl_getflags(file)?;
        if !flags.contains(IFlags::NOCOW) {
            ioctl_setflags(file, flags | IFlags::NOCOW)?;
        }
    }
    Ok(())
}

/// Gives the file blocks of its own where it shares some; false where the caller must write it again for that.
pub(super) fn unshare(file: &File) -> io::Result<bool> {
    if may_move(file)? {
        return Ok(false);
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        // XFS gives what is shared blocks of its own, and does nothing for the rest. Others know no sharing.
        match fallocate(file, FallocateFlags::UNSHARE_RANGE, 0, file.metadata()?.len()) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
            // It wants room for this even where nothing is shared.
            Err(Errno::NOSPC | Errno::DQUOT) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// As `keep_in_place` for a file that is smaller than a block: it gets one of its own, and stays as long as it is.
pub(super) fn keep_small_in_place(file: &File) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if may_move(file)? && file.metadata()?.len() == 0 {
        use rustix::fs::{FallocateFlags, fallocate};
        keep_in_place(file)?;
        fallocate(file, FallocateFlags::KEEP_SIZE, 0, crate::limits::HEADER_BYTES)?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn magic(path: &Path) -> io::Result<u32> {
    Ok(rustix::fs::statfs(path)?.f_type as u32)
}

#[cfg(target_os = "linux")]
fn magic_of(file: &File) -> io::Result<u32> {
    Ok(rustix::fs::fstatfs(file)?.f_type as u32)
}

#[cfg(not(target_os = "linux"))]
fn magic(_path: &Path) -> io::Result<u32> {
    Ok(0)
}

#[cfg(not(target_os = "linux"))]
fn magic_of(_file: &File) -> io::Result<u32> {
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_one_verdict() {
        // ext4, XFS, tmpfs, ramfs, overlay, F2FS, exFAT, and none that anybody has.
        for magic in
            [0xef53, 0x5846_5342, 0x0102_1994, 0x8584_58f6, 0x794c_7630, 0xf2f5_2010, 0x2011_bab0, 0, 1]
        {
            assert_eq!(verdict(magic), Verdict::InPlace, "{magic:#x}");
        }
        assert_eq!(verdict(0x9123_683e), Verdict::CopyOnWrite);
        for (index, (magic, name, why)) in UNSUPPORTED.iter().enumerate() {
            assert_eq!(verdict(*magic), Verdict::Unsupported { name, why });
            assert!(UNSUPPORTED[..index].iter().all(|(other, ..)| other != magic), "{name} is there twice");
        }
        for (magic, name) in
            [(0x6969, "NFS"), (0xff53_4d42, "CIFS"), (0x0102_1997, "9p"), (0x2fc1_2fc1, "ZFS")]
        {
            let Verdict::Unsupported { name: found, .. } = verdict(magic) else { panic!("{name} is let in") };
            assert_eq!(found, name);
        }
    }

    /// `/proc` stands for a file system of another type than the log's: what is asked is the path, not the machine.
    #[test]
    fn the_type_is_that_of_the_path() {
        let directory = tempfile::tempdir().unwrap();
        #[cfg(target_os = "linux")]
        assert_eq!(magic(Path::new("/proc")).unwrap(), 0x9fa0);
        assert_eq!(
            magic(directory.path()).unwrap(),
            magic_of(&File::open(directory.path()).unwrap()).unwrap()
        );
        assert_eq!(objection(directory.path()).unwrap(), None);
        assert!(objection(Path::new("/no such place")).is_err());
    }
}
