//! The new log's directory: under a temporary name until it is whole.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::map::MapFile;
use crate::exit::Fail;

#[derive(Debug)]
pub(super) struct Target {
    out: PathBuf,
    parent: PathBuf,
    temporary: PathBuf,
}

impl Target {
    /// Refuses what is there already and not empty, and what lies in a source.
    pub(super) fn new(out: &Path, sources: &[PathBuf]) -> Result<Self, Fail> {
        let shown = out.display();
        let taken = || {
            Fail::Usage(format!(
                "{shown} is there already; name a directory that is missing or empty, so that nothing is overwritten"
            ))
        };
        let failed = |error| Fail::io(format!("cannot look at {shown}"), error);
        let out = match fs::read_dir(out).map(|mut entries| entries.next().is_none()) {
            Ok(true) => out.canonicalize().map_err(failed)?,
            Ok(false) => return Err(taken()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => out.to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Err(taken()),
            Err(error) => return Err(failed(error)),
        };
        if fs::symlink_metadata(&out).is_ok_and(|there| !there.is_dir()) {
            return Err(taken());
        }
        let parent = match out.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => return Err(taken()),
        };
        let parent = parent.canonicalize().map_err(|error| {
            Fail::io(format!("cannot make {shown}: {} cannot be entered", parent.display()), error)
        })?;
        refuse_inside(&out, &parent, sources)?;
        let name = out.file_name().ok_or_else(taken)?;
        let mut temporary = name.to_owned();
        temporary.push(format!(".tmp-{}", std::process::id()));
        let temporary = parent.join(temporary);
        if temporary.exists() {
            let what = format!("{} is in the way, left by an earlier run; remove it", temporary.display());
            return Err(Fail::Usage(what));
        }
        Ok(Self { out: parent.join(name), parent, temporary })
    }

    pub(super) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Gives the log its name, durably, and before that the map.
    pub(super) fn commit(self, map: Option<MapFile>) -> Result<(), Fail> {
        let failed = |error| Fail::io(format!("cannot name the new log {}", self.out.display()), error);
        let map = map.map(MapFile::commit).transpose()?;
        if let Err(error) = fs::rename(&self.temporary, &self.out) {
            if let Some(map) = map {
                let _ = fs::remove_file(map);
            }
            return Err(failed(error));
        }
        File::open(&self.parent).and_then(|parent| parent.sync_all()).map_err(failed)
    }
}

/// Refuses what would be made in the directory of a source.
pub(super) fn refuse_inside(path: &Path, parent: &Path, sources: &[PathBuf]) -> Result<(), Fail> {
    match sources.iter().find(|source| source.canonicalize().is_ok_and(|source| parent.starts_with(source))) {
        None => Ok(()),
        Some(source) => Err(Fail::Usage(format!(
            "{} lies in {}, which is only read; name a place beside it",
            path.display(),
            source.display()
        ))),
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // It is not there any more when it has its name.
        let _ = fs::remove_dir_all(&self.temporary);
    }
}
