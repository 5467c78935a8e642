//! What each form of record costs beside the plain bytes, appending and replaying, in turns, one thread.
//!
//! `cargo bench --bench records --features postcard,rkyv,zerocopy -- [--quick]`

mod support;

use std::hint::black_box;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use support::{Bench, payload};
use tidelog::kv::{Entry, Kv};
use tidelog::{Codec, Fixed, Log, Options, Postcard, Rkyv, Snapshot, SyncPolicy, TypedLog, TypedSnapshot};

const RECORDS: u64 = 200_000;

/// Sixteen bytes in each codec but postcard, which takes eight to ten here.
#[derive(
    Serialize,
    Deserialize,
    rkyv::Archive,
    rkyv::Serialize,
    zerocopy::TryFromBytes,
    zerocopy::IntoBytes,
    zerocopy::KnownLayout,
    zerocopy::Immutable,
)]
#[repr(C)]
struct Tick {
    at: u64,
    price: u32,
    size: u32,
}

#[derive(Serialize, Deserialize, rkyv::Archive, rkyv::Serialize)]
struct Order {
    id: u64,
    account: String,
    fills: Vec<u32>,
}

fn tick(n: u64) -> Tick {
    Tick { at: n, price: 10_000, size: 3 }
}

/// A form: what appends the nth record, and what reads all of a snapshot and adds up something of each.
struct Form<'a> {
    name: &'static str,
    append: Box<dyn Fn(&Log) + 'a>,
    replay: Box<dyn Fn(Snapshot) -> u64 + 'a>,
}

fn plain<'a>(name: &'static str, bytes: &'a [u8]) -> Form<'a> {
    Form {
        name,
        append: Box::new(move |log| {
            for _ in 0..RECORDS {
                log.append(black_box(bytes)).expect("append");
            }
        }),
        replay: Box::new(|snapshot| {
            snapshot.iter().map(|record| record.expect("read").payload().len() as u64).sum()
        }),
    }
}

fn typed<'a, C: Codec + 'a>(
    name: &'static str,
    codec: C,
    item: impl Fn(u64) -> C::Item<'a> + 'a,
    see: impl Fn(C::View<'_>) -> u64 + Copy + 'a,
) -> Form<'a> {
    let again = codec.clone();
    Form {
        name,
        append: Box::new(move |log| {
            let log = TypedLog::new(log.clone(), codec.clone());
            for n in 0..RECORDS {
                log.append(black_box(&item(n))).expect("append");
            }
        }),
        replay: Box::new(move |snapshot| {
            let snapshot = TypedSnapshot::new(snapshot, again.clone());
            snapshot.iter().map(|record| see(record.expect("read").value)).sum()
        }),
    }
}

fn run(what: &str, forms: &[Form<'_>], rounds: usize) {
    println!("\n{what}\n{:34} {:>10} {:>10}", "ns a record, median", "append", "replay");
    let bench = || Bench::new(&Options::new().sync_policy(SyncPolicy::None));
    let benches: Vec<_> = forms.iter().map(|_| bench()).collect();
    let mut times = vec![(Vec::new(), Vec::new()); forms.len()];
    for _ in 0..rounds {
        for ((form, bench), (appends, replays)) in forms.iter().zip(&benches).zip(&mut times) {
            bench.retire();
            let from = bench.log.watermarks().start;
            let before = bench.log.snapshot().range(from..).count();
            let began = Instant::now();
            (form.append)(&bench.log);
            appends.push(began.elapsed().as_nanos() as f64 / RECORDS as f64);
            let snapshot = bench.log.snapshot();
            let began = Instant::now();
            black_box((form.replay)(snapshot));
            replays.push(began.elapsed().as_nanos() as f64 / (RECORDS as usize + before) as f64);
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    for (form, (appends, replays)) in forms.iter().zip(&mut times) {
        println!("{:34} {:10.1} {:10.1}", form.name, median(appends), median(replays));
    }
}

fn encoded<C: Codec>(codec: &C, item: &C::Item<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec.encode(item, &mut bytes).expect("encode");
    bytes
}

fn main() {
    let rounds = if std::env::args().any(|argument| argument == "--quick") { 3 } else { 15 };
    let bytes = payload(16);
    let ticks = [
        plain("bytes, 16", &bytes),
        typed("zerocopy", Fixed::<Tick>::new(), tick, |tick| tick.at ^ u64::from(tick.price)),
        typed("rkyv", Rkyv::<Tick>::new(), tick, |tick| {
            tick.at.to_native() ^ u64::from(tick.price.to_native())
        }),
        typed("postcard", Postcard::<Tick>::new(), tick, |tick| tick.at ^ u64::from(tick.price)),
    ];
    run("three numbers", &ticks, rounds);

    let order = |id| Order { id, account: "an account's number, 32 bytes ..".to_owned(), fills: vec![7; 12] };
    let rkyv_bytes = encoded(&Rkyv::<Order>::new(), &order(1));
    let orders = [
        plain("bytes, as rkyv", &rkyv_bytes),
        typed("rkyv", Rkyv::<Order>::new(), order, |order| order.id.to_native() + order.fills.len() as u64),
        typed("postcard", Postcard::<Order>::new(), order, |order| order.id + order.fills.len() as u64),
    ];
    run(
        &format!("a text and a list, made anew for each append; {} bytes by rkyv", rkyv_bytes.len()),
        &orders,
        rounds,
    );

    let value = payload(100);
    let put = Entry::put(&bytes, &value, 1);
    let kv_bytes = encoded(&Kv, &put);
    let into_a_map = Form {
        name: "key-value into a map, one key",
        replay: Box::new(|snapshot| {
            let mut map = std::collections::BTreeMap::<&[u8], &[u8]>::new();
            let snapshot = TypedSnapshot::new(snapshot, Kv);
            tidelog::kv::replay_into(&snapshot, 0, &mut map).expect("replay").puts
        }),
        ..plain("", &kv_bytes)
    };
    let entries = [
        plain("bytes, 132", &kv_bytes),
        typed("key-value", Kv, |_| put, |entry| entry.value().map_or(0, <[u8]>::len) as u64),
        into_a_map,
    ];
    run("a key of 16 bytes, a value of 100", &entries, rounds);
}
