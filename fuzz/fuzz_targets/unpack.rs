//! Hostile envelopes: whatever the bytes are, they unpack or give an error of a kind for that, within the maximum; and what is
//! packed comes back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidelog::ErrorKind;
use tidelog::compress::{Compression, Contents, Dictionary, Packer};

const MAX: u32 = 1 << 16;

thread_local! {
    static DICTIONARY: Dictionary =
        Dictionary::new(b"{\"sequence\":1,\"event\":\"login\",\"client\":\"10.0.0.1\"}").unwrap();
}

fuzz_target!(|bytes: &[u8]| {
    let dictionary = DICTIONARY.with(Dictionary::clone);
    let reader = Packer::new(Compression::None).unpacked_bytes_max(MAX).known_dictionary(dictionary.clone());
    let mut buffer = Vec::new();
    match reader.unpack(bytes, &mut buffer) {
        Ok(Contents::One(payload)) => {
            assert!(payload.len() <= bytes.len().max(MAX as usize));
            assert!(!payload.is_borrowed() || *payload == bytes[..bytes.len() - 1]);
        }
        Ok(Contents::Batch(inner)) => {
            let (count, all) = (inner.len(), inner.clone().map(<[u8]>::len).sum::<usize>());
            assert!(count > 0 && count == inner.count() && all <= MAX as usize);
        }
        Err(error) => assert!(matches!(
            error.kind(),
            ErrorKind::Unsupported | ErrorKind::NotFound | ErrorKind::TooLarge | ErrorKind::Undecodable
        )),
    }
    assert!(buffer.capacity() <= MAX as usize);

    let mut envelope = Vec::new();
    for compression in [Compression::Lz4, Compression::Zstd { level: 1 }] {
        let packer = Packer::new(compression).threshold_bytes(0).dictionary(dictionary.clone());
        packer.pack(bytes, &mut envelope);
        let Ok(Contents::One(payload)) = packer.unpack(&envelope, &mut buffer) else { panic!("it does not unpack") };
        assert_eq!(*payload, *bytes);
    }
});
