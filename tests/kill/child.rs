//! The process that is killed: opens, appends from several threads, retires, closes, and begins again.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use tidelog::{Log, Lsn, Options};

use crate::record::{Key, Plan, THREADS, checksum, policy};
use crate::support::{Random, role};

/// A child's life, as its parent orders it.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) directory: PathBuf,
    pub(crate) segment_bytes: u64,
    pub(crate) round: u64,
    pub(crate) policy: u64,
    pub(crate) checksum: u64,
    /// Segments are retired, and recycled.
    pub(crate) retire: bool,
    /// So many threads stop for ever between a claim and its publishing.
    pub(crate) parked: u64,
}

impl Life {
    pub(crate) fn to_role(&self) -> String {
        let Self { directory, segment_bytes, round, policy, checksum, retire, parked } = self;
        let retire = u8::from(*retire);
        format!("{}|{segment_bytes}|{round}|{policy}|{checksum}|{retire}|{parked}", directory.display())
    }

    fn of_role(role: &str) -> Self {
        let mut words = role.split('|');
        let directory = words.next().unwrap().into();
        let numbers: Vec<u64> = words.map(|word| word.parse().unwrap()).collect();
        let [segment_bytes, round, policy, checksum, retire, parked] = numbers[..] else {
            panic!("role {role}")
        };
        Self { directory, segment_bytes, round, policy, checksum, retire: retire == 1, parked }
    }

    fn options(&self) -> Options {
        let options = Options::new().segment_bytes(self.segment_bytes);
        options.sync_policy(policy(self.policy)).checksum(checksum(self.checksum))
    }
}

/// Lives until it is killed. What it says are lines of one `write` each, after (or before) it happened.
#[test]
fn child_lives() {
    let Some(role) = role() else { return };
    let life = Life::of_role(&role);
    let mut random = Random::new(life.round);
    let mut operations = [0; THREADS as usize];
    loop {
        say("@opening");
        let log = life.options().open(&life.directory).unwrap();
        say("@opened");
        let count = 1 + random.below(150);
        std::thread::scope(|scope| {
            for (thread, operation) in (0..).zip(&mut operations) {
                let writer = Writer { log: &log, life: &life, thread };
                let from = *operation;
                *operation += count;
                scope.spawn(move || writer.append(from..from + count));
            }
        });
        say("@closing");
        log.close().unwrap();
        say("@closed");
    }
}

pub(crate) fn say(line: &str) {
    let mut out = File::from(std::io::stderr().as_fd().try_clone_to_owned().unwrap());
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Says so, and never goes on.
pub(crate) fn park() -> ! {
    say("@parked");
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

struct Writer<'a> {
    log: &'a Log,
    life: &'a Life,
    thread: u64,
}

impl Writer<'_> {
    fn append(&self, operations: std::ops::Range<u64>) {
        let mut earlier = Vec::new();
        for operation in operations {
            let key = Key { round: self.life.round, thread: self.thread, operation, index: 0 };
            let lsns = self.perform(key);
            let words: String = lsns.iter().map(|lsn| format!(" {lsn}")).collect();
            say(&format!("@append {} {} {operation}{words}", key.round, key.thread));
            earlier.push(lsns[0]);
            if self.life.retire && self.thread == 0 && operation % 30 == 29 {
                say("@retiring");
                let start = self.log.retire_before(earlier[earlier.len() / 2]).unwrap();
                say(&format!("@retired {start}"));
            }
        }
    }

    fn perform(&self, key: Key) -> Vec<Lsn> {
        let plan = Plan::of(key);
        let payloads: Vec<Vec<u8>> =
            (0..plan.lengths.len() as u64).map(|index| Key { index, ..key }.payload()).collect();
        let parks = self.thread < self.life.parked && key.operation >= 20;
        match &payloads[..] {
            [only] if plan.with => {
                let fill = |buffer: &mut [u8]| {
                    let half = buffer.len() / 2;
                    buffer[..half].copy_from_slice(&only[..half]);
                    if parks {
                        park();
                    }
                    buffer[half..].copy_from_slice(&only[half..]);
                };
                vec![self.log.append_with(only.len(), fill).unwrap()]
            }
            [only] => vec![self.log.append(only).unwrap()],
            batch => {
                let last = batch.len() - 1;
                let batch = batch.iter().enumerate();
                let batch: Vec<Parking> =
                    batch.map(|(index, bytes)| Parking::new(bytes, parks && index == last)).collect();
                self.log.append_batch(&batch).unwrap().collect()
            }
        }
    }
}

/// A record of a batch. It is asked for its bytes once before the claim, and then again while it is open.
#[derive(Debug)]
pub(crate) struct Parking<'a> {
    bytes: &'a [u8],
    parks: bool,
    looks: std::cell::Cell<u64>,
}

impl<'a> Parking<'a> {
    pub(crate) fn new(bytes: &'a [u8], parks: bool) -> Self {
        Self { bytes, parks, looks: 0.into() }
    }
}

impl AsRef<[u8]> for Parking<'_> {
    fn as_ref(&self) -> &[u8] {
        self.looks.set(self.looks.get() + 1);
        if self.parks && self.looks.get() == 2 {
            park();
        }
        self.bytes
    }
}
