//! `merge`: what comes out is what went in, or nothing.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tidelog::rebuild::{Rebuild, RebuildOptions};
use tidelog::{LogReader, Lsn, Options, SyncPolicy};

use crate::support::{
    Files, Ran, SEGMENT, closed, command, files, killed, names, options, place, restore, run, segment_name,
};

/// A place for new logs, which shows what is left there.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        // In memory where there is such a file system: no test can tell what a device did with a sync.
        Self(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        names(self.0.path())
    }
}

/// Runs a command that writes a log into `out`. The source stays as it is, and nothing temporary is left.
pub(crate) fn rewrite(dir: &Path, place: &Place, arguments: &[&str], code: i32) -> Ran {
    let before = files(dir);
    let there = place.names();
    let out = place.text("new");
    let arguments = [arguments, &["--out", &out]].concat();
    let ran = run(dir, &arguments);
    assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
    assert!(files(dir) == before, "{arguments:?} changed its source");
    let mut wanted = there;
    if matches!(code, 0 | 4 | 7) && ran.out.contains("new") {
        wanted.push("new".to_owned());
        wanted.extend(arguments.contains(&"--map").then(|| "map.csv".to_owned()));
        wanted.sort();
        wanted.dedup();
        assert_eq!(run(&place.path("new"), &["verify"]).code, 0, "{arguments:?}");
        assert_eq!(run(&place.path("new"), &["info", "--json"]).code, 0);
    }
    assert_eq!(place.names(), wanted, "{arguments:?}: {ran:?}");
    ran
}

/// LSN, kind and payload of each record.
pub(crate) fn dumped(dir: &Path) -> Vec<(u64, String, String)> {
    let ran = run(dir, &["dump", "--json", "--decode", "hex"]);
    let lines = ran.lines().into_iter();
    let text = |line: &Value, field: &str| line[field].as_str().unwrap().to_owned();
    lines.map(|line| (line["lsn"].as_u64().unwrap(), text(&line, "kind"), text(&line, "payload"))).collect()
}

/// The same without the LSNs.
pub(crate) fn contents(dir: &Path) -> Vec<(String, String)> {
    dumped(dir).into_iter().map(|(_, kind, payload)| (kind, payload)).collect()
}

fn cursor(dir: &Path, name: &str) -> (u64, bool) {
    let lines = run(dir, &["cursor", "list", "--json"]).lines();
    let line = lines.iter().find(|line| line["name"] == name).unwrap_or_else(|| panic!("{name}: {lines:?}"));
    (line["position"].as_u64().unwrap(), line["gate"].as_bool().unwrap())
}

/// A log that was closed, with records of such sizes.
fn log_of(segment_bytes: u64, lens: &[usize]) -> (TempDir, Vec<Lsn>) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new().segment_bytes(segment_bytes).sync_policy(SyncPolicy::None);
    let log = options.open(dir.path()).unwrap();
    let lsns = lens.iter().map(|len| log.append(&vec![7; *len]).unwrap()).collect();
    log.close().unwrap();
    (dir, lsns)
}

#[test]
fn larger_segments_keep_everything_where_it_is() {
    let (dir, all) = closed();
    assert_eq!(run(dir.path(), &["cursor", "set", "gate", "48", "--gate", "yes"]).code, 0);
    for size in ["64KiB", "128KiB", "1MiB"] {
        let place = Place::new();
        let ran = rewrite(dir.path(), &place, &["merge", "--segment-bytes", size, "--json"], 0);
        let told = ran.json();
        assert_eq!(
            (&told["records"], &told["batches"], &told["lsns"]),
            (&json!(603), &json!(1), &json!("keep"))
        );
        assert_eq!((&told["verified"], &told["cursors"]), (&json!(true), &json!(2)));
        let new = place.path("new");
        assert_eq!(dumped(dir.path()), dumped(&new), "{size}");
        assert_eq!(cursor(&new, "indexer"), (all[500].0.get(), false));
        assert_eq!(cursor(&new, "gate"), (48, true));
        let infos = [dir.path(), &new].map(|dir| run(dir, &["info", "--json"]).json());
        assert_eq!((&infos[0]["start"], &infos[0]["end"]), (&infos[1]["start"], &infos[1]["end"]), "{size}");
        // It is a log like others.
        let log = Options::new().open(&new).unwrap();
        assert_eq!(log.append(b"more").unwrap().get(), infos[0]["end"].as_u64().unwrap());
        assert_eq!(log.read(all[300].0).unwrap().payload(), all[300].1);
        log.close().unwrap();
    }
}

