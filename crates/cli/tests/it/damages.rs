//! Logs, healthy and damaged in every way, by name.

use tidelog::Lsn;

use crate::damage::with_version;
use crate::support::{Files, HEADER, SEGMENT, closed, files, killed, options, place, restore, segment_name};

pub(crate) type Named = (&'static str, Files);

/// All of them.
pub(crate) fn all() -> Vec<Named> {
    let (dir, all) = closed();
    let healthy = files(dir.path());
    let lsns: Vec<Lsn> = all.iter().map(|(lsn, _)| *lsn).collect();
    let mut named = vec![("healthy", healthy.clone())];
    named.extend(flipped(&healthy, &lsns));
    named.extend(lost(&healthy, &lsns));
    named.extend(headers(&healthy));
    named.extend(torn(lsns[0]));
    named.extend(other());
    named
}

/// A copy with a change.
fn with(files: &Files, change: impl FnOnce(&mut Files)) -> Files {
    let mut files = files.clone();
    change(&mut files);
    files
}

fn flip(files: &Files, name: &str, at: usize) -> Files {
    with(files, |files| files.get_mut(name).unwrap()[at] ^= 0x10)
}

fn flipped(healthy: &Files, lsns: &[Lsn]) -> Vec<Named> {
    let at = |index: usize, byte: usize| {
        let (name, at) = place(lsns[index]);
        flip(healthy, &name, at + byte)
    };
    vec![
        ("flipped-length", at(150, 0)),
        ("flipped-kind", at(150, 4)),
        ("flipped-checksum", at(150, 9)),
        ("flipped-payload", at(150, 16)),
        ("flipped-first-record", at(0, 16)),
        ("flipped-last-record", at(lsns.len() - 4, 16)),
        ("flipped-batch", at(lsns.len() - 2, 16)),
    ]
}

fn lost(healthy: &Files, lsns: &[Lsn]) -> Vec<Named> {
    let missing = |number| with(healthy, |files| drop(files.remove(&segment_name(number))));
    let cut =
        |number, len| with(healthy, |files| files.get_mut(&segment_name(number)).unwrap().truncate(len));
    let whole = (HEADER + SEGMENT) as usize;
    let swapped = |files: &mut Files| drop(files.insert(segment_name(1), healthy[&segment_name(2)].clone()));
    let odd = |files: &mut Files| {
        files.insert(format!("{:020}.seg", SEGMENT + 8), healthy[&segment_name(2)].clone());
    };
    let zeroed = |files: &mut Files| {
        let (name, at) = place(lsns[250]);
        let file = files.get_mut(&name).unwrap();
        let to = (at + 5000).min(file.len());
        file[at..to].fill(0);
    };
    vec![
        ("missing-first-segment", missing(0)),
        ("missing-middle-segment", missing(1)),
        ("missing-last-segment", missing(lsns[lsns.len() - 1].get() / SEGMENT)),
        ("exchanged-segment", with(healthy, swapped)),
        ("oddly-named-segment", with(healthy, odd)),
        ("cut-to-nothing", cut(0, 0)),
        ("cut-inside-header", cut(0, 100)),
        ("cut-behind-header", cut(1, HEADER as usize)),
        ("cut-in-half", cut(1, whole / 2)),
        ("cut-last-word", cut(2, whole - 8)),
        ("zeroed-range", with(healthy, zeroed)),
    ]
}

fn headers(healthy: &Files) -> Vec<Named> {
    let version = |name: &str| with(healthy, |files| with_version(files.get_mut(name).unwrap(), 77));
    let one = flip(healthy, "log.meta", 40);
    let both = flip(&one, "log.meta", 4096 + 40);
    let cursor = flip(&flip(healthy, "indexer.cursor", 33), "indexer.cursor", 4096 + 33);
    vec![
        ("metadata-of-another-version", version("log.meta")),
        ("segment-of-another-version", version(&segment_name(1))),
        ("metadata-half-damaged", one),
        ("metadata-damaged", both),
        ("metadata-missing", with(healthy, |files| drop(files.remove("log.meta")))),
        ("header-damaged", flip(healthy, &segment_name(1), 20)),
        ("header-without-opening", flip(healthy, &segment_name(1), 2060)),
        ("header-without-mark", flip(healthy, &segment_name(1), 520)),
        ("cursor-damaged", cursor),
    ]
}

fn torn(first: Lsn) -> Vec<Named> {
    let (killed, all) = killed();
    let (last, payload) = &all[all.len() - 1];
    let end = Lsn::new(last.get() + (16 + payload.len() as u64).next_multiple_of(8));
    let (name, at) = place(end);
    let torn = with(&killed, |files| files.get_mut(&name).unwrap()[at..at + 400].fill(0xa5));
    let (name_of_first, at_of_first) = place(first);
    let both = flip(&torn, &name_of_first, at_of_first + 20);
    let claim = (1_u64 << 32 | 64).to_le_bytes();
    let claimed = with(&killed, |files| files.get_mut(&name).unwrap()[at..at + 8].copy_from_slice(&claim));
    vec![
        ("killed", killed),
        ("torn-tail", torn),
        ("torn-tail-and-damage", both),
        ("claim-that-never-returned", claimed),
    ]
}

fn other() -> Vec<Named> {
    let empty = tempfile::tempdir().unwrap();
    options().open(empty.path()).unwrap().close().unwrap();
    let (dir, all) = closed();
    let log = options().open(dir.path()).unwrap();
    log.retire_before(all[400].0).unwrap();
    log.close().unwrap();
    // What is ready for the next segments is there or not.
    let kept =
        |files: Files| -> Files { files.into_iter().filter(|(name, _)| !name.ends_with(".spare")).collect() };
    vec![
        ("no-records", kept(files(empty.path()))),
        ("retired", kept(files(dir.path()))),
        ("no-log", files(restore(&Files::new()).path())),
    ]
}
