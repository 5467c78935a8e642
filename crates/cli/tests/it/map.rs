//! `map`: every byte of the log has its place in the picture, and what is wrong shows.

use std::collections::BTreeSet;
use std::path::Path;

use roxmltree::{Document, ParsingOptions};
use serde_json::{Value, json};
use tidelog::Lsn;

use crate::support::{
    Files, SEGMENT, closed, command, files, killed, names, options, place, restore, run, segment_name,
};

/// What `map --json` tells, if anything; the code is that of `verify`.
pub(crate) fn map(dir: &Path) -> Value {
    let ran = run(dir, &["map", "--json"]);
    assert_eq!(ran.code, run(dir, &["verify"]).code, "{ran:?}");
    assert_eq!(run(dir, &["map", "--quick"]).code, run(dir, &["verify", "--quick"]).code);
    if ran.out.is_empty() {
        return Value::Null;
    }
    let told = ran.json();
    // Whatever the log is like, each byte of each segment is in one cell, as one kind.
    let mut all = 0;
    for slot in told["segments"].as_array().unwrap() {
        let mut at = slot["base"].as_u64().unwrap();
        for cell in slot["cells"].as_array().unwrap() {
            assert_eq!(cell["start"], json!(at), "{slot}");
            let bytes: u64 =
                cell["bytes"].as_object().unwrap().values().map(|bytes| bytes.as_u64().unwrap()).sum();
            at += bytes;
            assert_eq!(cell["end"], json!(at), "{slot}");
        }
        assert_eq!(slot["end"], json!(at), "{slot}");
        all += at - slot["base"].as_u64().unwrap();
    }
    let total: u64 = told["bytes"].as_object().unwrap().values().map(|bytes| bytes.as_u64().unwrap()).sum();
    assert_eq!(total, all);
    told
}

/// What the cell shows in which an LSN lies.
fn shows(told: &Value, lsn: u64) -> String {
    let slots = told["segments"].as_array().unwrap();
    let mut cells = slots.iter().flat_map(|slot| slot["cells"].as_array().unwrap());
    let cell =
        cells.find(|cell| (cell["start"].as_u64().unwrap()..cell["end"].as_u64().unwrap()).contains(&lsn));
    cell.unwrap_or_else(|| panic!("no cell at {lsn}: {told}"))["shows"].as_str().unwrap().to_owned()
}

fn damaged(files: &Files, lsn: Lsn) -> Files {
    let mut damaged = files.clone();
    let (name, at) = place(lsn);
    damaged.get_mut(&name).unwrap()[at + 20] ^= 1;
    damaged
}

#[test]
fn a_healthy_log_is_told_to_the_byte() {
    let (dir, all) = closed();
    let told = map(dir.path());
    assert_eq!(
        (&told["outcome"], &told["records"], &told["batches"]),
        (&json!("clean"), &json!(all.len()), &json!(1))
    );
    let stats = run(dir.path(), &["stats", "--json"]).json();
    assert_eq!(told["bytes"]["padding"], stats["padding_bytes"]);
    let frames = stats["payload_bytes"].as_u64().unwrap() + stats["frame_overhead_bytes"].as_u64().unwrap();
    let (single, batches) =
        (told["bytes"]["records"].as_u64().unwrap(), told["bytes"]["batches"].as_u64().unwrap());
    assert_eq!((single + batches, batches), (frames, told["end"].as_u64().unwrap() - all[600].0.get()));
    assert_eq!(shows(&told, all[0].0.get()), "records");
    assert_eq!(shows(&told, 4 * SEGMENT - 1), "unwritten");
    assert_eq!(told["cursors"][0]["position"], json!(all[500].0.get()));
    // By the headers alone the same places are written.
    let quick = run(dir.path(), &["map", "--json", "--quick"]).json();
    assert_eq!(quick["bytes"]["written"], told["end"]);
    assert_eq!(
        (&quick["bytes"]["unwritten"], &quick["records"]),
        (&told["bytes"]["unwritten"], &Value::Null)
    );
    let empty = tempfile::tempdir().unwrap();
    options().open(empty.path()).unwrap().close().unwrap();
    assert_eq!(map(empty.path())["bytes"].as_object().unwrap().keys().collect::<Vec<_>>(), ["unwritten"]);
    assert_eq!(run(&empty.path().join("none"), &["map"]).code, 5);
}

