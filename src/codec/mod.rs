//! Typed records: how values become payloads and payloads become values again.

#[cfg(feature = "postcard")]
mod postcard;
#[cfg(feature = "rkyv")]
mod rkyv;
#[cfg(feature = "zerocopy")]
mod zerocopy;

use core::fmt;
use std::borrow::Cow;

#[cfg(feature = "postcard")]
pub use self::postcard::{Borrowing, Postcard, PostcardBorrowed};
#[cfg(feature = "rkyv")]
pub use self::rkyv::Rkyv;
#[cfg(feature = "zerocopy")]
pub use self::zerocopy::Fixed;

/// How values become the payloads of records, and payloads values again. A [`TypedLog`](crate::TypedLog) uses it.
///
/// Two methods are needed. Both types take a lifetime, so that what is appended may be borrowed, and what is read may
/// borrow from the payload, which lies in the mapping: then nothing is copied. Types that need neither ignore it.
///
/// A codec is cheap to clone: what is large in it stands behind an `Arc`.
///
/// ```
/// use tidelog::{Codec, CodecError, Options, TypedLog};
///
/// /// Records are text.
/// #[derive(Clone, Copy, Debug)]
/// struct Text;
///
/// impl Codec for Text {
///     type Item<'a> = &'a str;
///     type View<'a> = &'a str;
///
///     fn encode(&self, item: &&str, payload: &mut Vec<u8>) -> Result<(), CodecError> {
///         payload.extend_from_slice(item.as_bytes());
///         Ok(())
///     }
///
///     fn decode<'a>(&self, payload: &'a [u8]) -> Result<&'a str, CodecError> {
///         std::str::from_utf8(payload).map_err(|error| CodecError::new(error.to_string()))
///     }
/// }
///
/// # let dir = tempfile::tempdir()?;
/// let log = TypedLog::open(Options::new().segment_bytes(1 << 16), dir.path(), Text)?;
/// let lsn = log.append(&"hello")?;
/// assert_eq!(log.snapshot().read(lsn)?.value, "hello"); // borrowed from the mapping
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Codec: Clone {
    /// What is appended.
    type Item<'a>;

    /// What reading gives. It may borrow from the payload.
    type View<'a>;

    /// Appends the encoding of `item` to `payload`, which may hold something already. What it leaves there with an error
    /// is not used.
    ///
    /// # Errors
    /// The item cannot be encoded; nothing is appended to the log.
    fn encode(&self, item: &Self::Item<'_>, payload: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Reads the payload of one record. A payload in the log begins at an address divisible by 8; one from elsewhere may
    /// not, and a codec that needs it there gives an error.
    ///
    /// It must neither panic nor loop on any bytes: the checksum says that they are what was appended, not by whom.
    ///
    /// # Errors
    /// The payload is no encoding of a value.
    fn decode<'a>(&self, payload: &'a [u8]) -> Result<Self::View<'a>, CodecError>;

    /// The encoding of `item` where the item holds it already, so that it need not be copied before it is appended. By
    /// default there is none, and [`encode`](Self::encode) is used.
    fn encoded<'i>(&self, _item: &'i Self::Item<'_>) -> Option<&'i [u8]> {
        None
    }
}

/// Why a value could not be encoded, or a payload not be decoded. The log makes an [`Error`](crate::Error) of it, with
/// the record's LSN.
///
/// ```
/// let error = tidelog::CodecError::new("the length is odd");
/// assert_eq!(error.to_string(), "the length is odd");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodecError(Cow<'static, str>);

impl CodecError {
    /// An error with this message: what is wrong with the value or the payload.
    #[must_use]
    pub fn new(what: impl Into<Cow<'static, str>>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CodecError {}

/// What the format guarantees of a payload's address (`docs/FORMAT.md`).
#[cfg(any(feature = "rkyv", feature = "zerocopy"))]
const PAYLOAD_ALIGN: usize = 8;
