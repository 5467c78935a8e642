//! Logs that were written anew, at LSNs of the caller's choice.

use std::path::Path;

use proptest::prelude::*;
use tidelog::inspect::{FrameKind, Inspector, Stop};
use tidelog::rebuild::{Rebuild, RebuildOptions};
use tidelog::{Checksum, ErrorKind, LastClose, Log, LogReader, Lsn, Options, SyncPolicy};

use crate::support::{
    Expected, HEADER, RECORD_MAX, SEGMENT, collect, contents, files, frame_bytes, names, options, payload,
    scratch, segment_name,
};

fn with(segment_bytes: u64, checksum: Checksum) -> RebuildOptions {
    RebuildOptions::new().segment_bytes(segment_bytes).checksum(checksum)
}

/// What a tool sees: that nothing is wrong, and every record.
fn inspected(dir: &Path) -> Expected {
    let inspector = Inspector::open(dir).unwrap();
    let report = inspector.foresee().unwrap();
    assert_eq!((report.last_close, report.torn_tail), (LastClose::Clean, None));
    let listed = inspector.files().unwrap();
    assert!(listed.missing.is_empty() && listed.temporaries.is_empty(), "{listed:?}");
    let mut found = Vec::new();
    for (index, segment) in listed.segments.iter().enumerate() {
        let header = segment.header.as_ref().unwrap();
        let mark = header.tail_mark.unwrap();
        assert_eq!(mark.end, segment.end.min(report.end), "{segment:?}");
        assert!(mark.durable && header.durable_hint == Some(mark.end), "{segment:?}");
        assert_eq!(mark.sealed.is_some(), mark.end == segment.end, "{segment:?}");
        assert_eq!(header.openings[0].start, segment.base, "{segment:?}");
        assert_eq!(segment.file_bytes, HEADER + inspector.meta().segment_bytes, "{segment:?}");
        let mut frames = inspector.frames(segment.base).unwrap();
        while let Some(frame) = frames.next_frame().unwrap() {
            if frame.kind.is_record() {
                found.push((frame.lsn, frame.payload.to_vec()));
            }
        }
        assert_eq!(frames.position(), mark.end, "{segment:?}: {:?}", frames.stop());
        let is_last = index + 1 == listed.segments.len();
        assert!(
            matches!(frames.stop(), Some(Stop::SegmentEnd))
                || is_last && matches!(frames.stop(), Some(Stop::Unwritten)),
            "{segment:?}: {:?}",
            frames.stop()
        );
    }
    found
}

/// Opens it as a writer does, appends, closes, and opens it again.
fn goes_on(dir: &Path, expected: &Expected, end: Lsn) {
    let log = Options::new().sync_policy(SyncPolicy::None).open(dir).unwrap();
    assert_eq!(log.recovery().last_close, LastClose::Clean);
    assert_eq!((log.recovery().end, log.recovery().proven_durable), (end, end));
    assert_eq!(contents(&log), *expected);
    let mut expected = expected.clone();
    for len in [0, 100, RECORD_MAX] {
        expected.push((log.append(&payload(1, len)).unwrap(), payload(1, len)));
    }
    log.close().unwrap();
    drop(log);
    assert_eq!(collect(&LogReader::open(dir).unwrap().snapshot().unwrap()).unwrap(), expected);
    let log = Options::new().open(dir).unwrap();
    assert_eq!(contents(&log), expected);
}

/// The word of a record's frame without its lag, the rest of its head, and its payload with what aligns it.
fn frame(dir: &Path, lsn: Lsn, len: usize) -> (u64, Vec<u8>) {
    let bytes = std::fs::read(dir.join(segment_name(lsn.get() / SEGMENT))).unwrap();
    let at = (HEADER + lsn.get() % SEGMENT) as usize;
    let word = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let is_later = matches!((word >> 32) & 0xff, 5 | 6);
    (
        if is_later { word } else { word & 0xff_ffff_ffff },
        bytes[at + 16..at + frame_bytes(len) as usize].to_vec(),
    )
}

fn written(log: &Log) -> Expected {
    let mut all = Vec::new();
    for n in 0..400 {
        let bytes = payload(n, (n as usize * 37) % 1200);
        all.push((log.append(&bytes).unwrap(), bytes));
        if n % 50 == 7 {
            let batch: Vec<_> = (0..n % 7 + 2).map(|k| payload(n + k, (n * k) as usize % 300)).collect();
            all.extend(log.append_batch(&batch).unwrap().zip(batch.clone()));
        }
    }
    all
}

