//! The key-value record once more, from `docs/FORMAT.md` alone. (The tests of records use it too.)

use tidelog::kv::{Action, Entry};

/// What a record says: kind, key, value, time, expiry. `None` where a reader of this version refuses it.
pub type Said<'a> = Option<(u8, &'a [u8], &'a [u8], u64, Option<u64>)>;

fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    (0..len).rev().fold(0, |number, index| number << 8 | u64::from(bytes[at + index]))
}

pub fn read(bytes: &[u8]) -> Said<'_> {
    if bytes.len() < 16 {
        return None;
    }
    let (kind, flags) = (bytes[0], bytes[1]);
    let header = usize::from(bytes[2]) * 8;
    let key_bytes = number(bytes, 4, 4) as usize;
    if header < 16 || bytes.len() < header + key_bytes {
        return None;
    }
    let (value, key) = bytes[header..].split_at(bytes.len() - header - key_bytes);
    let time = number(bytes, 8, 8);
    match (kind, flags % 16) {
        (128.., _) => Some((kind, key, &[], time, None)),
        (1, 0) => Some((1, key, value, time, None)),
        (1, 1) if header >= 24 => Some((1, key, value, time, Some(number(bytes, 16, 8)))),
        (2, 0) if value.is_empty() => Some((2, key, &[], time, None)),
        _ => None,
    }
}

/// Panics where the decoder says something else, or what it says does not survive being written.
pub fn check(bytes: &[u8]) {
    let decoded = Entry::decode(bytes);
    let Some((kind, key, value, time, expires)) = read(bytes) else {
        let error = decoded.expect_err("a record that must be refused");
        assert!(!error.to_string().is_empty());
        return;
    };
    let action = match kind {
        1 => Action::Put { value, expires_unix_ns: expires },
        2 => Action::Delete,
        kind => Action::Ignorable { kind },
    };
    let entry = Entry { key, unix_ns: time, action };
    assert_eq!(decoded.as_ref(), Ok(&entry));
    let mut again = Vec::new();
    entry.encode(&mut again).expect("what was read can be written");
    assert_eq!(again.len(), entry.encoded_len());
    assert_eq!(Entry::decode(&again), Ok(entry));
}
