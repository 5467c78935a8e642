//! Structs of a fixed layout: the record is the struct's bytes, and reading it is a look at them.

use core::fmt;
use core::marker::PhantomData;

use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

use super::{Codec, CodecError, PAYLOAD_ALIGN};

/// Values of a type with a fixed layout, by `zerocopy`. A record is the value's own bytes; reading gives a reference into
/// the mapping, after the length and, where the type has bytes that no value has, the bytes were checked.
///
/// The bytes are in the machine's order unless the type says otherwise (`zerocopy::little_endian`), so a log of such
/// records is read on machines of the same order.
///
/// A payload begins at an address divisible by 8. A type that needs more does not compile:
///
/// ```compile_fail
/// use tidelog::{Codec, Fixed};
/// use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};
///
/// #[derive(TryFromBytes, IntoBytes, KnownLayout, Immutable)]
/// #[repr(C, align(16))]
/// struct Wide([u8; 16]);
///
/// let _ = Fixed::<Wide>::new().decode(&[0; 16]);
/// ```
///
/// ```
/// use tidelog::{Fixed, Options, TypedLog};
/// use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};
///
/// #[derive(TryFromBytes, IntoBytes, KnownLayout, Immutable)]
/// #[repr(C)]
/// struct Tick { at_ns: u64, price: u32, size: u32 }
///
/// # let dir = tempfile::tempdir()?;
/// let log = TypedLog::open(Options::new().schema(1), dir.path(), Fixed::<Tick>::new())?;
/// log.append(&Tick { at_ns: 1, price: 10_050, size: 3 })?;
/// for tick in &log.snapshot() {
///     assert_eq!(tick?.value.price, 10_050);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Fixed<T>(PhantomData<fn(T) -> T>);

impl<T> Fixed<T> {
    const FITS: () = assert!(
        align_of::<T>() <= PAYLOAD_ALIGN,
        "the type needs more alignment than the 8 bytes of a payload"
    );

    /// The codec.
    #[must_use]
    pub const fn new() -> Self {
        let () = Self::FITS;
        Self(PhantomData)
    }
}

impl<T: TryFromBytes + IntoBytes + KnownLayout + Immutable + 'static> Codec for Fixed<T> {
    type Item<'a> = T;
    type View<'a> = &'a T;

    fn encode(&self, item: &T, payload: &mut Vec<u8>) -> Result<(), CodecError> {
        payload.extend_from_slice(item.as_bytes());
        Ok(())
    }

    #[inline]
    fn decode<'a>(&self, payload: &'a [u8]) -> Result<&'a T, CodecError> {
        let () = Self::FITS;
        T::try_ref_from_bytes(payload).map_err(|_| explain::<T>(payload))
    }

    #[inline]
    fn encoded<'i>(&self, item: &'i T) -> Option<&'i [u8]> {
        Some(item.as_bytes())
    }
}

#[cold]
fn explain<T>(payload: &[u8]) -> CodecError {
    let (len, size) = (payload.len(), size_of::<T>());
    if len != size {
        CodecError::new(format!("the payload has {len} bytes, the type {size}"))
    } else if !payload.as_ptr().addr().is_multiple_of(align_of::<T>()) {
        CodecError::new(format!("the payload does not begin at an address divisible by {}", align_of::<T>()))
    } else {
        CodecError::new("the bytes are no value of the type")
    }
}

impl<T> Clone for Fixed<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Fixed<T> {}

impl<T> Default for Fixed<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Fixed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fixed")
    }
}
