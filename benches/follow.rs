//! Followers in one process: how many records a second a tail gets through, and how long it takes to wake one. Beside
//! it, as references, a crossbeam channel and a pair of Unix datagram sockets, which carry the same records.
//!
//! They take turns, round by round. The wake-up latency is the time from just before the append to the moment at which
//! the follower, which sleeps by then, has the record in hand; the clock's own cost (some 20 ns) is part of it.
//!
//! `cargo bench --bench follow -- [--quick] [--rounds N]`

mod support;

use std::os::unix::net::UnixDatagram;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use support::{directory, payload};
use tidelog::{Log, Lsn, Options, SyncPolicy};

/// Records of this size, in bytes.
const RECORD: usize = 100;
/// Between two records whose latency is measured: long enough for the follower to fall asleep.
const PAUSE: Duration = Duration::from_micros(150);
/// Before wake-ups are measured.
const SETTLE: Duration = Duration::from_millis(700);

struct Arguments {
    rounds: usize,
    records: u64,
    wakes: usize,
}

fn arguments() -> Arguments {
    let mut parsed = Arguments { rounds: 5, records: 2_000_000, wakes: 8_000 };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => (parsed.rounds, parsed.records, parsed.wakes) = (3, 300_000, 2_000),
            "--rounds" => {
                parsed.rounds = arguments.next().and_then(|value| value.parse().ok()).expect("a number");
            }
            _ => {}
        }
    }
    parsed
}

/// One way from a writer to a follower.
trait Way: Sync {
    fn send(&self, record: &[u8]);
    /// Hands each record to `see` until that says that it was the last.
    fn receive(&self, see: &mut dyn FnMut(&[u8]) -> bool);
}

struct Followed {
    log: Log,
    /// Where followers begin.
    from: Lsn,
}

impl Way for Followed {
    fn send(&self, record: &[u8]) {
        self.log.append(record).expect("append");
    }

    fn receive(&self, see: &mut dyn FnMut(&[u8]) -> bool) {
        let mut tail = self.log.tail(self.from).expect("a tail");
        while see(tail.next().expect("follow").expect("the log is open").payload()) {}
    }
}

struct Channel {
    sender: crossbeam_channel::Sender<Box<[u8]>>,
    receiver: crossbeam_channel::Receiver<Box<[u8]>>,
}

impl Way for Channel {
    fn send(&self, record: &[u8]) {
        self.sender.send(record.into()).expect("somebody receives");
    }

    fn receive(&self, see: &mut dyn FnMut(&[u8]) -> bool) {
        while see(&self.receiver.recv().expect("somebody sends")) {}
    }
}

struct Socket {
    sender: UnixDatagram,
    receiver: UnixDatagram,
}

impl Way for Socket {
    fn send(&self, record: &[u8]) {
        assert_eq!(self.sender.send(record).expect("send"), record.len());
    }

    fn receive(&self, see: &mut dyn FnMut(&[u8]) -> bool) {
        let mut buffer = [0; 2 * RECORD];
        while see({
            let len = self.receiver.recv(&mut buffer).expect("receive");
            &buffer[..len]
        }) {}
    }
}

fn number(record: &[u8]) -> u64 {
    u64::from_le_bytes(record[..8].try_into().expect("eight bytes"))
}

/// Sends so many records to so many followers; the time until all have all, and the writer's own time.
fn stream(way: &dyn Way, followers: usize, records: u64) -> (Duration, Duration) {
    let barrier = Barrier::new(followers + 1);
    std::thread::scope(|scope| {
        for _ in 0..followers {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                let mut next = 0;
                way.receive(&mut |record| {
                    assert_eq!(number(record), next);
                    next += 1;
                    next < records
                });
                barrier.wait();
            });
        }
        let mut record = payload(RECORD);
        barrier.wait();
        let began = Instant::now();
        for number in 0..records {
            record[..8].copy_from_slice(&number.to_le_bytes());
            way.send(&record);
        }
        let written = began.elapsed();
        barrier.wait();
        (began.elapsed(), written)
    })
}

