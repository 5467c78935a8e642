//! Blocks of the log that cannot be read.

use super::{Lab, MAPPED, Run, plan};
use crate::disk::Faults;
use crate::image::BLOCK;
use crate::system::{Context, Outcome};

impl Lab<'_> {
    /// Blocks of the log cannot be read, one after the other.
    pub(super) fn reads(&mut self) -> Outcome<()> {
        let mut stack = self.stack(&self.killed.clone())?;
        let mut blocks = Vec::new();
        for entry in std::fs::read_dir(stack.directory()).context("log")?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let contents = std::fs::read(entry.path()).context(&name)?;
            for (index, page) in contents.chunks_exact(BLOCK).enumerate() {
                let worth = name.ends_with(".seg") && (index < 4 || index % 5 == 0)
                    || name == "log.meta" && index == 0;
                if let (true, Some(at)) = (worth, self.killed.find(page)) {
                    blocks.push((format!("{name} page {index} cannot be read"), at));
                }
            }
        }
        stack.unmount()?;
        drop(stack);
        if blocks.is_empty() {
            return Err("none of the log's blocks was found on the disk".to_owned());
        }
        for (name, at) in blocks {
            let outcome = self.read_case(at);
            self.tally.read_faults += 1;
            self.note(&name, outcome);
        }
        let outcome = self.mapped_read();
        self.note("reading mapped memory", outcome);
        Ok(())
    }

    fn read_case(&mut self, at: u64) -> Outcome<()> {
        let stack = self.stack(&self.killed)?;
        stack.disk.inject(Faults { reads_within: Some(at..at + BLOCK as u64), ..Faults::default() });
        let mut run = Run { truth: self.truth.clone(), ..Run::default() };
        run.durable = self.truth.last_key_value().map_or(0, |(lsn, _)| lsn + 1);
        let refused = self.reopen(&stack, &mut run)?;
        if stack.disk.heal().hits == 0 {
            return Err("the block was never read".to_owned());
        }
        match refused {
            Err(error) if error.starts_with("Io") => self.tally.refused += 1,
            // Opening had no need to read a segment that is marked durable; who reads it then does so through a
            // mapping.
            Err(error) if error == MAPPED => {}
            other => return Err(format!("opening: {other:?}")),
        }
        match self.reopen(&stack, &mut run)? {
            Ok(()) => Ok(()),
            Err(error) => Err(format!("with a block that can be read again: {error}")),
        }
    }

    /// A closed log is not read at open. A reader that then meets the block in mapped memory is ended by a signal,
    /// and never given other bytes.
    fn mapped_read(&mut self) -> Outcome<()> {
        let stack = self.stack(&self.closed)?;
        let first = stack.directory().join("00000000000000000000.seg");
        let contents = std::fs::read(first).context("the first segment")?;
        drop(stack);
        let at = self.closed.find(&contents[2 * BLOCK..3 * BLOCK]).ok_or("the block was not found")?;
        let stack = self.stack(&self.closed)?;
        stack.disk.inject(Faults { reads_within: Some(at..at + BLOCK as u64), ..Faults::default() });
        let mut child = stack.writer(&plan(9, "grouped", 1, 0, self.seed))?;
        let opened = child.opened()??;
        if opened.whole {
            return Err("the block was read".to_owned());
        }
        let appended = self.truth.iter().map(|(lsn, known)| (*lsn, known.id));
        if !opened.found.iter().copied().eq(appended.take(opened.found.len())) {
            return Err("the reader was given something else than was appended".to_owned());
        }
        self.expect_bus_error(&mut child)
    }
}
