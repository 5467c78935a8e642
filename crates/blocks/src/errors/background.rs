//! Write-back by the kernel that fails, and that nobody saw fail.

use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use super::{Lab, Run, plan, remount};
use crate::disk::{Fault, Faults};
use crate::fs::{Fs, extents};
use crate::image::BLOCK;
use crate::record::Stack;
use crate::system::{Context, Outcome};

impl Lab<'_> {
    /// The kernel's own write-back fails, nobody sees it, and the writer is killed.
    pub(super) fn background(&mut self) -> Outcome<()> {
        for (number, failing) in
            [Failing::Data, Failing::Data, Failing::All, Failing::Nothing].into_iter().enumerate()
        {
            let outcome = self.background_case(failing, number as u64);
            self.tally.background_faults += u64::from(failing != Failing::Nothing);
            self.note(&format!("write-back, failing: {failing:?}"), outcome);
        }
        Ok(())
    }

    fn background_case(&mut self, failing: Failing, number: u64) -> Outcome<()> {
        let mut stack = self.stack(&self.closed)?;
        let mut child = stack.writer(&plan(2, "none", 1, 12, self.seed + number))?;
        child.opened()??;
        // No sync under `None` with so few units: the records are in the page cache alone.
        child.go_on()?;
        let mut run = Run::watch(&child)?;
        if failing != Failing::Nothing {
            let within = if failing == Failing::Data { data_blocks(&stack)? } else { Vec::new() };
            stack.disk.inject(Faults { writes: Fault::From(1), writes_within: within, ..Faults::default() });
            write_back(&segments(&stack)?)?;
            let began = Instant::now();
            while stack.disk.faults().hits == 0 {
                if began.elapsed() > Duration::from_secs(20) {
                    return Err("nothing was written back".to_owned());
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            // What is under way fails as well.
            std::thread::sleep(Duration::from_millis(50));
        }
        child.kill()?;
        stack.disk.heal();
        run.truth.extend(self.truth.iter().map(|(lsn, known)| (*lsn, *known)));
        let acknowledged = self.truth.last_key_value().map_or(0, |(lsn, _)| lsn + 1);
        // The process died, the machine did not: all that was published is there.
        run.durable = run.truth.last_key_value().map_or(0, |(lsn, _)| lsn + 1);
        let before = self.tally.rewritten;
        match self.reopen(&stack, &mut run)? {
            Ok(()) if failing == Failing::Data && self.tally.rewritten == before => {
                Err("nothing was written again".to_owned())
            }
            Ok(()) => Ok(()),
            // A file system that failed itself lets nobody repair anything. What was durable survives that.
            Err(error) if error.starts_with("Io") && (failing == Failing::All || self.fs == Fs::Btrfs) => {
                self.tally.refused += 1;
                run.durable = acknowledged;
                remount(&mut stack)?;
                self.reopen(&stack, &mut run)?.map_err(|error| format!("opening, mounted anew: {error}"))
            }
            Err(error) => Err(format!("opening: {error}")),
        }
    }
}

/// Which writes fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failing {
    Nothing,
    /// Those of the log's blocks, where it can be told which these will be.
    Data,
    All,
}

/// Where the segments lie; nowhere in particular on a file system that writes elsewhere each time.
fn data_blocks(stack: &Stack) -> Outcome<Vec<Range<u64>>> {
    let mut ranges = Vec::new();
    if stack.fs != Fs::Btrfs {
        for path in segments(stack)? {
            let extents = extents(&path)?.into_iter();
            ranges.extend(extents.map(|(first, count)| first * BLOCK as u64..(first + count) * BLOCK as u64));
        }
    }
    Ok(ranges)
}

fn segments(stack: &Stack) -> Outcome<Vec<PathBuf>> {
    let entries = std::fs::read_dir(stack.directory()).context("log")?.flatten();
    Ok(entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "seg"))
        .collect())
}

/// Begins to write dirty pages back, and waits for nothing.
fn write_back(files: &[PathBuf]) -> Outcome<()> {
    for path in files {
        let file = File::open(path).context(path.display())?;
        posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).context("fadvise")?;
    }
    Ok(())
}
