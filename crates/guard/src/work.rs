//! What is counted: each operation a number of times, in a log in the directory that is given.
//!
//! The guard builds this file against two commits, so it uses only what both have. For each operation it prints a
//! line `NAME<tab>COUNT`, in the order in which they are carried out.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tidelog::{Log, Lsn, Options, Result, SyncPolicy};

/// The one place where instructions are counted: callgrind is told its name. It counts a thread's instructions between
/// entering and leaving it, so neither the keeper's nor the preparations'.
#[inline(never)]
fn counted_here<R>(work: impl FnOnce() -> R) -> R {
    work()
}

/// Carries out `work` so many times, after a first time that counts nothing.
fn count(name: &str, times: u32, mut work: impl FnMut(u32) -> Result<()>) -> Result<()> {
    work(0)?;
    counted_here(|| (1..=times).try_for_each(&mut work))?;
    println!("{name}\t{times}");
    Ok(())
}

struct Logs {
    directory: PathBuf,
}

impl Logs {
    /// A new log. All that is appended to it fits its first segment, so nobody waits for the next.
    fn create(&self, name: &str, policy: SyncPolicy) -> Result<Log> {
        Options::new().sync_policy(policy).segment_bytes(16 << 20).open(self.directory.join(name))
    }

    fn appends(&self) -> Result<()> {
        for (name, len, times) in [
            ("append 16 B", 16, 2000),
            ("append 100 B", 100, 2000),
            ("append 1 KiB", 1 << 10, 1000),
            ("append 10 KiB", 10 << 10, 200),
        ] {
            let log = self.create(name, SyncPolicy::None)?;
            let payload = payload(len);
            count(name, times, |_| log.append(&payload).map(drop))?;
        }
        let log = self.create("in place", SyncPolicy::None)?;
        let record = payload(100);
        count("append_with 100 B", 2000, |_| {
            log.append_with(100, |buffer| buffer.copy_from_slice(&record)).map(drop)
        })?;
        let log = self.create("batches", SyncPolicy::None)?;
        let records = vec![record.clone(); 100];
        count("append_batch 100 x 100 B", 20, |_| log.append_batch(&records).map(drop))?;
        let log = self.create("durable", SyncPolicy::Immediate)?;
        count("append 100 B, durable", 50, |_| log.append(&record).map(drop))
    }

    fn reads(&self) -> Result<()> {
        for (replay, read, len) in [
            ("replay a record of 100 B", "read 100 B", 100),
            ("replay a record of 1 KiB", "read 1 KiB", 1 << 10),
        ] {
            const RECORDS: u32 = 2000;
            let log = self.create(replay, SyncPolicy::None)?;
            let payload = payload(len);
            let lsns = (0..=RECORDS).map(|_| log.append(&payload)).collect::<Result<Vec<Lsn>>>()?;
            let snapshot = log.snapshot();
            let mut records = snapshot.iter();
            count(replay, RECORDS, |_| records.next().transpose().map(drop))?;
            count(read, RECORDS, |at| log.read(lsns[at as usize]).map(drop))?;
        }
        Ok(())
    }

    /// Of a log that was closed.
    fn open(&self) -> Result<()> {
        let log = self.create("closed", SyncPolicy::None)?;
        let payload = payload(100);
        for _ in 0..1000 {
            log.append(&payload)?;
        }
        log.close()?;
        let mut opened = Vec::new();
        for round in 0..2 {
            let open = || self.create("closed", SyncPolicy::None);
            let log = if round == 0 { open() } else { counted_here(open) }?;
            log.close()?;
            opened.push(log);
        }
        println!("open a closed log\t1");
        Ok(())
    }
}

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + 7) as u8).collect()
}

fn run(directory: &Path) -> Result<()> {
    let logs = Logs { directory: directory.to_owned() };
    logs.appends()?;
    logs.reads()?;
    logs.open()
}

fn main() -> ExitCode {
    let Some(directory) = std::env::args_os().nth(1) else {
        eprintln!("usage: tidelog-guard-work DIRECTORY");
        return ExitCode::from(2);
    };
    match run(Path::new(&directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidelog-guard-work: {error}");
            ExitCode::FAILURE
        }
    }
}
