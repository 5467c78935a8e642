//! A file of signals that is not what it should be costs readers their wake-ups, and nobody anything else.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use tidelog::{Log, LogReader, Lsn};

use crate::people::{LAST, Person, options, record};
use crate::support::{role, skip};

type Change = fn(&Path);

/// What may become of the file, by a change that puts another one in its place.
const CHANGES: &[(&str, Change)] = &[
    ("missing", |_| {}),
    ("empty", |path| std::fs::write(path, b"").unwrap()),
    ("short", |path| std::fs::write(path, b"TIDESIGN").unwrap()),
    ("long", |path| std::fs::write(path, vec![0; 8192]).unwrap()),
    ("zeros", |path| std::fs::write(path, vec![0; 4096]).unwrap()),
    ("garbage", |path| std::fs::write(path, vec![0xa5; 4096]).unwrap()),
    ("a directory", |path| std::fs::create_dir(path).unwrap()),
    ("a dangling link", |path| std::os::unix::fs::symlink("/nowhere/at/all", path).unwrap()),
];

fn follow_all(log: &Log, reader: &LogReader, first: u64) {
    let mut tail = reader.tail(log.watermarks().published).unwrap();
    std::thread::scope(|scope| {
        let follower = scope.spawn(move || {
            for number in first..first + 20 {
                assert_eq!(tail.next().unwrap().unwrap().payload(), record(number));
            }
        });
        for number in first..first + 20 {
            log.append(&record(number)).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        follower.join().unwrap();
    });
}

#[test]
fn whatever_stands_in_its_place_readers_get_their_records() {
    if role().is_some() {
        return;
    }
    for (what, change) in CHANGES {
        println!("{what}");
        let directory = tempfile::tempdir().unwrap();
        let signal = directory.path().join("log.signal");
        let log = options().open(directory.path()).unwrap();
        assert_eq!(std::fs::metadata(&signal).unwrap().len(), 4096);
        // From before the change, and from after it.
        let before = LogReader::open(directory.path()).unwrap();
        follow_all(&log, &before, 0);
        std::fs::remove_file(&signal).unwrap();
        change(&signal);
        let after = LogReader::open(directory.path()).unwrap();
        follow_all(&log, &before, 20);
        follow_all(&log, &after, 40);
        log.close().unwrap();
        // The next opening puts it right, unless it is what no opening removes.
        let log = options().open(directory.path()).unwrap();
        follow_all(&log, &before, 60);
        follow_all(&log, &after, 80);
        assert_eq!(signal.is_file(), *what != "a directory", "{what}");
        assert_eq!(after.snapshot().unwrap().iter().count(), 100);
    }
}

/// Garbage in its words, behind a head that is right: wake-ups in vain, and no harm.
#[test]
fn garbage_in_its_words_harms_nobody() {
    if role().is_some() {
        return;
    }
    for byte in [0, 1, 0x7f, 0xff] {
        let directory = tempfile::tempdir().unwrap();
        let signal = directory.path().join("log.signal");
        let log = options().open(directory.path()).unwrap();
        let reader = LogReader::open(directory.path()).unwrap();
        follow_all(&log, &reader, 0);
        let garbage = || {
            use std::os::unix::fs::FileExt;
            let file = std::fs::File::options().write(true).open(&signal).unwrap();
            file.write_all_at(&[byte; 4064], 32).unwrap();
        };
        garbage();
        follow_all(&log, &reader, 20);
        garbage();
        // However far it says that the log is durable, no more is given than is published.
        let mut durable = reader.tail_durable(log.watermarks().published).unwrap();
        assert!(durable.try_next().unwrap().is_none());
        log.close().unwrap();
        garbage();
        let log = options().open(directory.path()).unwrap();
        follow_all(&log, &reader, 40);
        assert_eq!(reader.tail(Lsn::ZERO).unwrap().try_next().unwrap().unwrap().payload(), record(0));
    }
}

/// A reader that may write nothing in the directory looks for itself.
#[test]
fn a_reader_without_leave_to_write_gets_its_records() {
    let root = std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    let missing = (!root).then(|| "only root can be somebody else".to_owned());
    if role().is_some() || skip("a_reader_without_leave_to_write_gets_its_records", missing) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let open_to_all = |path: &Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    open_to_all(directory.path());
    // The test's program may lie where nobody else may look.
    let program = directory.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    open_to_all(&program);
    let path = directory.path().join("log");
    let log = options().open(&path).unwrap();
    open_to_all(&path);
    let reader = Person::reader_as(&path, "each", |command| {
        let mut other = std::process::Command::new(&program);
        other.args(command.get_args());
        for (name, value) in command.get_envs() {
            other.env(name, value.unwrap_or_default());
        }
        other.current_dir("/").stdin(std::process::Stdio::null()).uid(65534).gid(65534);
        *command = other;
    });
    reader.expect("@reads");
    for number in 0..100 {
        log.append(&record(number)).unwrap();
        assert_eq!(reader.expect("@got"), number.to_string());
    }
    log.append(&LAST.to_le_bytes()).unwrap();
    reader.expect("@end");
    reader.ends();
}
