//! Archived values, by rkyv: reading checks the bytes once and gives a reference into the mapping.

use core::fmt;
use core::marker::PhantomData;
use core::num::NonZeroUsize;

use rkyv::api::access_with_context;
use rkyv::api::high::{HighSerializer, HighValidator, to_bytes_in};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::BoxedError;
use rkyv::ser::allocator::ArenaHandle;
use rkyv::ser::{Positional, Writer};
use rkyv::validation::Validator;
use rkyv::validation::archive::ArchiveValidator;
use rkyv::validation::shared::SharedValidator;
use rkyv::{Archive, Serialize};

use super::{Codec, CodecError, PAYLOAD_ALIGN};

/// Pointers inside pointers that validation follows, so that no bytes exhaust the stack.
const DEPTH_MAX: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// Values in the format of `rkyv`. Reading gives a reference to the archived value in the mapping, after bytecheck has
/// validated it; text, vectors and maps in it are not copied either. Validation follows at most 256 pointers inside one
/// another.
///
/// A payload begins at an address divisible by 8. A type whose archive needs more does not compile.
///
/// ```
/// use rkyv::{Archive, Serialize};
/// use tidelog::{Options, Rkyv, TypedLog};
///
/// #[derive(Archive, Serialize)]
/// struct Order { id: u64, symbol: String, fills: Vec<u32> }
///
/// # let dir = tempfile::tempdir()?;
/// let log = TypedLog::open(Options::new().schema(1), dir.path(), Rkyv::<Order>::new())?;
/// log.append(&Order { id: 1, symbol: "TIDE".to_owned(), fills: vec![3, 4] })?;
/// for order in &log.snapshot() {
///     let order = order?.value;
///     assert_eq!((order.symbol.as_str(), order.fills.len()), ("TIDE", 2));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Rkyv<T>(PhantomData<fn(T) -> T>);

impl<T: Archive> Rkyv<T> {
    const FITS: () = assert!(
        align_of::<T::Archived>() <= PAYLOAD_ALIGN,
        "the archived type needs more alignment than the 8 bytes of a payload"
    );
}

impl<T> Rkyv<T> {
    /// The codec.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Codec for Rkyv<T>
where
    T: Archive + for<'a> Serialize<HighSerializer<Behind, ArenaHandle<'a>, BoxedError>>,
    T::Archived: for<'a> CheckBytes<HighValidator<'a, BoxedError>> + 'static,
{
    type Item<'a> = T;
    type View<'a> = &'a T::Archived;

    fn encode(&self, item: &T, payload: &mut Vec<u8>) -> Result<(), CodecError> {
        let () = Self::FITS;
        let buffer = core::mem::take(payload);
        let behind = Behind { begin: buffer.len(), buffer };
        *payload =
            to_bytes_in(item, behind).map_err(|error: BoxedError| CodecError::new(error.to_string()))?.buffer;
        Ok(())
    }

    fn decode<'a>(&self, payload: &'a [u8]) -> Result<&'a T::Archived, CodecError> {
        let () = Self::FITS;
        let archive = ArchiveValidator::with_max_depth(payload, Some(DEPTH_MAX));
        let mut validator = Validator::new(archive, SharedValidator::new());
        access_with_context::<T::Archived, _, BoxedError>(payload, &mut validator)
            .map_err(|error| refused(&error))
    }
}

#[cold]
fn refused(error: &BoxedError) -> CodecError {
    CodecError::new(format!(
        "the bytes are no archive of the type, or one with more than {DEPTH_MAX} pointers inside one another: {error}"
    ))
}

/// Writes behind what the buffer holds, and counts positions, which alignment goes by, from there.
#[doc(hidden)]
#[derive(Debug)]
pub struct Behind {
    buffer: Vec<u8>,
    begin: usize,
}

impl Positional for Behind {
    #[inline]
    fn pos(&self) -> usize {
        self.buffer.len() - self.begin
    }
}

impl<E> Writer<E> for Behind {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), E> {
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }
}

impl<T> Clone for Rkyv<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Rkyv<T> {}

impl<T> Default for Rkyv<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Rkyv<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rkyv")
    }
}
