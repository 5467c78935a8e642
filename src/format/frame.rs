//! The header word of a frame, and the sizes that follow from it.

use crate::limits::{FRAME_ALIGN, FRAME_HEADER_BYTES, LAG_UNIT_BYTES};

/// What a frame is. Zero is not a kind: a zero word was never written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Taken by a writer that has not published yet. The length is that of the whole claim.
    Claimed = 1,
    /// Nothing to read here. The length is that of the whole frame.
    Padding = 2,
    /// One record.
    Record = 3,
    /// The first record of a batch of several.
    BatchFirst = 4,
    /// A record inside a batch.
    BatchMiddle = 5,
    /// The last record of a batch.
    BatchLast = 6,
}

/// A header word taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// Zero: no claim has been here.
    Unwritten,
    /// A claim of so many bytes that is not published.
    Claimed { bytes: u64 },
    /// Padding of so many bytes.
    Padding { bytes: u64 },
    /// A record with a payload; `extra` is the lag, or for later records of a batch the way back to its first.
    Record { kind: Kind, payload_len: u64, extra: u64 },
    /// No writer stores this.
    Invalid,
}

impl Parsed {
    /// Bytes to the next header word, where this one tells.
    #[inline]
    pub(crate) const fn bytes(self) -> Option<u64> {
        match self {
            Self::Claimed { bytes } | Self::Padding { bytes } => Some(bytes),
            Self::Record { payload_len, .. } => Some(frame_bytes(payload_len)),
            Self::Unwritten | Self::Invalid => None,
        }
    }
}

/// Largest value of the 24-bit field; as a lag it means "no evidence".
pub(crate) const EXTRA_MAX: u64 = 0xff_ffff;

/// Padding of eight bytes is the word alone, without a checksum.
pub(crate) const SHORT_PADDING_BYTES: u64 = FRAME_ALIGN;

/// Bytes from the beginning of a frame of `payload_len` bytes to the next one.
#[inline]
pub(crate) const fn frame_bytes(payload_len: u64) -> u64 {
    payload_len.saturating_add(FRAME_HEADER_BYTES).saturating_add(7) & !7
}

/// The header word, as the number that is stored little-endian: length in bits 0 to 31, kind in 32 to
/// 39, lag or way back in 40 to 63.
#[inline]
#[allow(clippy::as_conversions, reason = "a repr(u8) discriminant")]
pub(crate) const fn word(kind: Kind, length: u64, extra: u64) -> u64 {
    (length & 0xffff_ffff) | ((kind as u64) << 32) | ((extra & EXTRA_MAX) << 40)
}

/// Takes a word apart.
#[inline]
pub(crate) const fn parse(word: u64) -> Parsed {
    let length = word & 0xffff_ffff;
    let extra = word >> 40;
    let kind = match (word >> 32) & 0xff {
        0 if word == 0 => return Parsed::Unwritten,
        1 if extra == 0 && length & 7 == 0 && length != 0 => return Parsed::Claimed { bytes: length },
        2 if extra == 0 && length & 7 == 0 && length != 0 => return Parsed::Padding { bytes: length },
        3 => Kind::Record,
        4 => Kind::BatchFirst,
        5 => Kind::BatchMiddle,
        6 => Kind::BatchLast,
        _ => return Parsed::Invalid,
    };
    Parsed::Record { kind, payload_len: length, extra }
}

/// The lag to store in a frame at `lsn` when everything below `durable` was durable.
#[inline]
pub(crate) const fn lag(lsn: u64, durable: u64) -> u64 {
    let pages = lsn.saturating_sub(durable).div_ceil(LAG_UNIT_BYTES);
    if pages < EXTRA_MAX { pages } else { EXTRA_MAX }
}

/// What a valid frame at `lsn` with this lag proves: everything below the result was durable.
pub(crate) const fn proven_durable(lsn: u64, lag: u64) -> u64 {
    if lag == EXTRA_MAX { 0 } else { lsn.saturating_sub(lag.saturating_mul(LAG_UNIT_BYTES)) }
}

/// The way back from a later record of a batch to the batch's first, in units of eight bytes.
#[inline]
pub(crate) const fn way_back(bytes: u64) -> u64 {
    bytes >> 3
}

/// The bytes that a way back stands for.
pub(crate) const fn way_back_bytes(extra: u64) -> u64 {
    extra << 3
}

