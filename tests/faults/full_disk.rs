//! A device without room: appends are refused and go on when there is room again; nothing dies, hangs or is
//! lost (G9).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tidelog::{Error, ErrorKind, LastClose, Log, Lsn, Options, SyncPolicy};

use crate::support::{lacks, myself, payload, role, skip, succeed};

const POLICIES: [SyncPolicy; 4] = [
    SyncPolicy::None,
    SyncPolicy::Immediate,
    SyncPolicy::periodic(Duration::from_millis(2)),
    SyncPolicy::grouped(),
];

/// A small device of its own.
struct Device {
    mount_point: tempfile::TempDir,
}

impl Device {
    fn new(bytes: u64) -> Result<Self, String> {
        let mount_point = tempfile::tempdir().unwrap();
        let size = format!("size={bytes}");
        let path = mount_point.path().to_str().unwrap();
        match lacks("mount", &["-t", "tmpfs", "-o", &size, "tidelog-test", path]) {
            None => Ok(Self { mount_point }),
            Some(missing) => Err(missing),
        }
    }

    fn path(&self) -> &Path {
        self.mount_point.path()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Runs a scenario in children: one for each policy, segment size and record size, each on its own device.
fn on_small_devices(test: &str, scenario: impl Fn(&Path, &str)) {
    if role().is_some() {
        return;
    }
    for policy in 0..POLICIES.len() {
        for (device_bytes, segment_bytes, record_bytes) in
            [(12 << 20, 1 << 20, 100), (32 << 20, 1 << 20, 200 << 10), (32 << 20, 4 << 20, 3000)]
        {
            let device = match Device::new(device_bytes) {
                Ok(device) => device,
                Err(missing) => {
                    skip(test, Some(missing));
                    return;
                }
            };
            let setting =
                format!("{policy}|{segment_bytes}|{record_bytes}|{device_bytes}|{}", device.path().display());
            scenario(device.path(), &setting);
        }
    }
}

struct Setting {
    options: Options,
    record_bytes: usize,
    device_bytes: u64,
    device: PathBuf,
}

impl Setting {
    fn of(role: &str) -> Self {
        let words: Vec<&str> = role.split('|').collect();
        let number = |index: usize| words[index].parse::<usize>().unwrap();
        let options = Options::new().sync_policy(POLICIES[number(0)]).segment_bytes(number(1) as u64);
        Self {
            options,
            record_bytes: number(2),
            device_bytes: number(3) as u64,
            device: PathBuf::from(words[4]),
        }
    }

    fn open(&self) -> Log {
        self.options.open(self.device.join("log")).unwrap()
    }

    /// Takes all the room that is left, to the last byte.
    fn fill_the_rest(&self) -> PathBuf {
        let path = self.device.join("unrelated");
        let mut file = File::create(&path).unwrap();
        let mut bytes = 1 << 20;
        while bytes > 0 {
            if file.write_all(&vec![7; bytes]).is_err() {
                bytes /= 2;
            }
        }
        path
    }
}

/// Appends and remembers.
struct Writer<'a> {
    log: &'a Log,
    record_bytes: usize,
    next: u64,
    returned: BTreeMap<u64, u64>,
}

impl<'a> Writer<'a> {
    fn new(log: &'a Log, setting: &Setting, first: u64) -> Self {
        Self { log, record_bytes: setting.record_bytes, next: first, returned: BTreeMap::new() }
    }

    fn append(&mut self) -> Result<Lsn, Error> {
        let bytes = payload(self.next, self.record_bytes);
        let lsn = match self.next % 3 {
            0 => self.log.append(&bytes),
            1 => self.log.append_with(bytes.len(), |buffer| buffer.copy_from_slice(&bytes)),
            _ => {
                let (one, other) = bytes.split_at(bytes.len() / 2);
                self.log.append_batch(&[one, other]).map(|mut lsns| lsns.next().unwrap())
            }
        }?;
        self.returned.insert(lsn.get(), self.next);
        self.next += 1;
        Ok(lsn)
    }

