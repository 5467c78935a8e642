//! Damaged logs: the exit code, what is told, and that nothing is changed.

use serde_json::{Value, json};
use tidelog::Lsn;

use crate::map::map;
use crate::support::{
    Files, HEADER, READING, SEGMENT, closed, files, killed, place, restore, run, segment_name,
};

/// Runs everything on a damaged log; gives what `verify` says. No command may panic, or change anything.
fn verify(files: &Files, code: i32) -> Value {
    let dir = restore(files);
    for arguments in READING {
        run(dir.path(), arguments);
        assert!(crate::support::files(dir.path()) == *files, "{arguments:?} changed the log");
    }
    // It agrees with what follows.
    map(dir.path());
    let ran = run(dir.path(), &["verify", "--json"]);
    assert_eq!(ran.code, code, "{ran:?}");
    let plain = run(dir.path(), &["verify"]);
    assert_eq!(plain.code, code, "{plain:?}");
    if ran.out.is_empty() { Value::Null } else { ran.json() }
}

#[test]
fn a_flipped_bit_is_found_told_and_stepped_over() {
    let (dir, all) = closed();
    let files = files(dir.path());
    for index in [0, 1, 150, 300, all.len() - 1] {
        let lsn = all[index].0;
        let (name, at) = place(lsn);
        for (what, byte) in [("the word", 0), ("its kind", 4), ("the checksum", 9), ("the payload", 16)] {
            let mut damaged = files.clone();
            damaged.get_mut(&name).unwrap()[at + byte] ^= 0x10;
            let told = verify(&damaged, 4);
            let problems = told["problems"].as_array().unwrap();
            assert_eq!(problems.len(), 1, "{what} of {index}: {told}");
            let problem = &problems[0];
            assert_eq!(problem["kind"], "corrupt", "{what} of {index}: {told}");
            assert!(problem["path"].as_str().unwrap().ends_with(&name), "{what} of {index}: {told}");
            // A batch is lost as a whole, from its first record on.
            let (first, lost) = if index >= all.len() - 3 { (all[all.len() - 3].0, 3) } else { (lsn, 1) };
            assert_eq!(problem["lsn"], json!(first.get()), "{what} of {index}: {told}");
            let intact = told["records"].as_u64().unwrap();
            assert_eq!(intact, (all.len() - lost) as u64, "{what} of {index}: {told}");
            if index + 1 < all.len() - 3 && all[index + 1].0.get() / SEGMENT == lsn.get() / SEGMENT {
                assert_eq!(problem["lost_to"], json!(all[index + 1].0.get()), "{what} of {index}: {told}");
            }
        }
    }
}

#[test]
fn what_is_left_of_a_damaged_log_is_dumped() {
    let (dir, all) = closed();
    let mut files = files(dir.path());
    let (name, at) = place(all[200].0);
    files.get_mut(&name).unwrap()[at + 20] ^= 1;
    let dir = restore(&files);
    let ran = run(dir.path(), &["dump", "--json"]);
    assert_eq!(ran.code, 4, "{}", ran.err);
    let lsns: Vec<u64> = ran.lines().iter().map(|line| line["lsn"].as_u64().unwrap()).collect();
    let expected = all.iter().map(|(lsn, _)| lsn.get()).filter(|lsn| *lsn != all[200].0.get());
    assert!(lsns.into_iter().eq(expected));
    assert!(ran.err.contains(&format!("lost: LSN {} to {}", all[200].0, all[201].0)), "{}", ran.err);
    for (index, code) in [(199, 0), (200, 4), (201, 0)] {
        let ran = run(dir.path(), &["get", &all[index].0.to_string()]);
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(code != 0 || ran.raw == all[index].1);
    }
    // Who looks elsewhere does not see it.
    let (from, to) = (all[201].0.to_string(), all[210].0.to_string());
    assert_eq!(run(dir.path(), &["dump", "--from", &from, "--to", &to]).code, 0);
}