#[test]
fn smaller_segments_are_refused_where_a_record_would_be_cut() {
    let place = Place::new();
    // 48 bytes each: the 1,366th lies across 65,536.
    let (dir, _) = log_of(1 << 18, &[32; 3000]);
    let ran = rewrite(dir.path(), &place, &["merge", "--segment-bytes", "64KiB"], 2);
    assert!(ran.err.contains("the record at LSN 65520 would cross"), "{}", ran.err);
    rewrite(dir.path(), &place, &["merge", "--segment-bytes", "64KiB", "--lsns", "map"], 0);
    assert_eq!(contents(dir.path()), contents(&place.path("new")));
    // 64 bytes each: none is cut.
    let (dir, _) = log_of(1 << 18, &[48; 6000]);
    let place = Place::new();
    rewrite(dir.path(), &place, &["merge", "--segment-bytes", "64KiB"], 0);
    assert_eq!(dumped(dir.path()), dumped(&place.path("new")));
    let (dir, lsns) = log_of(1 << 18, &[100, 20_000]);
    for lsns_option in ["keep", "map"] {
        let place = Place::new();
        let arguments = ["merge", "--segment-bytes", "64KiB", "--lsns", lsns_option];
        let ran = rewrite(dir.path(), &place, &arguments, 2);
        assert!(ran.err.contains(&format!("the record at LSN {}", lsns[1])), "{}", ran.err);
    }
}

#[test]
fn several_logs_become_one_and_the_map_tells_where_each_record_went() {
    let (first, all) = closed();
    let (second, _) = log_of(1 << 17, &[10, 30_000, 20]);
    let third = tempfile::tempdir().unwrap();
    options().open(third.path()).unwrap().close().unwrap();
    let log = Options::new().open(second.path()).unwrap();
    log.append_batch(&["a", "b"]).unwrap();
    log.cursor_from("second", Lsn::new(32)).unwrap();
    log.cursor_from("indexer", Lsn::ZERO).unwrap();
    log.close().unwrap();
    let place = Place::new();
    let (second_text, third_text) = (second.path().to_str().unwrap(), third.path().to_str().unwrap());
    let map = place.text("map.csv");
    let arguments = ["merge", third_text, second_text, "--map", &map];
    let ran = rewrite(first.path(), &place, &arguments, 0);
    assert!(ran.err.contains("\"indexer\" is in several logs"), "{}", ran.err);
    let new = place.path("new");
    let found = dumped(&new);
    let expected = [dumped(first.path()), dumped(second.path())].concat();
    assert!(
        found
            .iter()
            .map(|record| (&record.1, &record.2))
            .eq(expected.iter().map(|record| (&record.1, &record.2)))
    );
    assert_eq!(run(&new, &["info", "--json"]).json()["segment_bytes"], json!(1 << 17), "the largest of them");
    let text = std::fs::read_to_string(place.path("map.csv")).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("source,old,new"));
    let sources = (0..expected.len()).map(|index| if index < all.len() { 1 } else { 3 });
    let wanted = sources.zip(&expected).zip(&found);
    let wanted: Vec<_> = wanted.map(|((source, old), new)| format!("{source},{},{}", old.0, new.0)).collect();
    assert!(lines.eq(wanted.iter().map(String::as_str)));
    // Without gaps but at the ends of segments.
    for pair in found.windows(2) {
        let next = pair[0].0 + (pair[0].2.len() as u64 / 2 + 16).next_multiple_of(8);
        assert!(pair[1].0 == next || pair[1].0 == next.next_multiple_of(1 << 17), "{pair:?}");
    }
    assert_eq!(found[0].0, 0);
    assert_eq!(cursor(&new, "indexer"), (found[500].0, false), "where the first log's consumer was");
    assert_eq!(cursor(&new, "second").0, found[all.len() + 1].0);
    // By their own names alone, without --dir.
    let elsewhere = place.text("else");
    let mut child = command(first.path(), &["merge", third_text, second_text, "--out", &elsewhere]);
    assert!(child.env_remove("TIDELOG_DIR").output().unwrap().status.success());
    assert_eq!(contents(second.path()), contents(&place.path("else")));
}

