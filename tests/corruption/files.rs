//! Files of a log of three segments removed, exchanged, copied, cut, extended, of an earlier state, of another log.

use tidelog::LogReader;

use crate::bits::shapes;
use crate::oracle::{FILE_BYTES, Place};
use crate::place::{Bench, Seen, place};
use crate::sample::{Files, Sample};
use crate::support::{SEGMENT, collect, contents, segment_name};

fn each(mut run: impl FnMut(&Sample, &mut Bench<'_>)) -> Seen {
    let mut seen = Seen::default();
    for shape in shapes(3, 0).into_iter().chain(shapes(2, 2)) {
        let sample = Sample::new(shape);
        let mut bench = Bench::new(&sample);
        run(&sample, &mut bench);
        seen.add(bench.seen);
    }
    seen
}

fn names(sample: &Sample) -> Vec<String> {
    sample.files.keys().filter(|name| name.ends_with(".seg")).cloned().collect()
}

fn both(bench: &mut Bench<'_>, files: Files, what: &dyn std::fmt::Display) {
    bench.replace(files);
    bench.look(what);
    bench.open(what);
}

#[test]
fn every_subset_of_the_files_removed() {
    let seen = each(|sample, bench| {
        let names = names(sample);
        for subset in 1..1_u32 << names.len() {
            let mut files = sample.files.clone();
            let gone = names.iter().enumerate().filter(|(index, _)| subset >> index & 1 == 1);
            gone.for_each(|(_, name)| drop(files.remove(name)));
            // Without any segment there is nothing to look at; whoever writes is told.
            if files.len() > 1 {
                both(bench, files, &format!("{:?} without {subset:b} of {names:?}", sample.shape));
            } else {
                bench.replace(files);
                bench.open(&format!("{:?} without all segments", sample.shape));
            }
        }
    });
    println!("files removed: {seen}");
}

#[test]
fn files_exchanged_and_copied() {
    let seen = each(|sample, bench| {
        let names = names(sample);
        let other = Sample::new(sample.shape);
        for one in &names {
            for two in names.iter().filter(|two| *two != one) {
                let mut files = sample.files.clone();
                files.insert(two.clone(), sample.files[one].clone());
                both(bench, files.clone(), &format!("{:?}: {one} over {two}", sample.shape));
                files.insert(one.clone(), sample.files[two].clone());
                both(bench, files, &format!("{:?}: {one} and {two} exchanged", sample.shape));
            }
            for number in [0, 3, 4, 7, (1 << 45) - 1, (1 << 46) - 1] {
                let mut files = sample.files.clone();
                if files.insert(segment_name(number), sample.files[one].clone()).is_none() {
                    both(bench, files, &format!("{:?}: {one} also as {number}", sample.shape));
                }
            }
            let mut files = sample.files.clone();
            files.insert(one.clone(), other.files[one].clone());
            both(bench, files, &format!("{:?}: {one} of another log", sample.shape));
        }
        // The first segment that is looked at is not one of the log that the metadata tells of.
        let mut files = sample.files.clone();
        files.insert("log.meta".to_owned(), other.files["log.meta"].clone());
        bench.replace(files);
        let looked = LogReader::open(bench.path()).map(drop).unwrap_err();
        let opened = sample.options.open(bench.path()).map(drop).unwrap_err();
        for error in [looked, opened] {
            assert_eq!(place(&error), Place { file: names.last().unwrap().clone(), offset: 0, lsn: None });
        }
    });
    println!("files exchanged and copied: {seen}");
}

/// A name that is a number, but not that of a segment.
#[test]
fn a_name_that_fits_no_place_is_refused() {
    for shape in shapes(3, 0) {
        let sample = Sample::new(shape);
        for number in [1, SEGMENT + 8, 3 * SEGMENT - 1, 3 * SEGMENT + 4096, (1 << 62) - 1] {
            let mut bench = Bench::new(&sample);
            let mut files = sample.files.clone();
            let name = format!("{number:020}.seg");
            files.insert(name.clone(), sample.files[&segment_name(1)].clone());
            bench.replace(files);
            // Below a segment that is marked complete the writer does not look. Readers leave it to the writer.
            match sample.options.open(bench.path()) {
                Err(error) => {
                    assert!(number >= SEGMENT, "{shape:?}: {number}: {error}");
                    assert!(error.is_corruption() && error.path().unwrap().ends_with(&name), "{error}");
                }
                Ok(log) => {
                    assert!(number < SEGMENT || shape.closed, "{shape:?}: {number}");
                    assert_eq!(contents(&log).len(), sample.records());
                }
            }
            let reader = LogReader::open(bench.path()).unwrap();
            assert_eq!(collect(&reader.snapshot().unwrap()).unwrap().len(), sample.records(), "{number}");
        }
    }
}

#[test]
fn files_cut_at_every_sector_and_extended() {
    let seen = each(|sample, bench| {
        let shape = sample.shape;
        for name in names(sample) {
            for len in (0..FILE_BYTES as usize).step_by(512) {
                let mut files = sample.files.clone();
                files.get_mut(&name).unwrap().truncate(len);
                both(bench, files, &format!("{shape:?}: {name} cut to {len}"));
            }
            for (how, byte) in [("zeros", 0), ("garbage", 0xa5)] {
                for more in [1, 511, 4096, FILE_BYTES as usize] {
                    let mut files = sample.files.clone();
                    let bytes = files.get_mut(&name).unwrap();
                    bytes.resize(bytes.len() + more, byte);
                    both(bench, files, &format!("{shape:?}: {name} with {more} {how} more"));
                }
            }
        }
        for len in (0..8192).step_by(64) {
            let mut files = sample.files.clone();
            files.get_mut("log.meta").unwrap().truncate(len);
            both(bench, files, &format!("{shape:?}: log.meta cut to {len}"));
        }
        let mut files = sample.files.clone();
        files.get_mut("log.meta").unwrap().resize(1 << 20, 0xa5);
        both(bench, files, &format!("{shape:?}: log.meta extended"));
    });
    println!("files cut and extended: {seen}");
}

/// A file that was restored from an old copy.
#[test]
fn files_of_an_earlier_state() {
    let seen = each(|sample, bench| {
        for (index, state) in sample.older.iter().enumerate() {
            for (name, bytes) in state.iter().filter(|(name, _)| sample.files.contains_key(*name)) {
                let mut files = sample.files.clone();
                files.insert(name.clone(), bytes.clone());
                both(bench, files, &format!("{:?}: {name} as in state {index}", sample.shape));
            }
        }
    });
    println!("files of an earlier state: {seen}");
}
