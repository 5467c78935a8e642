//! Logs of values.

use std::time::Duration;

use serde::ser::Error as _;
use tidelog::kv::{Entry, Kv};
use tidelog::{
    Codec, CodecError, ErrorKind, Fixed, LogReader, Lsn, Postcard, PostcardBorrowed, Rkyv, Typed, TypedLog,
    TypedReader,
};

use crate::support::{Line, Lines, Order, Owned, Side, Tick, log, options};

/// Through every way of appending and of reading.
fn go_round<C: Codec>(codec: C, items: &[C::Item<'_>], is: impl Fn(&C::View<'_>, &C::Item<'_>) -> bool) {
    let (dir, log) = log(codec.clone());
    let mut lsns: Vec<Lsn> = items.iter().map(|item| log.append(item).unwrap()).collect();
    lsns.extend(items.iter().map(|item| log.append_nowait(item).unwrap()));
    lsns.extend(log.append_batch(items).unwrap());
    let expected = || lsns.iter().zip(items.iter().cycle());
    assert_eq!(lsns.len(), items.len() * 3);
    let reader = TypedReader::new(LogReader::open(dir.path()).unwrap(), codec);
    for snapshot in [log.snapshot(), reader.snapshot().unwrap()] {
        let mut records = snapshot.iter();
        for (lsn, item) in expected() {
            let record = records.next().unwrap().unwrap();
            assert!(record.lsn == *lsn && is(&record.value, item));
            assert!(is(&snapshot.read(*lsn).unwrap().value, item));
        }
        assert!(records.next().is_none());
        assert_eq!(snapshot.range(lsns[1]..).count(), lsns.len() - 1);
        let folded = snapshot
            .iter()
            .fold(0, |n, record| n + usize::from(is(&record.unwrap().value, &items[n % items.len()])));
        assert_eq!(folded, lsns.len());
    }
    log.log().sync().unwrap();
    let zero = Lsn::ZERO;
    for mut tail in [log.tail(zero), log.tail_durable(zero), reader.tail(zero), reader.tail_durable(zero)]
        .map(Result::unwrap)
    {
        for (index, (lsn, item)) in expected().enumerate() {
            if index % 3 == 0 {
                let record = tail.next_pinned().unwrap().unwrap();
                assert!(record.lsn() == *lsn && is(&record.view().unwrap(), item));
                continue;
            }
            let record = if index % 3 == 1 { tail.next() } else { tail.next_timeout(Duration::from_secs(9)) };
            let record = record.unwrap().unwrap();
            assert!(record.lsn == *lsn && is(&record.value, item));
        }
        assert_eq!(tail.position(), log.log().watermarks().published);
        assert!(tail.try_next().unwrap().is_none());
    }
    for (lsn, item) in expected() {
        for record in [log.read(*lsn), reader.read(*lsn)] {
            assert!(is(&record.unwrap().view().unwrap(), item));
        }
    }
    assert!(log.append_batch(&[]).unwrap().is_empty());
}

#[test]
fn every_codec_goes_every_way() {
    go_round(
        Postcard::<Owned>::new(),
        &[Owned::Unit, Owned::Text("text".to_owned()), Owned::Many { numbers: vec![1; 40], inner: None }],
        |view, item| view == item,
    );
    let line = |text, bytes| Line { level: 1, text, bytes };
    go_round(PostcardBorrowed::<Lines>::new(), &[line("", b""), line("one", b"two")], |view, item| {
        view == item
    });
    let order =
        |text: &str| Order { id: 1, text: text.to_owned(), parts: vec![(1, text.repeat(9))], inner: None };
    go_round(
        Rkyv::<Order>::new(),
        &[order(""), order("inline"), order("longer than inline")],
        |view, item| *view == item,
    );
    let tick = |at| Tick { at, side: Side::Buy, flag: true, size: [at as u8; 6] };
    go_round(Fixed::<Tick>::new(), &[tick(1), tick(u64::MAX)], |view, item| *view == item);
    go_round(Kv, &[Entry::put(b"k", b"v", 1), Entry::delete(b"k", 2)], |view, item| view == item);
}

/// A borrowed view lies in the mapping: nothing is copied.
#[test]
fn views_borrow_from_the_mapping() {
    let (_dir, log) = log(PostcardBorrowed::<Lines>::new());
    let lsn = log.append(&Line { level: 1, text: "text", bytes: b"bytes" }).unwrap();
    let snapshot = log.snapshot();
    let payload = snapshot.snapshot().read(lsn).unwrap().payload().as_ptr_range();
    let line = snapshot.read(lsn).unwrap().value;
    assert!(payload.contains(&line.text.as_ptr()) && payload.contains(&line.bytes.as_ptr()));
}

/// A record of somebody else between others: an error of its own kind with its LSN, once, and all goes on.
#[test]
fn what_cannot_be_decoded_is_told_and_passed() {
    let (dir, log) = log(Fixed::<Tick>::new());
    let tick = Tick { at: 3, side: Side::Buy, flag: true, size: [0; 6] };
    let first = log.append(&tick).unwrap();
    let foreign = log.log().append(b"foreign").unwrap();
    let last = log.append(&tick).unwrap();
    let snapshot = log.snapshot();
    let found: Vec<_> = snapshot.iter().collect();
    assert_eq!(found.len(), 3);
    assert_eq!((found[0].as_ref().unwrap().lsn, found[2].as_ref().unwrap().lsn), (first, last));
    let reader = TypedReader::new(LogReader::open(dir.path()).unwrap(), Fixed::<Tick>::new());
    let mut tail = log.tail(foreign).unwrap();
    let mut pinned = reader.tail(foreign).unwrap();
    for error in [
        found[1].as_ref().unwrap_err().clone(),
        snapshot.read(foreign).unwrap_err(),
        log.read(foreign).unwrap_err(),
        reader.read(foreign).unwrap_err(),
        tail.next().unwrap_err(),
        pinned.next_pinned().unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.lsn()), (ErrorKind::Undecodable, Some(foreign)));
        assert!(!error.is_corruption());
        let text = error.to_string();
        assert!(text.contains("7 bytes, the type 16") && text.contains(&foreign.to_string()), "{text}");
    }
    assert_eq!(tail.next().unwrap().unwrap(), Typed { lsn: last, value: &tick });
    assert_eq!(pinned.next_pinned().unwrap().unwrap().lsn(), last);
}