#[test]
fn frames_are_those_of_a_writer() {
    let (old, new) = (scratch(), scratch());
    let log = options(SyncPolicy::None).open(old.path()).unwrap();
    let expected = written(&log);
    let end = log.watermarks().published;
    log.close().unwrap();
    let mut rebuild = Rebuild::create(new.path(), &with(SEGMENT, Checksum::Crc64)).unwrap();
    let inspector = Inspector::open(old.path()).unwrap();
    let mut batch: Vec<(Lsn, Vec<u8>)> = Vec::new();
    for segment in inspector.files().unwrap().segments {
        let mut frames = inspector.frames(segment.base).unwrap();
        while let Some(frame) = frames.next_frame().unwrap() {
            match frame.kind {
                FrameKind::Padding => continue,
                FrameKind::Record => rebuild.place(frame.lsn, frame.payload).unwrap(),
                _ => batch.push((frame.lsn, frame.payload.to_vec())),
            }
            if frame.kind == FrameKind::BatchLast {
                let records: Vec<_> = batch.iter().map(|(_, bytes)| bytes).collect();
                rebuild.place_batch(batch[0].0, &records).unwrap();
                batch.clear();
            }
        }
    }
    rebuild.finish(end).unwrap();
    for (lsn, bytes) in &expected {
        let (old, new) = [&old, &new].map(|dir| frame(dir.path(), *lsn, bytes.len())).into();
        assert_eq!(old, new, "{lsn}");
    }
    assert_eq!(inspected(new.path()), expected);
    goes_on(new.path(), &expected, end);
}

#[test]
fn what_it_is_told_comes_back() {
    let dir = scratch();
    let start = Lsn::new(3 * SEGMENT);
    let chosen = with(SEGMENT, Checksum::Crc32c).schema(42).start(start);
    let mut rebuild = Rebuild::create(dir.path().join("a/b"), &chosen).unwrap();
    let dir = dir.path().join("a/b");
    assert_eq!(rebuild.position(), start);
    assert_eq!(rebuild.frame_bytes_max(), SEGMENT / 4);
    let first = rebuild.append(b"first").unwrap();
    let batch = ["x", "yy", "zzz"];
    let lsns: Vec<Lsn> = rebuild.append_batch(&batch).unwrap().collect();
    assert_eq!(rebuild.append_batch::<&str>(&[]).unwrap().count(), 0);
    rebuild.cursor("gate", lsns[1], true).unwrap();
    rebuild.cursor("plain", start, false).unwrap();
    let end = Lsn::new(rebuild.position().get() + 8 * SEGMENT);
    rebuild.finish(end).unwrap();
    assert_eq!(names(&dir, ".tmp"), [""; 0]);
    let mut expected = vec![(first, b"first".to_vec())];
    expected.extend(lsns.iter().copied().zip(batch.map(|text| text.as_bytes().to_vec())));
    assert_eq!(inspected(&dir), expected);
    let meta = Inspector::open(&dir).unwrap().meta();
    assert_eq!((meta.start, meta.proven_durable, meta.schema), (start, end, 42));
    let log = Options::new().schema(42).open(&dir).unwrap();
    assert_eq!((log.watermarks().start, log.watermarks().published), (start, end));
    let cursors: Vec<_> =
        log.cursors().into_iter().map(|cursor| (cursor.name, cursor.state.unwrap())).collect();
    assert_eq!((cursors[0].0.as_str(), cursors[0].1.position, cursors[0].1.gate), ("gate", lsns[1], true));
    assert_eq!((cursors[1].0.as_str(), cursors[1].1.position, cursors[1].1.gate), ("plain", start, false));
    assert_eq!(log.retire_before(end).unwrap_err().kind(), ErrorKind::Held);
    drop(log);
    goes_on(&dir, &expected, end);
}

#[test]
fn an_empty_log_and_one_that_ends_with_its_segment() {
    for (start, end) in
        [(0, 0), (0, SEGMENT), (2, 2 * SEGMENT), (2, 2 * SEGMENT + 8), (0, 24), (0, 5 * SEGMENT)]
    {
        let dir = scratch();
        let start = Lsn::new(start * SEGMENT);
        let rebuild = Rebuild::create(dir.path(), &with(SEGMENT, Checksum::Crc32c).start(start)).unwrap();
        rebuild.finish(Lsn::new(end)).unwrap();
        assert!(inspected(dir.path()).is_empty());
        goes_on(dir.path(), &Vec::new(), Lsn::new(end));
    }
}

