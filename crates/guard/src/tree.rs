//! The two trees that are compared, and how the operations are built against one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a command, and gives what it prints.
pub fn output(command: &mut Command) -> Result<String, String> {
    let shown = format!("{command:?}");
    let output = command.output().map_err(|error| format!("{shown}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = errors.lines().rev().take(20).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    Err(format!("{shown}: {}\n{}", output.status, last.join("\n")))
}

fn git(root: &Path, arguments: &[&str]) -> Result<String, String> {
    output(Command::new("git").current_dir(root).args(arguments))
}

/// The tree in which this was built.
pub fn root() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().map_err(|error| format!("{}: {error}", root.display()))
}

/// The commit to compare with: the one that is asked for, or the last one that differs from what stands here.
pub fn base(root: &Path, asked: Option<&str>) -> Result<String, String> {
    let revision = match asked {
        Some(revision) => revision,
        None if git(root, &["status", "--porcelain", "--untracked-files=no"])?.is_empty() => "HEAD^",
        None => "HEAD",
    };
    git(root, &["rev-parse", "--verify", "--end-of-options", &format!("{revision}^{{commit}}")])
}

/// The commit in words.
pub fn describe(root: &Path, revision: &str) -> Result<String, String> {
    git(root, &["log", "-1", "--format=%h %s", revision])
}

/// Where a version of tidelog lies.
pub struct Tree {
    name: &'static str,
    source: PathBuf,
    /// Of tidelog, with commas between.
    features: String,
}

impl Tree {
    /// The tree as it stands.
    pub fn standing(root: &Path, features: &str) -> Self {
        Self { name: "here", source: root.to_owned(), features: features.to_owned() }
    }

    /// A copy of a commit, in a folder named after it: cargo tells versions apart by the place.
    pub fn of_commit(root: &Path, home: &Path, revision: &str) -> Result<Self, String> {
        let copies = home.join("commits");
        let source = copies.join(revision);
        let io = |error: std::io::Error| format!("{}: {error}", copies.display());
        if !source.join("complete").exists() {
            if copies.exists() {
                fs::remove_dir_all(&copies).map_err(io)?;
            }
            fs::create_dir_all(&source).map_err(io)?;
            let archive = copies.join("commit.tar");
            let archive = archive.to_string_lossy();
            git(root, &["archive", "--format=tar", "-o", &archive, revision])?;
            output(Command::new("tar").current_dir(&source).args(["-xf", &archive]))?;
            fs::write(source.join("complete"), "").map_err(io)?;
        }
        Ok(Self { name: "base", source, features: String::new() })
    }

    /// Builds the operations of the tree that stands here against this one, and tells where the program is.
    ///
    /// They get a package of their own, with the same flags for both. One codegen unit, so that the figures do not
    /// depend on how the compiler happens to divide the work.
    pub fn build(&self, root: &Path, home: &Path) -> Result<PathBuf, String> {
        let package = home.join(self.name);
        let io = |error: std::io::Error| format!("{}: {error}", package.display());
        fs::create_dir_all(&package).map_err(io)?;
        let manifest = package.join("Cargo.toml");
        let name = format!("tidelog-guard-{}", self.name);
        let text = format!(
            "[workspace]\n\n[package]\nname = \"{name}\"\nedition = \"2024\"\n\n\
             [dependencies]\ntidelog = {{ path = {:?}, features = {:?} }}\n\n\
             [[bin]]\nname = \"{name}\"\npath = {:?}\n\n\
             [profile.release]\ncodegen-units = 1\ndebug = 1\n",
            self.source,
            self.features.split(',').filter(|feature| !feature.is_empty()).collect::<Vec<_>>(),
            root.join("crates/guard/src/work.rs"),
        );
        fs::write(&manifest, text).map_err(io)?;
        // The same versions of what tidelog is built on as in its own tree.
        fs::copy(self.source.join("Cargo.lock"), package.join("Cargo.lock")).map_err(io)?;
        let target = home.join("build");
        output(
            Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
                .current_dir(&package)
                .args(["build", "--quiet", "--release", "--target-dir"])
                .arg(&target),
        )?;
        Ok(target.join("release").join(name))
    }
}
