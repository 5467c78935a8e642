//! Every sector of a log of three segments: lost, exchanged, written to a wrong place, of an earlier state, of another
//! log.

use crate::bits::{shapes, sweep, thorough};
use crate::oracle::FILE_BYTES;
use crate::place::{Bench, Seen};
use crate::sample::{Files, Sample};
use crate::support::segment_name;

const SECTOR: usize = 512;

/// What to write over a sector; `None` where it is not there.
type From<'a> = &'a (dyn Fn(&(String, usize)) -> Option<Vec<u8>> + Sync);

/// The sectors of the segments' files.
fn sectors(sample: &Sample) -> Vec<(String, usize)> {
    let first = sample.shape.retired;
    let files = (first..first + sample.shape.segments).map(segment_name);
    files
        .flat_map(|name| (0..FILE_BYTES as usize).step_by(SECTOR).map(move |at| (name.clone(), at)))
        .collect()
}

fn sector<'a>(files: &'a Files, (name, at): &(String, usize)) -> Option<&'a [u8]> {
    files.get(name)?.get(*at..at + SECTOR)
}

fn both(bench: &mut Bench<'_>, what: &dyn std::fmt::Display) {
    bench.look(what);
    bench.open(what);
}

/// Samples of several segments, some with retired ones before.
fn samples() -> impl Iterator<Item = Sample> {
    shapes(3, 0).into_iter().chain(shapes(2, 2).into_iter().step_by(3)).map(Sample::new)
}

#[test]
fn every_sector_lost_stale_or_foreign() {
    let (mut lost, mut stale, mut foreign) = (Seen::default(), Seen::default(), Seen::default());
    for sample in samples() {
        let all = sectors(&sample);
        let other = Sample::new(sample.shape);
        let each = |what: &str, from: From<'_>| {
            sweep(&sample, all.len() as u64, |bench, case| {
                let place = &all[case as usize];
                let Some(bytes) = from(place).filter(|bytes| sector(&sample.files, place) != Some(bytes))
                else {
                    return;
                };
                bench.damage(&place.0, place.1, &bytes);
                both(bench, &format!("{:?}, sector {place:?} {what}", sample.shape));
                bench.heal(&place.0, place.1, SECTOR);
            })
        };
        lost.add(each("lost", &|_| Some(vec![0; SECTOR])));
        lost.add(each("erased", &|_| Some(vec![0xff; SECTOR])));
        for (index, state) in sample.older.iter().enumerate() {
            let from = |place: &(String, usize)| sector(state, place).map(<[u8]>::to_vec);
            stale.add(each(&format!("as in state {index}"), &from));
        }
        foreign.add(each("of another log", &|place| sector(&other.files, place).map(<[u8]>::to_vec)));
    }
    println!("sectors lost: {lost}\nsectors of an earlier state: {stale}\nsectors of another log: {foreign}");
}

/// Each pair in one of the shapes, in all of them where `TIDELOG_THOROUGH=1`. One in so many is opened for writing.
#[test]
fn every_pair_of_sectors_exchanged_and_copied() {
    let opened_every = if thorough() { 7 } else { 61 };
    let (mut exchanged, mut copied) = (Seen::default(), Seen::default());
    let shapes = shapes(3, 0);
    for (index, shape) in shapes.iter().enumerate() {
        let sample = Sample::new(*shape);
        let all = sectors(&sample);
        let count = all.len() as u64;
        let step = if thorough() { 1 } else { shapes.len() as u64 };
        let run = |exchange: bool| {
            let cases = (count * count).div_ceil(step);
            sweep(&sample, cases, |bench, case| {
                let pair = case * step + if step == 1 { 0 } else { (case + index as u64) % step };
                let (Some(one), Some(two)) =
                    (all.get((pair / count) as usize), all.get((pair % count) as usize))
                else {
                    return;
                };
                let (first, second) = (sector(&sample.files, one), sector(&sample.files, two));
                let (first, second) = (first.unwrap(), second.unwrap());
                if first == second || (exchange && one > two) {
                    return;
                }
                bench.damage(&two.0, two.1, first);
                if exchange {
                    bench.damage(&one.0, one.1, second);
                }
                let what = format!("{shape:?}, sector {one:?} over {two:?}, exchanged: {exchange}");
                bench.look(&what);
                if case.is_multiple_of(opened_every) {
                    bench.open(&what);
                }
                bench.heal(&one.0, one.1, SECTOR);
                bench.heal(&two.0, two.1, SECTOR);
            })
        };
        exchanged.add(run(true));
        copied.add(run(false));
    }
    println!("pairs of sectors exchanged: {exchanged}\nsectors copied over others: {copied}");
}
