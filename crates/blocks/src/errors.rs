//! `errors`: the disk fails. Writes and FLUSHes under a sync, reads while recovering, and write-back that fails when
//! nobody looks.

use std::fs::File;
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use crate::check::{Claims, judge};
use crate::child::{Child, Known, Opened, Told, Truth, learn};
use crate::crash::BOOT_OF_STATES;
use crate::disk::{Fault, Faults};
use crate::explore::Bench;
use crate::fs::{Fs, extents};
use crate::image::{BLOCK, Image};
use crate::record::{Stack, fresh};
use crate::system::{BootId, Context, Outcome, Scratch};
use crate::writer::Plan;

const BOOT: u32 = 1;

/// Why a log that opened could not be read.
const MAPPED: &str = "a block of mapped memory cannot be read";

/// What was seen on one file system.
#[derive(Debug, Default)]
struct Tally {
    write_faults: u64,
    flush_faults: u64,
    read_faults: u64,
    background_faults: u64,
    poisoned: u64,
    waiters: u64,
    rewritten: u64,
    refused: u64,
    cuts: u64,
    aborts: u64,
    failures: u64,
}

/// Which call fails, and what the next opening finds.
#[derive(Clone, Debug)]
struct Case {
    name: String,
    faults: Faults,
    /// The disk still fails when the log is opened again.
    still_failing: bool,
    /// The file system is mounted anew before that, so that nothing is left in the page cache.
    remount: bool,
}

struct Lab<'a> {
    fs: Fs,
    scratch: &'a Scratch,
    boot: &'a BootId,
    bench: Bench,
    /// A disk with a small log, closed; and with one whose writer was killed.
    closed: Image,
    killed: Image,
    truth: Truth,
    seed: u64,
    tally: Tally,
}

/// Runs it all; true when everything was as it must be.
pub fn errors(file_systems: &[Fs], seed: u64, scratch: &Scratch, boot: &BootId) -> Outcome<bool> {
    println!("seed {seed}");
    let mut well = true;
    for fs in file_systems {
        let began = Instant::now();
        boot.set(BOOT)?;
        let mut lab = Lab::new(*fs, seed, scratch, boot)?;
        lab.syncs()?;
        lab.reads()?;
        lab.background()?;
        println!("{}: {:?} in {:.1} s", fs.name(), lab.tally, began.elapsed().as_secs_f64());
        let awake = lab.tally.poisoned > 0 && lab.tally.rewritten > 0 && lab.tally.refused > 0;
        if !awake {
            println!("FAILED: {}: the faults never hit", fs.name());
        }
        well &= lab.tally.failures == 0 && awake;
    }
    Ok(well)
}

fn plan(run: u16, policy: &'static str, threads: u16, units: u32, seed: u64) -> Plan {
    Plan { run, policy, crc64: false, threads, units, retire: false, eager: false, failing: true, seed }
}

impl<'a> Lab<'a> {
    fn new(fs: Fs, seed: u64, scratch: &'a Scratch, boot: &'a BootId) -> Outcome<Self> {
        let empty = fresh(fs, scratch)?;
        let bench = Bench::new(fs, scratch, 0)?;
        let mut lab = Self {
            fs,
            scratch,
            boot,
            bench,
            closed: empty.clone(),
            killed: empty,
            truth: Truth::new(),
            seed,
            tally: Tally::default(),
        };
        let mut stack = lab.stack(&lab.closed)?;
        let mut child = stack.writer(&plan(1, "immediate", 2, 60, seed))?;
        child.opened()??;
        child.go_on()?;
        let run = Run::watch(&child)?;
        lab.truth = run.truth;
        lab.killed = stack.disk.durable_image();
        child.go_on()?;
        expect_closed(&mut child)?;
        stack.unmount()?;
        lab.closed = stack.disk.image();
        Ok(lab)
    }

    fn stack(&self, image: &Image) -> Outcome<Stack> {
        self.boot.set(BOOT)?;
        let mut stack = Stack::new(self.fs, self.scratch, image.clone())?;
        stack.mount()?;
        Ok(stack)
    }

    fn note(&mut self, name: &str, outcome: Outcome<()>) {
        if let Err(error) = outcome {
            println!("FAILED {} {name}: {error}", self.fs.name());
            self.tally.failures += 1;
        }
    }

    // ---- Writes and FLUSHes

