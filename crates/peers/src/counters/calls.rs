//! System calls of this process, by the kernel's tracepoints. Needs root; costs each call about 0.1 us while it counts.
#![allow(unsafe_code, reason = "perf_event_open has no safe wrapper")]

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd};

/// The calls that make something durable.
const SYNCS: [&str; 6] = ["fsync", "fdatasync", "msync", "sync", "syncfs", "sync_file_range"];

/// Counters that are running, for all threads that are started from now on.
pub struct Calls {
    all: File,
    syncs: Vec<File>,
}

impl Calls {
    /// Counts the threads that this one starts; `None` where the kernel does not let it.
    pub fn start() -> Option<Self> {
        let all = counter("raw_syscalls/sys_enter")?;
        let syncs = SYNCS.iter().filter_map(|name| counter(&format!("syscalls/sys_enter_{name}"))).collect();
        Some(Self { all, syncs })
    }

    /// All calls, and those of them that sync.
    pub fn read(&self) -> Option<(u64, u64)> {
        let syncs = self.syncs.iter().map(value).sum::<Option<u64>>()?;
        Some((value(&self.all)?, syncs))
    }
}

fn value(mut counter: &File) -> Option<u64> {
    let mut bytes = [0; 8];
    counter.read_exact(&mut bytes).ok()?;
    Some(u64::from_ne_bytes(bytes))
}

/// The head of the kernel's `struct perf_event_attr`, its first version.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_type: u32,
    config1: u64,
}

const TRACEPOINT: u32 = 2;
const INHERIT: u64 = 1 << 1;

fn counter(tracepoint: &str) -> Option<File> {
    let id = std::fs::read_to_string(format!("/sys/kernel/tracing/events/{tracepoint}/id")).ok()?;
    let attributes = Attributes {
        kind: TRACEPOINT,
        size: size_of::<Attributes>() as u32,
        config: id.trim().parse().ok()?,
        flags: INHERIT,
        ..Attributes::default()
    };
    // SAFETY: the kernel reads `size` bytes of the struct, which lives until the call returns. The other arguments are
    // numbers: this thread, any processor, no group, closed on exec.
    let fd = unsafe { libc::syscall(libc::SYS_perf_event_open, &raw const attributes, 0, -1, -1, 8) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: the call just returned this descriptor, and nobody else has it.
    let file = unsafe { File::from_raw_fd(fd) };
    debug_assert!(file.as_raw_fd() >= 0);
    Some(file)
}