/// A tail that comes when everything is written: nanoseconds a record.
fn catch_up(records: u64) -> f64 {
    let (_directory, way) = followed(SyncPolicy::None);
    let mut record = payload(RECORD);
    for number in 0..records {
        record[..8].copy_from_slice(&number.to_le_bytes());
        way.send(&record);
    }
    let began = Instant::now();
    let mut next = 0;
    way.receive(&mut |record| {
        assert_eq!(number(record), next);
        next += 1;
        next < records
    });
    began.elapsed().as_nanos() as f64 / records as f64
}

/// Wakes a follower so many times; nanoseconds that each took, sorted.
fn wake(way: &dyn Way, wakes: usize) -> Vec<u64> {
    let base = Instant::now();
    let nanos = |at: Instant| at.duration_since(base).as_nanos() as u64;
    let mut took = std::thread::scope(|scope| {
        let follower = scope.spawn(|| {
            let mut took = Vec::with_capacity(wakes);
            way.receive(&mut |record| {
                took.push(nanos(Instant::now()) - number(record));
                took.len() < wakes
            });
            took
        });
        let mut record = payload(RECORD);
        // Until segments are prepared, and what was written before is on its way to the disk.
        std::thread::sleep(SETTLE);
        for _ in 0..wakes {
            std::thread::sleep(PAUSE);
            record[..8].copy_from_slice(&nanos(Instant::now()).to_le_bytes());
            way.send(&record);
        }
        follower.join().expect("no panic")
    });
    took.sort_unstable();
    took
}

fn followed(policy: SyncPolicy) -> (tempfile::TempDir, Followed) {
    let directory = directory();
    let log = Options::new().sync_policy(policy).open(directory.path().join("log")).expect("open a log");
    let from = log.watermarks().published;
    (directory, Followed { log, from })
}

fn channel() -> Channel {
    let (sender, receiver) = crossbeam_channel::unbounded();
    Channel { sender, receiver }
}

fn socket() -> Socket {
    let (sender, receiver) = UnixDatagram::pair().expect("a pair of sockets");
    Socket { sender, receiver }
}

/// What is measured: its name, the number of followers, and how it is made.
type Case = (&'static str, usize, fn(&mut dyn FnMut(&dyn Way)));

fn cases() -> Vec<Case> {
    fn log(run: &mut dyn FnMut(&dyn Way)) {
        run(&followed(SyncPolicy::None).1);
    }
    vec![
        ("tidelog, nobody follows", 0, log),
        ("tidelog, 1 follower", 1, log),
        ("tidelog, 4 followers", 4, log),
        ("crossbeam channel", 1, |run| run(&channel())),
        ("Unix datagrams", 1, |run| run(&socket())),
    ]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let arguments = arguments();
    let cases = cases();
    let mut streams = vec![(Vec::new(), Vec::new()); cases.len()];
    let mut wakes = vec![(Vec::new(), Vec::new()); cases.len()];
    let mut behind = Vec::new();
    for _ in 0..arguments.rounds {
        behind.push(catch_up(arguments.records));
        for (index, (_, followers, make)) in cases.iter().enumerate() {
            let records = arguments.records;
            make(&mut |way| {
                let (all, written) = stream(way, *followers, records);
                let each = |took: Duration| took.as_nanos() as f64 / records as f64;
                streams[index].0.push(each(all));
                streams[index].1.push(each(written));
            });
            if *followers == 1 {
                make(&mut |way| {
                    let took = wake(way, arguments.wakes);
                    let at =
                        |part: f64| took[((took.len() as f64 * part) as usize).min(took.len() - 1)] as f64;
                    wakes[index].0.push(at(0.5) / 1e3);
                    wakes[index].1.push(at(0.99) / 1e3);
                });
            }
        }
    }
    println!(
        "{} records of {RECORD} B, {} wake-ups, {} rounds; medians over the rounds",
        arguments.records, arguments.wakes, arguments.rounds
    );
    println!(
        "                           ns a record   writer's ns   M records/s   wake-up p50, us   p99, us"
    );
    for ((name, _, _), ((all, written), (p50, p99))) in cases.iter().zip(streams.into_iter().zip(wakes)) {
        let (all, written) = (median(all), median(written));
        print!("{name:<26} {all:>11.1} {written:>13.1} {:>13.2}", 1e3 / all);
        if !p50.is_empty() {
            print!(" {:>17.1} {:>9.1}", median(p50), median(p99));
        }
        println!();
    }
    println!("tidelog, 1 follower that comes later: {:.1} ns a record", median(behind));
}