/// A file, what becomes of it, and the code that `verify` has for it.
fn damages(files: &Files, all: &[(Lsn, Vec<u8>)]) -> Vec<(&'static str, Files, i32, usize)> {
    let mut damages = Vec::new();
    let mut add = |what, code, lost, change: &dyn Fn(&mut Files)| {
        let mut damaged = files.clone();
        change(&mut damaged);
        damages.push((what, damaged, code, lost));
    };
    let in_segment = |number: u64| all.iter().filter(|(lsn, _)| lsn.get() / SEGMENT == number).count();
    let (name, at) = place(all[200].0);
    add("a payload", 4, 1, &|files| files.get_mut(&name).unwrap()[at + 20] ^= 1);
    let (batch, in_batch) = place(all[601].0);
    add("a batch", 4, 3, &|files| files.get_mut(&batch).unwrap()[in_batch + 17] ^= 1);
    add("a missing segment", 7, in_segment(1), &|files| drop(files.remove(&segment_name(1))));
    add("a header", 4, in_segment(2), &|files| files.get_mut(&segment_name(2)).unwrap()[20] ^= 1);
    add("a file that was cut", 4, in_segment(0), &|files| {
        files.get_mut(&segment_name(0)).unwrap().truncate(900);
    });
    add("zeros", 4, 1, &|files| {
        let len = all[200].1.len();
        files.get_mut(&name).unwrap()[at..at + len + 16].fill(0);
    });
    damages
}

#[test]
fn a_damaged_log_is_refused_or_what_is_left_is_taken() {
    let (dir, all) = closed();
    let files = files(dir.path());
    for (what, damaged, code, lost) in damages(&files, &all) {
        let dir = restore(&damaged);
        let place = Place::new();
        for arguments in [&["merge"][..], &["merge", "--lsns", "map"], &["merge", "--segment-bytes", "1MiB"]]
        {
            let ran = rewrite(dir.path(), &place, arguments, code);
            assert!(ran.err.contains("--skip-damage"), "{what}: {ran:?}");
        }
        for lsns in ["keep", "map"] {
            let place = Place::new();
            let ran = rewrite(dir.path(), &place, &["merge", "--skip-damage", "--lsns", lsns], code);
            assert!(ran.err.contains("lost: LSN "), "{what}: {ran:?}");
            let found = dumped(&place.path("new"));
            assert_eq!(found.len(), all.len() - lost, "{what}, {lsns}");
            if lsns == "keep" {
                let payload =
                    |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
                for (lsn, _, text) in found {
                    let index = all.partition_point(|(known, _)| known.get() < lsn);
                    assert_eq!((all[index].0.get(), payload(&all[index].1)), (lsn, text), "{what}");
                }
            }
        }
    }
    let mut gone = files;
    gone.remove("log.meta");
    rewrite(restore(&gone).path(), &Place::new(), &["merge", "--skip-damage"], 4);
    rewrite(tempfile::tempdir().unwrap().path(), &Place::new(), &["merge"], 5);
}

#[test]
fn a_damaged_cursor_is_left_out_and_told() {
    let (dir, _) = closed();
    let mut files = files(dir.path());
    for at in [33, 4096 + 33] {
        files.get_mut("indexer.cursor").unwrap()[at] ^= 1;
    }
    let place = Place::new();
    let ran = rewrite(restore(&files).path(), &place, &["merge"], 4);
    assert!(ran.err.contains("the cursor \"indexer\" is left out"), "{}", ran.err);
    assert_eq!(contents(dir.path()), contents(&place.path("new")));
}

