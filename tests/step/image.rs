//! A log's directory at one moment: what a process leaves that is killed there.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// The files, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    files: Vec<(String, Arc<Vec<u8>>)>,
}

impl Image {
    /// Takes the directory in as it is now. True when anything has changed: a byte, or a name.
    pub(crate) fn refresh(&mut self, directory: &Path, scratch: &mut Vec<u8>) -> bool {
        let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        let mut files = Vec::with_capacity(names.len());
        let mut changed = names.len() != self.files.len();
        for (index, name) in names.into_iter().enumerate() {
            scratch.clear();
            File::open(directory.join(&name)).unwrap().read_to_end(scratch).unwrap();
            match self.files.get(index) {
                Some((known, bytes)) if *known == name && **bytes == *scratch => {
                    files.push((name, Arc::clone(bytes)));
                }
                _ => {
                    changed = true;
                    files.push((name, Arc::new(scratch.clone())));
                }
            }
        }
        self.files = files;
        changed
    }

    /// Writes a copy into an empty directory. Pages of zeros are left out.
    pub(crate) fn write(&self, directory: &Path) {
        for (name, bytes) in &self.files {
            let file = File::create(directory.join(name)).unwrap();
            file.set_len(bytes.len() as u64).unwrap();
            for (page, at) in bytes.chunks(4096).zip((0..).step_by(4096)) {
                if page.iter().any(|byte| *byte != 0) {
                    file.write_all_at(page, at).unwrap();
                }
            }
        }
    }
}
