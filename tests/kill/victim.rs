//! A directory whose writers are killed, and everything that is known to be in its log.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::child::Life;
use crate::record::{Key, POLICIES};
use crate::support::{Leash, PATIENCE, Random, myself, names};

/// What a writer was doing, by what it said last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Its log was closed, or not opened yet.
    #[default]
    Outside,
    /// Opening, which is recovery where the one before was killed.
    Opening,
    Appending,
    /// Appending, with claims open whose writers stand still.
    Parked,
    Retiring,
    Closing,
}

/// One killed writer.
#[derive(Debug)]
pub(crate) struct Death {
    pub(crate) phase: Phase,
    pub(crate) policy: u64,
    pub(crate) checksum: u64,
    /// A segment was being prepared.
    pub(crate) preparing: bool,
}

/// What one killed writer said.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    pub(crate) records: Vec<(u64, Key)>,
    pub(crate) start: u64,
    pub(crate) phase: Phase,
    /// It has closed the log once.
    pub(crate) closed: bool,
    pub(crate) other_lines: Vec<String>,
}

impl Acknowledged {
    pub(crate) fn read(&mut self, line: &str) {
        let mut words = line.split(' ');
        let phase = match words.next() {
            Some("@append") => {
                let numbers: Vec<u64> = words.map(|word| word.parse().unwrap()).collect();
                let [round, thread, operation, lsns @ ..] = &numbers[..] else { panic!("{line}") };
                for (index, lsn) in (0..).zip(lsns) {
                    self.records
                        .push((*lsn, Key { round: *round, thread: *thread, operation: *operation, index }));
                }
                return;
            }
            Some("@retired") => {
                self.start = words.next().unwrap().parse().unwrap();
                Phase::Appending
            }
            Some("@opening") => Phase::Opening,
            Some("@opened") => Phase::Appending,
            Some("@parked") => Phase::Parked,
            Some("@retiring") => Phase::Retiring,
            Some("@closing") => Phase::Closing,
            Some("@closed") => Phase::Outside,
            _ => {
                self.other_lines.push(line.to_owned());
                return;
            }
        };
        self.closed |= phase == Phase::Closing;
        // A writer that stands still is what counts, whatever the others do.
        if self.phase != Phase::Parked {
            self.phase = phase;
        }
    }
}

#[derive(Debug)]
pub(crate) struct Victim {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) segment_bytes: u64,
    pub(crate) retire: bool,
    /// By LSN.
    pub(crate) records: BTreeMap<u64, Key>,
    /// The start is at least here.
    pub(crate) start: u64,
    pub(crate) round: u64,
    /// Rounds that were not looked at yet: their writers' last operations may be there without having returned.
    pub(crate) unseen_rounds: Vec<u64>,
    /// The log was in use when its last writer was killed, beyond doubt.
    pub(crate) in_use: bool,
}

impl Victim {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self {
            directory: if random.one_in(2) {
                crate::support::quick_directory()
            } else {
                tempfile::tempdir().unwrap()
            },
            segment_bytes: if random.one_in(4) { 1 << 20 } else { 1 << 16 },
            retire: random.one_in(2),
            records: BTreeMap::new(),
            start: 0,
            round: 0,
            unseen_rounds: Vec::new(),
            in_use: false,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The next round's writer.
    pub(crate) fn next_life(&mut self, random: &mut Random) -> Life {
        self.round += 1;
        self.unseen_rounds.push(self.round);
        Life {
            directory: self.path().to_owned(),
            segment_bytes: self.segment_bytes,
            round: self.round,
            policy: random.below(POLICIES),
            checksum: random.below(2),
            retire: self.retire,
            parked: if random.one_in(4) { 1 + random.below(2) } else { 0 },
        }
    }

    /// Runs a writer and kills it: some time after a line that is drawn, or after its first acknowledgement.
    pub(crate) fn kill_a_writer(&mut self, random: &mut Random) -> Death {
        let life = self.next_life(random);
        let (mut leash, lines) = start(&life);
        let mut said = Acknowledged::default();
        let (line, micros) = match random.below(10) {
            0 | 1 => ("@opening", 4_000),
            2 => ("@closing", 3_000),
            3 if self.retire => ("@retiring", 2_000),
            4 if life.parked > 0 => ("@parked", 10_000),
            _ => ("@append", 25_000),
        };
        if let Err(error) = wait_for(&lines, &mut said, "@opening", PATIENCE) {
            panic!("no sign of life: {error}: {:?}", said.other_lines);
        }
        if line != "@opening" {
            // It may never come: where a writer stands still, the log is not closed.
            let patience = if line == "@append" { PATIENCE } else { Duration::from_millis(60) };
            let _ = wait_for(&lines, &mut said, line, patience);
        }
        std::thread::sleep(Duration::from_micros(random.below(micros)));
        leash.0.kill().unwrap();
        let status = leash.0.wait().unwrap();
        for line in lines {
            said.read(&line);
        }
        assert!(
            status.signal() == Some(9) && said.other_lines.is_empty(),
            "the writer ended by itself: {status}: {:?}",
            said.other_lines
        );
        let death = Death {
            phase: said.phase,
            policy: life.policy,
            checksum: life.checksum,
            preparing: names(self.path()).iter().any(|name| name.ends_with(".seg.tmp")),
        };
        self.learn(said);
        death
    }

    pub(crate) fn learn(&mut self, said: Acknowledged) {
        for (lsn, key) in said.records {
            let before = self.records.insert(lsn, key);
            assert_eq!(before, None, "LSN {lsn} was given twice: {key:?}");
        }
        self.start = self.start.max(said.start);
        self.in_use = match said.phase {
            Phase::Appending | Phase::Parked | Phase::Retiring => true,
            // Its first opening may have been cut short at any point, after others' deaths.
            Phase::Opening | Phase::Outside => self.in_use && !said.closed,
            Phase::Closing => false,
        };
    }
}

/// Starts a writer. Its lines come in by the receiver.
pub(crate) fn start(life: &Life) -> (Leash, mpsc::Receiver<String>) {
    let mut command = myself("child::child_lives", &life.to_role());
    read_lines(command.stdout(Stdio::null()).stderr(Stdio::piped()))
}

/// Starts `command`, whose stderr is read line by line.
pub(crate) fn read_lines(command: &mut std::process::Command) -> (Leash, mpsc::Receiver<String>) {
    let mut child = command.spawn().unwrap();
    let mut pipe = BufReader::new(child.stderr.take().unwrap());
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        // What ends without a newline was not written as a whole, so it was not said.
        while pipe.read_line(&mut line).is_ok_and(|count| count > 0) && line.ends_with('\n') {
            line.pop();
            if sender.send(std::mem::take(&mut line)).is_err() {
                return;
            }
        }
    });
    (Leash(child), receiver)
}

/// Reads until a line that begins with `prefix`.
pub(crate) fn wait_for(
    lines: &mpsc::Receiver<String>,
    said: &mut Acknowledged,
    prefix: &str,
    patience: Duration,
) -> Result<(), mpsc::RecvTimeoutError> {
    let deadline = Instant::now() + patience;
    loop {
        let line = lines.recv_timeout(deadline.saturating_duration_since(Instant::now()))?;
        said.read(&line);
        // Under the policies that wait nothing is acknowledged any more where a writer stands still.
        if line.starts_with(prefix) || line == "@parked" {
            return Ok(());
        }
    }
}
