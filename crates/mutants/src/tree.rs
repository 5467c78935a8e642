//! Copies of the tree, to be broken.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::Outcome;
use crate::table::Mutant;

/// The tree that stands here.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every mutant fits the code, also those that are not wanted now: said at once, and of all together.
pub fn check_texts(mutants: &[Mutant]) -> Outcome<()> {
    let mut misfits = Vec::new();
    for mutant in mutants {
        match code(mutant.file)?.matches(mutant.text).count() {
            1 if mutant.text != mutant.replacement => {}
            1 => misfits.push(format!("{}: it changes nothing", mutant.name)),
            n => misfits.push(format!("{}: its text occurs {n} times in {}", mutant.name, mutant.file)),
        }
    }
    if misfits.is_empty() { Ok(()) } else { Err(misfits.join("\n")) }
}

/// A file of the tree that stands here.
pub fn code(file: &str) -> Outcome<String> {
    fs::read_to_string(root().join(file)).map_err(|error| format!("{file}: {error}"))
}

/// A copy of the tree to break.
#[derive(Debug)]
pub struct Tree {
    path: PathBuf,
}

impl Tree {
    /// Makes the copy, or brings it up to date, with other texts for some files.
    ///
    /// `mark` becomes part of its version. Cargo names what it builds by package, version and place in the workspace: a
    /// copy that shares a build directory with the tree itself, for the sake of the dependencies, would share the name
    /// too. The tree's files are older than the last mutant's build, which would be taken for theirs, and the tests after it
    /// would test the mutant.
    pub fn set_up(name: &str, mark: &str, mut files: Vec<(String, String)>) -> Outcome<Self> {
        let path = root().join("target/mutants").join(name);
        let manifest = code("Cargo.toml")?;
        let version = concat!("version = \"", env!("CARGO_PKG_VERSION"));
        if manifest.matches(version).count() != 1 {
            return Err("Cargo.toml does not name the version once".into());
        }
        files.push(("Cargo.toml".into(), manifest.replacen(version, &format!("{version}+{mark}"), 1)));
        let files = files.into_iter().map(|(file, text)| (root().join(file), text)).collect();
        copy_changed(&root(), &path, &files)
            .map_err(|error| format!("cannot copy the tree to {}: {error}", path.display()))?;
        Ok(Self { path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes `to` a copy of `from`, without what git does not hold and with other texts for some files, and touches only what
/// differs, so that a later run builds no more than it must.
fn copy_changed(from: &Path, to: &Path, files: &BTreeMap<PathBuf, String>) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == "target" || name.to_string_lossy().starts_with('.') {
            continue;
        }
        let (source, copy) = (entry.path(), to.join(&name));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_changed(&source, &copy, files)?;
        } else if kind.is_file() {
            let bytes =
                files.get(&source).map_or_else(|| fs::read(&source), |text| Ok(text.clone().into_bytes()))?;
            if fs::read(&copy).ok().as_deref() != Some(&bytes[..]) {
                fs::write(&copy, bytes)?;
            }
        } else {
            continue;
        }
        names.insert(name);
    }
    // What was removed or renamed must not linger.
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        let name = entry.file_name();
        if !names.contains(&name) && name != "target" {
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}