    fn fill(&mut self) {
        let error = (0..10_000_000).find_map(|_| self.append().err()).expect("a device without end");
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    }
}

/// What returned is there, each record whole.
fn check(log: &Log, record_bytes: usize, returned: &BTreeMap<u64, u64>) {
    let snapshot = log.snapshot();
    let records: BTreeMap<u64, &[u8]> = snapshot
        .iter()
        .map(|record| record.map(|record| (record.lsn().get(), record.payload())))
        .collect::<Result<_, _>>()
        .unwrap();
    for (lsn, number) in returned.range(snapshot.start().get()..) {
        let bytes = payload(*number, record_bytes);
        let found = records[lsn];
        if number % 3 == 2 {
            let (one, other) = bytes.split_at(bytes.len() / 2);
            assert_eq!(found, one, "LSN {lsn}");
            assert_eq!(records.range(lsn + 1..).next().unwrap().1, &other, "behind LSN {lsn}");
        } else {
            assert_eq!(found, bytes, "LSN {lsn}");
        }
    }
}

#[test]
fn child_fills_the_device() {
    let Some(role) = role() else { return };
    let setting = Setting::of(&role);
    let log = setting.open();
    let mut writer = Writer::new(&log, &setting, 0);
    writer.fill();
    assert!(log.watermarks().published.get() > setting.device_bytes / 2, "{:?}", log.watermarks());
    for _ in 0..20 {
        assert_eq!(writer.append().unwrap_err().kind(), ErrorKind::StorageFull);
    }
    check(&log, setting.record_bytes, &writer.returned);

    // Not a byte is left, and still retiring makes room.
    let unrelated = setting.fill_the_rest();
    assert_eq!(writer.append().unwrap_err().kind(), ErrorKind::StorageFull);
    let middle = *writer.returned.keys().nth(writer.returned.len() / 2).unwrap();
    let start = log.retire_before(Lsn::new(middle)).unwrap();
    assert!(start > Lsn::ZERO);
    for _ in 0..20 {
        writer.append().unwrap();
    }
    check(&log, setting.record_bytes, &writer.returned);

    // Somebody else makes room.
    writer.fill();
    std::fs::remove_file(unrelated).unwrap();
    let unrelated = setting.fill_the_rest();
    writer.fill();
    std::fs::remove_file(&unrelated).unwrap();
    let newest = *writer.returned.keys().next_back().unwrap();
    let with_room = writer.append().is_ok();
    // What the unrelated file had taken may be less than a segment.
    log.retire_before(Lsn::new(newest)).unwrap();
    writer.append().unwrap();
    check(&log, setting.record_bytes, &writer.returned);

    log.close().unwrap();
    let log = setting.open();
    assert_eq!(log.recovery().last_close, LastClose::Clean);
    check(&log, setting.record_bytes, &writer.returned);
    println!("\n{} records; room without retiring: {with_room}", writer.returned.len());
}

#[test]
fn a_full_device_is_an_error_and_goes_away_again() {
    on_small_devices("a_full_device_is_an_error_and_goes_away_again", |_, setting| {
        let said = succeed(myself("full_disk::child_fills_the_device", setting));
        println!("{setting}: {}", said.lines().find(|line| line.contains("room without")).unwrap());
    });
}

/// An unrelated file took the room: when it is deleted appends go on, with nothing retired.
#[test]
fn child_shares_the_device() {
    let Some(role) = role() else { return };
    let setting = Setting::of(&role);
    let unrelated = setting.device.join("large");
    File::create(&unrelated).unwrap().write_all(&vec![1; setting.device_bytes as usize * 7 / 16]).unwrap();
    let log = setting.open();
    let mut writer = Writer::new(&log, &setting, 0);
    writer.fill();
    let rest = setting.fill_the_rest();
    assert_eq!(writer.append().unwrap_err().kind(), ErrorKind::StorageFull);
    std::fs::remove_file(unrelated).unwrap();
    let before = log.watermarks().published.get();
    while log.watermarks().published.get() < before + setting.device_bytes / 4 {
        writer.append().unwrap();
    }
    drop(rest);
    check(&log, setting.record_bytes, &writer.returned);
    log.close().unwrap();
}

#[test]
fn appends_go_on_when_an_unrelated_file_is_deleted() {
    on_small_devices("appends_go_on_when_an_unrelated_file_is_deleted", |_, setting| {
        succeed(myself("full_disk::child_shares_the_device", setting));
    });
}

#[test]
fn child_fills_with_threads() {
    let Some(role) = role() else { return };
    let setting = Setting::of(&role);
    let log = setting.open();
    let everybody = |first: u64, run: &(dyn Fn(&mut Writer<'_>) + Sync)| {
        let mut returned = BTreeMap::new();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4_u64)
                .map(|thread| {
                    let mut writer = Writer::new(&log, &setting, first + thread * 10_000_000);
                    scope.spawn(move || {
                        run(&mut writer);
                        writer.returned
                    })
                })
                .collect();
            for thread in threads {
                returned.extend(thread.join().unwrap());
            }
        });
        returned
    };
    let mut returned = BTreeMap::new();
    for round in 0..3 {
        let first = round * 100_000_000;
        returned.extend(everybody(first, &|writer| {
            writer.fill();
            for _ in 0..5 {
                // Another's record may have been longer, so one that still fits is no error.
                if let Err(error) = writer.append() {
                    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
                }
            }
        }));
        check(&log, setting.record_bytes, &returned);
        let newest = *returned.keys().next_back().unwrap();
        log.retire_before(Lsn::new(newest)).unwrap();
        returned.extend(everybody(first + 50_000_000, &|writer| {
            for _ in 0..5 {
                writer.append().unwrap();
            }
        }));
    }
    check(&log, setting.record_bytes, &returned);
    log.close().unwrap();
}

