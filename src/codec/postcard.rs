//! Any serde type, by postcard: compact, self-contained, decoded into owned or borrowing values.

use core::fmt;
use core::marker::PhantomData;

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::{Deserialize, DeserializeOwned};

use super::{Codec, CodecError};

/// Values of a serde type in the postcard format, which has a [specification](https://postcard.jamesmunns.com/). Decoding
/// gives an owned value; [`PostcardBorrowed`] gives one that borrows.
///
/// The format does not describe itself: a field that is added or removed makes another schema
/// ([`Options::schema`](crate::Options::schema)). Bytes left over behind the value are an error.
///
/// Use no type that contains itself, and no sequence of values that take no bytes, for records from hands that you do not
/// trust: serde bounds neither the depth of the one nor the length of the other.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use tidelog::{Options, Postcard, TypedLog};
///
/// #[derive(Serialize, Deserialize, PartialEq, Debug)]
/// struct Paid { account: u32, cents: i64 }
///
/// # let dir = tempfile::tempdir()?;
/// let log = TypedLog::open(Options::new().schema(1), dir.path(), Postcard::<Paid>::new())?;
/// let lsn = log.append(&Paid { account: 7, cents: -250 })?;
/// assert_eq!(log.snapshot().read(lsn)?.value, Paid { account: 7, cents: -250 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Postcard<T>(PhantomData<fn(T) -> T>);

/// A type that borrows what it can from the payload, named for every lifetime.
pub trait Borrowing {
    /// The type.
    type Of<'a>: Serialize + Deserialize<'a>;
}

/// As [`Postcard`], for types with a lifetime: text and bytes are borrowed from the mapping.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use tidelog::{Borrowing, Options, PostcardBorrowed, TypedLog};
///
/// #[derive(Serialize, Deserialize)]
/// struct Line<'a> { level: u8, text: &'a str }
///
/// #[derive(Debug)]
/// struct Lines;
/// impl Borrowing for Lines {
///     type Of<'a> = Line<'a>;
/// }
///
/// # let dir = tempfile::tempdir()?;
/// let log = TypedLog::open(&Options::new(), dir.path(), PostcardBorrowed::<Lines>::new())?;
/// log.append(&Line { level: 3, text: "not copied when it is read" })?;
/// for line in &log.snapshot() {
///     println!("{}", line?.value.text);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PostcardBorrowed<B>(PhantomData<fn(B) -> B>);

impl<T> Postcard<T> {
    /// The codec.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<B> PostcardBorrowed<B> {
    /// The codec.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Serialize + DeserializeOwned> Codec for Postcard<T> {
    type Item<'a> = T;
    type View<'a> = T;

    fn encode(&self, item: &T, payload: &mut Vec<u8>) -> Result<(), CodecError> {
        encode(item, payload)
    }

    fn decode(&self, payload: &[u8]) -> Result<T, CodecError> {
        decode(payload)
    }
}

impl<B: Borrowing> Codec for PostcardBorrowed<B> {
    type Item<'a> = B::Of<'a>;
    type View<'a> = B::Of<'a>;

    fn encode(&self, item: &B::Of<'_>, payload: &mut Vec<u8>) -> Result<(), CodecError> {
        encode(item, payload)
    }

    fn decode<'a>(&self, payload: &'a [u8]) -> Result<B::Of<'a>, CodecError> {
        decode(payload)
    }
}

fn encode<T: Serialize + ?Sized>(item: &T, payload: &mut Vec<u8>) -> Result<(), CodecError> {
    postcard::serialize_with_flavor(item, Extend(payload)).map_err(|error| CodecError::new(error.to_string()))
}

fn decode<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, CodecError> {
    let (value, rest) =
        postcard::take_from_bytes(payload).map_err(|error| CodecError::new(error.to_string()))?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(CodecError::new(format!("{} bytes are left over behind the value", rest.len())))
    }
}

/// Writes to the end of a buffer. (postcard's own would go byte by byte.)
struct Extend<'a>(&'a mut Vec<u8>);

impl Flavor for Extend<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

impl<T> Clone for Postcard<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Postcard<T> {}

impl<T> Default for Postcard<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Postcard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Postcard")
    }
}

impl<B> Clone for PostcardBorrowed<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for PostcardBorrowed<B> {}

impl<B> Default for PostcardBorrowed<B> {
    fn default() -> Self {
        Self::new()
    }
}

impl<B> fmt::Debug for PostcardBorrowed<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostcardBorrowed")
    }
}
