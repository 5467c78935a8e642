//! Where a picture goes: standard output, or a file that did not exist.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::color::Colors;
use crate::exit::Fail;
use crate::out::Out;

/// Asked for before the work begins, so that a place where nothing can be written is told at once.
#[derive(Debug)]
pub(crate) struct Target(Option<PathBuf>);

impl Target {
    /// Refuses a file that exists, and the directory of a log: of the one that is looked at, and of any other.
    pub(crate) fn new(file: Option<&Path>, log: Option<&Path>) -> Result<Self, Fail> {
        let Some(file) = file else { return Ok(Self(None)) };
        let name = file.display();
        if file.symlink_metadata().is_ok() {
            return Err(Fail::Usage(format!(
                "{name} exists; it is not overwritten: give another name to --out"
            )));
        }
        if file.file_name().is_none() {
            return Err(Fail::Usage(format!("{name} names no file; give one to --out")));
        }
        let folder = folder(file).canonicalize();
        let folder = folder.map_err(|error| Fail::io(format!("cannot write {name}"), error))?;
        let inside = log.and_then(|log| log.canonicalize().ok()).is_some_and(|log| folder.starts_with(log));
        if inside || folder.join("log.meta").exists() {
            return Err(Fail::Usage(format!(
                "{name} would lie among the files of a log; give another place to --out"
            )));
        }
        Ok(Self(Some(file.to_owned())))
    }

    /// The colours that what is written there may have.
    pub(crate) fn colors(&self, colors: Colors) -> Colors {
        if self.0.is_some() { Colors::new(crate::color::When::Never) } else { colors }
    }

    pub(crate) fn write(&self, text: &str, out: &mut Out) -> Result<(), Fail> {
        match &self.0 {
            None => out.bytes(text.as_bytes()),
            Some(file) => save(file, text.as_bytes())
                .map_err(|error| Fail::io(format!("cannot write {}", file.display()), error)),
        }
    }
}

fn folder(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// All of it under that name, or nothing.
fn save(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = file.with_file_name(name);
    let mut made = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
    let written =
        made.write_all(bytes).and_then(|()| made.sync_all()).and_then(|()| rename(&temporary, file));
    if written.is_err() {
        // The first failure is the one to tell.
        let _ = std::fs::remove_file(&temporary);
    }
    written?;
    File::open(folder(file))?.sync_all()
}

/// A file that has come to exist meanwhile stays, where the file system can promise that.
fn rename(from: &Path, to: &Path) -> std::io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if to.symlink_metadata().is_err() => {
            std::fs::rename(from, to)
        }
        renamed => Ok(renamed?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_has_come_to_exist_meanwhile_stays() {
        let folder = tempfile::tempdir().unwrap();
        let [file, other] = ["file", "other"].map(|name| folder.path().join(name));
        save(&file, b"first").unwrap();
        assert!(save(&file, b"second").is_err());
        assert_eq!(std::fs::read(&file).unwrap(), b"first");
        save(&other, b"second").unwrap();
        // What was written for the one that failed is gone.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