#[test]
fn threads_that_fill_the_device_are_all_refused_and_all_go_on() {
    on_small_devices("threads_that_fill_the_device_are_all_refused_and_all_go_on", |_, setting| {
        succeed(myself("full_disk::child_fills_with_threads", setting));
    });
}

/// Fills the device to the last byte and dies, or closes.
#[test]
fn child_leaves_a_full_device() {
    let Some(role) = role() else { return };
    let (end, role) = role.split_once('|').unwrap();
    let setting = Setting::of(role);
    let log = setting.open();
    let mut writer = Writer::new(&log, &setting, 0);
    writer.fill();
    setting.fill_the_rest();
    if end == "close" {
        log.close().unwrap();
    }
    println!("\nrecords {}", writer.returned.len());
    std::process::exit(0);
}

#[test]
fn child_reads_a_full_device() {
    let Some(role) = role() else { return };
    let (expected, role) = role.split_once('|').unwrap();
    let setting = Setting::of(role);
    setting.fill_the_rest();
    let log = setting.open();
    // Batches are two records each.
    let expected: usize = expected.parse().unwrap();
    let records =
        log.snapshot().iter().map(|record| record.map(drop)).collect::<Result<Vec<_>, _>>().unwrap();
    assert!((expected..=expected + 1).contains(&records.len()), "{} of {expected}", records.len());
    let mut writer = Writer::new(&log, &setting, 1 << 40);
    writer.fill();
    check(&log, setting.record_bytes, &writer.returned);
    log.retire_before(log.watermarks().published).unwrap();
    writer.append().unwrap();
    log.close().unwrap();
}

#[test]
fn a_log_on_a_full_device_opens_and_reads() {
    on_small_devices("a_log_on_a_full_device_opens_and_reads", |_, setting| {
        // Both ends under each policy.
        let end = if setting.contains("|3000|") { "close" } else { "die" };
        let said = succeed(myself("full_disk::child_leaves_a_full_device", &format!("{end}|{setting}")));
        let appends: u64 =
            said.lines().find_map(|line| line.strip_prefix("records ")).unwrap().parse().unwrap();
        let records = appends + appends / 3;
        succeed(myself("full_disk::child_reads_a_full_device", &format!("{records}|{setting}")));
    });
}