#[test]
fn damage_shows_where_it_is_and_nowhere_else() {
    let (dir, all) = closed();
    let files = files(dir.path());
    for index in [1, 250, 599] {
        let told = map(restore(&damaged(&files, all[index].0)).path());
        let lost = all[index + 1].0.get() - all[index].0.get();
        assert_eq!(told["bytes"]["damaged"], json!(lost), "{told}");
        assert_eq!(shows(&told, all[index].0.get()), "damaged");
        assert_eq!(told["problems"][0]["lsn"], json!(all[index].0.get()));
        let cells: Vec<&Value> = told["segments"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|slot| slot["cells"].as_array().unwrap())
            .collect();
        let bad = cells.iter().filter(|cell| cell["shows"] == "damaged");
        assert!(bad.clone().all(|cell| cell["bytes"]["damaged"].as_u64() > Some(0)) && bad.count() <= 2);
    }
    // A batch is lost as a whole.
    let told = map(restore(&damaged(&files, all[601].0)).path());
    assert_eq!((&told["bytes"]["batches"], &told["batches"]), (&Value::Null, &json!(0)), "{told}");
    assert_eq!(shows(&told, all[600].0.get()), "damaged");

    let mut gone = files.clone();
    gone.remove(&segment_name(1)).unwrap();
    let told = map(restore(&gone).path());
    assert_eq!(
        (&told["bytes"]["missing"], &told["segments"][1]["state"]),
        (&json!(SEGMENT), &json!("missing"))
    );
    let mut header = files;
    header.get_mut(&segment_name(1)).unwrap()[20] ^= 1;
    let told = map(restore(&header).path());
    assert_eq!(
        (&told["bytes"]["damaged"], &told["segments"][1]["state"]),
        (&json!(SEGMENT), &json!("damaged"))
    );
}

#[test]
fn what_is_promised_to_nobody_is_no_damage() {
    let (mut torn, _) = killed();
    let end = map(restore(&torn).path())["end"].as_u64().unwrap();
    let (name, at) = place(Lsn::new(end));
    torn.get_mut(&name).unwrap()[at..at + 400].fill(0xa5);
    let told = map(restore(&torn).path());
    assert_eq!(told["outcome"], "torn-tail");
    assert_eq!((&told["bytes"]["torn"], &told["bytes"]["damaged"]), (&json!(400), &Value::Null));
    assert_eq!(shows(&told, end), "torn");
    // A claim that its writer is at, with a record behind it.
    let dir = tempfile::tempdir().unwrap();
    let log = options().open(dir.path()).unwrap();
    let mut seen = Value::Null;
    let claimed = std::thread::scope(|scope| {
        log.append_with(1000, |bytes| {
            scope.spawn(|| log.append(b"behind").unwrap()).join().unwrap();
            seen = run(dir.path(), &["map", "--json"]).json();
            bytes.fill(1);
        })
    });
    let lsn = claimed.unwrap().get();
    assert_eq!(
        (&seen["outcome"], &seen["live"], &seen["records"]),
        (&json!("clean"), &json!(true), &json!(1))
    );
    assert_eq!(seen["unpublished"][0]["start"], json!(lsn), "{seen}");
    assert_eq!(shows(&seen, lsn), "unpublished");
    assert_eq!(map(dir.path())["unpublished"], json!([]));
}

/// Parses it; gives the classes of what is drawn, and all text.
pub(crate) fn parsed(text: &str) -> (BTreeSet<String>, String) {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document =
        Document::parse_with_options(text, options).unwrap_or_else(|error| panic!("{error}: {text}"));
    let drawn = document.descendants().filter(|node| ["rect", "path"].contains(&node.tag_name().name()));
    let classes = drawn.filter_map(|node| node.attribute("class")).map(str::to_owned).collect();
    for node in document.descendants() {
        assert!(!["script", "link", "image", "iframe"].contains(&node.tag_name().name()));
        let outside = node.attributes().any(|attribute| ["href", "src"].contains(&attribute.name()));
        assert!(!outside, "it needs something else: {node:?}");
    }
    (classes, document.descendants().filter_map(|node| node.text()).collect::<Vec<_>>().join("\n"))
}