/// A value that serde refuses: nothing is appended, of a batch too.
#[test]
fn what_cannot_be_encoded_is_not_appended() {
    #[derive(Debug)]
    struct Odd(u32);
    impl serde::Serialize for Odd {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if self.0 % 2 == 1 { Err(S::Error::custom("odd")) } else { serializer.serialize_u32(self.0) }
        }
    }
    impl<'de> serde::Deserialize<'de> for Odd {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            u32::deserialize(deserializer).map(Odd)
        }
    }
    let (_dir, log) = log(Postcard::<Odd>::new());
    let end = log.log().watermarks().claimed;
    for error in [log.append(&Odd(1)).unwrap_err(), log.append_batch(&[Odd(2), Odd(3)]).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::InvalidOption);
        assert!(error.to_string().contains("nothing was appended"), "{error}");
    }
    assert_eq!(log.log().watermarks().claimed, end);
    log.append(&Odd(2)).unwrap();
    assert_eq!(log.snapshot().iter().next().unwrap().unwrap().value.0, 2);
}

/// A codec may append to another log, or to the same one, while it encodes.
#[test]
fn encoding_may_append() {
    #[derive(Clone, Debug)]
    struct Copies(TypedLog<Kv>);
    impl Codec for Copies {
        type Item<'a> = Entry<'a>;
        type View<'a> = Entry<'a>;

        fn encode(&self, item: &Entry<'_>, payload: &mut Vec<u8>) -> Result<(), CodecError> {
            item.encode(payload)?;
            self.0.append(item).map_err(|error| CodecError::new(error.to_string()))?;
            Ok(())
        }

        fn decode<'a>(&self, payload: &'a [u8]) -> Result<Entry<'a>, CodecError> {
            Entry::decode(payload)
        }
    }
    let (_dir, copy) = log(Kv);
    let (_dir2, log) = log(Copies(copy.clone()));
    let entry = Entry::put(b"key", b"value", 1);
    log.append(&entry).unwrap();
    log.append_batch(&[entry, entry]).unwrap();
    for found in [log.snapshot().snapshot().iter().count(), copy.snapshot().iter().count()] {
        assert_eq!(found, 3);
    }
    assert!(log.snapshot().iter().all(|record| record.unwrap().value == entry));
}

/// The tag is stored where `docs/FORMAT.md` says, checked by writers and readers, and changed on purpose only.
#[test]
fn the_schema_is_checked_at_open() {
    let dir = tempfile::tempdir().unwrap();
    let open = |tag| TypedLog::open(options().schema(tag), dir.path(), Kv);
    let log = open(0x0102_0304).unwrap();
    log.append(&Entry::delete(b"key", 1)).unwrap();
    let meta = || std::fs::read(dir.path().join("log.meta")).unwrap();
    assert_eq!(meta()[64..72], [4, 3, 2, 1, 0, 0, 0, 0]);
    let reader = LogReader::open(dir.path()).unwrap();
    assert_eq!(reader.schema().unwrap(), 0x0102_0304);
    options().schema(0x0102_0304).open_reader(dir.path()).unwrap();
    let error = options().schema(2).open_reader(dir.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    log.log().close().unwrap();
    assert_eq!(meta()[64..72], [4, 3, 2, 1, 0, 0, 0, 0], "the first slot");
    assert_eq!(meta()[4160..4168], [4, 3, 2, 1, 0, 0, 0, 0], "what closing wrote");
    drop(log);
    let before = meta();
    for tag in [0, 1, u64::MAX] {
        let error = open(tag).unwrap_err();
        assert_eq!((error.kind(), error.path().is_some()), (ErrorKind::SchemaMismatch, true));
        assert!(error.to_string().contains("tag is 16909060"), "{error}");
    }
    assert_eq!(meta(), before);
    let log = options().open(dir.path()).unwrap();
    assert_eq!(log.schema(), 0x0102_0304);
    log.set_schema(7).unwrap();
    assert_eq!((log.schema(), reader.schema().unwrap()), (7, 7));
    drop(log);
    assert_eq!(open(7).unwrap().log().schema(), 7);
    assert!(open(0x0102_0304).unwrap_err().to_string().contains("tag is 7"));
    // A log without a tag.
    let dir = tempfile::tempdir().unwrap();
    drop(options().open(dir.path()).unwrap());
    let error = options().schema(1).open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("tag is none, and 1 was asked for"), "{error}");
    let log = options().schema(0).open(dir.path()).unwrap();
    let inside = std::cell::Cell::new(None);
    log.append_with(1, |_| inside.set(log.set_schema(1).err())).unwrap();
    assert_eq!(inside.take().unwrap().kind(), ErrorKind::WouldDeadlock);
    assert_eq!(log.schema(), 0);
}
