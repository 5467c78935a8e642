//! What payloads are shown as: by a schema, and out of envelopes.

use std::path::Path;

use serde_json::json;
use tidelog::compress::{CompressedLog, Compression, Dictionary, Packer};

use crate::support::{closed, options, run};

#[test]
fn postcard_payloads_are_shown_by_a_schema() {
    let dir = tempfile::tempdir().unwrap();
    let log = options().open(dir.path()).unwrap();
    let value = (7_u64, "name", vec!["a", "b"], Some(-5_i64));
    log.append(&postcard::to_allocvec(&value).unwrap()).unwrap();
    log.append(b"\xff none\x1b").unwrap();
    log.close().unwrap();
    let schema = "postcard:{id:u64,name:string,tags:[string],at:option<i64>}";
    let ran = run(dir.path(), &["dump", "--decode", schema, "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines = ran.lines();
    assert_eq!(lines[0]["payload"], json!({"id": 7, "name": "name", "tags": ["a", "b"], "at": -5}));
    assert_eq!(lines[1]["payload"], "\\xff none\\u{1b}", "what is not of that type");
    for (name, what) in
        [("postcard:{id", "character 3"), ("postcard", "postcard:SCHEMA"), ("protobuf", "utf8, json, kv")]
    {
        let ran = run(dir.path(), &["dump", "--decode", name]);
        assert!(ran.code == 2 && ran.err.contains(what), "{ran:?}");
    }
}

fn text(number: u32) -> String {
    format!("{{\"user\":{number},\"event\":\"login\",\"node\":\"eu-{}\"}}", number % 7)
}

/// Records by themselves and in a batch; the LSN of the batch.
fn packed(dir: &Path, packer: Packer) -> u64 {
    let log = CompressedLog::new(options().open(dir).unwrap(), packer);
    log.append(b"short").unwrap();
    log.append(text(1).repeat(20).as_bytes()).unwrap();
    let texts: Vec<String> = (0..50).map(text).collect();
    let batch = log.append_batch(&texts).unwrap().next().unwrap();
    log.log().close().unwrap();
    batch.lsn().get()
}

#[test]
fn envelopes_are_unpacked() {
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd { level: 3 }] {
        let dir = tempfile::tempdir().unwrap();
        let batch = packed(dir.path(), Packer::new(compression));
        let ran = run(dir.path(), &["dump", "--unpack", "--json"]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        let lines = ran.lines();
        let payloads: Vec<_> =
            lines.iter().map(|line| line["payload"].as_str().unwrap().to_owned()).collect();
        let expected = ["short".to_owned(), text(1).repeat(20)].into_iter().chain((0..50).map(text));
        assert!(payloads.into_iter().eq(expected), "{compression:?}");
        if compression != Compression::None {
            let places: Vec<_> =
                lines[2..].iter().map(|line| (line["lsn"].clone(), line["index"].clone())).collect();
            assert!(places.into_iter().eq((0..50).map(|index| (json!(batch), json!(index)))));
            // What is looked for is looked for inside.
            let found =
                run(dir.path(), &["dump", "--unpack", "--grep", "\"user\":(7|8),", "--decode", "json"]);
            let rows: Vec<_> =
                found.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
            assert_eq!((rows.len(), rows[0][0]), (2, format!("{batch}.7").as_str()), "{found:?}");
            assert_eq!(rows[1][3], text(8));
            let last = run(dir.path(), &["dump", "--unpack", "--tail", "1", "--grep", "short"]);
            assert_eq!(last.out.lines().count(), 1, "{last:?}");
            let tail = run(dir.path(), &["tail", "--unpack", "-n", "1", "-o", "raw"]);
            assert_eq!(tail.out, (0..50).map(text).collect::<String>());
        }
    }
}

#[test]
fn what_does_not_unpack_is_told_and_shown_as_it_is() {
    let (plain, all) = closed();
    let ran = run(plain.path(), &["dump", "--unpack", "--json"]);
    assert_eq!((ran.code, ran.lines().len()), (0, all.len()));
    assert_eq!(ran.err.lines().count(), 1, "once, not for each: {}", ran.err);
    assert!(ran.err.contains("the record at LSN 0 is shown as it is"), "{}", ran.err);
    let lines = ran.lines();
    assert!(
        lines[5]["payload"] == *String::from_utf8_lossy(&all[5].1) && lines[5]["unpack_error"].is_string()
    );
    // Padding holds nothing.
    let ran = run(plain.path(), &["dump", "--unpack", "--type", "padding", "--json"]);
    assert!(ran.err.is_empty() && ran.lines()[0]["unpack_error"].is_null(), "{ran:?}");

    let texts: Vec<String> = (0..1000).map(text).collect();
    let dictionary = Dictionary::train(&texts, 4 << 10).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let packer =
        Packer::new(Compression::Zstd { level: 3 }).threshold_bytes(32).dictionary(dictionary.clone());
    let log = CompressedLog::new(options().open(dir.path()).unwrap(), packer);
    log.append(text(5).as_bytes()).unwrap();
    log.log().close().unwrap();
    let ran = run(dir.path(), &["dump", "--unpack"]);
    assert!(ran.code == 0 && ran.err.contains(&format!("{:#010x}", dictionary.id())), "{ran:?}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dictionary");
    std::fs::write(&file, dictionary.bytes()).unwrap();
    let ran = run(dir.path(), &["dump", "--unpack", "--dictionary", file.to_str().unwrap(), "-o", "raw"]);
    assert_eq!((ran.out, ran.err), (text(5), String::new()));
    std::fs::write(&file, "short").unwrap();
    let ran = run(dir.path(), &["dump", "--unpack", "--dictionary", file.to_str().unwrap()]);
    assert!(ran.code == 2 && ran.err.contains("dictionary"), "{ran:?}");
    assert_eq!(run(dir.path(), &["dump", "--unpack", "--dictionary", "/nowhere/at/all"]).code, 1);
}
