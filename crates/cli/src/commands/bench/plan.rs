//! What is measured, for how long, and how much is written.

use crate::args::{Bench, Policy};
use crate::exit::Fail;
use crate::units::bytes;

/// All of it takes about so long where nothing is said.
const ALL_SECONDS: f64 = 18.0;
const SEGMENT_MIN: u64 = 64 << 10;
const SEGMENT_MAX: u64 = 64 << 20;
const RECORD_MAX: u64 = 4 << 20;

/// One measurement of appends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub(super) policy: Policy,
    pub(super) record_bytes: u64,
    pub(super) threads: usize,
}

impl Work {
    pub(super) fn policy_word(self) -> &'static str {
        match self.policy {
            Policy::None => "none",
            Policy::Periodic => "periodic",
            Policy::Grouped => "grouped",
            Policy::Immediate => "immediate",
        }
    }

    /// What a record takes in the log, about: a header, and multiples of eight.
    fn frame_bytes(self) -> u64 {
        (self.record_bytes + 16).next_multiple_of(8)
    }
}

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) works: Vec<Work>,
    /// For each part.
    pub(super) seconds: f64,
    /// The same.
    pub(super) part_bytes: u64,
}

impl Plan {
    pub(super) fn new(options: &Bench, processors: usize) -> Result<Self, Fail> {
        let most = options.threads.map_or(processors, usize::from).max(1);
        let mut threads: Vec<usize> =
            std::iter::successors(Some(1), |n| Some(n * 2)).take_while(|n| *n < most).collect();
        threads.push(most);
        let mut works = Vec::new();
        for policy in &options.policy {
            for record_bytes in &options.record_bytes {
                let work = |threads: &usize| Work {
                    policy: *policy,
                    record_bytes: *record_bytes,
                    threads: *threads,
                };
                works.extend(threads.iter().map(work));
            }
        }
        let parts = works.len() as u64 + 2;
        let seconds = options.seconds.unwrap_or((ALL_SECONDS / parts as f64).clamp(0.01, 1.0));
        let plan = Self { works, seconds, part_bytes: options.limit_bytes / parts };
        let largest = options.record_bytes.iter().copied().max().unwrap_or_default();
        if largest > RECORD_MAX {
            return Err(Fail::Usage(format!(
                "--record-bytes {} is too large; it measures up to {}",
                bytes(largest),
                bytes(RECORD_MAX)
            )));
        }
        let least = plan.works.iter().map(|work| 8 * plan.segment_bytes(*work)).max().unwrap_or_default();
        if plan.part_bytes < least {
            return Err(Fail::Usage(format!(
                "--limit-bytes {} is too little for {parts} parts; give {} or more",
                bytes(options.limit_bytes),
                bytes(least * parts)
            )));
        }
        Ok(plan)
    }

    /// Several segments for each part, so that what it costs to make them is in the figures.
    pub(super) fn segment_bytes(&self, work: Work) -> u64 {
        let eighth = (self.part_bytes / 8).max(1);
        let pieces = 1 << eighth.ilog2();
        // A record may take up to a quarter of a segment.
        let least = (8 * work.frame_bytes()).next_power_of_two().max(SEGMENT_MIN);
        pieces.clamp(least, SEGMENT_MAX.max(least))
    }

    pub(super) fn records_of_a_thread(&self, work: Work) -> u64 {
        (self.part_bytes / work.frame_bytes() / work.threads as u64).max(1)
    }

    /// Files that there may be at one time: what is appended, and the segments that are prepared meanwhile.
    pub(super) fn room(&self) -> u64 {
        let segments = self.works.iter().map(|work| 4 * self.segment_bytes(*work)).max().unwrap_or_default();
        self.part_bytes + segments + (8 << 20)
    }
}
