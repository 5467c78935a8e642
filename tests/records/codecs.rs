//! Each codec on its own: what it writes it reads, and what it did not write it refuses or reads as another value.

use proptest::collection::vec;
use proptest::prelude::*;
use tidelog::{Codec, Fixed, Postcard, PostcardBorrowed, Rkyv};

use crate::support::{Line, Lines, Order, Owned, Side, Tick, options};

/// Bytes that begin `shift` behind an address divisible by 8.
struct Placed(Vec<u64>, usize, usize);

impl Placed {
    fn new(bytes: &[u8], shift: usize) -> Self {
        let mut room = vec![0_u64; (bytes.len() + shift) / 8 + 1];
        zerocopy::IntoBytes::as_mut_bytes(&mut room[..])[shift..shift + bytes.len()].copy_from_slice(bytes);
        Self(room, shift, bytes.len())
    }

    fn bytes(&self) -> &[u8] {
        &zerocopy::IntoBytes::as_bytes(&self.0[..])[self.1..self.1 + self.2]
    }
}

fn encoded<C: Codec>(codec: &C, item: &C::Item<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec.encode(item, &mut bytes).unwrap();
    if let Some(held) = codec.encoded(item) {
        assert_eq!(held, bytes);
    }
    // Behind something else it is the same.
    let mut behind = vec![7; 13];
    codec.encode(item, &mut behind).unwrap();
    assert_eq!((&behind[..13], &behind[13..]), (&[7; 13][..], &bytes[..]));
    bytes
}

/// Every bit of the encoding changed, and every length: what `see` does with the view must not panic. Returns how many
/// were refused.
fn attack<C: Codec>(codec: &C, bytes: &[u8], see: impl Fn(C::View<'_>)) -> usize {
    let mut refused = 0;
    let mut judge = |bytes: &[u8]| {
        for shift in [0, 1, 4] {
            match codec.decode(Placed::new(bytes, shift).bytes()) {
                Ok(view) => see(view),
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    refused += 1;
                }
            }
        }
    };
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        judge(&changed);
    }
    (0..bytes.len()).for_each(|len| judge(&bytes[..len]));
    judge(&[bytes, &[0]].concat());
    refused
}

fn order() -> Order {
    let parts = vec![(1, "short".to_owned()), (2, "a text that is not inline".to_owned())];
    Order { id: 9, text: "another that is not inline".to_owned(), parts, inner: Some([1, 2, 3].into()) }
}

fn see_order(order: &rkyv::Archived<Order>) {
    let parts: usize = order.parts.iter().map(|part| part.1.chars().count()).sum();
    let inner = order
        .inner
        .as_ref()
        .map_or(0, |inner| inner.iter().map(|n| n.to_native() as usize).fold(0, usize::wrapping_add));
    std::hint::black_box((order.id.to_native(), order.text.chars().count(), parts, inner));
}

#[test]
fn damaged_encodings_are_refused_or_are_other_values() {
    let owned = Owned::Many { numbers: vec![1, 2, 300], inner: Some((-5, true, 'x')) };
    let postcard = Postcard::<Owned>::new();
    let refused = attack(&postcard, &encoded(&postcard, &owned), |value| {
        encoded(&postcard, &value);
    });
    assert!(refused > 30, "{refused}");
    let borrowed = PostcardBorrowed::<Lines>::new();
    let line = Line { level: 3, text: "text", bytes: b"bytes" };
    let refused = attack(&borrowed, &encoded(&borrowed, &line), |line| {
        std::hint::black_box((line.text.chars().count(), line.bytes.len()));
    });
    assert!(refused > 30, "{refused}");
    let fixed = Fixed::<Tick>::new();
    let tick = Tick { at: 7, side: Side::Sell, flag: true, size: [1; 6] };
    let refused = attack(&fixed, &encoded(&fixed, &tick), |tick| {
        assert!(matches!(tick.side, Side::Buy | Side::Sell));
        std::hint::black_box(tick.flag);
    });
    assert!(refused > 100, "{refused}");
    let rkyv = Rkyv::<Order>::new();
    let refused = attack(&rkyv, &encoded(&rkyv, &order()), see_order);
    assert!(refused > 100, "{refused}");
}

/// A payload that does not lie in the log may begin anywhere: an error, and no undefined behaviour.
#[test]
fn a_payload_at_the_wrong_address_is_an_error() {
    let (fixed, rkyv) = (Fixed::<Tick>::new(), Rkyv::<Order>::new());
    let tick = encoded(&fixed, &Tick { at: 7, side: Side::Buy, flag: false, size: [0; 6] });
    let order = encoded(&rkyv, &order());
    for shift in 0..8 {
        let (tick, order) = (Placed::new(&tick, shift), Placed::new(&order, shift));
        assert_eq!(fixed.decode(tick.bytes()).is_ok(), shift == 0);
        assert_eq!(rkyv.decode(order.bytes()).is_ok(), shift == 0);
        if shift > 0 {
            let error = fixed.decode(tick.bytes()).unwrap_err().to_string();
            assert!(error.contains("divisible by 8"), "{error}");
        }
    }
}

