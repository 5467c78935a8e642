//! Key-value records: their bytes, and the maps that they amount to.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tidelog::ErrorKind;
use tidelog::kv::{Action, Entry, Kv, replay_into};

use crate::second_reading::check;
use crate::support::log;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn encoded(entry: &Entry<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    entry.encode(&mut bytes).unwrap();
    bytes
}

/// The bytes are what they were in the first version; `docs/FORMAT.md` tells each.
#[test]
fn the_bytes_of_every_kind_are_fixed() {
    let ttl = Duration::from_nanos(0x10);
    let golden = [
        (Entry::put(b"key", b"value", 0x0102), "0100020003000000020100000000000076616c75656b6579"),
        (Entry::put(b"", b"", 0), "01000200000000000000000000000000"),
        (Entry::delete(b"key", u64::MAX), "0200020003000000ffffffffffffffff6b6579"),
        (
            Entry::put_with_ttl(b"k", b"v", 0x0102, ttl),
            "010103000100000002010000000000001201000000000000766b",
        ),
        (
            Entry { key: b"k", unix_ns: 1, action: Action::Ignorable { kind: 200 } },
            "c80002000100000001000000000000006b",
        ),
    ];
    for (entry, bytes) in golden {
        assert_eq!(hex(&encoded(&entry)), bytes, "{entry:?}");
        assert_eq!(Entry::decode(&encoded(&entry)), Ok(entry));
    }
}

/// What an old reader does with a later version's records.
#[test]
fn later_versions_are_passed_over_or_refused_as_they_ask() {
    let base = encoded(&Entry::put_with_ttl(b"key", b"value", 7, Duration::from_nanos(2)));
    let with = |at: usize, byte: u8| {
        let mut bytes = base.clone();
        bytes[at] = byte;
        bytes
    };
    let refused = |bytes: &[u8], why: &str| {
        let error = Entry::decode(bytes).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    for kind in 3..128 {
        refused(&with(0, kind), "later version");
    }
    for kind in 128..=255 {
        assert_eq!(Entry::decode(&with(0, kind)).unwrap().action, Action::Ignorable { kind });
    }
    refused(&with(0, 0), "no key-value record");
    for flag in [2, 4, 8] {
        refused(&with(1, 1 | flag), "later version");
    }
    for flag in [16, 32, 64, 128] {
        assert_eq!(Entry::decode(&with(1, 1 | flag)), Entry::decode(&base));
    }
    assert_eq!(Entry::decode(&with(3, 0xff)), Entry::decode(&base), "zero space");
    // Two more words of header.
    let mut longer = with(2, 5);
    longer.splice(24..24, [0xaa; 16]);
    assert_eq!(Entry::decode(&longer), Entry::decode(&base));
    refused(&with(2, 2)[..16], "longer than the record");
    refused(
        &{
            let mut bytes = with(2, 2);
            bytes.drain(16..24);
            bytes
        },
        "no room",
    );
    refused(&with(2, 1), "header");
    refused(
        &{
            let mut bytes = with(0, 2);
            bytes[1] = 0;
            bytes
        },
        "a delete has a value",
    );
    refused(&base[..15], "16 bytes at least");
    let wrong = Entry { key: b"", unix_ns: 0, action: Action::Ignorable { kind: 127 } };
    assert!(wrong.encode(&mut Vec::new()).is_err());
}

/// Every bit, and every length: an error or what a second reading of the format says.
#[test]
fn every_flipped_bit_and_every_length_is_judged() {
    for entry in [
        Entry::put(b"a key", b"a value", 7),
        Entry::put_with_ttl(b"a key", b"", 7, Duration::MAX),
        Entry::delete(b"a key", 7),
    ] {
        let bytes = encoded(&entry);
        for len in 0..=bytes.len() {
            check(&bytes[..len]);
        }
        for at in 0..bytes.len() {
            for byte in 0..=255 {
                let mut changed = bytes.clone();
                changed[at] = byte;
                check(&changed);
            }
        }
    }
}

/// In the log a value begins at an address divisible by 8, whatever came before it.
#[test]
fn values_are_aligned_in_the_mapping() {
    let (_dir, log) = log(Kv);
    let bytes = [7; 64];
    for key in 0..20 {
        for value in 0..20 {
            let entry = Entry::put(&bytes[..key], &bytes[..value], 1);
            log.append(&entry).unwrap();
            log.append_batch(&[Entry::put_with_ttl(&bytes[..key], &bytes[..value], 1, Duration::MAX), entry])
                .unwrap();
        }
    }
    let snapshot = log.snapshot();
    let mut seen = 0;
    for record in &snapshot {
        let value = record.unwrap().value.value().unwrap();
        assert!(value.as_ptr().addr().is_multiple_of(8));
        seen += 1;
    }
    assert_eq!(seen, 1200);
}

#[test]
fn a_time_to_live_ends_at_its_instant_and_never_wraps() {
    let entry = Entry::put_with_ttl(b"", b"", 10, Duration::from_nanos(5));
    assert_eq!([14, 15, 16].map(|now| entry.is_expired(now)), [false, true, true]);
    let entry = Entry::put_with_ttl(b"", b"", u64::MAX - 1, Duration::MAX);
    assert_eq!([u64::MAX - 1, u64::MAX].map(|now| entry.is_expired(now)), [false, true]);
    assert!(!Entry::put(b"", b"", 0).is_expired(u64::MAX));
    assert!(!Entry::delete(b"", 0).is_expired(u64::MAX));
}

/// What was replaced does not come back when what replaced it expires; and an error leaves what came before.
#[test]
fn an_expired_put_removes_what_it_replaced() {
    let (_dir, log) = log(Kv);
    log.append(&Entry::put(b"key", b"old", 1)).unwrap();
    log.append(&Entry::put_with_ttl(b"key", b"new", 2, Duration::from_nanos(3))).unwrap();
    let foreign = log.log().append(b"foreign").unwrap();
    log.append(&Entry::put(b"after", b"", 2)).unwrap();
    let snapshot = log.snapshot();
    for (now, expected) in [(4, Some(&b"new"[..])), (5, None)] {
        let mut map: HashMap<&[u8], &[u8]> = HashMap::new();
        let error = replay_into(&snapshot, now, &mut map).unwrap_err();
        assert_eq!((error.kind(), error.lsn()), (ErrorKind::Undecodable, Some(foreign)));
        assert_eq!(map.get(&b"key"[..]).copied(), expected);
        assert!(!map.contains_key(&b"after"[..]));
    }
}

/// An entry, by number: key, value, what it does, time, time to live.
type Step = (u8, Vec<u8>, u8, u64, u64);

fn entry<'a>((key, value, what, at, ttl): &'a Step) -> Entry<'a> {
    let key = &b"abcdefgh"[..usize::from(*key)];
    match what {
        0 => Entry::delete(key, *at),
        1 => Entry::put_with_ttl(key, value, *at, Duration::from_nanos(*ttl)),
        2 => Entry { key, unix_ns: *at, action: Action::Ignorable { kind: 130 } },
        _ => Entry::put(key, value, *at),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn entries_round_trip(key in vec(any::<u8>(), 0..40), value in vec(any::<u8>(), 0..40), at: u64, ttl: u64, before in vec(any::<u8>(), 0..9)) {
        let entries = [
            Entry::put(&key, &value, at),
            Entry::put_with_ttl(&key, &value, at, Duration::from_nanos(ttl)),
            Entry::delete(&key, at),
        ];
        for entry in entries {
            let mut bytes = before.clone();
            entry.encode(&mut bytes).unwrap();
            prop_assert_eq!(bytes.len() - before.len(), entry.encoded_len());
            prop_assert_eq!(Entry::decode(&bytes[before.len()..]), Ok(entry));
        }
    }

    #[test]
    fn hostile_bytes_are_judged(mut bytes in vec(any::<u8>(), 0..64), kind in 0_u8..4, words in 0_u8..6, key in 0_u8..40) {
        check(&bytes);
        if bytes.len() >= 8 {
            (bytes[0], bytes[2]) = (kind, words);
            bytes[4..8].copy_from_slice(&[key, 0, 0, 0]);
            check(&bytes);
        }
    }
}

