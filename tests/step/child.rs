//! The stepped process. Its one thread of interest raises a signal before and after each operation that is to be
//! stepped, and tells on stdout what each did.

use std::io::BufRead;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use nix::sys::signal::{Signal, raise};
use tidelog::{Log, Lsn};

use crate::script::{Op, Others, Record, SEGMENT_BYTES, Scenario};
use crate::support::{PATIENCE, Random, ready_to_be_traced};

/// Where an operation begins, and where it ended.
pub(crate) const MARKER: Signal = Signal::SIGUSR1;
/// Numbers of records that no script knows.
const FILLERS: u64 = 1 << 40;
const SECOND_WRITER: u64 = 1 << 41;

pub(crate) fn play(scenario: &Scenario, directory: &Path) {
    let log = scenario.options().open(directory).unwrap();
    println!("\nthread {}", nix::unistd::gettid());
    ready_to_be_traced();
    std::thread::scope(|scope| {
        if scenario.others == Others::Writer {
            scope.spawn(|| write_when_told(&log));
        }
        for (index, op) in scenario.ops.iter().enumerate() {
            let appended = if op.is_stepped() { step(&log, directory, op, index) } else { fill(&log, op) };
            println!("{}", tell(&appended));
        }
        raise(MARKER).unwrap();
        unreachable!("killed here");
    });
}

fn step(log: &Log, directory: &Path, op: &Op, index: usize) -> Vec<(Lsn, Record)> {
    let records = op.records(index);
    let payloads: Vec<Vec<u8>> = records.iter().map(|record| record.payload()).collect();
    let changing = [Changing::new(8, 8), Changing::new(16, 48)];
    let mut lsns: Vec<Lsn> = Vec::with_capacity(payloads.len());
    wait_for_segments(log, directory);
    raise(MARKER).unwrap();
    match op {
        Op::Append(_) => lsns.push(log.append(&payloads[0]).unwrap()),
        Op::AppendWith(len) => {
            lsns.push(log.append_with(*len, |buffer| buffer.copy_from_slice(&payloads[0])).unwrap());
        }
        Op::Batch(_) => lsns.extend(log.append_batch(&payloads).unwrap()),
        Op::Abort => assert!(log.append_batch(&changing).is_err()),
        Op::Sync => log.sync().unwrap(),
        Op::FillTo(_) => unreachable!("not stepped"),
    }
    raise(MARKER).unwrap();
    lsns.into_iter().zip(records).collect()
}

/// A slice of one length, and of another from the second look on.
struct Changing {
    looks: AtomicU64,
    lengths: (usize, usize),
}

impl Changing {
    fn new(first: usize, later: usize) -> Self {
        Self { looks: AtomicU64::new(0), lengths: (first, later) }
    }
}

impl AsRef<[u8]> for Changing {
    fn as_ref(&self) -> &[u8] {
        let first = self.looks.fetch_add(1, Ordering::Relaxed) == 0;
        &[0x5a; 64][..if first { self.lengths.0 } else { self.lengths.1 }]
    }
}

/// Until the keeper has nothing to do: it is held while an operation is stepped.
fn wait_for_segments(log: &Log, directory: &Path) {
    let number = log.watermarks().claimed.get() / SEGMENT_BYTES;
    let last = directory.join(format!("{:020}.seg", (number + 2) * SEGMENT_BYTES));
    let deadline = Instant::now() + PATIENCE;
    while !last.exists() {
        assert!(Instant::now() < deadline, "{} never comes", last.display());
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Appends records until the next one begins at the given offset of a segment.
fn fill(log: &Log, op: &Op) -> Vec<(Lsn, Record)> {
    let Op::FillTo(offset) = op else { unreachable!("stepped") };
    let mut appended = Vec::new();
    loop {
        let at = log.watermarks().claimed.get() % SEGMENT_BYTES;
        let target = if at > *offset { SEGMENT_BYTES } else { *offset };
        if at == *offset {
            return appended;
        }
        // Whole frames, none across a segment's end; what is left must have room for a frame, too.
        let frame = (target - at).min(SEGMENT_BYTES / 4);
        let rest = target - at - frame;
        let frame = if (1..16).contains(&rest) { frame - 16 } else { frame };
        assert!(frame >= 16, "no frame fits from {at} to {target}");
        let id = FILLERS + log.watermarks().claimed.get();
        let record = Record { id, len: (frame - 16) as usize };
        appended.push((log.append_nowait(&record.payload()).unwrap(), record));
    }
}

/// Appends as many records as a line of stdin says, and tells which.
fn write_when_told(log: &Log) {
    let mut random = Random::new(SECOND_WRITER);
    let mut id = SECOND_WRITER;
    for line in std::io::stdin().lock().lines() {
        let mut appended = Vec::new();
        for _ in 0..line.unwrap().parse::<u64>().unwrap() {
            id += 1;
            let record = Record { id, len: random.below(4000) as usize };
            appended.push((log.append(&record.payload()).unwrap(), record));
        }
        println!("{}", tell(&appended));
    }
}

fn tell(appended: &[(Lsn, Record)]) -> String {
    let words = appended.iter().map(|(lsn, record)| format!("{lsn}:{}:{}", record.id, record.len));
    words.collect::<Vec<_>>().join(" ")
}

/// The other side of `tell`.
pub(crate) fn told(line: &str) -> Vec<(u64, Record)> {
    let mut appended = Vec::new();
    for word in line.split_whitespace() {
        let numbers: Vec<u64> = word.split(':').map(|number| number.parse().unwrap()).collect();
        let [lsn, id, len] = numbers[..] else { panic!("the child says {line}") };
        appended.push((lsn, Record { id, len: len as usize }));
    }
    appended
}
