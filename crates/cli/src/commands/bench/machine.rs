//! What the figures belong to.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// The machine and the file system, as far as they tell.
#[derive(Debug)]
pub(super) struct Machine {
    processor: String,
    pub(super) processors: usize,
    kernel: String,
    pub(super) file_system: String,
    device: Option<String>,
    /// `write back` or `write through`, as the kernel takes the device's cache.
    write_cache: Option<String>,
    rotational: Option<bool>,
}

/// What a line of the mount table says.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    device_number: String,
    at: PathBuf,
    file_system: String,
    source: String,
}

impl Machine {
    pub(super) fn look(directory: &Path) -> Self {
        let cpus = read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let mount = mount(directory, &read_to_string("/proc/self/mountinfo").unwrap_or_default());
        let queue = mount.as_ref().and_then(|mount| queue(&mount.device_number));
        let setting = |name: &str| {
            let text = read_to_string(queue.as_ref()?.join(name)).ok()?;
            Some(text.trim().to_owned())
        };
        let unknown = || "unknown".to_owned();
        let file_system = mount.as_ref().map_or_else(unknown, |mount| {
            let kind = &mount.file_system;
            // Without one a sync of a changed inode writes the inode in place.
            if has_no_journal(mount) { format!("{kind} without a journal") } else { kind.clone() }
        });
        Self {
            processor: processor.map_or_else(unknown, |(_, name)| name.to_owned()),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: read_to_string("/proc/sys/kernel/osrelease")
                .map_or_else(|_| unknown(), |text| text.trim().to_owned()),
            file_system,
            device: mount.map(|mount| mount.source).filter(|source| source.starts_with('/')),
            write_cache: setting("write_cache"),
            rotational: setting("rotational").map(|value| value == "1"),
        }
    }

    fn in_memory(&self) -> bool {
        matches!(self.file_system.as_str(), "tmpfs" | "ramfs")
    }

    /// What makes the figures other than one may think.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.in_memory() {
            warnings.push(format!(
                "{} keeps files in memory: a sync costs nothing there, and says nothing about a disk; name another place \
                 with --in",
                self.file_system
            ));
        } else if self.write_cache.as_deref() == Some("write through") {
            warnings.push(
                "the device says that it has no cache to be flushed, so a sync is a write: true where the cache is \
                 protected from a loss of power, and on many virtual disks"
                    .to_owned(),
            );
        }
        warnings
    }

    /// The disk in a line.
    pub(super) fn disk(&self) -> String {
        let mut text = self.file_system.clone();
        if let Some(device) = &self.device {
            text += &format!(" on {device}");
        }
        if let Some(cache) = &self.write_cache {
            text += &format!(", {cache} cache");
        }
        match self.rotational {
            Some(true) => text + ", said to be rotational",
            _ => text,
        }
    }

    /// The rest in a line.
    pub(super) fn host(&self) -> String {
        format!("{} ({} processors), Linux {}", self.processor, self.processors, self.kernel)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "processor": self.processor,
            "processors": self.processors,
            "kernel": self.kernel,
            "file_system": self.file_system,
            "device": self.device,
            "write_cache": self.write_cache,
            "rotational": self.rotational,
            "warnings": self.warnings(),
        })
    }
}

fn has_no_journal(mount: &Mount) -> bool {
    let Some(device) = Path::new(&mount.source).file_name() else { return false };
    let task = read_to_string(Path::new("/sys/fs/ext4").join(device).join("journal_task"));
    task.is_ok_and(|task| task.trim() == "<none>")
}

/// The mount that a directory lies on: the last of those with the longest path.
fn mount(directory: &Path, table: &str) -> Option<Mount> {
    let directory = directory.canonicalize().ok()?;
    let mounts = table.lines().filter_map(parse).filter(|mount| directory.starts_with(&mount.at));
    mounts.max_by_key(|mount| mount.at.as_os_str().len())
}

/// A line of `/proc/self/mountinfo`: `36 35 98:0 /root /at opts shared:1 - ext4 /dev/sda1 rw`.
fn parse(line: &str) -> Option<Mount> {
    let (place, kind) = line.split_once(" - ")?;
    let place: Vec<&str> = place.split(' ').collect();
    let mut kind = kind.split(' ');
    Some(Mount {
        device_number: (*place.get(2)?).to_owned(),
        at: PathBuf::from(unescaped(place.get(4)?)),
        file_system: kind.next()?.to_owned(),
        source: unescaped(kind.next()?),
    })
}

/// The kernel writes spaces and the like as `\040`.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) if code.is_ascii() => {
                out.push(char::from(code));
                out.push_str(&part[3..]);
            }
            _ => {
                out.push('\\');
                out.push_str(part);
            }
        }
    }
    out
}

/// Where the kernel shows the settings of a device; a partition's are those of its disk.
fn queue(device_number: &str) -> Option<PathBuf> {
    let device = Path::new("/sys/dev/block").join(device_number).canonicalize().ok()?;
    [device.join("queue"), device.parent()?.join("queue")].into_iter().find(|queue| queue.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_wins_and_spaces_are_read() {
        let table =
            "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 21 0:5 / /proc rw shared:3 - proc proc rw\nnonsense\n";
        let root = mount(Path::new("/"), table).unwrap();
        assert_eq!((root.file_system.as_str(), root.device_number.as_str()), ("ext4", "8:1"));
        assert_eq!(mount(Path::new("/proc"), table).unwrap().file_system, "proc");
        let line = parse("40 21 8:2 / /mnt/a\\040b\\134c rw - xfs /dev/disk\\040one rw").unwrap();
        assert_eq!((line.at.to_str(), line.source.as_str()), (Some("/mnt/a b\\c"), "/dev/disk one"));
        assert_eq!(unescaped("a\\9é"), "a\\9é");
    }
}
