//! What goes in comes out, by every way, at every threshold, alone and together.

use proptest::prelude::*;
use tidelog::compress::{Compression, Packer, Payload};

use crate::support::{ALL, all, dictionary, line, lines, new_log, noise, packed, unpacked};

fn compressions() -> impl Strategy<Value = Compression> {
    prop_oneof![
        Just(Compression::None),
        Just(Compression::Lz4),
        (-9..24_i32).prop_map(|level| Compression::Zstd { level: if level > 5 { level % 6 } else { level } }),
    ]
}

/// Of few letters, so that there is something to compress; or of all.
fn payloads() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(b'a'..b'd', 0..600),
        prop::collection::vec(any::<u8>(), 0..600),
        (any::<u8>(), 0_usize..70_000).prop_map(|(byte, bytes)| vec![byte; bytes]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_record_comes_back(compression in compressions(), payload in payloads(), threshold in 0_usize..300, with in any::<bool>()) {
        let mut packer = Packer::new(compression).threshold_bytes(threshold);
        if with {
            packer = packer.dictionary(dictionary());
        }
        let envelope = packed(&packer, &payload);
        prop_assert!(envelope.len() <= payload.len() + 1, "an envelope never costs more than its trailer");
        if payload.len() < threshold {
            prop_assert_eq!(envelope.len(), payload.len() + 1);
        }
        prop_assert_eq!(unpacked(&packer, &envelope).unwrap(), vec![payload]);
    }

    #[test]
    fn a_batch_comes_back(compression in compressions(), records in prop::collection::vec(payloads(), 0..20)) {
        let packer = Packer::new(compression);
        let mut envelope = Vec::new();
        if packer.pack_batch(&records, &mut envelope) {
            prop_assert_eq!(unpacked(&packer, &envelope).unwrap(), records);
        }
    }
}

#[test]
fn through_a_log_by_every_way() {
    for compression in ALL {
        let (_dir, log) = new_log(Packer::new(compression));
        let mut expected = Vec::new();
        let mut addresses = Vec::new();
        for n in 0..40_u64 {
            for record in [line(n).repeat(n as usize % 5), noise(n, n as usize * 9), Vec::new()] {
                addresses.push(log.append(&record).unwrap().into());
                expected.push(record);
            }
            let batch = lines(n..n + n % 30);
            addresses.extend(log.append_batch(&batch).unwrap());
            expected.extend(batch);
            let nowait = line(n).repeat(4);
            addresses.push(log.append_nowait(&nowait).unwrap().into());
            expected.push(nowait);
        }
        assert_eq!(all(&log), expected, "{compression:?}");
        assert!(addresses.is_sorted());
        for (address, record) in addresses.iter().zip(&expected) {
            let kept = log.read(*address).unwrap();
            assert_eq!((kept.address(), kept.payload()), (*address, &record[..]));
        }
    }
}

/// The type says what was copied; and a raw payload lies where the log's own would.
#[test]
fn raw_records_are_borrowed_and_aligned() {
    let (_dir, log) = new_log(Packer::new(Compression::Lz4));
    for n in 0..30 {
        let raw = log.append(&noise(n, 100 + n as usize)).unwrap();
        assert!(log.read(raw).unwrap().is_pinned());
        let small = log.append(&line(n).repeat(6)).unwrap();
        assert!(!log.read(small).unwrap().is_pinned());
    }
    let snapshot = log.log().snapshot();
    let mut replay = log.replay(&snapshot);
    let (mut borrowed, mut copied) = (Vec::new(), 0);
    while let Some(record) = replay.next().unwrap() {
        match record.payload() {
            Payload::Borrowed(bytes) => borrowed.push(bytes),
            Payload::Unpacked(_) => copied += 1,
        }
    }
    assert_eq!((borrowed.len(), copied), (30, 30));
    for (n, bytes) in borrowed.iter().enumerate() {
        assert_eq!(bytes.as_ptr().align_offset(8), 0);
        assert_eq!(**bytes, noise(n as u64, 100 + n));
    }
}

#[test]
fn small_records_need_a_dictionary_or_a_batch() {
    let zstd = Compression::Zstd { level: 3 };
    let alone = Packer::new(zstd).threshold_bytes(0);
    let with = alone.clone().dictionary(dictionary());
    let (records, mut raw, mut small) = (lines(5000..5100), 0, 0);
    for record in &records {
        assert_eq!(packed(&alone, record).len(), record.len() + 1, "alone it is not worth it");
        raw += record.len();
        small += packed(&with, record).len();
    }
    assert!(small * 4 < raw * 3, "{small} of {raw}");
    let mut envelope = Vec::new();
    for compression in [Compression::Lz4, zstd] {
        assert!(Packer::new(compression).pack_batch(&records, &mut envelope));
        assert!(envelope.len() * 2 < raw, "{} of {raw}", envelope.len());
    }
    assert!(!Packer::new(Compression::None).pack_batch(&records, &mut envelope));
    assert!(!Packer::new(zstd).pack_batch::<Vec<u8>>(&[], &mut envelope));
    let random: Vec<_> = (0..100).map(|n| noise(n, 200)).collect();
    assert!(!Packer::new(zstd).pack_batch(&random, &mut envelope), "not even with the frames that are saved");
}

#[test]
fn what_is_over_the_maximum_is_stored_raw() {
    for compression in ALL {
        let packer = Packer::new(compression).unpacked_bytes_max(1000);
        assert_eq!(packed(&packer, &[b'a'; 1001]).len(), 1002);
        let batch = vec![vec![b'a'; 100]; 10];
        assert!(!packer.pack_batch(&batch, &mut Vec::new()));
        let (_dir, log) = new_log(packer);
        assert!(!log.append_batch(&batch).unwrap().is_packed());
        assert_eq!(all(&log), batch);
    }
}