const _: () = assert!(frame_bytes(0) == FRAME_HEADER_BYTES);
const _: () = assert!(frame_bytes(1) == FRAME_HEADER_BYTES.saturating_add(FRAME_ALIGN));
// A batch lies within one claim, and the way back must span the largest one.
const _: () =
    assert!(way_back(crate::limits::CLAIM_BYTES_MAX.saturating_sub(FRAME_HEADER_BYTES)) <= EXTRA_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for kind in [Kind::Record, Kind::BatchFirst, Kind::BatchMiddle, Kind::BatchLast] {
            let parsed = parse(word(kind, 77, 5));
            assert_eq!(parsed, Parsed::Record { kind, payload_len: 77, extra: 5 });
        }
        assert_eq!(parse(word(Kind::Claimed, 64, 0)), Parsed::Claimed { bytes: 64 });
        assert_eq!(parse(word(Kind::Padding, 8, 0)), Parsed::Padding { bytes: 8 });
        assert_eq!(parse(0), Parsed::Unwritten);
        assert_eq!(parse(7), Parsed::Invalid, "a length without a kind");
        assert_eq!(parse(word(Kind::Padding, 12, 0)), Parsed::Invalid, "unaligned padding");
        assert_eq!(parse(word(Kind::Padding, 0, 0)), Parsed::Invalid, "padding that would never advance");
    }

    #[test]
    fn claims_and_padding_have_a_length_and_nothing_else() {
        for (kind, parsed) in
            [(Kind::Claimed, Parsed::Claimed { bytes: 24 }), (Kind::Padding, Parsed::Padding { bytes: 24 })]
        {
            assert_eq!(parse(word(kind, 24, 0)), parsed);
            for (length, extra) in
                [(0, 0), (1, 0), (4, 0), (20, 0), (25, 0), (24, 1), (24, EXTRA_MAX), (0, 3)]
            {
                assert_eq!(parse(word(kind, length, extra)), Parsed::Invalid, "{kind:?} {length} {extra}");
            }
        }
    }

    /// The fields do not touch one another, and each is as wide as the format says.
    #[test]
    fn fields_stand_where_the_format_says() {
        assert_eq!(word(Kind::BatchLast, 0xffff_ffff, EXTRA_MAX), 0xffff_ff06_ffff_ffff);
        assert_eq!(word(Kind::Record, 1 << 32, 1 << 24), 0x0003_0000_0000, "what does not fit is cut off");
        assert_eq!(word(Kind::Record, 5, 2), 0x0203_0000_0005);
        for kind in [0_u64, 7, 8, 0x13, 0x83, 0xff] {
            assert_eq!(parse(kind << 32 | 1), Parsed::Invalid, "kind {kind}");
        }
    }

    #[test]
    fn a_frame_tells_where_the_next_one_begins() {
        for (len, bytes) in [(0, 16), (1, 24), (8, 24), (9, 32), (1000, 1016), (u64::MAX, u64::MAX - 7)] {
            assert_eq!(frame_bytes(len), bytes, "{len}");
        }
        assert_eq!(Parsed::Unwritten.bytes(), None);
        assert_eq!(Parsed::Invalid.bytes(), None);
        assert_eq!(Parsed::Claimed { bytes: 40 }.bytes(), Some(40));
        assert_eq!(Parsed::Padding { bytes: 48 }.bytes(), Some(48));
        assert_eq!(Parsed::Record { kind: Kind::Record, payload_len: 9, extra: 0 }.bytes(), Some(32));
        assert_eq!((way_back(4096), way_back_bytes(512)), (512, 4096));
    }

    #[test]
    fn a_lag_proves_what_it_says() {
        assert_eq!(lag(10_000, 10_000), 0);
        assert_eq!(lag(10_000, 9_999), 1);
        assert_eq!(lag(10_000, 10_000 - 4096), 1);
        assert_eq!(lag(10_000, 10_000 - 4097), 2);
        assert_eq!(lag(10_000, 20_000), 0, "durable beyond the frame");
        let most = EXTRA_MAX * 4096;
        assert_eq!(lag(most - 4096, 0), EXTRA_MAX - 1);
        assert_eq!(lag(most, 0), EXTRA_MAX, "too far says nothing");
        assert_eq!(lag(most * 8, 0), EXTRA_MAX);
        assert_eq!(proven_durable(10_000, 0), 10_000);
        assert_eq!(proven_durable(10_000, 2), 10_000 - 2 * 4096);
        assert_eq!(proven_durable(10_000, 3), 0);
        assert_eq!(proven_durable(most * 2, EXTRA_MAX - 1), most + 4096);
        assert_eq!(proven_durable(most * 2, EXTRA_MAX), 0);
    }

    #[test]
    fn a_lag_never_proves_too_much() {
        for durable in [0, 1, 4095, 4096, 4097, 1 << 20] {
            for distance in [0, 1, 4095, 4096, 4097, 1 << 30, 1 << 40] {
                let lsn = durable + distance;
                let proven = proven_durable(lsn, lag(lsn, durable));
                assert!(proven <= durable, "lsn {lsn} durable {durable} proves {proven}");
                assert!(distance > 1 << 35 || durable - proven < LAG_UNIT_BYTES || proven == 0);
            }
        }
    }
}