#[test]
fn pictures_are_well_formed_whatever_names_are() {
    let (dir, all) = closed();
    let mut files = damaged(&files(dir.path()), all[100].0);
    files.remove(&segment_name(1)).unwrap();
    let outer = tempfile::tempdir().unwrap();
    let hostile = outer.path().join("<b title='x'>&amp;\"\u{1b}]0;x\u{7}--><b>");
    std::fs::create_dir(&hostile).unwrap();
    for (name, bytes) in &files {
        std::fs::write(hostile.join(name), bytes).unwrap();
    }
    for format in ["svg", "html"] {
        let ran = run(&hostile, &["map", "-o", format]);
        assert_eq!(ran.code, 4);
        let (classes, text) = parsed(&ran.out);
        for kind in ["records", "damaged", "missing", "unwritten"] {
            assert!(classes.contains(kind), "{kind} in {classes:?}");
        }
        assert!(text.contains("<b title='x'>&amp;\"\u{fffd}]0;x\u{fffd}--><b>"), "{text}");
        assert!(text.contains("indexer") && text.contains(&format!("LSN {}", all[100].0)), "{text}");
        parsed(&run(&hostile, &["map", "-o", format, "--quick"]).out);
    }
    assert!(!run(&hostile, &["map"]).out.contains('\u{1b}'));
    let empty = tempfile::tempdir().unwrap();
    options().open(empty.path()).unwrap().close().unwrap();
    parsed(&run(empty.path(), &["map", "-o", "html"]).out);
}

/// Of `node`, as a number.
fn number(node: roxmltree::Node<'_, '_>, name: &str) -> f64 {
    node.attribute(name).unwrap().parse().unwrap()
}

#[test]
fn damage_and_marks_are_drawn_in_their_places() {
    let (dir, all) = closed();
    let dir = restore(&damaged(&files(dir.path()), all[300].0));
    let svg = run(dir.path(), &["map", "-o", "svg"]).out;
    let document = Document::parse(&svg).unwrap();
    let hints = |start: &str| {
        let with = |node: &roxmltree::Node<'_, '_>| node.text().is_some_and(|text| text.starts_with(start));
        let titles = document.descendants().filter(move |node| node.tag_name().name() == "title");
        titles.filter(with).map(|title| title.parent().unwrap()).collect::<Vec<_>>()
    };
    // The bar of a segment is from 128 on, 520 wide.
    let x = |lsn: u64| 128.0 + 520.0 * (lsn % SEGMENT) as f64 / SEGMENT as f64;
    let bad = hints(&format!("damaged: LSN {} to {} ", all[300].0, all[301].0))[0];
    assert!((number(bad, "x") - x(all[300].0.get())).abs() < 0.1, "{bad:?}");
    let bars = |segment: u64| hints(&format!("segment {segment}, "))[0];
    assert_eq!(number(bad, "y"), number(bars(all[300].0.get() / SEGMENT), "y"));
    let cursor = hints("indexer: LSN")[0];
    assert!((number(cursor, "x1") - x(all[500].0.get())).abs() < 0.1, "{cursor:?}");
    let bar = number(bars(all[500].0.get() / SEGMENT), "y");
    assert!(number(cursor, "y1") < bar && bar < number(cursor, "y2"), "{cursor:?}");
    // And at a terminal.
    let text = run(dir.path(), &["map"]).out;
    let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
    let row = lines
        .iter()
        .position(|line| line.starts_with(&"        2 sealed".chars().collect::<Vec<_>>()))
        .unwrap();
    let first = lines[row].iter().position(|letter| *letter == '█').unwrap();
    let cells = lines[row].iter().filter(|letter| "█▓▒·".contains(**letter)).count() as u64;
    let column = first + (all[500].0.get() % SEGMENT * cells / SEGMENT) as usize;
    assert_eq!((lines[row + 1][column], lines[row + 1][column + 1]), ('^', '1'), "{text}");
}