/// `docs/FORMAT.md` promises it, and typed views stand on it.
#[test]
fn payloads_begin_at_addresses_divisible_by_8() {
    let dir = tempfile::tempdir().unwrap();
    let log = options().open(dir.path()).unwrap();
    let bytes = [7; 80];
    for len in 0..80 {
        log.append(&bytes[..len]).unwrap();
        log.append_with(len, |buffer| assert!(buffer.as_ptr().addr().is_multiple_of(8))).unwrap();
        log.append_batch(&[&bytes[..len], &bytes[..80 - len], &bytes[..1]]).unwrap();
    }
    let aligned = |payload: &[u8]| assert!(payload.as_ptr().addr().is_multiple_of(8));
    let mut tail = log.tail(tidelog::Lsn::ZERO).unwrap();
    let mut seen = 0;
    for record in &log.snapshot() {
        let record = record.unwrap();
        aligned(record.payload());
        aligned(log.read(record.lsn()).unwrap().payload());
        aligned(tail.next().unwrap().unwrap().payload());
        seen += 1;
    }
    assert_eq!(seen, 400);
}

/// A list inside itself. Without a bound its validation takes as much of the stack as the record is long.
#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(
    serialize_bounds(__S: rkyv::ser::Writer + rkyv::ser::Allocator, __S::Error: rkyv::rancor::Source),
    bytecheck(bounds(__C: rkyv::validation::ArchiveContext, __C::Error: rkyv::rancor::Source))
)]
struct Nested {
    #[rkyv(omit_bounds)]
    next: Option<Box<Self>>,
}

#[test]
fn the_depth_of_an_archive_is_bounded() {
    let nested =
        |depth| (0..depth).fold(Nested { next: None }, |next, _| Nested { next: Some(Box::new(next)) });
    let codec = Rkyv::<Nested>::new();
    let decode = |depth| {
        let bytes = encoded(&codec, &nested(depth));
        codec.decode(Placed::new(&bytes, 0).bytes()).map(drop)
    };
    decode(200).unwrap();
    let error = decode(2000).unwrap_err().to_string();
    assert!(error.contains("more than 256 pointers"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_round_trip(
        text in ".{0,20}",
        numbers in vec(any::<u16>(), 0..20),
        inner in any::<Option<(i64, bool, char)>>(),
        bytes in vec(any::<u8>(), 0..40),
        parts in vec((any::<u8>(), ".{0,12}"), 0..5),
        at: u64,
        flag: bool,
    ) {
        let postcard = Postcard::<Owned>::new();
        for value in [Owned::Unit, Owned::Text(text.clone()), Owned::Many { numbers: numbers.clone(), inner }] {
            prop_assert_eq!(postcard.decode(&encoded(&postcard, &value)), Ok(value));
        }
        let borrowed = PostcardBorrowed::<Lines>::new();
        let line = Line { level: 1, text: &text, bytes: &bytes };
        let bytes_of_line = encoded(&borrowed, &line);
        prop_assert_eq!(borrowed.decode(&bytes_of_line), Ok(line));
        let inner = flag.then(|| numbers.iter().map(|n| u32::from(*n)).collect());
        let order = Order { id: at, text, parts, inner };
        let rkyv = Rkyv::<Order>::new();
        let placed = Placed::new(&encoded(&rkyv, &order), 0);
        prop_assert!(*rkyv.decode(placed.bytes()).unwrap() == order);
        let tick = Tick { at, side: if flag { Side::Buy } else { Side::Sell }, flag, size: [7; 6] };
        let fixed = Fixed::<Tick>::new();
        let placed = Placed::new(&encoded(&fixed, &tick), 0);
        prop_assert_eq!(fixed.decode(placed.bytes()), Ok(&tick));
    }

    #[test]
    fn no_bytes_are_a_panic(bytes in vec(any::<u8>(), 0..120), shift in 0_usize..8) {
        let placed = Placed::new(&bytes, shift);
        let _ = Postcard::<Owned>::new().decode(placed.bytes());
        let _ = PostcardBorrowed::<Lines>::new().decode(placed.bytes());
        let _ = Fixed::<Tick>::new().decode(placed.bytes());
        if let Ok(order) = Rkyv::<Order>::new().decode(placed.bytes()) {
            see_order(order);
        }
    }
}
