//! Steps a scenario through, and hands every moment at which the mapping has changed to be examined.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, mpsc};

use crate::child::told;
use crate::image::Image;
use crate::oracle::{Moment, Seen};
use crate::script::{Op, Others, Record, SEGMENT_BYTES, Scenario};
use crate::support::{Random, quick_directory};
use crate::tracee::{Stepped, Tracee};
use crate::turns::Turns;

/// Figures of one scenario.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) operations: u64,
    pub(crate) instructions: u64,
    pub(crate) changes: u64,
    /// Iterations of string instructions that were not examined.
    pub(crate) passed_over: u64,
    pub(crate) seen: Seen,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.operations += other.operations;
        self.instructions += other.instructions;
        self.changes += other.changes;
        self.passed_over += other.passed_over;
        self.seen += other.seen;
    }
}

/// Moments wait here to be examined.
const QUEUE: usize = 16;
/// As many instructions do not go by without a change when something is still to be done.
const INSTRUCTIONS_MAX: u64 = 200_000;

/// Of the iterations of one string instruction so many are passed over for each that is examined.
const EVERY_ITERATION: u64 = 61;

struct Driver<'a> {
    scenario: &'a Scenario,
    directory: &'a Path,
    tracee: Tracee,
    examiner: mpsc::SyncSender<Moment>,
    image: Image,
    scratch: Vec<u8>,
    acknowledged: Arc<BTreeMap<u64, Record>>,
    random: Random,
    tally: Tally,
}

/// Steps `scenario` through and examines it. `role` tells the child which one it is.
pub(crate) fn run(scenario: &Scenario, test: &str, role: &str, seed: u64) -> Tally {
    let directory = quick_directory();
    let (examiner, moments) = mpsc::sync_channel::<Moment>(QUEUE);
    let examination = std::thread::spawn(move || {
        let mut seen = Seen::default();
        for moment in moments {
            seen += moment.examine();
        }
        seen
    });
    let driver = Driver {
        scenario,
        directory: directory.path(),
        tracee: Tracee::start(test, &format!("{role}|{}", directory.path().display())),
        examiner,
        image: Image::default(),
        scratch: Vec::new(),
        acknowledged: Arc::default(),
        random: Random::new(seed),
        tally: Tally::default(),
    };
    // A failed examination hangs up, which ends the stepping; its own message is the one that counts.
    let tally = driver.drive();
    let seen = examination.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    Tally { seen, ..tally.expect("the examination goes on") }
}

/// The examination has ended before its time.
struct HungUp;

impl Driver<'_> {
    fn drive(mut self) -> Option<Tally> {
        let mut unread = 0;
        for (index, op) in self.scenario.ops.iter().enumerate() {
            if op.is_stepped() {
                self.tracee.wait_marker();
                self.read_lines(std::mem::take(&mut unread));
                self.tracee.hold_keeper();
                self.step_through(index, op).ok()?;
                if self.scenario.others == Others::Keeper {
                    // Its last step was left waiting.
                    self.tracee.hold_keeper();
                }
                self.tracee.run(self.tracee.keeper);
                self.tracee.run(self.tracee.script);
                self.tally.operations += 1;
            }
            unread += 1;
        }
        self.tracee.wait_marker();
        self.read_lines(unread);
        self.tracee.hold_keeper();
        self.look();
        self.examine("the end", &[], false).ok()?;
        Some(self.tally)
    }

    /// What the operations before this one appended.
    fn read_lines(&mut self, lines: usize) {
        for _ in 0..lines {
            self.learn();
        }
    }

    fn learn(&mut self) {
        let line = self.tracee.read_line();
        let acknowledged = Arc::make_mut(&mut self.acknowledged);
        for (lsn, record) in told(&line) {
            assert_eq!(acknowledged.insert(lsn, record), None, "LSN {lsn} was given twice");
        }
    }

    fn look(&mut self) -> bool {
        self.image.refresh(self.directory, &mut self.scratch)
    }

    fn examine(&mut self, place: &str, in_flight: &[Record], returned: bool) -> Result<(), HungUp> {
        let moment = Moment {
            image: self.image.clone(),
            options: self.scenario.options(),
            acknowledged: Arc::clone(&self.acknowledged),
            in_flight: in_flight.to_vec(),
            returned,
            place: format!(
                "{} under {:?} with {:?}, {place}",
                self.scenario.name, self.scenario.policy, self.scenario.checksum
            ),
        };
        self.examiner.send(moment).map_err(|_| HungUp)
    }

    /// One operation, from marker to marker; the keeper is held.
    fn step_through(&mut self, index: usize, op: &Op) -> Result<(), HungUp> {
        let in_flight = op.records(index);
        self.look();
        self.examine(&format!("before operation {index}"), &[], false)?;
        let mut turns = Turns::new(&self.tracee, self.scenario.others, &mut self.random);
        let before = (self.tally.instructions, self.acknowledged.last_key_value().map_or(0, |(lsn, _)| *lsn));
        let (mut last, mut repeated) = ((0, 0), 0_u64);
        let mut over = false;
        while !over || !turns.is_keeper_done() {
            match turns.take(&self.tracee, &mut self.random) {
                Stepped::Waiting => continue,
                Stepped::Instruction => {}
                Stepped::Marker => {
                    over = true;
                    turns.script_is_over();
                }
            }
            self.tally.instructions += 1;
            let instruction = self.tally.instructions - before.0;
            assert!(instruction < INSTRUCTIONS_MAX, "operation {index} never ends");
            if self.look() {
                self.tally.changes += 1;
                // A string instruction traps after each of its iterations.
                let change = (instruction, self.tracee.instruction_pointer());
                let again = change == (last.0 + 1, last.1);
                repeated = if again { repeated + 1 } else { 0 };
                last = change;
                if !repeated.is_multiple_of(EVERY_ITERATION) {
                    self.tally.passed_over += 1;
                    continue;
                }
                let place = format!("operation {index} ({op:?}), instruction {instruction}");
                self.examine(&place, &in_flight, over)?;
                if self.scenario.others == Others::Writer {
                    self.let_the_second_writer_append(before.1);
                    self.examine(&format!("{place}, and another append behind it"), &in_flight, over)?;
                }
            }
        }
        self.examine(&format!("operation {index} ({op:?}) has returned"), &in_flight, true)
    }

    /// It returns although the stepped thread stands still, and whatever claim that has open.
    fn let_the_second_writer_append(&mut self, began: u64) {
        self.tracee.run(self.tracee.keeper);
        let end = self.acknowledged.last_key_value().map_or(0, |(lsn, _)| *lsn);
        // An open claim lets the log grow by a few segments and no further.
        let many = self.random.one_in(4) && end - began < 3 * SEGMENT_BYTES;
        self.tracee.write_line(if many { "25" } else { "1" });
        self.learn();
        self.tracee.hold_keeper();
        self.look();
    }
}
