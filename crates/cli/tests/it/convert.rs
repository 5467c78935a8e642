//! `convert`: the same records in another form.

use serde_json::json;
use tidelog::compress::{CompressedReader, Compression, Packer};
use tidelog::inspect::Inspector;
use tidelog::{Checksum, LogReader, Lsn, Options, SyncPolicy};

use crate::merge::{Place, contents, dumped, rewrite};
use crate::support::{SEGMENT, closed, run};

fn checksums(dir: &std::path::Path) -> Vec<Checksum> {
    let segments = Inspector::open(dir).unwrap().files().unwrap().segments;
    let openings = segments.iter().flat_map(|segment| segment.header.as_ref().unwrap().openings.clone());
    openings.map(|opening| opening.checksum).collect()
}

#[test]
fn another_checksum_keeps_everything_where_it_is() {
    let (dir, all) = closed();
    let place = Place::new();
    rewrite(dir.path(), &place, &["convert", "--checksum", "crc64", "--segment-bytes", "128KiB"], 0);
    let new = place.path("new");
    assert_eq!(dumped(dir.path()), dumped(&new));
    assert_eq!(checksums(&new), [Checksum::Crc64; 2]);
    assert_eq!(run(&new, &["cursor", "list", "--json"]).lines()[0]["position"], json!(all[500].0.get()));
    // Without the option it stays what it is.
    let again = Place::new();
    rewrite(&new, &again, &["convert"], 0);
    assert_eq!(checksums(&again.path("new")), [Checksum::Crc64; 2]);
    // And back, as no record crosses the end of one of the old segments.
    let back = Place::new();
    rewrite(&new, &back, &["convert", "--checksum", "crc32c", "--segment-bytes", "64KiB"], 0);
    assert_eq!(dumped(dir.path()), dumped(&back.path("new")));
    assert!(checksums(&back.path("new")).iter().all(|checksum| *checksum == Checksum::Crc32c));
}

#[test]
fn what_is_packed_unpacks_to_the_same() {
    let (dir, all) = closed();
    // A batch that is worth packing as a whole.
    let log = Options::new().open(dir.path()).unwrap();
    let batch: Vec<String> =
        (0..50).map(|number| format!("{{\"user\":{number},\"event\":\"login\"}}")).collect();
    let lsns: Vec<Lsn> = log.append_batch(&batch).unwrap().collect();
    log.cursor_from("in-the-batch", lsns[20]).unwrap();
    log.close().unwrap();
    let count = all.len() + batch.len();
    for how in ["lz4", "zstd", "zstd:19", "zstd:-7"] {
        let place = Place::new();
        let map = place.text("map.csv");
        let ran = rewrite(dir.path(), &place, &["convert", "--compress", how, "--map", &map, "--json"], 0);
        let told = ran.json();
        assert_eq!((&told["records"], &told["lsns"]), (&json!(count), &json!("map")), "{how}");
        let packed = place.path("new");
        assert!(dumped(&packed).len() < count, "{how}: the batch is one record");
        let sizes =
            [dir.path(), &packed].map(|dir| run(dir, &["info", "--json"]).json()["end"].as_u64().unwrap());
        assert!(sizes[1] < sizes[0] / 2, "{how}: {sizes:?}");
        // As a program reads it.
        let reader = CompressedReader::new(LogReader::open(&packed).unwrap(), Packer::new(Compression::None));
        let snapshot = reader.reader().snapshot().unwrap();
        let mut replay = reader.replay(&snapshot);
        let mut found = Vec::new();
        while let Some(record) = replay.next().unwrap() {
            found.push((record.address(), record.payload().to_vec()));
        }
        let expected = all.iter().map(|(_, bytes)| bytes.clone());
        let expected = expected.chain(batch.iter().map(|text| text.clone().into_bytes()));
        assert!(found.iter().map(|(_, bytes)| bytes.clone()).eq(expected), "{how}");
        // The map leads to each, by the LSN of its envelope; the cursor to the whole of its batch.
        let text = std::fs::read_to_string(place.path("map.csv")).unwrap();
        let old = all.iter().map(|(lsn, _)| lsn).chain(&lsns);
        let wanted = old.zip(&found).map(|(old, (address, _))| format!("1,{old},{}", address.lsn()));
        assert!(text.lines().skip(1).map(str::to_owned).eq(wanted), "{how}");
        let cursors = run(&packed, &["cursor", "list", "--json"]).lines();
        assert_eq!(cursors[0]["position"], json!(found[count - 1].0.lsn().get()));
        let back = Place::new();
        let map = back.text("map.csv");
        rewrite(&packed, &back, &["convert", "--compress", "none", "--map", &map], 0);
        assert_eq!(contents(dir.path()), contents(&back.path("new")), "{how}");
        let text = std::fs::read_to_string(back.path("map.csv")).unwrap();
        assert_eq!(text.lines().count(), count + 1);
    }
}

