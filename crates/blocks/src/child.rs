//! The parent's end of a writer.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::disk::Disk;
use crate::payload::Id;
use crate::system::{Context, Outcome};
use crate::writer::Plan;

/// No writer is silent for as long; one that is hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Records by LSN.
pub type Truth = BTreeMap<u64, Known>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    pub id: Id,
    /// How many events the disk had recorded when the append was known to have returned.
    pub at: usize,
}

/// What a writer tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Unopened(String),
    Found(u64, Id),
    Listed,
    Opened { start: u64, end: u64, how: String, rewritten: u64, holes: u64 },
    Appended(Vec<(u64, Id)>),
    Durable(u64),
    Checkpoint,
    Parked,
    Failed(String),
    Sticks(Vec<String>),
    Done,
    Closed { sealed: u64, retired: u64, recycled: u64 },
    Unclosed(String),
}

fn parse(line: &str) -> Option<Told> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let words: Vec<&str> = rest.split_whitespace().collect();
    let number = |index: usize| words.get(index)?.parse::<u64>().ok();
    Some(match verb {
        "unopened" => Told::Unopened(rest.to_owned()),
        "listed" => Told::Listed,
        "found" => Told::Found(number(0)?, words.get(1)?.parse().ok()?),
        "opened" => Told::Opened {
            start: number(0)?,
            end: number(1)?,
            how: (*words.get(2)?).to_owned(),
            rewritten: number(3)?,
            holes: number(4)?,
        },
        "appended" => {
            let pair = |pair: &[&str]| Some((pair.first()?.parse().ok()?, pair.get(1)?.parse().ok()?));
            Told::Appended(words.chunks(2).map(pair).collect::<Option<_>>()?)
        }
        "durable" => Told::Durable(number(0)?),
        "parked" => Told::Parked,
        "checkpoint" => Told::Checkpoint,
        "failed" => Told::Failed(rest.to_owned()),
        "sticks" => Told::Sticks(words.iter().map(|word| (*word).to_owned()).collect()),
        "done" => Told::Done,
        "closed" => Told::Closed { sealed: number(0)?, retired: number(1)?, recycled: number(2)? },
        "unclosed" => Told::Unclosed(rest.to_owned()),
        _ => return None,
    })
}

/// What an opening found.
#[derive(Debug)]
pub struct Opened {
    pub found: Vec<(u64, Id)>,
    pub start: u64,
    pub end: u64,
    /// How the writer before had left the log.
    pub how: String,
    pub rewritten: u64,
    pub holes: u64,
    /// All that it found was read; else the writer died of reading.
    pub whole: bool,
}

/// A writer at work. It is killed when this is dropped.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    lines: Receiver<(usize, String)>,
}

impl Child {
    pub fn start(
        disk: &Arc<Disk>,
        directory: &Path,
        device: &Path,
        marks: u64,
        plan: &Plan,
    ) -> Outcome<Self> {
        let program = std::env::current_exe().context("own program")?;
        let mut process = Command::new(program)
            .arg("writer")
            .args([directory, device])
            .args([marks.to_string(), plan.to_argument()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a writer")?;
        let out = process.stdout.take().ok_or("no stdout")?;
        let (sender, lines) = channel();
        let disk = Arc::clone(disk);
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send((disk.recorded(), line)).is_err() {
                    break;
                }
            }
        });
        Ok(Self { process, lines })
    }

    /// The next line, with the number of events that were recorded by then. `None` at the end.
    pub fn next(&self) -> Outcome<Option<(usize, Told)>> {
        self.next_within(PATIENCE)?.map_or_else(|| Err("the writer hangs".to_owned()), Ok)
    }

    /// As `next`, and `None` on the outside when nothing was told in `time`.
    #[allow(clippy::option_option, reason = "silence and the end are two things")]
    pub fn next_within(&self, time: Duration) -> Outcome<Option<Option<(usize, Told)>>> {
        match self.lines.recv_timeout(time) {
            Ok((at, line)) => {
                let told = parse(&line).ok_or_else(|| format!("the writer says: {line}"))?;
                Ok(Some(Some((at, told))))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Ok(Some(None)),
        }
    }

    /// Waits until it has opened its log; the inner error is the one that opening gave.
    pub fn opened(&self) -> Outcome<Result<Opened, String>> {
        let mut opened = match self.next()? {
            Some((_, Told::Opened { start, end, how, rewritten, holes })) => {
                Opened { found: Vec::new(), start, end, how, rewritten, holes, whole: false }
            }
            Some((_, Told::Unopened(error))) => return Ok(Err(error)),
            Some((_, other)) => return Err(format!("instead of opening: {other:?}")),
            None => return Err("the writer ended instead of opening".to_owned()),
        };
        loop {
            match self.next()? {
                Some((_, Told::Found(lsn, id))) => opened.found.push((lsn, id)),
                Some((_, Told::Listed)) => opened.whole = true,
                Some((_, other)) => return Err(format!("instead of listing: {other:?}")),
                None => return Ok(Ok(opened)),
            }
            if opened.whole {
                return Ok(Ok(opened));
            }
        }
    }

    /// Lets it go on.
    pub fn go_on(&mut self) -> Outcome<()> {
        let stdin = self.process.stdin.as_mut().ok_or("no stdin")?;
        stdin.write_all(b"go\n").context("the writer is gone")
    }

    pub fn kill(&mut self) -> Outcome<()> {
        self.process.kill().context("kill")?;
        self.process.wait().context("wait").map(drop)
    }

    /// Waits for its end, which must be one in order.
    pub fn finish(&mut self) -> Outcome<()> {
        let status = self.end()?;
        if status.success() { Ok(()) } else { Err(format!("the writer ended with {status}")) }
    }

    /// Waits for its end.
    pub fn end(&mut self) -> Outcome<ExitStatus> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = self.process.try_wait().context("wait")? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err("the writer hangs at its end".to_owned())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Enters records into the truth; no LSN is ever given to two records.
pub fn learn(truth: &mut Truth, at: usize, records: &[(u64, Id)]) -> Outcome<()> {
    for (lsn, id) in records {
        let known = truth.entry(*lsn).or_insert(Known { id: *id, at });
        if known.id != *id {
            return Err(format!("LSN {lsn} was {}, and is {id} now", known.id));
        }
    }
    Ok(())
}
