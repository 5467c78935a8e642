//! The machine: commands, loop devices, mounts, the boot id, and that nothing of it is left behind.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

pub type Outcome<T> = Result<T, String>;

/// Every file and directory of ours has this in its name, and the process id behind it.
const NAME: &str = "tidelog-blocks-";

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Gives an error a place.
pub trait Context<T> {
    fn context(self, what: impl std::fmt::Display) -> Outcome<T>;
}

impl<T, E: std::fmt::Display> Context<T> for Result<T, E> {
    fn context(self, what: impl std::fmt::Display) -> Outcome<T> {
        self.map_err(|error| format!("{what}: {error}"))
    }
}

/// Runs a command; returns what it wrote.
pub fn run(program: &str, arguments: &[&str]) -> Outcome<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().context(program)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

/// Why nothing of this can run here; `None` where it can.
pub fn missing_means(programs: &[&str]) -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("it needs root, to mount".to_owned());
    }
    for device in ["/dev/fuse", "/dev/loop-control"] {
        if let Err(error) = File::options().read(true).write(true).open(device) {
            return Some(format!("{device}: {error}"));
        }
    }
    let runs = |program: &str| Command::new(program).arg("-V").output().is_ok();
    programs.iter().find(|program| !runs(program)).map(|program| format!("{program} is not installed"))
}

/// Mounts of this process and its children are seen by nobody else from now on, and go with them.
pub fn enter_private_namespace() -> Outcome<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("cannot have mounts of its own")?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .context("cannot have private mounts")
}

/// A file system in memory for all that a run needs.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    owner: u32,
}

impl Scratch {
    /// `owner` is the process that outlives all others of the run.
    pub fn new(owner: u32) -> Outcome<Self> {
        let path = std::env::temp_dir().join(format!("{NAME}{owner}"));
        fs::create_dir_all(&path).context(path.display())?;
        mount(Some("tmpfs"), &path, Some("tmpfs"), MsFlags::empty(), None::<&str>).context("tmpfs")?;
        Ok(Self { path, owner })
    }

    /// A new directory in it.
    pub fn directory(&self, name: &str) -> Outcome<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).context(path.display())?;
        Ok(path)
    }

    /// A name for a file that a loop device is attached to.
    pub fn backing_name(&self, name: &str) -> String {
        format!("{NAME}{}-{name}", self.owner)
    }
}

/// Takes away what this process's helpers and processes that are no more left behind: the mounts went with them.
pub fn sweep() {
    let dead = |name: &str| {
        let (_, rest) = name.split_once(NAME)?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let pid: u32 = digits.parse().ok()?;
        (pid == std::process::id() || !Path::new(&format!("/proc/{pid}")).exists()).then_some(())
    };
    for entry in fs::read_dir("/sys/block").into_iter().flatten().flatten() {
        let backing = fs::read_to_string(entry.path().join("loop/backing_file")).unwrap_or_default();
        if dead(&backing).is_some() {
            let _ = run("losetup", &["-d", &format!("/dev/{}", entry.file_name().to_string_lossy())]);
        }
    }
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        if dead(&entry.file_name().to_string_lossy()).is_some() {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// A loop device.
#[derive(Debug)]
pub struct Loop {
    device: PathBuf,
}

impl Loop {
    pub fn attach(file: &Path) -> Outcome<Self> {
        let device = run("losetup", &["--find", "--show", &file.to_string_lossy()])?;
        Ok(Self { device: PathBuf::from(device.trim()) })
    }

    pub fn device(&self) -> &Path {
        &self.device
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        if let Err(error) = run("losetup", &["-d", &self.device.to_string_lossy()]) {
            eprintln!("{error}");
        }
    }
}

/// A mounted file system.
#[derive(Debug)]
pub struct Mounted {
    point: PathBuf,
    there: bool,
}

impl Mounted {
    pub fn new(device: &Path, point: &Path, kind: &str, options: &str) -> Outcome<Self> {
        mount(Some(device), point, Some(kind), MsFlags::MS_NOATIME, Some(options))
            .context(format!("cannot mount {kind}"))?;
        Ok(Self { point: point.to_owned(), there: true })
    }

    /// Unmounts, and tells whether that worked.
    pub fn unmount(mut self) -> Outcome<()> {
        let unmounted = umount2(&self.point, MntFlags::empty()).context("cannot unmount");
        self.there = unmounted.is_err();
        unmounted
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.there && umount2(&self.point, MntFlags::empty()).is_err() {
            let _ = umount2(&self.point, MntFlags::MNT_DETACH);
        }
    }
}

/// The boot id as this process and its children read it. A crash state is one of another boot, and the log must
/// see that.
#[derive(Debug)]
pub struct BootId {
    file: PathBuf,
}

impl BootId {
    pub fn take_over(scratch: &Scratch) -> Outcome<Self> {
        let file = scratch.path.join("boot_id");
        let boot = Self { file };
        boot.set(0)?;
        mount(Some(&boot.file), BOOT_ID, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .context("cannot change the boot id")?;
        Ok(boot)
    }

    /// The machine was started again, for the `number`th time.
    pub fn set(&self, number: u32) -> Outcome<()> {
        let id = format!("{number:08x}-7469-4465-8c6f-67626c6f636b\n");
        fs::write(&self.file, id).context("boot_id")
    }
}

/// Locks; what a thread that panicked left is still of use.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The seed of the time, for runs that were given none.
pub fn random_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.as_nanos() as u64 % 1_000_000_007
}

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// Writes a whole file, sparse where it is zeros.
pub fn create_sparse(path: &Path, len: u64) -> io::Result<File> {
    let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
    file.set_len(len)?;
    Ok(file)
}
