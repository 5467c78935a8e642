//! What the kernel counted: for this process, and for the device.

mod calls;

use std::ffi::OsString;
use std::fs::read_to_string;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub use calls::Calls;

const SECTOR: u64 = 512;

/// The device of a directory, by its line in `/proc/diskstats`.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    major: u64,
    minor: u64,
}

impl Device {
    pub fn of(directory: &Path) -> Option<Self> {
        let number = std::fs::metadata(directory).ok()?.dev();
        let device = Self { major: u64::from(libc::major(number)), minor: u64::from(libc::minor(number)) };
        device.line().map(|_| device)
    }

    /// The fields of its line, from the name on.
    fn line(&self) -> Option<Vec<String>> {
        let text = read_to_string("/proc/diskstats").ok()?;
        text.lines().find_map(|line| {
            let mut fields = line.split_whitespace();
            let same = fields.next()?.parse() == Ok(self.major) && fields.next()?.parse() == Ok(self.minor);
            same.then(|| fields.map(String::from).collect())
        })
    }

    pub fn name(&self) -> Option<String> {
        self.line()?.into_iter().next()
    }

    fn written_and_flushes(&self) -> Option<(u64, u64)> {
        let fields = self.line()?;
        let field = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some((field(7)? * SECTOR, field(16).unwrap_or(0)))
    }
}

/// A reading of all counters; the difference of two is what happened between.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Page faults of the process, also of its background threads.
    pub faults: u64,
    /// Bytes that the process caused to be written, as the kernel attributes them.
    pub written: u64,
    /// Bytes written to the device, by anybody.
    pub device_written: u64,
    /// Flushes of the device's cache, by anybody.
    pub flushes: u64,
}

impl Reading {
    pub fn now(device: Option<Device>) -> Self {
        let (device_written, flushes) =
            device.and_then(|device| device.written_and_flushes()).unwrap_or((0, 0));
        Self { faults: faults(), written: written(), device_written, flushes }
    }

    pub fn since(&self, before: &Self) -> Self {
        Self {
            faults: self.faults.saturating_sub(before.faults),
            written: self.written.saturating_sub(before.written),
            device_written: self.device_written.saturating_sub(before.device_written),
            flushes: self.flushes.saturating_sub(before.flushes),
        }
    }
}

fn faults() -> u64 {
    let text = read_to_string("/proc/self/stat").unwrap_or_default();
    // The command's name may hold blanks; it ends at the last bracket.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let field = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    field(7) + field(9)
}

/// Whether every other thread of this process sleeps, and none waits for the disk.
pub fn others_are_idle() -> bool {
    let own =
        std::fs::read_link("/proc/thread-self").ok().and_then(|path| path.file_name().map(OsString::from));
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return true };
    threads.flatten().filter(|thread| Some(thread.file_name()) != own).all(|thread| {
        let text = read_to_string(thread.path().join("stat")).unwrap_or_default();
        let state = text.rsplit(") ").next().and_then(|rest| rest.chars().next());
        !matches!(state, Some('R' | 'D'))
    })
}

fn written() -> u64 {
    let text = read_to_string("/proc/self/io").unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok()).unwrap_or(0)
}
