//! Damage that comes while the log is open: the mappings show it at once, and whoever reads is told.

use std::fs::File;
use std::os::unix::fs::FileExt;

use tidelog::{ErrorKind, LogReader, Lsn};

use crate::bits::{shapes, thorough};
use crate::place::{Bench, place};
use crate::sample::{Element, Sample, locate};
use crate::support::segment_name;

/// A word with another kind.
fn with_kind(bench: &mut Bench<'_>, element: &Element, kind: u8) {
    let (name, at) = locate(element.lsn);
    bench.damage(&name, at as usize + 4, &[kind]);
}

/// A frame that could pass for a claim, were it not known to be durable.
fn durable_record(sample: &Sample) -> &Element {
    let all = sample.elements.iter().filter(|element| element.lsn < sample.durable && element.lsn > 0);
    let mut plain = all.filter(|element| {
        let length = element.payload.as_ref().map_or(0, Vec::len);
        let (name, at) = locate(element.lsn);
        length > 0 && length % 8 == 0 && sample.files[&name][at as usize + 4..at as usize + 8] == [3, 0, 0, 0]
    });
    plain.next().unwrap()
}

/// What was durable was published: a word that says otherwise is damaged. (A reader of a log that was not closed used to
/// take it for the end of the log.)
#[test]
fn a_reader_knows_what_was_durable() {
    for shape in shapes(1, 0) {
        let sample = Sample::new(shape);
        let mut bench = Bench::new(&sample);
        let element = durable_record(&sample);
        with_kind(&mut bench, element, 1);
        let reader = LogReader::open(bench.path()).unwrap();
        let snapshot = reader.snapshot().unwrap();
        let error = snapshot.iter().find_map(Result::err).expect("a record is gone");
        assert!(error.is_corruption(), "{error}");
        assert_eq!(error.lsn(), Some(Lsn::new(element.lsn)), "{shape:?}: {error}");
        assert!(reader.read(Lsn::new(element.lsn)).unwrap_err().is_corruption());
    }
}

/// A claim below the published watermark is none. (Who followed the log used to wait for it for ever.)
#[test]
fn a_tail_is_told_of_a_published_record_that_turned_into_a_claim() {
    for shape in shapes(1, 0) {
        let sample = Sample::new(shape);
        let mut bench = Bench::new(&sample);
        let log = sample.options.open(bench.path()).unwrap();
        let reader = LogReader::open(bench.path()).unwrap();
        let element = durable_record(&sample);
        let lsn = Lsn::new(element.lsn);
        let mut tails = [log.tail(lsn).unwrap(), reader.tail(lsn).unwrap()];
        with_kind(&mut bench, element, 1);
        for tail in &mut tails {
            let error = tail.try_next().map(|record| format!("{record:?}")).unwrap_err();
            assert!(error.is_corruption(), "{error}");
            assert_eq!(error.lsn(), Some(lsn), "{shape:?}: {error}");
        }
        drop(log);
    }
}

/// Every bit of the frames, under an open log, a snapshot and a reader of another process.
#[test]
fn every_bit_under_the_readers() {
    let shapes = shapes(1, 0);
    let cases: u64 = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (index, shape) in shapes.into_iter().enumerate().filter(|(_, shape)| shape.closed) {
            threads.push(scope.spawn(move || {
                let sample = Sample::new(shape);
                let bench = Bench::new(&sample);
                let log = sample.options.open(bench.path()).unwrap();
                let reader = LogReader::open(bench.path()).unwrap();
                let snapshots = [log.snapshot(), reader.snapshot().unwrap()];
                let file = File::options().write(true).open(bench.path().join(segment_name(0))).unwrap();
                let mut done = 0;
                for element in &sample.elements {
                    let (lsn, at) = (Lsn::new(element.lsn), locate(element.lsn).1);
                    let payload = element.payload.as_deref().unwrap();
                    for bit in 0..(element.end - element.lsn) * 8 {
                        // One of the shapes each, unless all are wanted.
                        if !thorough() && bit % 4 != (index / 2) as u64 {
                            continue;
                        }
                        done += 1;
                        let byte = at + bit / 8;
                        let was = sample.files[&segment_name(0)][byte as usize];
                        file.write_all_at(&[was ^ 1 << (bit % 8)], byte).unwrap();
                        // In every way where it is the header's, in one after the other where it is the payload's.
                        let ways = if bit < 128 { 0..6 } else { done % 6..done % 6 + 1 };
                        let is = |at: Lsn, bytes: &[u8]| at == lsn && bytes == payload;
                        let outcome = |way| match way {
                            0 => log.read(lsn).map(|record| is(record.lsn(), record.payload())),
                            1 => reader.read(lsn).map(|record| is(record.lsn(), record.payload())),
                            2 | 3 => {
                                let next = snapshots[way as usize - 2].range(lsn..).next().unwrap();
                                next.map(|record| is(record.lsn(), record.payload()))
                            }
                            _ => {
                                let mut tail = if way == 4 { log.tail(lsn)? } else { reader.tail(lsn)? };
                                let record = tail.try_next()?.expect("it is published");
                                Ok(is(record.lsn(), record.payload()))
                            }
                        };
                        let filler = bit / 8 >= element.meaningful;
                        for way in ways {
                            let what = format!("{shape:?}, LSN {lsn}, bit {bit}, way {way}");
                            match outcome(way) {
                                Ok(right) => assert!(filler && right, "{what}"),
                                Err(error) => {
                                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
                                    assert!(!filler, "{what}: {error}");
                                    assert_eq!(place(&error).lsn, Some(element.lsn), "{what}: {error}");
                                    assert_eq!(place(&error).offset, at, "{what}: {error}");
                                }
                            }
                        }
                        file.write_all_at(&[was], byte).unwrap();
                    }
                }
                // All is well again.
                assert_eq!(crate::support::contents(&log).len(), sample.records());
                done
            }));
        }
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    println!("bits under open readers: {cases} flipped, read in 6 ways");
}