/// Hundreds of segments, some of them damaged.
#[test]
fn a_log_of_many_segments_stays_small_and_hides_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let log = options().open(dir.path()).unwrap();
    let all: Vec<Lsn> = (0..1500).map(|_| log.append(&[7; 10_000]).unwrap()).collect();
    log.close().unwrap();
    let bad = [all[3], all[700], all[1400]];
    for lsn in bad {
        let (name, at) = place(lsn);
        let mut bytes = std::fs::read(dir.path().join(&name)).unwrap();
        bytes[at + 20] ^= 1;
        std::fs::write(dir.path().join(&name), bytes).unwrap();
    }
    // A record may lie over the edge of a cell.
    let damage = regex::Regex::new("X+").unwrap();
    for width in ["40", "80", "200"] {
        let ran = run(dir.path(), &["map", "--width", width]);
        let (drawn, told) = ran.out.split_once("\n\n").unwrap().1.split_once("\n\n").unwrap();
        assert_eq!(damage.find_iter(drawn).count(), bad.len(), "{drawn}");
        assert!(drawn.lines().count() <= 1 + 40 + 2, "{drawn}");
        let longest = drawn.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= width.parse().unwrap(), "{longest}: {drawn}");
        assert!(told.contains("X damaged"), "{told}");
    }
    let svg = run(dir.path(), &["map", "-o", "svg"]).out;
    let (classes, _) = parsed(&svg);
    assert!(classes.contains("damaged") && svg.len() < 100_000, "{} bytes: {classes:?}", svg.len());
    assert!(map(dir.path())["segments"].as_array().unwrap().len() > 200);
}

#[test]
fn the_terminal_is_told_by_glyphs_and_colours() {
    let (dir, all) = closed();
    let dir = restore(&damaged(&files(dir.path()), all[200].0));
    let plain = run(dir.path(), &["map"]).out;
    assert!(plain.contains('X') && !plain.contains('\u{1b}'), "{plain}");
    assert!(plain.lines().all(|line| !line.contains('█') || line.chars().count() <= 100), "{plain}");
    let colored = run(dir.path(), &["map", "--color", "always"]).out;
    assert!(colored.contains("\u{1b}[31mX"), "{colored}");
    assert_eq!(regex::Regex::new("\u{1b}\\[\\d+m").unwrap().replace_all(&colored, ""), plain);
    let rows = run(dir.path(), &["map", "--rows", "4"]).out;
    let cells = |text: &str| text.lines().filter(|line| line.contains('█')).count();
    assert!(cells(&rows) > 2 * cells(&plain), "{rows}");
    // What the shell says of its width is no order.
    for columns in ["", "x", "0", "3", "99999"] {
        let ran = command(dir.path(), &["map"]).env("COLUMNS", columns).output().unwrap();
        assert_eq!(ran.status.code(), Some(4), "{columns:?}: {ran:?}");
    }
    assert_eq!(run(dir.path(), &["map", "--width", "10"]).code, 2);
    assert_eq!(run(dir.path(), &["map", "--json", "-o", "svg"]).code, 2);
}

#[test]
fn a_file_is_made_whole_and_never_overwritten() {
    let (dir, _) = closed();
    let outer = tempfile::tempdir().unwrap();
    let to = outer.path().join("map.svg");
    let path = to.to_str().unwrap();
    let ran = run(dir.path(), &["map", "-o", "svg", "--out", path]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    let text = std::fs::read_to_string(&to).unwrap();
    parsed(&text);
    assert_eq!(names(outer.path()), ["map.svg"]);
    let again = run(dir.path(), &["map", "--out", path]);
    assert!(again.code == 2 && again.err.contains("exists"), "{again:?}");
    assert_eq!(std::fs::read_to_string(&to).unwrap(), text);
    let before = files(dir.path());
    std::fs::create_dir(dir.path().join("below")).unwrap();
    for inside in ["map.svg", "below/map.svg"] {
        let ran = run(dir.path(), &["map", "--out", dir.path().join(inside).to_str().unwrap()]);
        assert!(ran.code == 2 && ran.err.contains("among the files of a log"), "{ran:?}");
    }
    std::fs::remove_dir(dir.path().join("below")).unwrap();
    assert!(files(dir.path()) == before);
    assert_eq!(run(dir.path(), &["map", "--out", "/no/such/folder/map"]).code, 1);
    // A relative name lies where the command runs.
    let here = command(dir.path(), &["map", "--out", "here"]).current_dir(outer.path()).status().unwrap();
    assert!(here.success() && outer.path().join("here").exists());
}