/// A power cut took records that a consumer had seen; whether or not an opening has noted it in the cursor.
#[test]
fn a_cursor_beyond_its_log_stands_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let write = |text: &str| {
        let log = options().open(dir.path()).unwrap();
        log.append(text.as_bytes()).unwrap();
        let end = log.watermarks().published;
        log.cursor("ahead").unwrap().reset(end).unwrap();
        log.close().unwrap();
        end
    };
    let end = write("one");
    let before = files(dir.path());
    assert!(write("two") > end);
    let mut cut = before;
    cut.insert("ahead.cursor".to_owned(), std::fs::read(dir.path().join("ahead.cursor")).unwrap());
    let cut = restore(&cut);
    for opened in [false, true] {
        if opened {
            options().open(cut.path()).unwrap().close().unwrap();
        }
        for lsns in ["keep", "map"] {
            let place = Place::new();
            let ran = rewrite(cut.path(), &place, &["merge", "--lsns", lsns], 0);
            assert!(ran.err.contains("the cursor \"ahead\" stood at LSN"), "{}", ran.err);
            assert_eq!(cursor(&place.path("new"), "ahead"), (end.get(), false));
        }
    }
}

#[test]
fn a_torn_tail_is_left_out_and_is_no_damage() {
    let (files, all) = killed();
    let end = run(restore(&files).path(), &["info", "--json"]).json()["end"].as_u64().unwrap();
    let (name, at) = place(Lsn::new(end));
    for fill in [0, 0xa5] {
        let mut torn = files.clone();
        torn.get_mut(&name).unwrap()[at..at + 400].fill(fill);
        let place = Place::new();
        let ran = rewrite(restore(&torn).path(), &place, &["merge", "--json"], 0);
        assert_eq!(ran.err.contains("is torn: 400 bytes"), fill != 0, "{}", ran.err);
        let told = ran.json();
        assert_eq!((&told["records"], &told["after"]["end"]), (&json!(all.len()), &json!(end)));
    }
    // A claim that never returned, with records behind it: padding, as the opening would make.
    let mut hole = files;
    let (name, at) = place(all[599].0);
    let len = (all[599].1.len() as u64 + 16).next_multiple_of(8);
    let file = hole.get_mut(&name).unwrap();
    file[at..at + 8].copy_from_slice(&(1_u64 << 32 | len).to_le_bytes());
    let place = Place::new();
    let dir = restore(&hole);
    assert_eq!(run(dir.path(), &["verify"]).code, 0);
    rewrite(dir.path(), &place, &["merge"], 0);
    assert_eq!(dumped(&place.path("new")).len(), all.len() - 1);
}

/// A claim that is open is the end, whatever is behind it.
#[test]
fn beside_a_writer_it_ends_at_what_is_not_published() {
    let dir = tempfile::tempdir().unwrap();
    let log = options().open(dir.path()).unwrap();
    let all = crate::support::fill(&log);
    let end = log.watermarks().published;
    let work = |buffer: &mut [u8]| {
        // The log goes on into the next segments.
        let append = || (0..200).map(|_| log.append(&[2; 1000]).unwrap()).max();
        assert!(std::thread::scope(|scope| scope.spawn(append).join().unwrap()) > Some(end));
        buffer.fill(1);
        for lsns in ["keep", "map"] {
            let place = Place::new();
            let ran = run(dir.path(), &["merge", "--lsns", lsns, "--out", &place.text("new"), "--json"]);
            assert_eq!(ran.code, 0, "{ran:?}");
            assert!(ran.err.contains(&format!("up to LSN {end}")), "{}", ran.err);
            let told = ran.json();
            assert_eq!((&told["records"], &told["sources"][0]["live"]), (&json!(all.len()), &json!(true)));
            assert_eq!(told["sources"][0]["end"], json!(end.get()));
        }
    };
    log.append_with(300, work).unwrap();
}