    /// The Nth write and the Nth FLUSH, for every N, once and for ever.
    fn syncs(&mut self) -> Outcome<()> {
        let none =
            Case { name: String::new(), faults: Faults::default(), still_failing: false, remount: true };
        let counted = self.sync_case(&none)?;
        let mut cases = Vec::new();
        for (writes, count) in [(true, counted.writes_seen), (false, counted.flushes_seen)] {
            for nth in 1..=count {
                for once in [true, false] {
                    let fault = if once { Fault::Once(nth) } else { Fault::From(nth) };
                    let what = if writes { "write" } else { "flush" };
                    let when = if once { "once" } else { "from there on" };
                    let faults = if writes {
                        Faults { writes: fault, ..Faults::default() }
                    } else {
                        // Every other time the disk's cache goes with it. Not where the next FLUSH succeeds again:
                        // that disk would tell others that their writes are safe which it has lost.
                        Faults { flushes: fault, flush_loses_cache: !once && nth % 2 == 0, ..Faults::default() }
                    };
                    let name = format!("{what} {nth} fails {when}");
                    let loses = faults.flush_loses_cache;
                    cases.push(Case { name, faults, still_failing: !once, remount: loses || nth % 3 == 0 });
                }
            }
        }
        for case in cases {
            let outcome = self.sync_case(&case).map(drop);
            if case.name.starts_with("write") {
                self.tally.write_faults += 1;
            } else {
                self.tally.flush_faults += 1;
            }
            self.note(&case.name, outcome);
        }
        Ok(())
    }

    /// Three threads append durably while the disk fails; then the log is opened again, until it can be.
    fn sync_case(&mut self, case: &Case) -> Outcome<Faults> {
        let mut stack = self.stack(&self.closed)?;
        let mut child = stack.writer(&plan(2, "immediate", 3, 5, self.seed))?;
        child.opened()??;
        stack.disk.inject(case.faults.clone());
        child.go_on()?;
        let mut run = Run::watch(&child)?;
        let seen = stack.disk.faults();
        run.truth.extend(self.truth.iter().map(|(lsn, known)| (*lsn, *known)));
        run.durable = run.durable.max(self.truth.last_key_value().map_or(0, |(lsn, _)| lsn + 1));
        if run.died {
            // A file system that shut itself down takes no more stores through mappings.
            self.expect_bus_error(&mut child)?;
        } else {
            self.check_poison(&mut child, &run)?;
        }
        if !case.still_failing {
            stack.disk.heal();
        }
        let mut refused = if case.remount && remount(&mut stack).is_err() {
            Some("Io the file system cannot be mounted".to_owned())
        } else {
            self.reopen(&stack, &mut run)?.err()
        };
        if let Some(refused) = refused.take() {
            self.tally.refused += 1;
            if !(refused.starts_with("Io") || refused.starts_with("Poisoned")) {
                return Err(format!("opening again was refused by {refused}"));
            }
            // With a disk that works, and nothing in the page cache, it must open.
            stack.disk.heal();
            remount(&mut stack)?;
            if let Err(refused) = self.reopen(&stack, &mut run)? {
                return Err(format!("opening on a disk that works again: {refused}"));
            }
        }
        Ok(seen)
    }

    fn expect_bus_error(&mut self, child: &mut Child) -> Outcome<()> {
        let status = child.end()?;
        self.tally.aborts += 1;
        match status.signal() {
            Some(nix::libc::SIGBUS) => Ok(()),
            _ => Err(format!("the writer ended with {status}")),
        }
    }

    /// After a failed sync every waiter has the error, and nothing goes on. Closes the log.
    fn check_poison(&mut self, child: &mut Child, run: &Run) -> Outcome<()> {
        child.go_on()?;
        let closing = match child.next()? {
            Some((_, Told::Closed { .. })) => None,
            Some((_, Told::Unclosed(error))) => Some(error),
            other => return Err(format!("instead of closing: {other:?}")),
        };
        child.finish()?;
        let poisoned = run.failures.iter().any(|failure| failure.starts_with("Poisoned"));
        if poisoned {
            self.tally.poisoned += 1;
            self.tally.waiters += run.failures.len() as u64;
            if run.sticks.iter().any(|kind| kind != "Poisoned") {
                return Err(format!("after a failed sync: {:?}", run.sticks));
            }
            if !closing.as_ref().is_some_and(|error| error.starts_with("Poisoned")) {
                return Err(format!("closing after a failed sync: {closing:?}"));
            }
        } else if let Some(failure) = run.failures.iter().find(|failure| !failure.starts_with("Io")) {
            return Err(format!("an append failed by {failure}"));
        }
        Ok(())
    }

