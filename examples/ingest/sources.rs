//! The input: files, directories and standard input, as lines of bytes.

use std::fs;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What is taken without an argument.
const DEFAULT_EXTENSIONS: [&str; 3] = ["rs", "md", "toml"];

/// Directories that hold no input of anybody's.
const SKIPPED_DIRECTORIES: [&str; 2] = ["target", ".git"];

/// A file with a zero byte in its beginning is taken for binary.
const PROBE_BYTES: usize = 8192;

/// One file, or standard input.
pub struct Source {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Where a line lies.
pub struct Line {
    pub source: u32,
    /// Counted from 1, as editors do.
    pub number: u64,
    pub range: Range<usize>,
}

/// The whole input. It stays in memory, to be compared with what the log gives back.
pub struct Input {
    pub sources: Vec<Source>,
    /// The lines of all sources, one source after the other.
    pub lines: Vec<Line>,
    /// Binary files that a directory had.
    pub skipped: usize,
}

impl Input {
    /// The bytes of a line, without the line feed that ends it.
    pub fn text(&self, line: &Line) -> &[u8] {
        &self.sources[line.source as usize].bytes[line.range.clone()]
    }

    pub fn bytes(&self) -> usize {
        self.sources.iter().map(|source| source.bytes.len()).sum()
    }

    fn add(&mut self, name: String, bytes: Vec<u8>) -> Result<(), String> {
        let source = u32::try_from(self.sources.len()).map_err(|_| "there are too many input files")?;
        let mut at = 0;
        for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let len = line.len() - usize::from(line.ends_with(b"\n"));
            self.lines.push(Line { source, number: index as u64 + 1, range: at..at + len });
            at += line.len();
        }
        self.sources.push(Source { name, bytes });
        Ok(())
    }
}

/// Reads everything that the arguments name; without one, the sources under the current directory.
pub fn read(inputs: &[PathBuf]) -> Result<Input, String> {
    let mut input = Input { sources: Vec::new(), lines: Vec::new(), skipped: 0 };
    if inputs.is_empty() {
        for path in walk(Path::new("."))? {
            let extension = path.extension().and_then(|extension| extension.to_str());
            if extension.is_some_and(|extension| DEFAULT_EXTENSIONS.contains(&extension)) {
                let bytes = read_file(&path)?;
                input.add(path.display().to_string(), bytes)?;
            }
        }
    }
    for path in inputs {
        if path.as_os_str() == "-" {
            let mut bytes = Vec::new();
            let read = std::io::stdin().lock().read_to_end(&mut bytes);
            read.map_err(|error| format!("cannot read standard input: {error}"))?;
            input.add("standard input".to_owned(), bytes)?;
        } else if path.is_dir() {
            for file in walk(path)? {
                let bytes = read_file(&file)?;
                if bytes.iter().take(PROBE_BYTES).any(|byte| *byte == 0) {
                    input.skipped += 1;
                } else {
                    input.add(file.display().to_string(), bytes)?;
                }
            }
        } else {
            let bytes = read_file(path)?;
            input.add(path.display().to_string(), bytes)?;
        }
    }
    if input.lines.is_empty() {
        return Err("the input has no lines; name a file, a directory, or - for standard input".to_owned());
    }
    Ok(input)
}

/// The regular files under a directory, in a fixed order. Links are not followed.
fn walk(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        let failed = |error| format!("cannot list {}: {error}", directory.display());
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_file() {
                files.push(entry.path());
            } else if kind.is_dir() && !SKIPPED_DIRECTORIES.iter().any(|name| entry.file_name() == *name) {
                directories.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}
