//! A follower in another process: how many records a second it gets through, and how long it takes to wake it. Beside it, as
//! references, a pair of Unix datagram sockets and a pipe, between the same two processes and with the same records.
//!
//! They take turns, round by round. The wake-up latency is the time from just before the append to the moment at which
//! the follower, which sleeps by then, has the record in hand, by the system's clock.
//!
//! `cargo bench --bench elsewhere -- [--quick] [--rounds N]`

mod support;

use std::io::{BufRead, BufReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use support::{directory, payload};
use tidelog::{Log, LogReader, Lsn, Options, SyncPolicy};

/// Records of this size, in bytes.
const RECORD: usize = 100;
/// Between two records whose latency is measured: long enough for the follower to fall asleep.
const PAUSE: Duration = Duration::from_micros(200);
/// Before anything is measured.
const SETTLE: Duration = Duration::from_millis(500);

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos() as u64
}

fn number(record: &[u8]) -> u64 {
    u64::from_le_bytes(record[..8].try_into().expect("eight bytes"))
}

/// How the writer's side sends.
enum Way {
    Log(Log, #[allow(dead_code, reason = "removes the files in the end")] tempfile::TempDir),
    Socket(UnixDatagram),
    Pipe(PipeWriter),
}

const WAYS: [&str; 3] = ["tidelog", "Unix datagrams", "pipe"];

impl Way {
    /// Makes it, and starts the follower, which is to get so many records.
    fn start(name: &str, task: &str, records: u64) -> (Self, Follower) {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.env("TIDELOG_FOLLOW", name).env("TIDELOG_TASK", task);
        command.env("TIDELOG_RECORDS", records.to_string()).stdout(Stdio::piped());
        let way = match name {
            "tidelog" => {
                let directory = directory();
                let path = directory.path().join("log");
                command.env("TIDELOG_DIRECTORY", &path);
                Self::Log(Options::new().sync_policy(SyncPolicy::None).open(path).expect("open"), directory)
            }
            "pipe" => {
                let (reader, writer) = std::io::pipe().expect("a pipe");
                command.stdin(reader);
                Self::Pipe(writer)
            }
            _ => {
                let (sender, receiver) = UnixDatagram::pair().expect("a pair of sockets");
                command.stdin(OwnedFd::from(receiver));
                Self::Socket(sender)
            }
        };
        let mut child = command.spawn().expect("the follower starts");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut follower = Follower { child, lines };
        assert_eq!(follower.line(), "ready");
        (way, follower)
    }

    fn send(&mut self, record: &[u8]) {
        match self {
            Self::Log(log, _) => drop(log.append(record).expect("append")),
            Self::Socket(socket) => assert_eq!(socket.send(record).expect("send"), record.len()),
            Self::Pipe(pipe) => pipe.write_all(record).expect("write"),
        }
    }
}

struct Follower {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Follower {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The follower's process: hands each record to `see` until that says that it was the last.
fn receive(see: &mut dyn FnMut(&[u8]) -> bool) {
    let stdin = || std::io::stdin().as_fd().try_clone_to_owned().expect("a descriptor");
    let mut buffer = [0; RECORD];
    match std::env::var("TIDELOG_FOLLOW").expect("a way").as_str() {
        "tidelog" => {
            let path = PathBuf::from(std::env::var_os("TIDELOG_DIRECTORY").expect("a directory"));
            let reader = LogReader::open(path).expect("a reader");
            let mut tail = reader.tail(Lsn::ZERO).expect("a tail");
            println!("ready");
            while see(tail.next().expect("follow").expect("no end").payload()) {}
        }
        "pipe" => {
            let mut pipe = std::fs::File::from(stdin());
            println!("ready");
            while see({
                pipe.read_exact(&mut buffer).expect("read");
                &buffer
            }) {}
        }
        _ => {
            let socket = UnixDatagram::from(stdin());
            println!("ready");
            while see({
                let len = socket.recv(&mut buffer).expect("receive");
                &buffer[..len]
            }) {}
        }
    }
}

fn follow() {
    let records = std::env::var("TIDELOG_RECORDS").expect("a number").parse().expect("a number");
    let mut next = 0_u64;
    if std::env::var("TIDELOG_TASK").expect("a task") == "stream" {
        receive(&mut |record| {
            assert_eq!(number(record), next);
            next += 1;
            next < records
        });
        println!("done");
        return;
    }
    let mut took = Vec::new();
    receive(&mut |record| {
        took.push(now().saturating_sub(number(record)));
        took.len() as u64 != records
    });
    took.sort_unstable();
    println!("{} {}", took[took.len() / 2], took[took.len() * 99 / 100]);
}

/// Nanoseconds a record: until the follower has all, and the writer's own.
fn stream(name: &str, records: u64) -> (f64, f64) {
    let (mut way, mut follower) = Way::start(name, "stream", records);
    let mut record = payload(RECORD);
    std::thread::sleep(SETTLE);
    let began = Instant::now();
    for number in 0..records {
        record[..8].copy_from_slice(&number.to_le_bytes());
        way.send(&record);
    }
    let written = began.elapsed();
    assert_eq!(follower.line(), "done");
    let each = |took: Duration| took.as_nanos() as f64 / records as f64;
    (each(began.elapsed()), each(written))
}

/// Microseconds from an append to the follower, the median and the slowest hundredth.
fn wake(name: &str, wakes: u64) -> (f64, f64) {
    let (mut way, mut follower) = Way::start(name, "wake", wakes);
    let mut record = payload(RECORD);
    std::thread::sleep(SETTLE);
    for _ in 0..wakes {
        std::thread::sleep(PAUSE);
        record[..8].copy_from_slice(&now().to_le_bytes());
        way.send(&record);
    }
    let line = follower.line();
    let (p50, p99) = line.split_once(' ').expect("two numbers");
    let micros = |text: &str| text.parse::<f64>().expect("a number") / 1e3;
    (micros(p50), micros(p99))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    if std::env::var_os("TIDELOG_FOLLOW").is_some() {
        return follow();
    }
    let (mut rounds, mut records, mut wakes) = (5, 1_000_000, 5_000);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => (rounds, records, wakes) = (3, 300_000, 2_000),
            "--rounds" => rounds = arguments.next().and_then(|value| value.parse().ok()).expect("a number"),
            _ => {}
        }
    }
    let mut found = WAYS.map(|_| [const { Vec::new() }; 4]);
    for _ in 0..rounds {
        for (name, found) in WAYS.iter().zip(&mut found) {
            let ((all, written), (p50, p99)) = (stream(name, records), wake(name, wakes));
            found.iter_mut().zip([all, written, p50, p99]).for_each(|(found, value)| found.push(value));
        }
    }
    println!("{records} records of {RECORD} B, {wakes} wake-ups, {rounds} rounds; medians over the rounds");
    println!("                  ns a record   writer's ns   M records/s   wake-up p50, us   p99, us");
    for (name, found) in WAYS.iter().zip(found) {
        let [all, written, p50, p99] = found.map(median);
        println!("{name:<17} {all:>11.1} {written:>13.1} {:>13.2} {p50:>17.1} {p99:>9.1}", 1e3 / all);
    }
}
