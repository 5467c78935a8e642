//! Compressed records beside raw ones: what an append and a replay cost, and how small records become. On text (the documents
//! of this repository, line by line), on generated lines of JSON, and on random bytes.
//!
//! `cargo bench --features lz4,zstd --bench compress`; each figure is the median of seven rounds, in which the ways take turns.

mod support;

use std::hint::black_box;
use std::time::Instant;

use support::{Bench, retire};
use tidelog::SyncPolicy;
use tidelog::compress::{CompressedLog, Compression, Dictionary, Packer};

const RECORDS: usize = 20_000;
const BATCH: usize = 100;
const ROUNDS: usize = 7;

type Records = Vec<Vec<u8>>;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 33) % limit
    }
}

/// Paragraphs of the documents, in pieces of 100 to 400 bytes, again and again.
fn text(seed: u64) -> Records {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    for name in
        ["README.md", "docs/DURABILITY.md", "docs/CONCURRENCY.md", "docs/DECISIONS.md", "docs/TESTING.md"]
    {
        all.extend(std::fs::read(root.join(name)).expect("a document"));
    }
    let mut random = Random(seed);
    (0..RECORDS)
        .map(|_| {
            let bytes = 100 + random.below(300) as usize;
            let at = random.below((all.len() - bytes) as u64) as usize;
            all[at..at + bytes].to_vec()
        })
        .collect()
}

fn json(seed: u64) -> Records {
    let mut random = Random(seed);
    let events = ["login", "logout", "page_view", "purchase", "search", "error"];
    (0..RECORDS)
        .map(|n| {
            format!(
                "{{\"timestamp\":{},\"user_id\":{},\"event\":\"{}\",\"session\":\"{:016x}\",\"duration_ms\":{},\
                 \"client\":{{\"ip\":\"10.{}.{}.{}\",\"version\":\"4.{}.0\"}},\"ok\":{}}}",
                1_780_000_000_000 + n as u64 * 13 + random.below(13),
                random.below(100_000),
                events[random.below(6) as usize],
                random.next(),
                random.below(3_000),
                random.below(256),
                random.below(256),
                random.below(256),
                random.below(9),
                random.below(20) > 0,
            )
            .into_bytes()
        })
        .collect()
}

fn noise() -> Records {
    let mut random = Random(7);
    (0..RECORDS).map(|_| (0..25).flat_map(|_| random.next().to_le_bytes()).collect()).collect()
}

/// One way to append, and to replay; what they took in ns a record, and what was written, in bytes.
struct Way<'a> {
    name: String,
    append: Box<dyn Fn() + 'a>,
    replay: Box<dyn Fn() -> usize + 'a>,
    bench: &'a Bench,
    append_ns: Vec<f64>,
    replay_ns: Vec<f64>,
    log_bytes: u64,
}

impl Way<'_> {
    fn round(&mut self, payload_bytes: usize) {
        retire(&self.bench.log);
        let before = self.bench.log.watermarks().published.get();
        let began = Instant::now();
        (self.append)();
        self.append_ns.push(began.elapsed().as_nanos() as f64 / RECORDS as f64);
        self.log_bytes = self.bench.log.watermarks().published.get() - before;
        let began = Instant::now();
        let read = black_box((self.replay)());
        self.replay_ns.push(began.elapsed().as_nanos() as f64 / RECORDS as f64);
        assert_eq!(read, payload_bytes);
    }
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn plain<'a>(bench: &'a Bench, records: &'a Records, batched: bool) -> Way<'a> {
    let from = std::cell::Cell::new(tidelog::Lsn::ZERO);
    let from = std::rc::Rc::new(from);
    let mark = from.clone();
    Way {
        name: "plain log".to_owned(),
        append: Box::new(move || {
            mark.set(bench.log.watermarks().published);
            if batched {
                for batch in records.chunks(BATCH) {
                    bench.log.append_batch(batch).expect("append");
                }
            } else {
                for record in records {
                    bench.log.append(record).expect("append");
                }
            }
        }),
        replay: Box::new(move || {
            let snapshot = bench.log.snapshot();
            snapshot.range(from.get()..).map(|record| record.expect("read").payload().len()).sum()
        }),
        bench,
        append_ns: Vec::new(),
        replay_ns: Vec::new(),
        log_bytes: 0,
    }
}

fn packed<'a>(name: &str, bench: &'a Bench, packer: Packer, records: &'a Records, batched: bool) -> Way<'a> {
    let log = CompressedLog::new(bench.log.clone(), packer);
    let reading = log.clone();
    let from = std::rc::Rc::new(std::cell::Cell::new(tidelog::Lsn::ZERO));
    let mark = from.clone();
    Way {
        name: name.to_owned(),
        append: Box::new(move || {
            mark.set(bench.log.watermarks().published);
            if batched {
                for batch in records.chunks(BATCH) {
                    log.append_batch(batch).expect("append");
                }
            } else {
                for record in records {
                    log.append(record).expect("append");
                }
            }
        }),
        replay: Box::new(move || {
            let snapshot = bench.log.snapshot();
            let mut replay = reading.replay_range(&snapshot, from.get()..);
            let mut bytes = 0;
            while let Some(record) = replay.next().expect("read") {
                bytes += record.payload().len();
            }
            bytes
        }),
        bench,
        append_ns: Vec::new(),
        replay_ns: Vec::new(),
        log_bytes: 0,
    }
}

fn measure(what: &str, records: &Records, dictionary: &Option<Dictionary>, batched: bool) {
    let payload_bytes: usize = records.iter().map(Vec::len).sum();
    let bench = Bench::with_policy(SyncPolicy::None);
    let zstd = |level| Packer::new(Compression::Zstd { level });
    let mut ways = vec![
        plain(&bench, records, batched),
        packed("raw", &bench, Packer::new(Compression::None), records, batched),
        packed("lz4", &bench, Packer::new(Compression::Lz4), records, batched),
        packed("zstd 1", &bench, zstd(1), records, batched),
        packed("zstd 3", &bench, zstd(3), records, batched),
    ];
    if let Some(dictionary) = dictionary {
        for level in [1, 3] {
            let packer = zstd(level).dictionary(dictionary.clone());
            ways.push(packed(&format!("zstd {level}, dictionary"), &bench, packer, records, batched));
        }
    }
    for _ in 0..ROUNDS {
        for way in &mut ways {
            way.round(payload_bytes);
        }
    }
    let size = if batched { "batches of 100" } else { "single" };
    println!("{what}, {size}, {} B on average", payload_bytes / RECORDS);
    for way in &mut ways {
        println!(
            "  {:20} append {:7.0} ns  replay {:7.0} ns  log {:5.1} B a record, {:5.2} of the payload",
            way.name,
            median(&mut way.append_ns),
            median(&mut way.replay_ns),
            way.log_bytes as f64 / RECORDS as f64,
            way.log_bytes as f64 / payload_bytes as f64,
        );
    }
}

fn main() {
    // Trained on other records than those that are measured. (Those of text are cut from the same documents.)
    let train = |samples: &[Vec<u8>]| Dictionary::train(samples, 16 << 10).ok();
    let (prose, lines, noise) = (text(1), json(2), noise());
    let sets = [
        ("text", &prose, train(&text(4)[..2_000])),
        ("JSON", &lines, train(&json(3)[..5_000])),
        ("random", &noise, None),
    ];
    for (what, records, dictionary) in &sets {
        for batched in [false, true] {
            measure(what, records, dictionary, batched);
        }
    }
}
