//! Which record has become which, as comma-separated values.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::target::refuse_inside;
use crate::exit::Fail;

#[derive(Debug)]
pub(super) struct MapFile {
    path: PathBuf,
    parent: PathBuf,
    temporary: PathBuf,
    file: BufWriter<File>,
}

impl MapFile {
    pub(super) fn create(path: &Path, sources: &[PathBuf]) -> Result<Self, Fail> {
        if fs::symlink_metadata(path).is_ok() {
            return Err(Fail::Usage(format!("{} is there already; name a new file", path.display())));
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new(".")).canonicalize().map_err(|error| failed(path, error))?;
        refuse_inside(path, &parent, sources)?;
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".tmp-{}", std::process::id()));
        let temporary = PathBuf::from(temporary);
        let file = File::create_new(&temporary)
            .map_err(|error| Fail::io(format!("cannot make {}", temporary.display()), error))?;
        let mut map =
            Self { path: path.to_owned(), parent, temporary, file: BufWriter::with_capacity(64 << 10, file) };
        map.write(|file| file.write_all(b"source,old,new\n"))?;
        Ok(map)
    }

    pub(super) fn line(&mut self, source: usize, old: u64, new: u64) -> Result<(), Fail> {
        self.write(|file| writeln!(file, "{source},{old},{new}"))
    }

    fn write(&mut self, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<(), Fail> {
        write(&mut self.file).map_err(|error| failed(&self.path, error))
    }

    /// Makes it durable under its name, which it gives back.
    pub(super) fn commit(mut self) -> Result<PathBuf, Fail> {
        if fs::symlink_metadata(&self.path).is_ok() {
            return Err(failed(&self.path, io::ErrorKind::AlreadyExists.into()));
        }
        let named = self.file.flush().and_then(|()| {
            self.file.get_ref().sync_all()?;
            fs::rename(&self.temporary, &self.path)?;
            let synced = File::open(&self.parent).and_then(|parent| parent.sync_all());
            synced.inspect_err(|_| drop(fs::remove_file(&self.path)))
        });
        named.map_err(|error| failed(&self.path, error))?;
        Ok(self.path.clone())
    }
}

fn failed(path: &Path, error: io::Error) -> Fail {
    Fail::io(format!("cannot write {}", path.display()), error)
}

impl Drop for MapFile {
    fn drop(&mut self) {
        // It is not there any more when it has its name.
        let _ = fs::remove_file(&self.temporary);
    }
}
