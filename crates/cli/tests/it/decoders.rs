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

#[test]
fn stats_tell_of_compression() {
    let (plain, _) = closed();
    let stats = |dir: &Path, arguments: &[&str]| run(dir, &[&["stats"], arguments].concat());
    let json = stats(plain.path(), &["--json", "--estimate"]).json();
    assert_eq!(json["compression"], json!(null));
    assert_eq!(
        (&json["estimate"]["sample_records"], &json["estimate"]["sample_bytes"]),
        (&json["records"], &json["payload_bytes"])
    );
    let ways = json["estimate"]["ways"].as_array().unwrap();
    assert_eq!(ways.len(), 4);
    assert!(ways.iter().all(|way| way["bytes"].as_u64() < json["payload_bytes"].as_u64()), "{json}");
    let text = stats(plain.path(), &["--estimate"]).out;
    assert!(text.contains("zstd, 64 a batch") && !text.contains("compressed"), "{text}");
    let text = stats(plain.path(), &["--estimate", "--prometheus"]).out;
    assert!(text.contains("tidelog_estimated_bytes{codec=\"lz4\",together=\"64\"} "), "{text}");
    assert!(!text.contains("envelopes"), "{text}");

    for (codec, compression) in [("lz4", Compression::Lz4), ("zstd", Compression::Zstd { level: 3 })] {
        let dir = tempfile::tempdir().unwrap();
        packed(dir.path(), Packer::new(compression));
        let json = stats(dir.path(), &["--json", "--estimate"]).json();
        let told = &json["compression"];
        assert_eq!(json["estimate"], json!(null), "it is compressed");
        assert_eq!(told["packed_bytes"], json["payload_bytes"], "{json}");
        assert_eq!(told["no_envelopes"], 0);
        let codecs = told["codecs"].as_array().unwrap();
        assert_eq!((&codecs[0]["codec"], &codecs[0]["envelopes"]), (&json!("raw"), &json!(1)));
        assert_eq!((&codecs[0]["packed_bytes"], &codecs[0]["unpacked_bytes"]), (&json!(6), &json!(5)));
        assert_eq!((&codecs[1]["codec"], &codecs[1]["envelopes"]), (&json!(codec), &json!(2)));
        let batch: usize = (0..50).map(|number| text_bytes(number) + 4).sum();
        let whole = 20 * text_bytes(1) + 4 + batch;
        assert_eq!((&codecs[1]["packed_batches"], &codecs[1]["unpacked_bytes"]), (&json!(1), &json!(whole)));
        let text = stats(dir.path(), &[]).out;
        assert!(text.contains("compressed") && text.contains(codec), "{text}");
        let text = stats(dir.path(), &["--prometheus"]).out;
        assert!(text.contains(&format!("tidelog_envelopes{{codec=\"{codec}\"}} 2")), "{text}");
    }

    // One that is no envelope among others: then it is to be said that they are.
    let mixed = tempfile::tempdir().unwrap();
    let log = CompressedLog::new(options().open(mixed.path()).unwrap(), Packer::new(Compression::Lz4));
    log.append(&[7; 500]).unwrap();
    log.log().append(b"plain").unwrap();
    log.log().append(b"it looks like an envelope\x10\0\0\0A").unwrap();
    log.log().close().unwrap();
    assert_eq!(stats(mixed.path(), &["--json"]).json()["compression"], json!(null));
    let told = stats(mixed.path(), &["--json", "--unpack"]).json()["compression"].clone();
    assert_eq!((&told["codecs"][0]["envelopes"], &told["no_envelopes"]), (&json!(1), &json!(2)), "{told}");
}

fn text_bytes(number: u32) -> usize {
    text(number).len()
}
