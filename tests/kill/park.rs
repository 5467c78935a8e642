//! Writers stand still between claim and publishing, others go on, and then all are killed.

use std::path::Path;
use std::process::Stdio;

use tidelog::{Checksum, ErrorKind, LastClose, Log, Lsn, Options, SyncPolicy};

use crate::checker::records;
use crate::child::{Parking, park, say};
use crate::support::{PATIENCE, myself, payload, quick_directory, role};
use crate::victim::read_lines;

/// Records that one writer is acknowledged behind each claim that stays open.
const BEHIND: u64 = 40;
/// How a writer stands still.
const WAYS: u64 = 4;

fn options(checksum: &str) -> Options {
    let checksum = if checksum == "crc64" { Checksum::Crc64 } else { Checksum::Crc32c };
    Options::new().segment_bytes(1 << 16).sync_policy(SyncPolicy::None).checksum(checksum)
}

/// Claims, and stands still inside the claim in one of several ways.
fn stand_still(log: &Log, way: u64) {
    let bytes = payload(u64::MAX, 3000);
    match way {
        // Nothing written; a part written; all written but not published.
        0 => log.append_with(bytes.len(), |_| park()),
        1 => log.append_with(bytes.len(), |buffer| {
            buffer[..1000].copy_from_slice(&bytes[..1000]);
            park();
        }),
        2 => log.append_with(bytes.len(), |buffer| {
            buffer.copy_from_slice(&bytes);
            park();
        }),
        // The second of three records is whole, with its word and its checksum.
        _ => {
            let batch = [false, false, true].map(|parks| Parking::new(&bytes, parks));
            log.append_batch(&batch).map(|_| Lsn::ZERO)
        }
    }
    .unwrap();
}

#[test]
fn child_stands_still() {
    let Some(role) = role() else { return };
    let (checksum, directory) = role.split_once('|').unwrap();
    let log = &options(checksum).open(directory).unwrap();
    let mut id = 0;
    std::thread::scope(|scope| {
        for way in 0..WAYS {
            let before = log.watermarks().claimed;
            scope.spawn(move || stand_still(log, way));
            while log.watermarks().claimed == before {
                std::thread::yield_now();
            }
            for _ in 0..BEHIND {
                id += 1;
                let lsn = log.append(&payload(id, (id * 37 % 2500) as usize)).unwrap();
                say(&format!("@append {lsn} {id}"));
            }
        }
    });
}

fn kill_behind_open_claims(checksum: &str, directory: &Path) -> Vec<(u64, Vec<u8>)> {
    let role = format!("{checksum}|{}", directory.display());
    let mut command = myself("park::child_stands_still", &role);
    let (mut leash, lines) = read_lines(command.stdout(Stdio::null()).stderr(Stdio::piped()));
    let mut returned = Vec::new();
    let mut parked = 0;
    while (returned.len() as u64) < WAYS * BEHIND || parked < WAYS {
        let line = lines.recv_timeout(PATIENCE).unwrap();
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["@append", lsn, id] => {
                let id: u64 = id.parse().unwrap();
                returned.push((lsn.parse().unwrap(), payload(id, (id * 37 % 2500) as usize)));
            }
            ["@parked"] => parked += 1,
            _ => panic!("{line}"),
        }
    }
    leash.0.kill().unwrap();
    leash.0.wait().unwrap();
    returned
}

/// Four claims stay open for ever, in two segments and more, and what returned behind each of them is there.
#[test]
fn what_returned_behind_claims_whose_writers_stood_still_is_kept() {
    if role().is_some() {
        return;
    }
    for checksum in ["crc32c", "crc64"] {
        let directory = quick_directory();
        let returned = kill_behind_open_claims(checksum, directory.path());
        let log = options(checksum).open(directory.path()).unwrap();
        let report = log.recovery();
        println!("{checksum}: {} records behind {WAYS} open claims: {report}", returned.len());
        assert_eq!(report.last_close, LastClose::ProcessDied);
        assert!(report.holes_skipped >= WAYS && report.torn_tail.is_none(), "{report}");
        assert_eq!(report.end.get() / (1 << 16), returned.last().unwrap().0 / (1 << 16));
        assert!(records(&log.snapshot()) == returned);
        // The claims became padding: there is no record, and nothing of their bytes.
        let error = log.read(Lsn::ZERO).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotARecord);
        let lsn = log.append(b"and the log goes on").unwrap();
        assert!(lsn >= report.end);
        log.close().unwrap();
        let log = options(checksum).open(directory.path()).unwrap();
        assert_eq!(records(&log.snapshot())[..returned.len()], returned);
        assert_eq!(log.read(lsn).unwrap().payload(), b"and the log goes on");
    }
}
