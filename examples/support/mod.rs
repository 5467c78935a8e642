//! What the examples share: where they work, and how they check what they did.

use std::error::Error;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// How `main` ends: with an error it prints it, and exits with 1.
pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Where an example works.
pub enum Place {
    /// Named by the user, who finds the logs there afterwards.
    Given(PathBuf),
    /// Removed at the end.
    Temporary(TempDir),
}

impl Place {
    /// The directory if one was given; otherwise a temporary one, beside the build where there is one: the system's
    /// directory for temporary files may be in memory, where a sync costs nothing and tells nothing.
    pub fn new(given: Option<PathBuf>) -> Outcome<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("tidelog-example-");
        Ok(match given {
            Some(directory) => Self::Given(directory),
            None if Path::new("target").is_dir() => Self::Temporary(builder.tempdir_in("target")?),
            None => Self::Temporary(builder.tempdir()?),
        })
    }

    /// A directory of its own for each log.
    pub fn path(&self, name: &str) -> PathBuf {
        match self {
            Self::Given(directory) => directory.join(name),
            Self::Temporary(directory) => directory.path().join(name),
        }
    }
}

/// An error that says what was not as it must be.
pub fn check(holds: bool, what: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(what().into()) }
}
