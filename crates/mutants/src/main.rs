//! Breaks tidelog on purpose, one rule at a time, and checks that the test for the rule notices.
//!
//! `cargo run -p tidelog-mutants -- [--quick] [--list] [NAME..]`: all mutants, a few for each edge, or those whose name
//! contains one of the words. A mutant that does not compile, or whose text is not found exactly once, is an
//! error of the run and not a catch.

mod table;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use std::{fs, io};

use table::{MUTANTS, Mutant, Suite};

/// A test that runs longer than this hangs, which is a failure of the test.
const TEST_TIMEOUT: Duration = Duration::from_secs(180);

type Outcome<T> = Result<T, String>;

fn main() -> ExitCode {
    let mut quick = false;
    let mut list = false;
    let mut words = Vec::new();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => quick = true,
            "--list" => list = true,
            word if !word.starts_with('-') => words.push(word.to_owned()),
            other => {
                eprintln!("unknown option {other}; use --quick, --list, or words from mutants' names");
                return ExitCode::from(2);
            }
        }
    }
    let wanted = |mutant: &&Mutant| {
        (!quick || mutant.quick) && (words.is_empty() || words.iter().any(|word| mutant.name.contains(word)))
    };
    let mutants: Vec<&Mutant> = MUTANTS.iter().filter(wanted).collect();
    if list {
        for mutant in &mutants {
            let (target, test) = mutant.test;
            println!("{}\n    {}\n    {} {target}::{test}", mutant.name, mutant.rule, mutant.suite.name);
        }
        return ExitCode::SUCCESS;
    }
    match run_all(&mutants) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// True when every mutant was caught.
fn run_all(mutants: &[&Mutant]) -> Outcome<bool> {
    if mutants.is_empty() {
        return Err("no mutant has such a name".into());
    }
    let began = Instant::now();
    // Two lanes with a copy of the tree each: what builds in the models' directories, and what builds in `target` itself.
    // No build waits for the other lane's.
    let (files, models): (Vec<&Mutant>, Vec<&Mutant>) =
        mutants.iter().partition(|mutant| mutant.suite.target_dir == ".");
    let lanes = [(Bench::set_up("files")?, files), (Bench::set_up("models")?, models)];
    for (bench, _) in &lanes {
        bench.check_texts()?;
    }
    let tallies: Vec<Outcome<Tally>> = thread::scope(|scope| {
        let running = lanes.iter().map(|(bench, mutants)| scope.spawn(|| bench.run_all(mutants)));
        let running: Vec<_> = running.collect();
        running
            .into_iter()
            .map(|lane| lane.join().unwrap_or_else(|_| Err("a lane panicked".into())))
            .collect()
    });
    let mut all = Tally::default();
    for tally in tallies {
        let Tally { caught, survived, errors } = tally?;
        all.caught += caught;
        all.survived.extend(survived);
        all.errors.extend(errors);
    }
    let Tally { caught, survived, errors } = all;
    println!(
        "{caught} caught, {} survived, {} errors, {:.0} s",
        survived.len(),
        errors.len(),
        began.elapsed().as_secs_f64()
    );
    for name in survived.iter().chain(&errors) {
        println!("    {name}");
    }
    Ok(survived.is_empty() && errors.is_empty())
}

/// What became of some mutants.
#[derive(Default)]
struct Tally {
    caught: usize,
    survived: Vec<&'static str>,
    errors: Vec<&'static str>,
}

/// A copy of the tree to break, and its build output.
struct Bench {
    tree: PathBuf,
    targets: PathBuf,
}

