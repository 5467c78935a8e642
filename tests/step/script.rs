//! What a stepped process does, known to it and to who steps it.

use tidelog::{Checksum, Options, SyncPolicy};

use crate::support::payload;

pub(crate) const SEGMENT_BYTES: u64 = 1 << 16;
/// Where the log's pages meet: a segment's header takes one page, so positions and file offsets agree here.
pub(crate) const PAGE: u64 = 4096;

/// A record's payload in short: what `payload` makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) id: u64,
    pub(crate) len: usize,
}

impl Record {
    pub(crate) fn payload(self) -> Vec<u8> {
        payload(self.id, self.len)
    }
}

/// One operation of the traced thread.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Runs at full speed: records until the next one begins at this offset of a segment.
    FillTo(u64),
    Append(usize),
    AppendWith(usize),
    Batch(Vec<usize>),
    /// A batch whose second record changes its length: it becomes padding.
    Abort,
    Sync,
}

impl Op {
    pub(crate) fn is_stepped(&self) -> bool {
        !matches!(self, Self::FillTo(_))
    }

    /// What operation number `index` appends. (What `FillTo` does depends on the log, and the child tells it.)
    pub(crate) fn records(&self, index: usize) -> Vec<Record> {
        let lengths = match self {
            Self::Append(len) | Self::AppendWith(len) => std::slice::from_ref(len),
            Self::Batch(lengths) => lengths,
            Self::FillTo(_) | Self::Abort | Self::Sync => &[],
        };
        let id = |place: usize| (index as u64 + 1) << 8 | place as u64;
        lengths.iter().enumerate().map(|(place, len)| Record { id: id(place), len: *len }).collect()
    }
}

/// Who runs while the operations are stepped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// Nobody: the keeper is held.
    Held,
    /// After every instruction that changed the mapping a second writer appends, and is told so.
    Writer,
    /// The keeper, one instruction at a time as well, by turns that are drawn.
    Keeper,
}

#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) policy: SyncPolicy,
    pub(crate) checksum: Checksum,
    pub(crate) others: Others,
    pub(crate) ops: Vec<Op>,
}

impl Scenario {
    pub(crate) fn options(&self) -> Options {
        let options = Options::new().segment_bytes(SEGMENT_BYTES);
        options.sync_policy(self.policy).checksum(self.checksum)
    }
}

/// Offsets before a page's end that part a frame everywhere: before its word, its checksum, in its payload.
const BEFORE: [u64; 5] = [8, 16, 24, 40, 64];

fn across_pages(op: &dyn Fn(usize) -> Op, lengths: &[usize], befores: &[u64]) -> Vec<Op> {
    let mut ops = Vec::new();
    let mut page = 1;
    for before in befores {
        for len in lengths {
            // Behind what was appended so far, as long as there are pages.
            page = page % 14 + 1 + (*len as u64) / PAGE;
            ops.extend([Op::FillTo(page * PAGE - before), op(*len)]);
        }
    }
    ops
}

/// Records that do not fit before the segment's end, and one that just does.
fn rolls(op: &dyn Fn(usize) -> Op, befores: &[u64]) -> Vec<Op> {
    let mut ops = Vec::new();
    for before in befores {
        ops.extend([Op::FillTo(SEGMENT_BYTES - before), op(*before as usize), Op::Append(9)]);
    }
    ops.extend([Op::FillTo(SEGMENT_BYTES - 32), Op::Append(16), Op::Append(9)]);
    ops
}

/// How much is stepped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// The same code, sealed in another way, or by another policy.
    Sample,
    Quick,
    Thorough,
}

fn ops(name: &str, extent: Extent) -> Vec<Op> {
    let sampled = extent == Extent::Sample;
    let lengths: &[usize] = match extent {
        Extent::Sample => &[33],
        Extent::Quick => &[1, 33, 300],
        Extent::Thorough => &[0, 1, 7, 8, 33, 64, 300, 2000, 4096, 9000],
    };
    let befores: &[u64] = if sampled { &[24] } else { &[8, 16, 24, 48, 600] };
    let parts = if sampled { &BEFORE[..2] } else { &BEFORE };
    let batch = |len: usize| Op::Batch(vec![len, 5, len / 2 + 1]);
    match name {
        "append" => {
            let every = if sampled { 31 } else { 1 };
            let small = (0..=64).step_by(every).map(Op::Append);
            // Copied by a string instruction, where the processor is good at them.
            let long =
                [Op::FillTo(PAGE - 40), Op::Append(4096)].into_iter().take(if sampled { 0 } else { 2 });
            small.chain(across_pages(&Op::Append, lengths, parts)).chain(long).collect()
        }
        "append_with" => {
            let small: &[usize] = if sampled { &[8] } else { &[0, 1, 8, 31, 64] };
            small
                .iter()
                .copied()
                .map(Op::AppendWith)
                .chain(across_pages(&Op::AppendWith, &lengths[..1], parts))
                .collect()
        }
        "batch" => {
            let small = [vec![9], vec![0, 0], vec![7, 40], vec![24, 1, 60], vec![3, 64, 0, 17]];
            let small = small.into_iter().map(Op::Batch).skip(if sampled { 4 } else { 0 });
            small.chain(across_pages(&batch, &lengths[..1], parts)).collect()
        }
        "abort" => vec![Op::Abort, Op::Append(5), Op::FillTo(PAGE - 16), Op::Abort, Op::Append(6)],
        "roll" => rolls(&Op::Append, befores).into_iter().chain(rolls(&batch, &befores[..1])).collect(),
        "sync" => {
            let mut ops = Vec::new();
            for offset in if sampled { vec![0] } else { vec![PAGE - 40, SEGMENT_BYTES - 16, 0] } {
                ops.extend([Op::FillTo(offset), Op::Sync, Op::Append(24), Op::Sync]);
            }
            ops
        }
        "hole" => {
            let mut ops = vec![Op::Append(20), Op::AppendWith(33), Op::Batch(vec![10, 20, 30]), Op::Abort];
            for before in &befores[..if sampled { 1 } else { 3 }] {
                ops.extend([Op::FillTo(SEGMENT_BYTES - before), Op::Append(100)]);
            }
            ops
        }
        "keeper" => {
            let mut ops = Vec::new();
            for before in if sampled { vec![40] } else { vec![40, 0] } {
                ops.extend([
                    Op::FillTo(SEGMENT_BYTES - 200),
                    Op::Append(176 - before),
                    Op::Append(60),
                    Op::Sync,
                ]);
            }
            ops
        }
        _ => panic!("there is no script {name}"),
    }
}

/// The scenario of that name, policy and checksum.
pub(crate) fn scenario(name: &str, immediate: bool, crc64: bool, thorough: bool) -> Scenario {
    let extent = match (thorough, immediate || crc64) {
        (true, _) => Extent::Thorough,
        (false, true) => Extent::Sample,
        (false, false) => Extent::Quick,
    };
    Scenario {
        name: name.to_owned(),
        policy: if immediate { SyncPolicy::Immediate } else { SyncPolicy::None },
        checksum: if crc64 { Checksum::Crc64 } else { Checksum::Crc32c },
        others: match name {
            "hole" => Others::Writer,
            "keeper" => Others::Keeper,
            _ => Others::Held,
        },
        ops: ops(name, extent),
    }
}
