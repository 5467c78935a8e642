//! Counting by callgrind.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tree::output;

/// One run's operations in their order, with the instructions that each took.
pub type Counts = Vec<(String, f64)>;

/// valgrind, from the system or unpacked.
pub struct Callgrind {
    program: PathBuf,
    /// Where its tools are, when it was unpacked.
    library: Option<PathBuf>,
}

impl Callgrind {
    /// Finds valgrind, or fetches it; fails with the reason where that cannot be done.
    pub fn find(home: &Path) -> Result<Self, String> {
        let installed = Self { program: "valgrind".into(), library: None };
        if installed.works() {
            return Ok(installed);
        }
        let prefix = home.join("valgrind");
        let unpacked = Self {
            program: prefix.join("usr/bin/valgrind"),
            library: Some(prefix.join("usr/libexec/valgrind")),
        };
        if !unpacked.works() {
            fetch(&prefix)
                .map_err(|error| format!("there is no valgrind, and it cannot be fetched: {error}"))?;
        }
        if unpacked.works() { Ok(unpacked) } else { Err("the valgrind that was fetched does not run".into()) }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(library) = &self.library {
            command.env("VALGRIND_LIB", library);
        }
        command
    }

    fn works(&self) -> bool {
        output(self.command().args(["--tool=callgrind", "--version"])).is_ok()
    }

    /// Runs the operations once.
    pub fn count(&self, program: &Path, home: &Path) -> Result<Counts, String> {
        let scratch = home.join("run");
        let io = |error: std::io::Error| format!("{}: {error}", scratch.display());
        if scratch.exists() {
            fs::remove_dir_all(&scratch).map_err(io)?;
        }
        let (dumps, logs) = (scratch.join("dumps"), scratch.join("logs"));
        fs::create_dir_all(&dumps).map_err(io)?;
        fs::create_dir_all(&logs).map_err(io)?;
        // The one place where there is something to count, by its full name.
        let crate_name = program.file_name().unwrap_or_default().to_string_lossy().replace('-', "_");
        let place = format!("{crate_name}::counted_here");
        // A dump each time the place is left has what was collected since the last one. What is collected is collected
        // for each thread by itself.
        let printed = output(
            self.command()
                .args(["--tool=callgrind", "-q"])
                .arg(format!("--toggle-collect={place}"))
                .arg(format!("--dump-after={place}"))
                .arg(format!("--callgrind-out-file={}", dumps.join("count").display()))
                .arg(program)
                .arg(&logs),
        )?;
        let totals = totals(&dumps)?;
        fs::remove_dir_all(&scratch).map_err(io)?;
        let mut counts = Counts::new();
        let mut totals = totals.into_values();
        for line in printed.lines() {
            let (name, times) = line.split_once('\t').ok_or_else(|| format!("odd line {line:?}"))?;
            let times: f64 = times.parse().map_err(|_| format!("odd line {line:?}"))?;
            let total = totals.next().ok_or("callgrind counted too few operations")?;
            counts.push((name.to_owned(), total / times));
        }
        if totals.next().is_some() {
            return Err("callgrind counted too many operations".into());
        }
        Ok(counts)
    }
}

/// The instructions in each dump, by the dump's number.
fn totals(dumps: &Path) -> Result<BTreeMap<u32, f64>, String> {
    let io = |error: std::io::Error| format!("{}: {error}", dumps.display());
    let mut totals = BTreeMap::new();
    for entry in fs::read_dir(dumps).map_err(io)? {
        let path = entry.map_err(io)?.path();
        // The one without a number is written at the end, and has what came after the last.
        let Some(number) = path.extension().and_then(|number| number.to_str()?.parse().ok()) else {
            continue;
        };
        let text = fs::read_to_string(&path).map_err(io)?;
        let total = total(&text).ok_or_else(|| format!("{}: no total", path.display()))?;
        totals.insert(number, total);
    }
    Ok(totals)
}

/// The sum of a dump.
fn total(dump: &str) -> Option<f64> {
    let line = dump.lines().find_map(|line| line.strip_prefix("totals: "))?;
    line.trim().parse().ok()
}

/// Unpacks Debian's package, and touches nothing else.
fn fetch(prefix: &Path) -> Result<(), String> {
    let debs = prefix.join("debs");
    let io = |error: std::io::Error| format!("{}: {error}", debs.display());
    fs::create_dir_all(&debs).map_err(io)?;
    let download = || output(Command::new("apt-get").current_dir(&debs).args(["download", "valgrind"]));
    if download().is_err() {
        // The lists of packages may be old, or not be there.
        output(Command::new("apt-get").arg("update"))?;
        download()?;
    }
    for entry in fs::read_dir(&debs).map_err(io)? {
        output(Command::new("dpkg-deb").arg("-x").arg(entry.map_err(io)?.path()).arg(prefix))?;
    }
    fs::remove_dir_all(&debs).map_err(io)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_sum_of_a_dump_is_found() {
        let dump = "version: 1\nevents: Ir\nsummary: 12\n\nfn=(1) work\n16 7\n17 5\n\ntotals: 12\n";
        assert_eq!(super::total(dump), Some(12.0));
        assert_eq!(super::total("events: Ir\n"), None);
    }
}
