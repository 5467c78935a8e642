//! Builds of broken trees, and runs of their tests.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use crate::Outcome;
use crate::switch::CHOICE;
use crate::table::Suite;
use crate::tree::{Tree, root};

/// A test that runs longer than this hangs, whatever it does.
pub const TIME_MAX: Duration = Duration::from_secs(180);

/// Where the compiler found an error: file and line.
pub type Place = (String, usize);

/// What became of a build.
pub enum Built {
    /// The binary of each test target.
    Binaries(BTreeMap<String, PathBuf>),
    /// What the compiler said, and where.
    Errors(String, Vec<Place>),
}

/// Builds some test targets of a suite.
pub fn build(tree: &Tree, suite: &Suite, targets: &BTreeSet<&str>) -> Outcome<Built> {
    let output = Command::new(env!("CARGO"))
        .args(suite.cargo)
        .args(["--no-run", "--message-format=json-render-diagnostics", "--target-dir"])
        .arg(root().join("target").join(suite.target_dir))
        .args(targets.iter().flat_map(|target| ["--test", target]))
        .envs(suite.env.iter().copied())
        .current_dir(tree.path())
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let places = error_places(&text);
        return Ok(Built::Errors(text, places));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let binaries: BTreeMap<_, _> = messages.lines().filter_map(test_binary).collect();
    match targets.iter().find(|target| !binaries.contains_key(**target)) {
        Some(target) => Err(format!("cargo names no binary for {target}")),
        None => Ok(Built::Binaries(binaries)),
    }
}

/// The test target that this message of cargo tells of, and its binary. (A package's binaries are built beside its tests.)
fn test_binary(message: &str) -> Option<(String, PathBuf)> {
    let value = |rest: &str, key: &str| Some(rest.split_once(key)?.1.split('"').next()?.to_owned());
    let target = message.split_once("\"kind\":[\"test\"]")?.1;
    Some((value(target, "\"name\":\"")?, value(target, "\"executable\":\"")?.into()))
}

/// Where the errors are in what the compiler said: after each line that begins with `error` comes ` --> FILE:LINE:COLUMN`.
fn error_places(text: &str) -> Vec<Place> {
    let mut places = Vec::new();
    let mut in_error = false;
    for line in text.lines() {
        if line.starts_with("error") || line.starts_with("warning") {
            in_error = line.starts_with("error");
        } else if let Some(place) = line.trim_start().strip_prefix("--> ").filter(|_| in_error) {
            let mut parts = place.split(':');
            let (file, line) = (parts.next(), parts.next().and_then(|line| line.parse().ok()));
            places.extend(file.map(str::to_owned).zip(line));
            in_error = false;
        }
    }
    places
}

/// How to run one test.
pub struct Run<'run> {
    pub suite: &'run Suite,
    pub binary: &'run Path,
    pub test: &'run str,
    /// Where the test finds the files of the tree.
    pub tree: &'run Tree,
}

impl Run<'_> {
    /// Runs it with one mutant chosen, or with none, which is 0.
    ///
    /// None when the test passes; when it fails, crashes, or hangs, which is to take longer than the limit, what it said
    /// first.
    pub fn failure(&self, chosen: usize, limit: Duration, log: &Path) -> Outcome<Option<String>> {
        let failed = |error: io::Error| format!("cannot run {}: {error}", self.binary.display());
        let output = fs::File::create(log).map_err(failed)?;
        let errors = output.try_clone().map_err(failed)?;
        let mut child = Command::new(self.binary)
            .args([self.test, "--exact"])
            .envs(self.suite.env.iter().copied())
            .env("RUST_BACKTRACE", "0")
            .env(CHOICE, chosen.to_string())
            .current_dir(self.tree.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(failed)?;
        let began = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().map_err(failed)? {
                break Some(status);
            }
            if began.elapsed() > limit {
                // With the processes that the test started, which would wait for it for ever.
                let kill = format!("kill -KILL -{}", child.id());
                Command::new("sh").args(["-c", &kill]).status().map_err(failed)?;
                child.wait().map_err(failed)?;
                break None;
            }
            thread::sleep(Duration::from_millis(10));
        };
        let text = String::from_utf8_lossy(&fs::read(log).map_err(failed)?).into_owned();
        if !text.contains("running 1 test") {
            return Err(format!("there is no test {} in {}", self.test, self.binary.display()));
        }
        let first_words = || {
            let mut lines = text.lines().skip_while(|line| !line.contains("panicked at")).skip(1);
            lines.next().unwrap_or(if status.is_some() { "it crashed" } else { "it hung" }).to_owned()
        };
        Ok((!status.is_some_and(|status| status.success())).then(first_words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_found_where_the_compiler_saw_them() {
        let text = "warning: unused\n  --> src/a.rs:1:2\n\nerror[E0308]: mismatched\n   --> src/b.rs:30:4\n    |\n   --> src/c.rs:1:1\n\
                    error: could not compile `tidelog`";
        assert_eq!(error_places(text), [("src/b.rs".into(), 30)]);
    }

    #[test]
    fn binaries_are_those_of_the_tests() {
        let of = |kind| {
            let target = format!("{{\"kind\":[\"{kind}\"],\"name\":\"sync\"}}");
            test_binary(&format!("{{\"name\":\"x\",\"target\":{target},\"executable\":\"/a/sync-1\"}}"))
        };
        assert_eq!(of("test"), Some(("sync".into(), "/a/sync-1".into())));
        assert_eq!(of("bin"), None);
    }
}
