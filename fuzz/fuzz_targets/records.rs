//! Hostile payloads through every decoder of records. The first byte chooses the decoder, the second the address.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize};
use tidelog::{Borrowing, Codec, Fixed, Postcard, PostcardBorrowed, Rkyv};

#[derive(Serialize, Deserialize, Debug, PartialEq)]
enum Owned {
    Unit,
    Text(String),
    Many { numbers: Vec<u16>, inner: Option<(i64, bool, char)> },
}

#[derive(Serialize, Deserialize, Debug)]
struct Line<'a> {
    level: u8,
    text: &'a str,
    bytes: &'a [u8],
}

struct Lines;

impl Borrowing for Lines {
    type Of<'a> = Line<'a>;
}

#[derive(rkyv::Archive, rkyv::Serialize)]
struct Archived {
    id: u64,
    text: String,
    parts: Vec<(u8, String)>,
    inner: Option<Box<[u32]>>,
}

#[derive(zerocopy::TryFromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable)]
#[repr(C)]
struct Tick {
    at: u64,
    side: Side,
    flag: bool,
    size: [u8; 6],
}

#[allow(dead_code, reason = "it only comes from bytes")]
#[derive(
    Clone, Copy, zerocopy::TryFromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable,
)]
#[repr(u8)]
enum Side {
    Buy = 1,
    Sell = 2,
}

/// What was decoded decodes to the same again once it was encoded.
fn again<T: Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(payload: &[u8]) {
    let codec = Postcard::<T>::new();
    if let Ok(value) = codec.decode(payload) {
        let mut bytes = Vec::new();
        codec.encode(&value, &mut bytes).expect("what was read can be written");
        assert_eq!(codec.decode(&bytes), Ok(value));
    }
}

fuzz_target!(|data: &[u8]| {
    let [decoder, shift, payload @ ..] = data else { return };
    // At an address that is divisible by 8, as in the log, or at another.
    let mut room = vec![0_u64; payload.len() / 8 + 3];
    let room = zerocopy::IntoBytes::as_mut_bytes(&mut room[..]);
    let begin = usize::from(*shift % 16).saturating_sub(8);
    let payload = {
        let place = &mut room[begin..begin + payload.len()];
        place.copy_from_slice(payload);
        &*place
    };
    match decoder % 5 {
        0 => tidelog_fuzz::records::check(payload),
        1 => again::<Owned>(payload),
        2 => {
            if let Ok(line) = PostcardBorrowed::<Lines>::new().decode(payload) {
                assert!(line.text.len() + line.bytes.len() < payload.len());
            }
        }
        3 => {
            if let Ok(archived) = Rkyv::<Archived>::new().decode(payload) {
                // Everything that it points to can be looked at.
                let parts: usize =
                    archived.parts.iter().map(|part| part.0 as usize + part.1.chars().count()).sum();
                let inner = archived.inner.as_ref().map_or(0, |inner| inner.iter().count());
                std::hint::black_box((archived.id.to_native(), archived.text.chars().count(), parts, inner));
            }
        }
        _ => {
            if let Ok(tick) = Fixed::<Tick>::new().decode(payload) {
                assert_eq!(zerocopy::IntoBytes::as_bytes(tick), payload);
                assert!(matches!(tick.side, Side::Buy | Side::Sell));
            }
        }
    }
});
