//! What `import` makes of files from elsewhere, and the log that it makes.

use crate::port::{contents, import};
use crate::support::{closed, options, run};

#[test]
fn a_field_of_other_files_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let take = |input: &str, arguments: &[&str]| {
        import(&log, &[&["--create", "--field", "text"], arguments].concat(), input.as_bytes())
    };
    assert_eq!(take("a,text\n1,\"x\"\"y\"\n2,\"two\nlines\"\r\n3,", &[]).code, 0);
    assert_eq!(take("{\"text\":\"t\u{e9}\"}\n\n{\"a\":[],\"text\":{\"b\":1}}", &[]).code, 0);
    let texts: Vec<_> =
        contents(&log).into_iter().map(|(_, payload)| String::from_utf8(payload).unwrap()).collect();
    assert_eq!(texts, ["x\"y", "two\nlines", "", "té", "{\"b\":1}"]);
    for (input, what) in [
        ("a,b\n1,2\n", "no column \"text\"; it has a, b"),
        ("a,text\n1\n", "line 2 has 1 fields"),
        ("a,text\n1,\"x\n", "cut off"),
        ("a,text\n1,\"x\"y\n", "line 2 has something behind a closing quote"),
        ("a,text\n1,x\"y\n", "line 2 has a quote"),
        ("a,text\n\"\n\",x\ry\n", "line 3 has a carriage return"),
        ("{\"a\":1}\n", "line 1 has no field \"text\""),
        ("{\"a\":1\n", "line 1 is no JSON"),
    ] {
        let ran = take(input, &[]);
        assert!(ran.code == 1 && ran.err.contains(what), "{input}: {ran:?}");
    }
    let ran = take("TIDEPORT", &["--format", "lengths"]);
    assert!(ran.code == 1 && ran.err.contains("no fields"), "{ran:?}");
    assert_eq!(contents(&log).len(), 5);
}

#[test]
fn what_is_no_export_makes_no_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let version = {
        let mut bytes = b"TIDEPORT\x09\0\0\0".to_vec();
        bytes.resize(64, 0);
        bytes
    };
    for (input, what) in [
        (&b""[..], "empty"),
        (b"a plain line\n", "--field"),
        (b"{\"a\":1}\n", "--field"),
        (b"{\"schema\":9,\"format\":\"tidelog-export\"}\n", "schema 9"),
        (b"TIDE", "cut off"),
        (b"TIDELOG\n", "does not begin"),
        (&version, "version 9"),
    ] {
        let ran = import(&log, &["--create"], input);
        assert!(ran.code == 1 && ran.err.contains(what), "{input:?}: {ran:?}");
        assert!(!log.exists(), "{input:?}");
    }
    let (whole, _) = closed();
    let input = run(whole.path(), &["export"]).raw;
    assert_eq!(import(&log, &[], &input).code, 5, "no log is made unasked");
    assert!(!log.exists());
}

#[test]
fn a_new_log_is_like_the_one_that_was_exported() {
    let dir = tempfile::tempdir().unwrap();
    let log = options().segment_bytes(128 << 20).open(dir.path()).unwrap();
    log.append(&vec![7; 20 << 20]).unwrap();
    log.close().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("export");
    let name = file.to_str().unwrap();
    assert_eq!(run(dir.path(), &["export", "--format", "lengths", "--out", name]).code, 0);
    let other = tempfile::tempdir().unwrap();
    let ran = run(other.path(), &["import", name, "--create", "--checksum", "crc64"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let info = run(other.path(), &["info", "--json"]).json();
    assert_eq!(info["segment_bytes"], 128 << 20);
    assert_eq!(info["segments"][0]["openings"][0]["checksum"], "crc64");
    // Where it does not fit, that is said, and nothing is lost.
    let small = tempfile::tempdir().unwrap();
    let ran = run(small.path(), &["import", name, "--create", "--segment-bytes", "64KiB"]);
    assert!(ran.code == 2 && ran.err.contains("record 1"), "{ran:?}");
}
