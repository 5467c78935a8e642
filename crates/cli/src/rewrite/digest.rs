//! What was written and what was read back, compared.

use std::hash::{DefaultHasher, Hasher};

/// Counts, and a hash over places, batches and payloads.
#[derive(Clone, Debug, Default)]
pub(super) struct Digest {
    pub(super) records: u64,
    pub(super) batches: u64,
    pub(super) payload_bytes: u64,
    hash: DefaultHasher,
}

impl Digest {
    /// One record, or a batch whole.
    pub(super) fn add(&mut self, lsn: u64, records: &[&[u8]]) {
        self.records += records.len() as u64;
        self.batches += u64::from(records.len() > 1);
        self.hash.write_u64(lsn);
        self.hash.write_usize(records.len());
        for payload in records {
            self.payload_bytes += payload.len() as u64;
            self.hash.write_usize(payload.len());
            self.hash.write(payload);
        }
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        (self.records, self.batches, self.payload_bytes, self.hash.finish())
            == (other.records, other.batches, other.payload_bytes, other.hash.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Unit<'a> = (u64, &'a [&'a [u8]]);

    #[test]
    fn any_difference_is_seen() {
        let of = |units: &[Unit<'_>]| {
            let mut digest = Digest::default();
            units.iter().for_each(|(lsn, records)| digest.add(*lsn, records));
            digest
        };
        let one: &[Unit<'_>] = &[(0, &[b"ab"]), (24, &[b"c", b""])];
        assert_eq!(of(one), of(one));
        let others: [&[Unit<'_>]; 6] = [
            &[(0, &[b"ab"])],
            &[(0, &[b"ab"]), (32, &[b"c", b""])],
            &[(0, &[b"ab"]), (24, &[b"", b"c"])],
            &[(0, &[b"ab"]), (24, &[b"c"]), (48, &[b""])],
            &[(24, &[b"c", b""]), (0, &[b"ab"])],
            &[(0, &[b"aB"]), (24, &[b"c", b""])],
        ];
        for other in others {
            assert_ne!(of(one), of(other), "{other:?}");
        }
    }
}