/// Padding of eight bytes can stand at the end of a segment only, so with larger ones it has no place.
#[test]
fn eight_bytes_at_the_end_of_an_old_segment() {
    let build = |record_behind: bool| {
        let dir = tempfile::tempdir().unwrap();
        let mut rebuild = Rebuild::create(dir.path(), &RebuildOptions::new().segment_bytes(SEGMENT)).unwrap();
        rebuild.place(Lsn::new(SEGMENT - 32), &[1; 8]).unwrap();
        rebuild.cursor("c", Lsn::new(SEGMENT), false).unwrap();
        if record_behind {
            rebuild.place(Lsn::new(SEGMENT), b"behind").unwrap();
        }
        let end = rebuild.position().max(Lsn::new(SEGMENT));
        rebuild.finish(end).unwrap();
        dir
    };
    let dir = build(false);
    let place = Place::new();
    let ran = rewrite(dir.path(), &place, &["merge", "--segment-bytes", "128KiB", "--json"], 0);
    assert_eq!(ran.json()["after"]["end"], json!(SEGMENT + 8), "never before a position that was given");
    assert_eq!(cursor(&place.path("new"), "c").0, SEGMENT);
    let dir = build(true);
    let place = Place::new();
    let ran = rewrite(dir.path(), &place, &["merge", "--segment-bytes", "128KiB"], 2);
    assert!(ran.err.contains(&format!("the record at LSN {SEGMENT} cannot be placed")), "{}", ran.err);
    assert!(ran.err.contains("--lsns map"), "{}", ran.err);
    rewrite(dir.path(), &place, &["merge", "--segment-bytes", "128KiB", "--lsns", "map"], 0);
    assert_eq!(contents(dir.path()), contents(&place.path("new")));
}

