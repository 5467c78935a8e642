//! The bytes of a key-value record, as `docs/FORMAT.md` has them.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::{Action, Entry};
use crate::codec::CodecError;

const PUT: u8 = 1;
const DELETE: u8 = 2;
/// Kinds from here on may be passed over by who does not know them.
const IGNORABLE: u8 = 128;

/// The field at 16 says when the put expires.
const EXPIRES: u8 = 1;
/// Of the flags, those that a reader must know to understand the record.
const CRITICAL: u8 = 0x0f;

/// The header without the field for expiry, and with it; multiples of 8, so that the value behind begins at one.
const HEADER_BYTES: usize = 16;
const HEADER_EXPIRES_BYTES: usize = 24;
const WORD: usize = 8;

impl<'a> Entry<'a> {
    /// How many bytes [`encode`](Self::encode) writes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let (header, value) = match self.action {
            Action::Put { value, expires_unix_ns: Some(_) } => (HEADER_EXPIRES_BYTES, value.len()),
            Action::Put { value, expires_unix_ns: None } => (HEADER_BYTES, value.len()),
            Action::Delete | Action::Ignorable { .. } => (HEADER_BYTES, 0),
        };
        // Slices are shorter than half the address space.
        header.saturating_add(value).saturating_add(self.key.len())
    }

    /// Appends the record's bytes to `out`.
    ///
    /// # Errors
    /// The key is longer than 2^32 - 1 bytes, or the kind of an ignorable entry is below 128; nothing is appended.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let Ok(key_bytes) = u32::try_from(self.key.len()) else {
            return Err(CodecError::new("a key is longer than 4294967295 bytes"));
        };
        let (kind, value, expires) = match self.action {
            Action::Put { value, expires_unix_ns } => (PUT, value, expires_unix_ns),
            Action::Delete => (DELETE, &[][..], None),
            Action::Ignorable { kind } if kind >= IGNORABLE => (kind, &[][..], None),
            Action::Ignorable { .. } => return Err(CodecError::new("an ignorable kind is below 128")),
        };
        out.reserve(self.encoded_len());
        let [k0, k1, k2, k3] = key_bytes.to_le_bytes();
        let (flags, words) = if expires.is_some() { (EXPIRES, 3) } else { (0, 2) };
        out.extend_from_slice(&[kind, flags, words, 0, k0, k1, k2, k3]);
        out.extend_from_slice(&self.unix_ns.to_le_bytes());
        if let Some(at) = expires {
            out.extend_from_slice(&at.to_le_bytes());
        }
        out.extend_from_slice(value);
        out.extend_from_slice(self.key);
        Ok(())
    }

    /// Reads a record's bytes, which may be anybody's and at any address. Key and value are borrowed.
    ///
    /// # Errors
    /// They are no key-value record, or one of a later version that this one must not pass over.
    #[inline]
    pub fn decode(bytes: &'a [u8]) -> Result<Self, CodecError> {
        let Some((&[kind, flags, words, _, k0, k1, k2, k3], rest)) = bytes.split_first_chunk::<WORD>() else {
            return Err(short(bytes));
        };
        let Some((unix_ns, rest)) = rest.split_first_chunk::<WORD>() else { return Err(short(bytes)) };
        // Of the header that is the rest; fields that this version does not know stand at its end.
        let more = usize::from(words).checked_sub(2).map(|words| words.saturating_mul(WORD));
        let Some((more, body)) = more.and_then(|more| rest.split_at_checked(more)) else {
            return Err(CodecError::new("the header is shorter than its fields, or longer than the record"));
        };
        let key_bytes = usize::try_from(u32::from_le_bytes([k0, k1, k2, k3])).unwrap_or(usize::MAX);
        let split = body.len().checked_sub(key_bytes).and_then(|at| body.split_at_checked(at));
        let Some((value, key)) = split else {
            return Err(CodecError::new("the key is longer than the record"));
        };
        let unix_ns = u64::from_le_bytes(*unix_ns);
        let action =
            if kind >= IGNORABLE { Action::Ignorable { kind } } else { known(kind, flags, more, value)? };
        Ok(Self { key, unix_ns, action })
    }
}

/// What must be understood.
#[inline]
fn known<'a>(kind: u8, flags: u8, more: &[u8], value: &'a [u8]) -> Result<Action<'a>, CodecError> {
    match (kind, flags & CRITICAL) {
        (PUT, 0) => Ok(Action::Put { value, expires_unix_ns: None }),
        (PUT, EXPIRES) => {
            let expires = more.first_chunk().map(|at| u64::from_le_bytes(*at));
            if expires.is_none() {
                return Err(CodecError::new(
                    "the header has no room for the time at which the record expires",
                ));
            }
            Ok(Action::Put { value, expires_unix_ns: expires })
        }
        (DELETE, 0) if value.is_empty() => Ok(Action::Delete),
        (DELETE, 0) => Err(CodecError::new("a delete has a value")),
        (PUT | DELETE, _) => Err(CodecError::new(format!(
            "the flags {flags:#04x} are of a later version, or not of this kind; read it with a newer tidelog"
        ))),
        (0, _) => Err(CodecError::new("this is no key-value record")),
        _ => Err(CodecError::new(format!("kind {kind} is of a later version; read it with a newer tidelog"))),
    }
}

#[cold]
fn short(bytes: &[u8]) -> CodecError {
    CodecError::new(format!("a key-value record has 16 bytes at least, this one {}", bytes.len()))
}
