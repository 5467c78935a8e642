//! Many threads compress and append at once, and others follow.

use tidelog::Lsn;
use tidelog::compress::{Compression, Packer};

use crate::support::{all, dictionary, line, new_log, noise};

const THREADS: u64 = 4;
const ROUNDS: u64 = 150;

fn records(thread: u64, round: u64) -> Vec<Vec<u8>> {
    let name = |n: u64| [format!("{thread} {round} {n} ").into_bytes(), line(n)].concat();
    match round % 3 {
        0 => vec![name(0).repeat(5)],
        1 => (0..20).map(name).collect(),
        _ => vec![[format!("{thread} {round} noise ").into_bytes(), noise(round, 100)].concat(); 2],
    }
}

#[test]
fn appends_of_many_threads_all_arrive() {
    let packer = Packer::new(Compression::Zstd { level: 1 }).dictionary(dictionary());
    let (_dir, log) = new_log(packer);
    let expected: u64 = (0..ROUNDS).map(|round| records(0, round).len() as u64).sum::<u64>() * THREADS;
    let followed = std::thread::scope(|scope| {
        let follower = scope.spawn(|| {
            let mut tail = log.follow(log.log().tail(Lsn::ZERO).unwrap());
            (0..expected).map(|_| tail.next().unwrap().unwrap().payload().to_vec()).collect::<Vec<_>>()
        });
        for thread in 0..THREADS {
            let log = log.clone();
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let records = records(thread, round);
                    // By turns, so that a thread's states are used for one and the other.
                    let way = if thread % 2 == 0 { log.packer().compression() } else { Compression::Lz4 };
                    if let [only] = &records[..] {
                        log.append_as(way, only).unwrap();
                    } else {
                        log.append_batch_as(way, &records).unwrap();
                    }
                }
            });
        }
        follower.join().unwrap()
    });
    assert_eq!(all(&log), followed);
    for thread in 0..THREADS {
        let own: Vec<_> = followed
            .iter()
            .filter(|record| record.starts_with(format!("{thread} ").as_bytes()))
            .cloned()
            .collect();
        let sent: Vec<_> = (0..ROUNDS).flat_map(|round| records(thread, round)).collect();
        assert_eq!(own, sent, "in order, none lost");
    }
}