    /// Opens the log, judges what it finds, and cuts the power at the moment in which opening returned.
    fn reopen(&mut self, stack: &Stack, run: &mut Run) -> Outcome<Result<(), String>> {
        let mut child = stack.writer(&plan(9, "grouped", 1, 0, self.seed))?;
        let opened = match child.opened()? {
            Ok(opened) => opened,
            Err(refused) => {
                child.finish()?;
                return Ok(Err(refused));
            }
        };
        if !opened.whole {
            self.expect_bus_error(&mut child)?;
            return Ok(Err(MAPPED.to_owned()));
        }
        let durable = stack.disk.durable_image();
        self.tally.rewritten += u64::from(opened.rewritten > 0);
        self.judge_opened(&opened, &durable, run)?;
        child.go_on()?;
        loop {
            match child.next()? {
                Some((_, Told::Sticks(_))) => {}
                Some((_, Told::Done)) => child.go_on()?,
                Some((_, Told::Closed { .. } | Told::Unclosed(_))) => break,
                other => return Err(format!("after opening again: {other:?}")),
            }
        }
        child.finish()?;
        Ok(Ok(()))
    }

    /// What was acknowledged is there; what else is there was appended; and all of it is on the disk.
    fn judge_opened(&mut self, opened: &Opened, durable: &Image, run: &mut Run) -> Outcome<()> {
        // An append that failed may be found, and nobody was told its LSN.
        let unknown: Vec<_> =
            opened.found.iter().filter(|(lsn, _)| !run.truth.contains_key(lsn)).copied().collect();
        if let Some((lsn, id)) = unknown.iter().find(|(_, id)| id.run != 2 && id.run != u16::MAX) {
            return Err(format!("found record {id} at LSN {lsn}, which was never appended"));
        }
        learn(&mut run.truth, 0, &unknown)?;
        let claims = Claims { durable: run.durable, start_min: 0, start_max: 0 };
        judge(&opened.found, opened.start, &run.truth, &claims)?;
        // What was not found is gone for good, and what was found has to stay.
        run.truth.split_off(&opened.end);
        run.durable = opened.end;
        self.cut(durable, &run.truth, opened.end)
    }

    /// In another boot, from what the disk had at that moment.
    fn cut(&mut self, image: &Image, truth: &Truth, durable: u64) -> Outcome<()> {
        self.tally.cuts += 1;
        self.boot.set(BOOT_OF_STATES)?;
        let claims = Claims { durable, start_min: 0, start_max: 0 };
        let judged = self.bench.judge(image, truth, &claims, 0, self.seed);
        self.boot.set(BOOT)?;
        judged.map(drop).map_err(|error| format!("after a power cut right then: {error}"))
    }

    // ---- Reads

    /// Blocks of the log cannot be read, one after the other.
    fn reads(&mut self) -> Outcome<()> {
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

    // ---- Write-back

    /// The kernel's own write-back fails, nobody sees it, and the writer is killed.
    fn background(&mut self) -> Outcome<()> {
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

/// What a writer told while the disk failed.
#[derive(Debug, Default)]
struct Run {
    truth: Truth,
    durable: u64,
    failures: Vec<String>,
    sticks: Vec<String>,
    /// The writer ended before it was done.
    died: bool,
}

impl Run {
    /// Listens until the writer is done.
    fn watch(child: &Child) -> Outcome<Self> {
        let mut run = Self::default();
        loop {
            match child.next()? {
                Some((_, Told::Appended(records))) => {
                    for (lsn, id) in records {
                        run.truth.insert(lsn, Known { id, at: 0 });
                    }
                }
                Some((_, Told::Durable(lsn))) => run.durable = run.durable.max(lsn),
                Some((_, Told::Failed(error))) => run.failures.push(error),
                Some((_, Told::Sticks(kinds))) => run.sticks = kinds,
                Some((_, Told::Done)) => return Ok(run),
                None => return Ok(Self { died: true, ..run }),
                other => return Err(format!("while appending: {other:?}")),
            }
        }
    }
}

fn expect_closed(child: &mut Child) -> Outcome<()> {
    match child.next()? {
        Some((_, Told::Closed { .. })) => child.finish(),
        other => Err(format!("instead of closing: {other:?}")),
    }
}

/// Nothing that was in the page cache is there any more.
fn remount(stack: &mut Stack) -> Outcome<()> {
    stack.unmount()?;
    stack.mount()
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