impl Bench {
    fn set_up(lane: &str) -> Outcome<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let targets = root.join("target");
        let bench = Self { tree: targets.join("mutants").join(lane), targets };
        copy_changed(&root, &bench.tree)
            .map_err(|error| format!("cannot copy the tree to {}: {error}", bench.tree.display()))?;
        bench.mark()?;
        Ok(bench)
    }

    /// Gives the copy a version of its own.
    ///
    /// Cargo names what it builds by package, version and place in the workspace: a copy that shares a build directory
    /// with the tree itself, for the sake of the dependencies, would share the name too. The tree's files are older than
    /// the last mutant's build, which would be taken for theirs, and the tests after it would test the mutant.
    fn mark(&self) -> Outcome<()> {
        let path = self.tree.join("Cargo.toml");
        let failed = |error: io::Error| format!("{}: {error}", path.display());
        let manifest = fs::read_to_string(&path).map_err(failed)?;
        let version = concat!("version = \"", env!("CARGO_PKG_VERSION"));
        if manifest.matches(version).count() != 1 {
            return Err(format!("{} does not name the version once", path.display()));
        }
        fs::write(&path, manifest.replacen(version, &format!("{version}+mutant"), 1)).map_err(failed)
    }

    /// Every mutant fits the code, also those that are not wanted now: said at once, and of all together.
    fn check_texts(&self) -> Outcome<()> {
        let mut misfits = Vec::new();
        for mutant in MUTANTS {
            let path = self.tree.join(mutant.file);
            let code = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", mutant.file))?;
            match code.matches(mutant.text).count() {
                1 => {}
                n => misfits.push(format!("{}: its text occurs {n} times in {}", mutant.name, mutant.file)),
            }
        }
        if misfits.is_empty() { Ok(()) } else { Err(misfits.join("\n")) }
    }

    /// A test that fails without a mutant proves nothing with one.
    fn check_baseline(&self, mutants: &[&Mutant]) -> Outcome<()> {
        let mut seen = BTreeSet::new();
        for mutant in mutants {
            if seen.insert((mutant.suite.name, mutant.test)) {
                let binary = self.build(mutant.suite, mutant.test.0)?;
                if !self.passes(mutant.suite, &binary, mutant.test.1)? {
                    return Err(format!("{}::{} fails without a mutant", mutant.test.0, mutant.test.1));
                }
            }
        }
        println!("{} tests pass without a mutant", seen.len());
        Ok(())
    }

    fn run_all(&self, mutants: &[&Mutant]) -> Outcome<Tally> {
        self.check_baseline(mutants)?;
        let mut tally = Tally::default();
        for mutant in mutants {
            let began = Instant::now();
            let verdict = self.run(mutant);
            let (word, more) = match &verdict {
                Ok(true) => ("caught", format!("          {}", self.last_panic())),
                Ok(false) => ("SURVIVED", String::new()),
                Err(error) => ("ERROR", error.clone()),
            };
            let seconds = began.elapsed().as_secs_f64();
            println!("{word:9} {:34} {seconds:6.1} s  {}\n{more}", mutant.name, mutant.rule);
            match verdict {
                Ok(true) => tally.caught += 1,
                Ok(false) => tally.survived.push(mutant.name),
                Err(_) => tally.errors.push(mutant.name),
            }
        }
        Ok(tally)
    }

    /// True when the mutant's test fails.
    fn run(&self, mutant: &Mutant) -> Outcome<bool> {
        let path = self.tree.join(mutant.file);
        let original = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", mutant.file))?;
        let write = |text: &str| fs::write(&path, text).map_err(|error| format!("{}: {error}", mutant.file));
        write(&original.replacen(mutant.text, mutant.replacement, 1))?;
        let verdict = self
            .build(mutant.suite, mutant.test.0)
            .and_then(|binary| self.passes(mutant.suite, &binary, mutant.test.1));
        write(&original)?;
        verdict.map(|passes| !passes)
    }

    /// Builds a test target and returns its binary.
    fn build(&self, suite: &Suite, target: &str) -> Outcome<PathBuf> {
        let output = Command::new(env!("CARGO"))
            .args(suite.cargo)
            .args(["--no-run", "--message-format=json-render-diagnostics", "--test", target, "--target-dir"])
            .arg(self.targets.join(suite.target_dir))
            .envs(suite.env.iter().copied())
            .current_dir(&self.tree)
            .output()
            .map_err(|error| format!("cannot run cargo: {error}"))?;
        if !output.status.success() {
            return Err(format!("it does not compile:\n{}", String::from_utf8_lossy(&output.stderr)));
        }
        let messages = String::from_utf8_lossy(&output.stdout);
        let marker = "\"executable\":\"";
        // A package's binaries are built beside its tests.
        let tests = messages.lines().filter(|line| line.contains("\"kind\":[\"test\"]"));
        let mut paths = tests.filter_map(|line| line.split_once(marker)?.1.split('"').next());
        paths.next_back().map(PathBuf::from).ok_or_else(|| format!("cargo names no binary for {target}"))
    }

    /// What the last test that failed said first.
    fn last_panic(&self) -> String {
        let text = fs::read_to_string(self.tree.with_extension("txt")).unwrap_or_default();
        let mut lines = text.lines().skip_while(|line| !line.contains("panicked at")).skip(1);
        lines.next().unwrap_or("it crashed or hung").to_owned()
    }

    /// True when the test passes; false when it fails, crashes or hangs.
    fn passes(&self, suite: &Suite, binary: &Path, test: &str) -> Outcome<bool> {
        let failed = |error: io::Error| format!("cannot run {}: {error}", binary.display());
        let log = self.tree.with_extension("txt");
        let output = fs::File::create(&log).map_err(failed)?;
        let errors = output.try_clone().map_err(failed)?;
        let mut child = Command::new(binary)
            .args([test, "--exact"])
            .envs(suite.env.iter().copied())
            .env("RUST_BACKTRACE", "0")
            .current_dir(&self.tree)
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
            if began.elapsed() > TEST_TIMEOUT {
                child.kill().map_err(failed)?;
                child.wait().map_err(failed)?;
                break None;
            }
            thread::sleep(Duration::from_millis(10));
        };
        let text = fs::read_to_string(&log).map_err(failed)?;
        if !text.contains("running 1 test") {
            return Err(format!("there is no test {test} in {}", binary.display()));
        }
        Ok(status.is_some_and(|status| status.success()))
    }
}

/// Makes `to` a copy of `from`, without what git does not hold, and touches only what differs, so that a later run
/// builds no more than it must.
fn copy_changed(from: &Path, to: &Path) -> io::Result<()> {
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
            copy_changed(&source, &copy)?;
        } else if kind.is_file() {
            let bytes = fs::read(&source)?;
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
