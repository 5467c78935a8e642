//! What is particular to Btrfs: its files are written in place, and a snapshot takes that away until the log is opened
//! again.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use rustix::fs::{IFlags, ioctl_getflags};
use tidelog::ErrorKind;

use crate::ballast::Ballast;
use crate::device::{Device, Kind};
use crate::support::{myself, names, role, skip, succeed};
use crate::writer::{Journal, Setting, expect_full, record};

fn on_btrfs(test: &str, run: impl FnOnce(&Device)) {
    if role().is_some() {
        return;
    }
    match Device::new(Kind::Btrfs, 8 << 20) {
        Ok(device) => run(&device),
        Err(missing) => drop(skip(test, Some(missing))),
    }
}

fn in_place(path: &Path) -> bool {
    ioctl_getflags(File::open(path).unwrap()).unwrap().contains(IFlags::NOCOW)
}

/// Also of files that were recycled, set aside as spares and taken again.
#[test]
fn every_file_of_a_log_is_written_in_place() {
    on_btrfs("every_file_of_a_log_is_written_in_place", |device| {
        let setting = Setting { device: device.path(), policy: 3, zero_fill: None };
        let mut journal = Journal::default();
        let mut seen = 0;
        for _ in 0..3 {
            let log = setting.options().open(setting.log()).unwrap();
            journal.go_on(&log, 200);
            // The closure's buffer is as aligned as the mapping that it stands for.
            let check =
                |buffer: &mut [u8]| assert!(buffer.as_ptr().align_offset(8) == 0 && *buffer == [0; 8]);
            log.append_with(8, check).unwrap();
            log.retire_before(log.watermarks().published).unwrap();
            journal.go_on(&log, 100);
            log.close().unwrap();
            for name in names(&setting.log()) {
                assert!(in_place(&setting.log().join(&name)), "{name} is copied when it is written");
                seen += 1;
            }
        }
        assert!(seen >= 15, "{seen} files");
        println!("{seen} files looked at");
    });
}

#[test]
fn child_opens_what_a_snapshot_shares() {
    let Some(role) = role() else { return };
    let setting = Setting::of_role(&role);
    let ballast = Ballast::new(&setting.device);
    let mut journal = Journal::default();
    // Not a byte of the shared files can be written: an error, and not a signal later.
    match setting.options().open(setting.log()) {
        Err(error) => {
            expect_full(&error);
            journal.figures.saw(&error);
        }
        Ok(log) => while let Ok(_lsn) = journal.append(&log) {},
    }
    ballast.remove();
    let log = setting.options().open(setting.log()).unwrap();
    journal.go_on(&log, 50);
    // From here on the blocks are its own again.
    ballast.fill();
    journal.fill(&log);
    journal.check(&log);
    ballast.remove();
    journal.figures.print();
}

/// A closed log is shared with a snapshot, and the device fills up: opening tells, and when there was room once it is
/// safe again.
#[test]
fn a_log_that_a_snapshot_shares_is_an_error_on_a_full_device() {
    on_btrfs("a_log_that_a_snapshot_shares_is_an_error_on_a_full_device", |device| {
        let setting = Setting { device: device.path(), policy: 3, zero_fill: None };
        let subvolume = |arguments: &[&str]| {
            let done = Command::new("btrfs").arg("subvolume").args(arguments).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        let log = setting.log();
        subvolume(&["create", log.to_str().unwrap()]);
        let opened = setting.options().open(&log).unwrap();
        let lsn = opened.append(&record(1 << 40)).unwrap();
        opened.close().unwrap();
        let copy = device.path().join("snapshot");
        subvolume(&["snapshot", log.to_str().unwrap(), copy.to_str().unwrap()]);
        Ballast::new(&device.path()).fill();
        let said = succeed(myself("btrfs::child_opens_what_a_snapshot_shares", &setting.to_role()));
        assert!(said.contains("StorageFull"), "{said}");
        // The snapshot is a log of its own, as it was when the first one was closed.
        let opened = setting.options().open(&copy).unwrap();
        assert_eq!(opened.read(lsn).unwrap().payload(), record(1 << 40));
        assert_eq!(opened.read(opened.watermarks().published).unwrap_err().kind(), ErrorKind::NotWritten);
    });
}
