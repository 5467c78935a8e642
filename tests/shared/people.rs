//! The children: one who writes, and one who reads.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tidelog::{ErrorKind, Lsn, Options, SyncPolicy};

use crate::support::{PATIENCE, myself, payload, role};

const SEGMENT: u64 = 1 << 16;
/// The number of the record after which a reader ends.
pub(crate) const LAST: u64 = u64::MAX;

pub(crate) fn options() -> Options {
    Options::new().segment_bytes(SEGMENT).sync_policy(SyncPolicy::None)
}

pub(crate) fn record(number: u64) -> Vec<u8> {
    payload(number, 8 + (number % 300) as usize)
}

fn number_of(bytes: &[u8]) -> u64 {
    let number = u64::from_le_bytes(*bytes.first_chunk().expect("eight bytes"));
    assert!(number == LAST || bytes == record(number), "record {number} is garbled");
    number
}

/// A child, its lines, and its end with this value.
pub(crate) struct Person {
    pub(crate) child: Child,
    pub(crate) lines: Receiver<String>,
}

impl Person {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok).filter(|line| line.starts_with('@')) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    pub(crate) fn writer(directory: &Path, how: &str) -> Self {
        let mut command = myself("people::a_writer", "writer");
        command.env("TIDELOG_DIRECTORY", directory).env("TIDELOG_HOW", how);
        Self::start(command)
    }

    pub(crate) fn reader(directory: &Path, how: &str) -> Self {
        Self::reader_as(directory, how, |_| {})
    }

    pub(crate) fn reader_as(directory: &Path, how: &str, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = myself("people::a_reader", "reader");
        command.env("TIDELOG_DIRECTORY", directory).env("TIDELOG_HOW", how);
        change(&mut command);
        Self::start(command)
    }

    /// The next line, which must begin so; the rest of it.
    pub(crate) fn expect(&self, start: &str) -> String {
        let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no line {start:?}"));
        let rest = line.strip_prefix(start).unwrap_or_else(|| panic!("{line:?} where {start:?} was due"));
        rest.trim().to_owned()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// It ends by itself, and well.
    pub(crate) fn ends(mut self) {
        let status = crate::support::wait(&mut self.child, PATIENCE).expect("the child ends");
        assert!(status.success(), "{status}");
    }

    pub(crate) fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn directory() -> PathBuf {
    std::env::var_os("TIDELOG_DIRECTORY").expect("a directory").into()
}

fn how() -> String {
    std::env::var("TIDELOG_HOW").expect("how")
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // The harness may have begun a line.
    writeln!(out, "\n{line}").unwrap();
    out.flush().unwrap();
}

/// `forever`: appends until it is killed; some by closures, so that it is killed with claims open. `last`: ends the log.
#[test]
fn a_writer() {
    if role().as_deref() != Some("writer") {
        return;
    }
    let log = options().recycle_max(4).open(directory()).unwrap();
    let mut next = log.snapshot().iter().last().map_or(0, |record| number_of(record.unwrap().payload()) + 1);
    if how() == "last" {
        log.append(&LAST.to_le_bytes()).unwrap();
        log.close().unwrap();
        return;
    }
    say("@open");
    loop {
        let bytes = record(next);
        if next.is_multiple_of(7) {
            log.append_with(bytes.len(), |buffer| {
                buffer.copy_from_slice(&bytes);
                if next.is_multiple_of(70) {
                    std::thread::sleep(Duration::from_micros(200));
                }
            })
            .unwrap();
        } else {
            log.append_nowait(&bytes).unwrap();
        }
        next += 1;
        if next.is_multiple_of(50) {
            // So that readers fall asleep.
            std::thread::sleep(Duration::from_micros(next % 900));
        }
        if next.is_multiple_of(2000) {
            let keep = log.watermarks().published.get().saturating_sub(8 * SEGMENT);
            log.retire_before(Lsn::new(keep)).unwrap();
            log.sync().unwrap();
        }
    }
}

/// Follows the log from its start, and says what it got. `published` and `durable`: until the last record. `each`: says so
/// of each.
#[test]
fn a_reader() {
    if role().as_deref() != Some("reader") {
        return;
    }
    let how = how();
    let reader = options().open_reader(directory()).unwrap();
    let tail_from = |from| match how.as_str() {
        "durable" => reader.tail_durable(from),
        _ => reader.tail(from),
    };
    let (mut delivered, mut overtaken, mut expected) = (0_u64, 0_u64, None);
    let mut from = reader.snapshot().unwrap().start();
    say("@reads");
    'tails: loop {
        let mut tail = match tail_from(from) {
            Ok(tail) => tail,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Retired, "{error}");
                from = error.lsn().unwrap();
                continue;
            }
        };
        loop {
            // Alternately in both forms.
            let next = if delivered.is_multiple_of(2) {
                tail.next().map(|record| number_of(record.expect("a tail without end").payload()))
            } else {
                tail.next_pinned().map(|record| number_of(record.expect("a tail without end").payload()))
            };
            match next {
                Ok(LAST) => break 'tails,
                Ok(number) => {
                    assert!(expected.is_none_or(|expected| number == expected), "{number} for {expected:?}");
                    expected = Some(number + 1);
                    delivered += 1;
                    if how == "each" {
                        say(&format!("@got {number}"));
                    }
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Retired, "{error}");
                    overtaken += 1;
                    from = error.lsn().unwrap();
                    assert!(from > tail.position(), "{from} is left, and {} was wanted", tail.position());
                    // Some numbers are gone, and none comes again.
                    expected = None;
                    break;
                }
            }
        }
    }
    say(&format!("@end {delivered} {overtaken}"));
}
