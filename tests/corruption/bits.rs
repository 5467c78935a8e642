//! Every bit of a log of 64 KiB, its header page and its metadata included.

use tidelog::Checksum;

use crate::oracle::FILE_BYTES;
use crate::place::{Bench, Seen};
use crate::sample::{Sample, Shape};
use crate::support::{HEADER, segment_name};

/// Closed and killed, in the same boot and in another, with both checksums; acknowledged when published and when
/// durable.
pub(crate) fn shapes(segments: u64, retired: u64) -> Vec<Shape> {
    let mut all = Vec::new();
    for bits in 0..8 {
        let is = |bit: u32| bits >> bit & 1 == 1;
        all.push(Shape {
            segments,
            retired,
            closed: is(0),
            another_boot: is(1),
            checksum: if is(2) { Checksum::Crc64 } else { Checksum::Crc32c },
            acks_durable: is(1) == is(2),
        });
    }
    all
}

pub(crate) fn thorough() -> bool {
    std::env::var("TIDELOG_THOROUGH").as_deref() == Ok("1")
}

/// Goes through `cases` on all processors.
pub(crate) fn sweep(sample: &Sample, cases: u64, run: impl Fn(&mut Bench<'_>, u64) + Sync) -> Seen {
    let workers = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let mut seen = Seen::default();
    std::thread::scope(|scope| {
        let run = &run;
        let work = move |worker| {
            let mut bench = Bench::new(sample);
            (worker..cases).step_by(workers as usize).for_each(|case| run(&mut bench, case));
            bench.seen
        };
        let threads: Vec<_> = (0..workers).map(|worker| scope.spawn(move || work(worker))).collect();
        for thread in threads {
            seen.add(thread.join().unwrap());
        }
    });
    seen
}

fn flip(bench: &mut Bench<'_>, file: &str, bit: u64, then: impl FnOnce(&mut Bench<'_>, &str)) {
    let (at, mask) = ((bit / 8) as usize, 1 << (bit % 8));
    let flipped = bench.files[file][at] ^ mask;
    bench.damage(file, at, &[flipped]);
    then(bench, &format!("{file}, byte {at}, bit {}", bit % 8));
    bench.heal(file, at, 1);
}

#[test]
fn undamaged_samples_come_back_whole() {
    for (segments, retired) in [(1, 0), (3, 0), (2, 2)] {
        for shape in shapes(segments, retired) {
            let sample = Sample::new(shape);
            let mut bench = Bench::new(&sample);
            bench.look(&format!("undamaged {shape:?}"));
            bench.open(&format!("undamaged {shape:?}"));
            assert_eq!(bench.seen.whole, 2, "{shape:?}");
        }
    }
}

#[test]
fn every_bit_of_the_metadata() {
    let (mut seen, mut alone) = (Seen::default(), Seen::default());
    for shape in shapes(1, 0) {
        let sample = Sample::new(shape);
        // A bit of what nothing is written to is looked at in passing.
        let bits =
            (0..128).chain(4096..4224).chain((128..8192).step_by(509)).flat_map(|at| at * 8..at * 8 + 8);
        let bits: Vec<u64> = if thorough() { (0..8192 * 8).collect() } else { bits.collect() };
        let both = |bench: &mut Bench<'_>, bit| {
            flip(bench, "log.meta", bit, |bench, what| {
                bench.look(&what);
                bench.open(&what);
            });
        };
        seen.add(sweep(&sample, bits.len() as u64, |bench, case| {
            // One in so many is opened; which slot is in force is all that can come of it.
            let bit = bits[case as usize];
            if thorough() || bit % 8 == bit / 8 % 8 {
                both(bench, bit);
            } else {
                flip(bench, "log.meta", bit, |bench, what| bench.look(&what));
            }
        }));
        // As long as a log has not been closed, the other slot is empty.
        for slot in [0, 4096] {
            alone.add(sweep(&sample, 128 * 8, |bench, case| {
                bench.damage("log.meta", 4096 - slot, &[0; 128]);
                both(bench, slot as u64 * 8 + case);
                bench.heal("log.meta", 4096 - slot, 128);
            }));
        }
    }
    assert_eq!(alone.refused, alone.cases);
    println!("bits of log.meta: {seen}\nwith one slot only: {alone}");
}

/// Each bit is flipped and looked at in one of the eight shapes. Opening for writing takes several times as long: that
/// goes through the fields of the header, the words and checksums of the frames, and one in 61 of the other bytes.
/// Everything is opened in every shape where `TIDELOG_THOROUGH=1`.
#[test]
fn every_bit_of_a_log() {
    let name = segment_name(0);
    let (mut looked, mut opened) = (Seen::default(), Seen::default());
    for (index, shape) in shapes(1, 0).into_iter().enumerate() {
        let sample = Sample::new(shape);
        let mut fields = vec![false; FILE_BYTES as usize];
        let frames = sample.elements.iter().map(|element| HEADER + element.lsn).map(|at| at..at + 16);
        for field in [0..128, 512..576, 1024..1032, 2048..2240].into_iter().chain(frames) {
            fields[field.start as usize..field.end as usize].fill(true);
        }
        let step = if thorough() { 1 } else { 8 };
        // Another bit of each byte in each shape.
        let bit = |case: u64| if step == 1 { case } else { case * 8 + (case + index as u64) % 8 };
        let cases = FILE_BYTES * 8 / step;
        looked.add(sweep(&sample, cases, |bench, case| {
            flip(bench, &name, bit(case), |bench, what| bench.look(&what));
        }));
        opened.add(sweep(&sample, cases, |bench, case| {
            let at = bit(case) / 8;
            if thorough() || fields[at as usize] || at % 61 == 0 {
                flip(bench, &name, bit(case), |bench, what| bench.open(&what));
            }
        }));
    }
    println!("bits of a segment, looked at: {looked}\nbits of a segment, opened: {opened}");
}