#[test]
fn missing_and_exchanged_segments() {
    let (dir, all) = closed();
    let files = files(dir.path());
    let last = all[all.len() - 1].0.get() / SEGMENT;
    for number in 0..last {
        let mut damaged = files.clone();
        damaged.remove(&segment_name(number)).unwrap();
        let told = verify(&damaged, 7);
        let (from, to) = (number * SEGMENT, (number + 1) * SEGMENT);
        assert_eq!(told["problems"][0]["kind"], "gap", "{told}");
        assert_eq!(
            (&told["problems"][0]["lsn"], &told["problems"][0]["lost_to"]),
            (&json!(from), &json!(to)),
            "{told}"
        );
    }
    // The metadata knows that the newest was durable.
    let mut damaged = files.clone();
    damaged.remove(&segment_name(last)).unwrap();
    assert_eq!(verify(&damaged, 7)["problems"][0]["kind"], "gap");
    let mut swapped = files.clone();
    swapped.insert(segment_name(1), files[&segment_name(2)].clone());
    assert_eq!(verify(&swapped, 4)["problems"][0]["lsn"], json!(SEGMENT));
    let mut odd = files;
    odd.insert(format!("{:020}.seg", SEGMENT + 8), odd[&segment_name(2)].clone());
    verify(&odd, 4);
}

#[test]
fn cut_files() {
    let (dir, all) = closed();
    let files = files(dir.path());
    let whole = (HEADER + SEGMENT) as usize;
    for (number, len) in
        [(0, 0), (0, 100), (1, HEADER as usize), (1, whole / 2), (2, whole - 1), (2, whole - 8)]
    {
        let mut damaged = files.clone();
        damaged.get_mut(&segment_name(number)).unwrap().truncate(len);
        let told = verify(&damaged, 4);
        assert_eq!(told["problems"][0]["lsn"], json!(number * SEGMENT), "{number} {len}: {told}");
    }
    let mut zeroed = files;
    let (name, at) = place(all[250].0);
    let file = zeroed.get_mut(&name).unwrap();
    let to = (at + 5000).min(file.len());
    file[at..to].fill(0);
    let told = verify(&zeroed, 4);
    assert_eq!(told["problems"][0]["lsn"], json!(all[250].0.get()), "{told}");
}

#[test]
fn a_torn_tail_is_told_from_corruption() {
    let (files, all) = killed();
    let told = verify(&files, 0);
    assert_eq!(told["records"], json!(all.len()));
    let end = Lsn::new(told["end"].as_u64().unwrap());
    let (name, at) = place(end);
    let mut torn = files.clone();
    torn.get_mut(&name).unwrap()[at..at + 400].fill(0xa5);
    let told = verify(&torn, 3);
    assert_eq!((&told["outcome"], &told["problems"][0]["lsn"]), (&json!("torn-tail"), &json!(end.get())));
    assert_eq!(told["records"], json!(all.len()), "what was promised is there");
    let dir = restore(&torn);
    assert_eq!(run(dir.path(), &["info"]).code, 3);
    let cut = restore(&torn);
    let set = run(cut.path(), &["cursor", "set", "news", "end"]);
    assert_eq!(set.code, 10, "whoever opens the log to change it repairs it: {set:?}");
    assert!(set.err.contains("cut away"), "{set:?}");
    assert_eq!(run(cut.path(), &["verify"]).code, 0);
    assert_eq!(run(dir.path(), &["dump"]).out.lines().count(), all.len());
    let tail = run(dir.path(), &["tail", "--from", "0"]);
    assert_eq!((tail.code, tail.out.lines().count()), (0, all.len()));
    assert_eq!(run(dir.path(), &["tail", "-f", "--from", "0"]).code, 3, "to readers it looks like damage");
    let told = run(dir.path(), &["verify", "--fail-fast", "--json"]).json();
    assert_eq!(told["records"], json!(all.len()), "a torn tail is nothing to stop at");
    // With damage besides, the worst wins.
    let (name, at) = place(all[0].0);
    torn.get_mut(&name).unwrap()[at + 20] ^= 1;
    verify(&torn, 4);
    // A claim whose writer died: the opening pads it or cuts it, and nothing was promised.
    let mut claimed = files;
    let (name, at) = place(end);
    claimed.get_mut(&name).unwrap()[at..at + 8].copy_from_slice(&(1_u64 << 32 | 64).to_le_bytes());
    let told = verify(&claimed, 3);
    assert_eq!(told["problems"][0]["kind"], "torn-tail", "{told}");
}

