//! The directory that is measured in: made, and removed whatever happens, but for a kill.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::args::{Bench, Global};
use crate::exit::Fail;
use crate::units::bytes;

/// A directory of our own.
#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
    interrupted: Arc<AtomicBool>,
}

impl Place {
    /// Refuses the directory of a log, and any below one.
    pub(super) fn new(options: &Bench, global: &Global) -> Result<Self, Fail> {
        let beside =
            global.dir.as_ref().and_then(|dir| dir.canonicalize().ok()?.parent().map(Path::to_owned));
        let given = options.place.clone().or(beside).unwrap_or_else(|| PathBuf::from("."));
        let failed = |error| Fail::io(format!("cannot measure in {}", given.display()), error);
        let place = given.canonicalize().map_err(failed)?;
        if let Some(log) = place.ancestors().find(|above| above.join("log.meta").exists()) {
            return Err(Fail::Usage(format!(
                "{} lies in the log {}, where nothing else belongs; name another place with --in",
                place.display(),
                log.display()
            )));
        }
        // By the flag first: the second interrupt ends the process even if a disk hangs.
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let flag = || Arc::clone(&interrupted);
            signal_hook::flag::register_conditional_shutdown(signal, 1, flag()).map_err(failed)?;
            signal_hook::flag::register(signal, flag()).map_err(failed)?;
        }
        let directory = place.join(format!("tidelog-bench.{}.tmp", std::process::id()));
        std::fs::create_dir(&directory).map_err(failed)?;
        Ok(Self { directory, interrupted })
    }

    /// Where it was made.
    pub(super) fn parent(&self) -> &Path {
        self.directory.parent().unwrap_or(&self.directory)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// True once the user has had enough.
    pub(super) fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// An error once the user has had enough.
    pub(super) fn go_on(&self) -> Result<(), Fail> {
        if self.interrupted() {
            return Err(Fail::io("the measurement was interrupted", std::io::ErrorKind::Interrupted.into()));
        }
        Ok(())
    }

    /// Checks that there is room for so much at a time.
    pub(super) fn check_room(&self, wanted: u64) -> Result<(), Fail> {
        let failed = |error: rustix::io::Errno| {
            Fail::io(format!("cannot tell the free space of {}", self.parent().display()), error.into())
        };
        let found = rustix::fs::statvfs(&self.directory).map_err(failed)?;
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        if free < wanted {
            let what = format!(
                "{} has {} free, and {} may be needed at a time; lower --limit-bytes, or name another place with --in",
                self.parent().display(),
                bytes(free),
                bytes(wanted)
            );
            return Err(Fail::io(what, std::io::ErrorKind::StorageFull.into()));
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.directory) {
            eprintln!("tidelog: cannot remove {}: {error}", self.directory.display());
        }
    }
}
