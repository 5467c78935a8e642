//! Which work is done, how often and how long.

use crate::work::{Kind, Work};

/// How thorough a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    Quick,
    Usual,
    Thorough,
}

pub struct Plan {
    pub works: Vec<Work>,
    pub rounds: usize,
    /// Of appending, once warm.
    pub seconds: f64,
    /// Where nothing is dropped: so long that what was prepared before the start does not decide.
    pub fresh_seconds: f64,
    /// Whether there is a round for latencies of appends and for system calls.
    pub observe: bool,
    /// Whether other logs have that too, and all rounds however slow they are.
    pub peers_in_full: bool,
    /// Payload that is appended at most where nothing is dropped.
    pub fresh_bytes: u64,
}

const RECYCLED: Kind = Kind::Append { recycle: true };
const FRESH: Kind = Kind::Append { recycle: false };

impl Plan {
    pub fn new(depth: Depth) -> Self {
        let (rounds, seconds) = match depth {
            Depth::Quick => (1, 0.1),
            Depth::Usual => (2, 0.15),
            Depth::Thorough => (5, 1.0),
        };
        let fresh_bytes = if depth == Depth::Quick { 256 << 20 } else { 512 << 20 };
        let fresh_seconds = if depth == Depth::Thorough { seconds } else { 0.6 };
        Self {
            works: works(depth),
            rounds,
            seconds,
            fresh_seconds,
            observe: depth != Depth::Quick,
            peers_in_full: depth == Depth::Thorough,
            fresh_bytes,
        }
    }

    /// What is done together: each work by itself, and all that reads the same log.
    pub fn groups(&self) -> Vec<Vec<Work>> {
        let mut groups: Vec<Vec<Work>> = Vec::new();
        for work in &self.works {
            let same = |group: &&mut Vec<Work>| {
                work.reads() && group[0].reads() && group[0].record_bytes == work.record_bytes
            };
            match groups.iter_mut().find(same) {
                Some(group) => group.push(*work),
                None => groups.push(vec![*work]),
            }
        }
        groups
    }

    /// Payload of the logs that are filled to be read.
    pub fn fill_bytes(&self, depth: Depth, work: &Work) -> u64 {
        match (depth, work.record_bytes) {
            (Depth::Quick, _) => 64 << 20,
            // Small records take other logs long to write.
            (Depth::Usual, 0..512) => 256 << 20,
            _ => 1 << 30,
        }
    }
}

fn works(depth: Depth) -> Vec<Work> {
    let mut works = Vec::new();
    let mut add = |kind, sizes: &[usize], threads: &[usize]| {
        for &size in sizes {
            works.extend(threads.iter().map(|&threads| Work::new(kind, size, threads)));
        }
    };
    if depth == Depth::Quick {
        add(RECYCLED, &[100, 1 << 10], &[1]);
        add(FRESH, &[1 << 10], &[1]);
        add(Kind::Durable, &[100], &[1, 64]);
        add(Kind::Batch, &[1 << 10], &[1]);
        add(Kind::Replay, &[1 << 10], &[1]);
        add(Kind::Open, &[1 << 10], &[1]);
        return works;
    }
    let thorough = depth == Depth::Thorough;
    let threads: &[usize] = if thorough { &[1, 2, 4, 8] } else { &[1, 8] };
    add(RECYCLED, &[100], if thorough { threads } else { &[1, 4, 8] });
    add(RECYCLED, &[1 << 10, 10 << 10], threads);
    add(FRESH, &[100, 1 << 10], threads);
    add(FRESH, &[10 << 10], if thorough { threads } else { &[1] });
    add(Kind::Durable, &[100], &[1, 4, 16, 64, 256]);
    add(Kind::Durable, &[1 << 10], if thorough { &[1, 4, 16, 64, 256] } else { &[1, 64] });
    add(Kind::Durable, &[64], &[256]);
    add(Kind::Batch, &[1 << 10], &[1, 4]);
    for size in [100, 1 << 10] {
        add(Kind::Replay, &[size], &[1]);
        add(Kind::Open, &[size], &[1]);
    }
    add(Kind::Follow, if thorough { &[100, 1 << 10] } else { &[100] }, &[1]);
    works
}