proptest! {
    // Each case opens a log.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn every_map_is_what_the_entries_say(
        steps in vec((0_u8..6, vec(any::<u8>(), 0..12), 0_u8..6, 0_u64..100, 0_u64..100), 0..60),
        now in 0_u64..250,
    ) {
        let (_dir, log) = log(Kv);
        let entries: Vec<_> = steps.iter().map(entry).collect();
        let (one, batch) = entries.split_at(entries.len() / 2);
        for entry in one {
            log.append(entry).unwrap();
        }
        log.append_batch(batch).unwrap();
        let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for (key, value, what, at, ttl) in &steps {
            let key = b"abcdefgh"[..usize::from(*key)].to_vec();
            let over = *what == 1 && at + ttl <= now;
            match what {
                2 => None,
                0 => model.remove(&key),
                1 if over => model.remove(&key),
                _ => model.insert(key, value.clone()),
            };
        }
        let snapshot = log.snapshot();
        let (mut owned, mut hashed) = (BTreeMap::new(), HashMap::new());
        let (mut borrowed, mut borrowed_hashed) = (BTreeMap::<&[u8], &[u8]>::new(), HashMap::<&[u8], &[u8]>::new());
        let counts = replay_into(&snapshot, now, &mut owned).unwrap();
        prop_assert_eq!(replay_into(&snapshot, now, &mut hashed).unwrap(), counts);
        prop_assert_eq!(replay_into(&snapshot, now, &mut borrowed).unwrap(), counts);
        prop_assert_eq!(replay_into(snapshot.iter(), now, &mut borrowed_hashed).unwrap(), counts);
        prop_assert_eq!(counts.puts + counts.expired + counts.deletes + counts.ignored, steps.len() as u64);
        prop_assert_eq!(hashed.into_iter().collect::<BTreeMap<Vec<u8>, Vec<u8>>>(), model.clone());
        let to_owned = |(key, value): (&[u8], &[u8])| (key.to_vec(), value.to_vec());
        prop_assert_eq!(borrowed.into_iter().map(to_owned).collect::<BTreeMap<_, _>>(), model.clone());
        prop_assert_eq!(borrowed_hashed.into_iter().map(to_owned).collect::<BTreeMap<_, _>>(), model.clone());
        prop_assert_eq!(owned, model);
    }
}