#[test]
fn what_is_no_envelope_is_named_and_nothing_is_left() {
    let (dir, all) = closed();
    let place = Place::new();
    let map = place.text("map.csv");
    let ran = rewrite(dir.path(), &place, &["convert", "--compress", "none", "--map", &map], 2);
    assert!(ran.err.contains("the record at LSN 0 cannot be unpacked"), "{}", ran.err);
    // A plain record among envelopes.
    rewrite(dir.path(), &place, &["convert", "--compress", "lz4"], 0);
    let log = Options::new().open(place.path("new")).unwrap();
    let lsn = log.append(&all[599].1).unwrap();
    log.close().unwrap();
    let back = Place::new();
    let ran = rewrite(&place.path("new"), &back, &["convert", "--compress", "none"], 2);
    assert!(ran.err.contains(&format!("the record at LSN {lsn} cannot be unpacked")), "{}", ran.err);
}

#[test]
fn a_record_that_grows_beyond_its_segment_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let log = Options::new().segment_bytes(SEGMENT).sync_policy(SyncPolicy::None).open(dir.path()).unwrap();
    log.append(b"small").unwrap();
    // Nothing that could be compressed.
    let mut state = 1_u64;
    let noise: Vec<u8> = (0..SEGMENT / 4 - 16)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .collect();
    let lsn = log.append(&noise).unwrap();
    log.close().unwrap();
    let place = Place::new();
    let ran = rewrite(dir.path(), &place, &["convert", "--compress", "zstd"], 2);
    assert!(ran.err.contains(&format!("the record at LSN {lsn} cannot be placed")), "{}", ran.err);
    rewrite(dir.path(), &place, &["convert", "--compress", "zstd", "--segment-bytes", "128KiB"], 0);
}

#[test]
fn other_versions_and_codecs_are_refused() {
    let (dir, _) = closed();
    let place = Place::new();
    let ran = rewrite(dir.path(), &place, &["convert", "--format-version", "2"], 8);
    assert!(ran.err.contains("format version 2"), "{}", ran.err);
    for how in ["gzip", "zstd:", "zstd:23", "zstd:x", "lz4:1", "", "zstdx"] {
        let ran = rewrite(dir.path(), &place, &["convert", "--compress", how], 2);
        assert!(ran.err.contains("is not known"), "{}", ran.err);
    }
    rewrite(dir.path(), &place, &["convert", "--compress", "lz4", "--lsns", "keep"], 2);
    rewrite(dir.path(), &place, &["convert", "--format-version", "1", "--compress", "lz4"], 0);
    // Damage is met as `merge` meets it.
    let mut files = crate::support::files(dir.path());
    files.get_mut("00000000000000000000.seg").unwrap()[5000] ^= 1;
    let damaged = crate::support::restore(&files);
    let place = Place::new();
    rewrite(damaged.path(), &place, &["convert", "--compress", "lz4"], 4);
    rewrite(damaged.path(), &place, &["convert", "--compress", "lz4", "--skip-damage"], 4);
    assert!(place.path("new").exists());
}
