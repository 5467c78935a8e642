//! Things in the log's directory that are no files of a log, under the names of such: an error, or left alone, and
//! never a wait without end.

use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tidelog::{Error, ErrorKind, LogReader};

use crate::bits::shapes;
use crate::place::Bench;
use crate::sample::Sample;
use crate::support::{collect, returns, segment_name};

/// What can stand under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Odd {
    Directory,
    Fifo,
    Socket,
    Empty,
    Huge,
    /// To nothing, to itself, to a device without end, and to the file itself, moved away.
    Dangling,
    Loop,
    Zeros,
    Link,
}

const ALL: [Odd; 9] = [
    Odd::Directory,
    Odd::Fifo,
    Odd::Socket,
    Odd::Empty,
    Odd::Huge,
    Odd::Dangling,
    Odd::Loop,
    Odd::Zeros,
    Odd::Link,
];

fn put(odd: Odd, path: &Path) {
    use std::os::unix::fs::symlink;
    let away = path.with_extension("away");
    let _ = std::fs::rename(path, &away);
    match odd {
        Odd::Directory => std::fs::create_dir(path).unwrap(),
        Odd::Fifo => mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap(),
        Odd::Socket => drop(std::os::unix::net::UnixListener::bind(path).unwrap()),
        Odd::Empty => drop(std::fs::File::create(path).unwrap()),
        Odd::Huge => std::fs::File::create(path).unwrap().set_len(1 << 50).unwrap(),
        Odd::Dangling => symlink("nothing", path).unwrap(),
        Odd::Loop => symlink(path.file_name().unwrap(), path).unwrap(),
        Odd::Zeros => symlink("/dev/zero", path).unwrap(),
        Odd::Link => symlink(away.file_name().unwrap(), path).unwrap(),
    }
}

/// Opens and reads it all, in both ways; each is to end.
fn outcomes(sample: &Sample, path: &Path, what: &str) -> [Result<usize, Error>; 2] {
    let (options, writer, reader) = (sample.options.clone(), path.to_owned(), path.to_owned());
    let looked = returns(&format!("{what}, looked at"), move || {
        LogReader::open(reader).and_then(|reader| collect(&reader.snapshot()?)).map(|all| all.len())
    });
    let opened = returns(&format!("{what}, opened"), move || {
        options.open(writer).and_then(|log| collect(&log.snapshot())).map(|all| all.len())
    });
    [looked, opened]
}

#[test]
fn odd_things_under_the_names_of_a_log() {
    let mut cases = 0;
    for shape in shapes(3, 0) {
        let sample = Sample::new(shape);
        let spare = "00000000000000000003.spare";
        let temporary = format!("{}.tmp", segment_name(9));
        let names = ["log.meta", "log.lock", &segment_name(0), &segment_name(2), spare, &temporary, "notes"];
        for name in names {
            for odd in ALL {
                // tmpfs has no files as large; elsewhere it would be a file like others.
                let bench = Bench::new(&sample);
                put(odd, &bench.path().join(name));
                let what = format!("{shape:?}: {odd:?} as {name}");
                let [looked, opened] = outcomes(&sample, bench.path(), &what);
                cases += 1;
                let part = name == "log.meta" || name.ends_with(".seg");
                if odd == Odd::Link || name == "notes" || (!part && odd == Odd::Empty) {
                    assert_eq!(opened.unwrap(), sample.records(), "{what}");
                    assert_eq!(looked.unwrap(), sample.records(), "{what}");
                    continue;
                }
                match looked {
                    Ok(all) => assert!(!part && all == sample.records(), "{what}"),
                    Err(error) => {
                        assert!(part, "{what}: {error}");
                        let kinds = [ErrorKind::Corrupt, ErrorKind::Io];
                        let none =
                            name == "log.meta" && odd == Odd::Dangling && error.kind() == ErrorKind::NotFound;
                        assert!(none || kinds.contains(&error.kind()), "{what}: {error}");
                        assert!(none || error.path().unwrap().ends_with(name), "{what}: {error}");
                    }
                }
                match opened {
                    // What is no file of the log but has the name of one may be in the way, or go.
                    Ok(all) => assert!(!part && all == sample.records(), "{what}"),
                    Err(error) => {
                        assert!(
                            [ErrorKind::Corrupt, ErrorKind::Io].contains(&error.kind()),
                            "{what}: {error}"
                        );
                        assert!(error.path().unwrap().ends_with(name), "{what}: {error}");
                    }
                }
            }
        }
    }
    println!("odd things under the names of a log: {cases} cases, each looked at and opened");
}

/// A spare is taken for zeros. One that holds something else may cost an error, but never a record, and no wait.
#[test]
fn what_a_spare_holds_is_never_read_as_a_record() {
    let (mut cases, mut errors) = (0, 0);
    for shape in shapes(3, 0).into_iter().filter(|shape| shape.closed && !shape.another_boot) {
        let sample = Sample::new(shape);
        let segment = &sample.files[&segment_name(1)];
        let mut contents = vec![vec![0xa5; segment.len()], segment.clone()];
        // One byte each, so that it stands where a word will be, a checksum, a payload.
        contents.extend((4096..segment.len()).step_by(1021).map(|at| {
            let mut bytes = vec![0; segment.len()];
            bytes[at] = 1 << (at % 8);
            bytes
        }));
        for (index, bytes) in contents.into_iter().enumerate() {
            let mut bench = Bench::new(&sample);
            let mut files = sample.files.clone();
            files.insert("00000000000000000003.spare".to_owned(), bytes);
            bench.replace(files);
            let (options, path) = (sample.options.clone(), bench.path().to_owned());
            let what = format!("{shape:?}, contents {index}");
            let outcome = returns(&what, move || {
                let log = options.open(path)?;
                let mut appended = Vec::new();
                for n in 0..60_u8 {
                    appended.push((log.append(&[n; 1500])?, vec![n; 1500]));
                }
                log.sync()?;
                let all = collect(&log.snapshot())?;
                log.close()?;
                Ok::<_, Error>((appended, all))
            });
            cases += 1;
            match outcome {
                Ok((appended, all)) => assert!(all.ends_with(&appended), "{what}"),
                Err(error) => {
                    assert!(
                        error.kind() == ErrorKind::Corrupt || error.kind() == ErrorKind::Poisoned,
                        "{what}: {error}"
                    );
                    errors += 1;
                }
            }
        }
    }
    println!("spares that are no zeros: {cases} cases, {errors} errors");
}
