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