#[test]
fn a_log_that_is_being_written_is_taken_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let log = options().open(dir.path()).unwrap();
    let all = crate::support::fill(&log);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0_u64.. {
                if done.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
                log.append(&vec![number as u8; (number % 900) as usize]).unwrap();
                if number % 20 == 0 {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            }
        });
        for lsns in ["keep", "map"] {
            let place = Place::new();
            let out = place.text("new");
            let ran = run(dir.path(), &["merge", "--lsns", lsns, "--out", &out]);
            assert_eq!(ran.code, 0, "{ran:?}");
            assert!(ran.err.contains("is being written"), "{}", ran.err);
            let reader = LogReader::open(place.path("new")).unwrap();
            let snapshot = reader.snapshot().unwrap();
            let found: Vec<_> = snapshot.iter().map(|record| record.unwrap()).collect();
            assert!(found.len() >= all.len());
            for (found, (lsn, payload)) in found.iter().zip(&all) {
                assert!(found.payload() == payload && (lsns == "map" || found.lsn() == *lsn));
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn what_was_retired_stays_so() {
    let (dir, all) = closed();
    assert_eq!(run(dir.path(), &["retire", &all[400].0.to_string()]).code, 0);
    let before = dumped(dir.path());
    let start = run(dir.path(), &["info", "--json"]).json()["start"].as_u64().unwrap();
    assert!(start > 0);
    for (size, begins) in [("64KiB", start), ("1MiB", 0)] {
        let place = Place::new();
        rewrite(dir.path(), &place, &["merge", "--segment-bytes", size], 0);
        assert_eq!(dumped(&place.path("new")), before);
        assert_eq!(run(&place.path("new"), &["info", "--json"]).json()["start"], json!(begins));
    }
    let place = Place::new();
    rewrite(dir.path(), &place, &["merge", "--lsns", "map"], 0);
    assert_eq!(dumped(&place.path("new"))[0].0, 0);
    assert_eq!(contents(dir.path()), contents(&place.path("new")));
}

#[test]
fn an_empty_log_stays_one() {
    let dir = tempfile::tempdir().unwrap();
    options().schema(77).open(dir.path()).unwrap().close().unwrap();
    for lsns in ["keep", "map"] {
        let place = Place::new();
        std::fs::create_dir(place.path("new")).unwrap();
        rewrite(dir.path(), &place, &["merge", "--lsns", lsns], 0);
        let log = Options::new().schema(77).open(place.path("new")).unwrap();
        assert_eq!(log.append(b"first").unwrap(), Lsn::ZERO);
    }
}

#[test]
fn what_makes_no_sense_is_refused_and_leaves_nothing() {
    let (dir, _) = closed();
    let (other, _) = log_of(SEGMENT, &[1]);
    let other_text = other.path().to_str().unwrap();
    let tagged = tempfile::tempdir().unwrap();
    options().schema(5).open(tagged.path()).unwrap().close().unwrap();
    let place = Place::new();
    let map = place.text("map.csv");
    for arguments in [
        &["merge", "--segment-bytes", "100"][..],
        &["merge", "--segment-bytes", "0"],
        &["merge", "--segment-bytes", "4GiB"],
        &["merge", other_text, "--lsns", "keep"],
        &["merge", "--map", &map],
        &["merge", other_text, other_text],
        &["merge", dir.path().to_str().unwrap()],
        &["merge", tagged.path().to_str().unwrap()],
    ] {
        rewrite(dir.path(), &place, arguments, 2);
    }
    std::fs::write(place.path("map.csv"), "mine").unwrap();
    rewrite(dir.path(), &place, &["merge", "--lsns", "map", "--map", &map], 2);
    assert_eq!(std::fs::read_to_string(place.path("map.csv")).unwrap(), "mine");
    std::fs::write(place.path("new"), "a file").unwrap();
    rewrite(dir.path(), &place, &["merge"], 2);
    std::fs::remove_file(place.path("new")).unwrap();
    std::fs::create_dir(place.path("new")).unwrap();
    std::fs::write(place.path("new/x"), "").unwrap();
    rewrite(dir.path(), &place, &["merge"], 2);
    let inside = dir.path().join("inside");
    let before = files(dir.path());
    for out in [dir.path().to_str().unwrap(), inside.to_str().unwrap()] {
        assert_eq!(run(dir.path(), &["merge", "--out", out]).code, 2, "{out}");
    }
    let (out, map) = (place.text("elsewhere"), dir.path().join("map.csv"));
    let arguments = ["merge", "--lsns", "map", "--out", &out, "--map", map.to_str().unwrap()];
    assert_eq!(run(dir.path(), &arguments).code, 2);
    assert!(files(dir.path()) == before);
    assert_eq!(run(dir.path(), &["merge", "--out", &place.text("no/such/place")]).code, 1);
    assert_eq!(run(dir.path(), &["merge", "--out", "/proc/new"]).code, 1);
}

/// A limit on the size of files stands for a full device: the new segments cannot be made.
#[test]
fn a_target_without_room_is_left_as_it_was() {
    let (dir, _) = closed();
    let place = Place::new();
    for (blocks, lsns) in [(0, "map"), (100, "map"), (100, "keep"), (300, "keep")] {
        let script = format!(
            "trap '' XFSZ; ulimit -f {blocks}; exec '{}' merge --segment-bytes 1MiB --lsns {lsns} --out '{}'",
            env!("CARGO_BIN_EXE_tidelog"),
            place.text("new")
        );
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .env("TIDELOG_DIR", dir.path())
            .output()
            .unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{blocks}: {err}");
        assert!(err.contains("tidelog: cannot"), "{err}");
        assert!(place.names().is_empty(), "{:?}", place.names());
    }
}

#[test]
fn the_summary_names_sizes_before_and_after() {
    let (dir, _) = closed();
    let place = Place::new();
    let ran = rewrite(dir.path(), &place, &["merge", "--segment-bytes", "1MiB", "--no-verify"], 0);
    assert!(ran.out.contains("4 segments of 64 KiB (272 KiB)"), "{}", ran.out);
    assert!(ran.out.contains("1 segment of 1 MiB"), "{}", ran.out);
    assert!(ran.out.contains("603 records") || ran.out.contains("records    603"), "{}", ran.out);
    assert!(ran.out.contains("verified   no"), "{}", ran.out);
}
