//! What the figures belong to.

use std::fs::read_to_string;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::counters::Device;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub kernel: String,
    pub file_system: String,
    pub device: Option<String>,
    pub write_cache: Option<String>,
    /// What one look at the clock costs; it is part of each latency of an append.
    pub clock_nanos: f64,
}

impl Machine {
    pub fn look(directory: &Path) -> Self {
        let cpus = read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let device = Device::of(directory).and_then(|device| device.name());
        let write_cache = device.as_ref().and_then(|name| {
            let text = read_to_string(format!("/sys/class/block/{name}/queue/write_cache")).ok()?;
            Some(text.trim().to_owned())
        });
        // Without one a sync of a changed inode writes the inode in place.
        let journal =
            device.as_ref().and_then(|name| read_to_string(format!("/sys/fs/ext4/{name}/journal_task")).ok());
        let no_journal = journal.is_some_and(|task| task.trim() == "<none>");
        let file_system = file_system(directory).unwrap_or_else(|| "?".into());
        Self {
            processor: processor.map_or("?", |(_, name)| name).into(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().into(),
            file_system: if no_journal { format!("{file_system} without a journal") } else { file_system },
            device,
            write_cache,
            clock_nanos: clock_nanos(),
        }
    }

    pub fn in_memory(&self) -> bool {
        matches!(self.file_system.as_str(), "tmpfs" | "ramfs")
    }
}

fn file_system(directory: &Path) -> Option<String> {
    let directory = directory.canonicalize().ok()?;
    let mounts = read_to_string("/proc/self/mounts").ok()?;
    let mut best: Option<(usize, String)> = None;
    for line in mounts.lines() {
        let mut fields = line.split(' ');
        let (_, at, kind) = (fields.next()?, fields.next()?, fields.next()?);
        if directory.starts_with(at) && best.as_ref().is_none_or(|(length, _)| *length <= at.len()) {
            best = Some((at.len(), kind.into()));
        }
    }
    best.map(|(_, kind)| kind)
}

fn clock_nanos() -> f64 {
    const LOOKS: u32 = 100_000;
    let began = Instant::now();
    for _ in 0..LOOKS {
        std::hint::black_box(Instant::now());
    }
    began.elapsed().as_nanos() as f64 / f64::from(LOOKS)
}
