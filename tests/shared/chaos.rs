//! Everybody is killed, stopped and started again.

use std::time::Duration;

use crate::people::{Person, options};
use crate::support::{Random, role, seed};

/// Ends of writers in a run.
const LIVES: u64 = 8;

#[test]
fn readers_get_every_record_whoever_is_killed_or_stopped() {
    if role().is_some() {
        return;
    }
    let mut random = Random::new(seed("shared"));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    options().open(&path).unwrap().close().unwrap();
    let hows = ["published", "published", "durable"];
    let readers = hows.map(|how| Person::reader(&path, how));
    readers.iter().for_each(|reader| assert_eq!(reader.expect("@reads"), ""));
    let stopped = Person::reader(&path, "published");
    assert_eq!(stopped.expect("@reads"), "");
    let mut short_lived = Person::reader(&path, "published");
    for life in 0..LIVES {
        // One that is open while another life begins, or that finds another file, or none.
        if life % 3 == 2 {
            std::fs::remove_file(path.join("log.signal")).unwrap();
        }
        let writer = Person::writer(&path, "forever");
        writer.expect("@open");
        stopped.signal(if life % 2 == 0 { "-STOP" } else { "-CONT" });
        std::thread::sleep(Duration::from_millis(20 + random.below(200)));
        // In its sleep, or while it reads.
        let another = Person::reader(&path, "published");
        std::mem::replace(&mut short_lived, another).kill();
        if random.one_in(2) {
            writer.signal("-STOP");
            std::thread::sleep(Duration::from_millis(random.below(50)));
            writer.signal("-CONT");
        }
        std::thread::sleep(Duration::from_millis(random.below(100)));
        writer.kill();
    }
    stopped.signal("-CONT");
    Person::writer(&path, "last").ends();
    let mut delivered = 0;
    for reader in readers.into_iter().chain([stopped]) {
        let end = reader.expect("@end");
        println!("delivered, and overtaken so often: {end}");
        delivered += end.split(' ').next().unwrap().parse::<u64>().unwrap();
        reader.ends();
    }
    assert!(delivered > 1000);
}

/// A reader that is stopped while it has a segment mapped keeps the writer from nothing: it appends, retires, recycles and
/// closes. When it goes on, it gets what it had mapped, and then learns what is left.
#[test]
fn a_stopped_reader_blocks_nobody() {
    if role().is_some() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let log = options().recycle_max(4).open(directory.path()).unwrap();
    log.append(&crate::people::record(0)).unwrap();
    let reader = Person::reader(directory.path(), "each");
    reader.expect("@reads");
    assert_eq!(reader.expect("@got"), "0");
    reader.signal("-STOP");
    let mut last = None;
    for number in 1..20_000 {
        last = Some(log.append_nowait(&crate::people::record(number)).unwrap());
        if number % 1000 == 0 {
            log.retire_before(last.unwrap()).unwrap();
        }
    }
    log.append(&crate::people::LAST.to_le_bytes()).unwrap();
    let start = log.retire_before(last.unwrap()).unwrap();
    assert!(start.get() > 0);
    log.close().unwrap();
    reader.signal("-CONT");
    let mut next = 1;
    loop {
        let line = reader.lines.recv_timeout(crate::support::PATIENCE).unwrap();
        if let Some(end) = line.strip_prefix("@end ") {
            assert!(end.ends_with(" 1"), "overtaken once: {end}");
            break;
        }
        let number: u64 = line.strip_prefix("@got ").unwrap().parse().unwrap();
        assert!(number >= next, "{number} comes again");
        next = number + 1;
    }
    assert_eq!(next, 20_000);
    reader.ends();
}
