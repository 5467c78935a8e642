//! What an envelope says of itself.

use super::trailer::{self, Trailer};
use crate::Result;

/// How the body of an envelope is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// It is the record.
    Raw,
    /// A block of LZ4.
    Lz4,
    /// Frames of Zstd.
    Zstd,
}

/// What an envelope says of itself, known without opening it: for tools.
///
/// ```
/// # #[cfg(feature = "lz4")] {
/// use tidelog::compress::{Codec, Compression, EnvelopeInfo, Packer};
///
/// let mut envelope = Vec::new();
/// Packer::new(Compression::Lz4).pack(&[7; 1000], &mut envelope);
/// let info = EnvelopeInfo::read(&envelope)?;
/// assert_eq!((info.codec, info.unpacked_bytes), (Codec::Lz4, 1000));
/// assert!(EnvelopeInfo::read(b"no envelope").is_err());
/// # }
/// # Ok::<(), tidelog::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnvelopeInfo {
    /// How its body is coded.
    pub codec: Codec,
    /// A batch that was packed as a whole.
    pub is_batch: bool,
    /// The id of the dictionary that it was compressed with.
    pub dictionary: Option<u32>,
    /// How many bytes its body becomes, a batch with its list of lengths. It is what the envelope claims.
    pub unpacked_bytes: u64,
}

impl EnvelopeInfo {
    /// Reads the trailer.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported), [`Undecodable`](crate::ErrorKind::Undecodable): it is no envelope, or one of
    /// a later version.
    pub fn read(envelope: &[u8]) -> Result<Self> {
        let (body, trailer) = Trailer::split(envelope).map_err(|fault| fault.at(None))?;
        let (codec, unpacked_bytes) = match trailer.codec {
            trailer::LZ4 => (Codec::Lz4, trailer.unpacked_bytes.into()),
            trailer::ZSTD => (Codec::Zstd, trailer.unpacked_bytes.into()),
            _ => (Codec::Raw, u64::try_from(body.len()).unwrap_or(u64::MAX)),
        };
        Ok(Self { codec, is_batch: trailer.is_batch, dictionary: trailer.dictionary, unpacked_bytes })
    }
}