/// Each is refused, and changes nothing.
#[test]
fn what_cannot_be_is_refused() {
    let dir = scratch();
    for bad in [0, 1000, 1 << 15, 1 << 31, (1 << 16) + 8] {
        let error = Rebuild::create(dir.path(), &with(bad, Checksum::Crc32c)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption, "{bad}: {error}");
    }
    for bad in [8, SEGMENT / 2, 1 << 62] {
        let options = with(SEGMENT, Checksum::Crc32c).start(Lsn::new(bad));
        assert_eq!(Rebuild::create(dir.path(), &options).unwrap_err().kind(), ErrorKind::InvalidOption);
    }
    assert!(names(dir.path(), "").is_empty(), "nothing is made for what makes no sense");
    let options = with(SEGMENT, Checksum::Crc32c);
    let mut rebuild = Rebuild::create(dir.path(), &options).unwrap();
    assert_eq!(Rebuild::create(dir.path(), &options).unwrap_err().kind(), ErrorKind::Locked);
    assert_eq!(Options::new().open(dir.path()).unwrap_err().kind(), ErrorKind::Locked);
    rebuild.place(Lsn::new(64), b"here").unwrap();
    let end = 64 + 24;
    for (lsn, len) in [
        (0, 0),
        (64, 0),
        (end - 8, 0),
        (end + 4, 0),
        (end + 8, 0),
        (SEGMENT - 8, 0),
        (SEGMENT - 24, 9),
        (1 << 62, 0),
    ] {
        let error = rebuild.place(Lsn::new(lsn), &vec![0; len]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption, "{lsn}: {error}");
    }
    let large = vec![0; RECORD_MAX + 1];
    assert_eq!(rebuild.append(&large).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(rebuild.append_batch(&[&large[1..], &[]]).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(
        rebuild.place_batch(Lsn::new(end), &[&large[1..], &[]]).unwrap_err().kind(),
        ErrorKind::TooLarge
    );
    assert_eq!(rebuild.position(), Lsn::new(end));
    rebuild.cursor("twice", Lsn::ZERO, false).unwrap();
    for (name, at) in [("twice", 0), (".x", 0), ("x", 4)] {
        let error = rebuild.cursor(name, Lsn::new(at), false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption, "{error}");
    }
    rebuild.append(&large[1..]).unwrap();
    let end = rebuild.position();
    rebuild.finish(end).unwrap();
    let before = files(dir.path());
    let error = Rebuild::create(dir.path(), &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption, "{error}");
    assert!(error.to_string().contains("already"), "{error}");
    assert!(files(dir.path()) == before);
    assert_eq!(
        inspected(dir.path()),
        [(Lsn::new(64), b"here".to_vec()), (Lsn::new(88), large[1..].to_vec())]
    );
    std::fs::remove_file(dir.path().join("log.meta")).unwrap();
    let error = Rebuild::create(dir.path(), &options).unwrap_err();
    assert!(error.to_string().contains("remove the files"), "{error}");
}

#[test]
fn one_that_is_not_finished_leaves_nothing() {
    let dir = scratch();
    let options = with(SEGMENT, Checksum::Crc32c);
    for finish in [None, Some(8), Some(1 << 62), Some(u64::MAX)] {
        let mut rebuild = Rebuild::create(dir.path(), &options).unwrap();
        for n in 0..30 {
            rebuild.append(&payload(n, 10_000)).unwrap();
        }
        assert_eq!(LogReader::open(dir.path()).unwrap_err().kind(), ErrorKind::NotFound);
        match finish {
            None => drop(rebuild),
            Some(end) => {
                assert_eq!(rebuild.finish(Lsn::new(end)).unwrap_err().kind(), ErrorKind::InvalidOption);
            }
        }
        assert_eq!(names(dir.path(), ""), ["log.lock"]);
    }
    let mut rebuild = Rebuild::create(dir.path(), &options).unwrap();
    rebuild.cursor("ahead", Lsn::new(64), false).unwrap();
    let error = rebuild.finish(Lsn::new(32)).unwrap_err();
    assert!(error.to_string().contains("ahead"), "{error}");
    assert_eq!(names(dir.path(), ""), ["log.lock"]);
    drop(Options::new().segment_bytes(SEGMENT).open(dir.path()).unwrap());
}

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Batch(Vec<usize>),
    /// So many units of eight bytes are left free first.
    Place(u64, usize),
    PlaceBatch(u64, Vec<usize>),
    /// Up to the end of the segment, or eight bytes before or behind it.
    ToTheEnd(u64, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let len = || prop_oneof![6 => 0..300_usize, 2 => 300..5000_usize, 1 => RECORD_MAX - 40..=RECORD_MAX];
    let lens = || prop::collection::vec(0..1500_usize, 0..6);
    let gap = || prop_oneof![3 => 0..6_u64, 1 => 0..30_000_u64];
    prop_oneof![
        6 => len().prop_map(Step::Append),
        2 => lens().prop_map(Step::Batch),
        4 => (gap(), len()).prop_map(|(gap, len)| Step::Place(gap, len)),
        2 => (gap(), lens()).prop_map(|(gap, lens)| Step::PlaceBatch(gap, lens)),
        1 => (0..4_u64, len()).prop_map(|(off, len)| Step::ToTheEnd(off, len)),
    ]
}

fn run(rebuild: &mut Rebuild, segment_bytes: u64, steps: &[Step]) -> Expected {
    let mut expected: Expected = Vec::new();
    let fits = |lsn: u64, lens: &[usize]| {
        let bytes: u64 = lens.iter().map(|len| frame_bytes(*len)).sum();
        lsn % segment_bytes + bytes <= segment_bytes && bytes <= segment_bytes / 4
    };
    // Whether padding of so many bytes can stand there.
    let pads =
        |from: u64, to: u64| to - from != 8 || [from, to].iter().any(|lsn| lsn.is_multiple_of(segment_bytes));
    for (seed, step) in (0..).zip(steps) {
        let at = rebuild.position().get();
        let to_end = segment_bytes - at % segment_bytes;
        let (lsn, lens) = match step {
            Step::Append(len) => {
                let bytes = payload(seed, *len);
                expected.push((rebuild.append(&bytes).unwrap(), bytes));
                continue;
            }
            Step::Batch(lens) => {
                let batch: Vec<_> = lens.iter().map(|len| payload(seed, *len)).collect();
                expected.extend(rebuild.append_batch(&batch).unwrap().zip(batch.clone()));
                continue;
            }
            Step::Place(gap, len) => (at + gap * 8, vec![*len]),
            Step::PlaceBatch(gap, lens) => (at + gap * 8, lens.clone()),
            Step::ToTheEnd(off, len) => ((at + to_end + off * 8).saturating_sub(16), vec![*len]),
        };
        let batch: Vec<_> = lens.iter().map(|len| payload(seed, *len)).collect();
        let placed = rebuild.place_batch(Lsn::new(lsn), &batch);
        let may = lens.is_empty() || lsn >= at && pads(at, lsn) && fits(lsn, &lens);
        assert_eq!(placed.is_ok(), may, "{step:?} at {at}: {placed:?}");
        if may {
            let mut next = lsn;
            for bytes in batch {
                let len = bytes.len();
                expected.push((Lsn::new(next), bytes));
                next += frame_bytes(len);
            }
        }
    }
    expected
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_placed_is_what_reads_back(
        steps in prop::collection::vec(step(), 0..80),
        power in 16..19_u32,
        start in 0..3_u64,
        crc64 in any::<bool>(),
        rest in 0..4_u64,
    ) {
        let segment_bytes = 1_u64 << power;
        let checksum = if crc64 { Checksum::Crc64 } else { Checksum::Crc32c };
        let dir = scratch();
        let options = with(segment_bytes, checksum).start(Lsn::new(start * segment_bytes));
        let mut rebuild = Rebuild::create(dir.path(), &options).unwrap();
        let expected = run(&mut rebuild, segment_bytes, &steps);
        let end = Lsn::new(rebuild.position().get() + if rest == 0 { 0 } else { 8 + 8 * rest });
        rebuild.finish(end).unwrap();
        prop_assert!(inspected(dir.path()) == expected);
        goes_on(dir.path(), &expected, end);
    }
}
