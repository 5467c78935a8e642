//! `errors`: the disk fails. Writes and FLUSHes under a sync, reads while recovering, and write-back that fails when
//! nobody looks.

mod background;
mod reads;
mod run;
mod syncs;

use std::os::unix::process::ExitStatusExt;
use std::time::Instant;

use self::run::Run;
use crate::check::{Claims, judge};
use crate::child::{Child, Opened, Told, Truth, learn};
use crate::crash::BOOT_OF_STATES;
use crate::explore::Bench;
use crate::fs::Fs;
use crate::image::Image;
use crate::record::{Stack, fresh};
use crate::system::{BootId, Outcome, Scratch};
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
    Plan {
        run,
        policy,
        crc64: false,
        threads,
        units,
        retire: false,
        eager: false,
        parks: false,
        failing: true,
        seed,
    }
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

    fn expect_bus_error(&mut self, child: &mut Child) -> Outcome<()> {
        let status = child.end()?;
        self.tally.aborts += 1;
        match status.signal() {
            Some(nix::libc::SIGBUS) => Ok(()),
            _ => Err(format!("the writer ended with {status}")),
        }
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