/// Nothing that `verify` knows to be lost goes by in silence where records are printed.
#[test]
fn every_reader_tells_of_what_is_lost() {
    let (whole, all) = closed();
    let files = files(whole.path());
    let last = all[all.len() - 1].0.get() / SEGMENT;
    let mut zeroed = files.clone();
    let (name, at) = place(all[250].0);
    zeroed.get_mut(&name).unwrap()[at..at + 5000].fill(0);
    let mut short = files.clone();
    short.remove(&segment_name(last)).unwrap();
    for (files, code, at) in [(zeroed, 4, all[250].0.get()), (short, 7, last * SEGMENT)] {
        let dir = restore(&files);
        for arguments in
            [&["dump"][..], &["export"], &["stats"], &["dump", "--reverse"], &["dump", "--tail", "500"]]
        {
            let ran = run(dir.path(), arguments);
            assert_eq!(ran.code, code, "{arguments:?}: {}", ran.err);
            assert!(ran.err.contains(&format!("LSN {at}")), "{arguments:?}: {}", ran.err);
        }
        let ran = run(dir.path(), &["get", &at.to_string()]);
        assert!(ran.code == code || ran.code == 5 && code == 7, "{ran:?}");
        let export = run(dir.path(), &["export"]).lines();
        assert_eq!(export.last().unwrap()["missing"][0]["from"], json!(at));
        // What is not looked at is not told.
        assert_eq!(run(dir.path(), &["dump", "-n", "3"]).code, 0);
    }
    // A gap that the last records do not reach.
    let mut gap = files;
    gap.remove(&segment_name(1)).unwrap();
    let dir = restore(&gap);
    assert_eq!(run(dir.path(), &["tail"]).code, 0);
    assert_eq!(run(dir.path(), &["tail", "-n", "500"]).code, 7);
    assert_eq!(run(dir.path(), &["dump", "--from", &all[500].0.to_string()]).code, 0);
}

/// Sets the version in the first page of a file, with a checksum that holds.
pub(crate) fn with_version(bytes: &mut [u8], version: u32) {
    bytes[8..12].copy_from_slice(&version.to_le_bytes());
    let mut digest = crc64fast::Digest::new();
    digest.write(&bytes[..120]);
    bytes[120..128].copy_from_slice(&digest.sum64().to_le_bytes());
}

#[test]
fn other_versions_and_damaged_metadata() {
    let (dir, _) = closed();
    let files = files(dir.path());
    for name in ["log.meta".to_owned(), segment_name(1)] {
        let mut other = files.clone();
        with_version(other.get_mut(&name).unwrap(), 77);
        verify(&other, 8);
        let ran = run(restore(&other).path(), &["info"]);
        assert_eq!(ran.code, 8, "{ran:?}");
        assert!(ran.err.contains("77") || ran.out.contains("77"), "{ran:?}");
    }
    let mut one = files.clone();
    one.get_mut("log.meta").unwrap()[40] ^= 1;
    verify(&one, 0);
    let mut both = one;
    both.get_mut("log.meta").unwrap()[4096 + 40] ^= 1;
    verify(&both, 4);
    let mut none = files.clone();
    none.remove("log.meta");
    verify(&none, 4);
    for byte in [0, 20, 40, 2048, 2060] {
        let mut header = files.clone();
        header.get_mut(&segment_name(1)).unwrap()[byte] ^= 1;
        let told = verify(&header, 4);
        assert_eq!(told["problems"][0]["lsn"], json!(SEGMENT), "byte {byte}: {told}");
    }
    let mut cursor = files;
    cursor.get_mut("indexer.cursor").unwrap()[33] ^= 1;
    cursor.get_mut("indexer.cursor").unwrap()[4096 + 33] ^= 1;
    let dir = restore(&cursor);
    assert_eq!(run(dir.path(), &["verify"]).code, 0, "a cursor says nothing about the log");
    assert_eq!(run(dir.path(), &["cursor", "list"]).code, 4);
    assert_eq!(run(dir.path(), &["info"]).code, 4);
}
