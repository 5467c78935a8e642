//! Files that commands write: whole or not at all, and never over another.

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::exit::Fail;

/// A file under a temporary name, until it is finished. What is not finished is removed.
#[derive(Debug)]
pub(crate) struct NewFile {
    path: PathBuf,
    temporary: PathBuf,
    file: Option<BufWriter<File>>,
}

impl NewFile {
    /// `log` is the directory of a log, into which nothing is written.
    pub(crate) fn create(path: &Path, log: &Path) -> Result<Self, Fail> {
        let folder = folder(path);
        let inside =
            fs::canonicalize(log).is_ok_and(|log| fs::canonicalize(folder).is_ok_and(|at| at == log));
        if inside {
            let path = path.display();
            return Err(Fail::Usage(format!("{path} lies in the log's own directory; name another place")));
        }
        if fs::symlink_metadata(path).is_ok() {
            return Err(there(path));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = folder.join(format!(".{name}.{}.tmp", std::process::id()));
        let file = File::create_new(&temporary)
            .map_err(|error| Fail::io(format!("cannot create {}", temporary.display()), error))?;
        let file = Some(BufWriter::with_capacity(256 << 10, file));
        Ok(Self { path: path.to_owned(), temporary, file })
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Fail> {
        let path = &self.path;
        let written = self.file.as_mut().map_or(Ok(()), |file| file.write_all(bytes));
        written.map_err(|error| failed(path, error))
    }

    /// Syncs it and gives it its name.
    pub(crate) fn finish(mut self) -> Result<(), Fail> {
        let failed = |error| failed(&self.path, error);
        if let Some(mut file) = self.file.take() {
            file.flush().and_then(|()| file.get_ref().sync_all()).map_err(failed)?;
        }
        // A link fails where the name is taken, which a rename does not. Where there are no links, who is first wins.
        match fs::hard_link(&self.temporary, &self.path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(there(&self.path)),
            Err(_) if fs::symlink_metadata(&self.path).is_ok() => return Err(there(&self.path)),
            Err(_) => fs::rename(&self.temporary, &self.path).map_err(failed)?,
        }
        File::open(folder(&self.path)).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // Gone already where it was renamed.
        let _ = fs::remove_file(&self.temporary);
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn there(path: &Path) -> Fail {
    Fail::Usage(format!("{} is there already, and is not overwritten; name another file", path.display()))
}

fn failed(path: &Path, error: std::io::Error) -> Fail {
    Fail::io(format!("cannot write {}", path.display()), error)
}
