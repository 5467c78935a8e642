//! Making and opening envelopes, without a log.

use super::batch::{self, InnerRecords};
use super::codec::{self, Compression, MaybeDictionary, can_become, feature_off};
use super::context::{Context, room, with_context};
#[cfg(feature = "zstd")]
use super::dictionary::Dictionary;
use super::fault::Fault;
use super::payload::{Contents, Payload};
use super::trailer::{RAW, RAW_TAG, Trailer};
use crate::Result;

const THRESHOLD_BYTES: usize = 128;
const UNPACKED_BYTES_MAX: u32 = 64 << 20;

/// Makes envelopes around payloads and opens them. Cheap to clone; it has the settings and the dictionaries, and each thread
/// its own buffers.
///
/// ```
/// # #[cfg(feature = "lz4")] {
/// use tidelog::compress::{Compression, Contents, Packer};
///
/// let packer = Packer::new(Compression::Lz4);
/// let text = "all work and no play ".repeat(50);
/// let mut envelope = Vec::new();
/// packer.pack(text.as_bytes(), &mut envelope);
/// assert!(envelope.len() < text.len() / 10);
///
/// let mut buffer = Vec::new();
/// let Contents::One(payload) = packer.unpack(&envelope, &mut buffer)? else { panic!() };
/// assert_eq!(*payload, *text.as_bytes());
/// assert!(!payload.is_borrowed());
/// # }
/// # Ok::<(), tidelog::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Packer {
    compression: Compression,
    threshold_bytes: usize,
    unpacked_bytes_max: u32,
    #[cfg(feature = "zstd")]
    dictionary: Option<Dictionary>,
    #[cfg(feature = "zstd")]
    known: Vec<Dictionary>,
}

impl Packer {
    /// Packs by `compression`, and unpacks whatever it knows.
    #[must_use]
    pub fn new(compression: Compression) -> Self {
        Self {
            compression,
            threshold_bytes: THRESHOLD_BYTES,
            unpacked_bytes_max: UNPACKED_BYTES_MAX,
            #[cfg(feature = "zstd")]
            dictionary: None,
            #[cfg(feature = "zstd")]
            known: Vec::new(),
        }
    }

    /// Records below so many bytes are stored raw without a try, unless they are in a batch. 128 by default; with a
    /// dictionary 32 is worth a try.
    #[must_use]
    pub fn threshold_bytes(mut self, bytes: usize) -> Self {
        self.threshold_bytes = bytes;
        self
    }

    /// No envelope is unpacked that claims more bytes, so a hostile one cannot take more memory; and what is longer is
    /// stored raw. 64 MiB by default.
    #[must_use]
    pub fn unpacked_bytes_max(mut self, bytes: u32) -> Self {
        self.unpacked_bytes_max = bytes;
        self
    }

    /// Packs with this dictionary from now on, where it packs by Zstd; and knows it.
    #[cfg(feature = "zstd")]
    #[must_use]
    pub fn dictionary(mut self, dictionary: Dictionary) -> Self {
        self.dictionary = Some(dictionary.clone());
        self.known_dictionary(dictionary)
    }

    /// Knows this dictionary: unpacks what was packed with it. Of two with one id the later counts.
    #[cfg(feature = "zstd")]
    #[must_use]
    pub fn known_dictionary(mut self, dictionary: Dictionary) -> Self {
        self.known.retain(|known| known.id() != dictionary.id());
        self.known.push(dictionary);
        self
    }

    /// How it packs.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }

    #[cfg(feature = "zstd")]
    fn own_dictionary(&self) -> MaybeDictionary<'_> {
        self.dictionary.as_ref()
    }

    #[cfg(not(feature = "zstd"))]
    fn own_dictionary(&self) -> MaybeDictionary<'_> {
        None
    }

    fn find_dictionary(&self, id: Option<u32>) -> core::result::Result<MaybeDictionary<'_>, Fault> {
        let Some(id) = id else { return Ok(None) };
        #[cfg(feature = "zstd")]
        if let Some(known) = self.known.iter().find(|known| known.id() == id) {
            return Ok(Some(known));
        }
        Err(Fault::NoDictionary(id))
    }

    /// Makes the envelope of one record in `envelope`, whose contents are lost.
    pub fn pack(&self, payload: &[u8], envelope: &mut Vec<u8>) {
        with_context(|context| {
            if !self.pack_single(self.compression, payload, envelope, context) {
                envelope.clear();
                envelope.extend_from_slice(payload);
                envelope.push(RAW_TAG);
            }
        });
    }

    /// Makes the envelope of a batch in `envelope`, whose contents are lost. False when there is none, as compressing it
    /// does not save an eighth, or it is too large: then each record is to have an envelope of its own.
    #[must_use]
    pub fn pack_batch<T: AsRef<[u8]>>(&self, records: &[T], envelope: &mut Vec<u8>) -> bool {
        with_context(|context| self.pack_together(self.compression, records, envelope, context))
    }

    /// Compresses one record; false when it is to be stored raw.
    pub(super) fn pack_single(
        &self,
        compression: Compression,
        payload: &[u8],
        envelope: &mut Vec<u8>,
        context: &mut Context,
    ) -> bool {
        payload.len() >= self.threshold_bytes
            && self.compress(compression, payload, payload.len(), false, envelope, context)
    }

    pub(super) fn pack_together<T: AsRef<[u8]>>(
        &self,
        compression: Compression,
        records: &[T],
        envelope: &mut Vec<u8>,
        context: &mut Context,
    ) -> bool {
        if compression == Compression::None || records.is_empty() {
            return false;
        }
        let mut plain = core::mem::take(&mut context.plain);
        let max = usize::try_from(self.unpacked_bytes_max).unwrap_or(usize::MAX);
        let packed = batch::write(records, max, &mut plain).is_some() && {
            // Stored raw each record would have a frame of its own.
            let raw = plain.len().saturating_add(records.len().saturating_mul(16));
            self.compress(compression, &plain, raw, true, envelope, context)
        };
        context.plain = plain;
        packed
    }

    /// False when less than an eighth of `raw_bytes` would be saved. (The bound that RocksDB uses; below it, what reading
    /// costs is more than what is gained.)
    fn compress(
        &self,
        compression: Compression,
        plain: &[u8],
        raw_bytes: usize,
        is_batch: bool,
        envelope: &mut Vec<u8>,
        context: &mut Context,
    ) -> bool {
        if u32::try_from(plain.len()).map_or(true, |bytes| bytes > self.unpacked_bytes_max) {
            return false;
        }
        let done = codec::compress(compression, self.own_dictionary(), plain, envelope, context);
        let Some(trailer) = done else { return false };
        let most = raw_bytes.saturating_sub(raw_bytes / 8);
        if envelope.len().saturating_add(trailer.bytes()) > most {
            return false;
        }
        Trailer { is_batch, ..trailer }.put(envelope);
        true
    }

    /// Opens an envelope. What is compressed goes into `buffer`, whose contents and length mean nothing before and after:
    /// give the same one again, and nothing is allocated.
    ///
    /// It never makes room for more than the envelope records, nor for more than the maximum, nor for more than its
    /// bytes can become. It does not look whether bytes were changed: that the log does, with its checksums.
    ///
    /// # Errors
    /// * [`Unsupported`](crate::ErrorKind::Unsupported): a later version wrote it, or with a feature that is off here.
    /// * [`NotFound`](crate::ErrorKind::NotFound): its dictionary is not known.
    /// * [`TooLarge`](crate::ErrorKind::TooLarge): it claims more than
    ///   [`unpacked_bytes_max`](Self::unpacked_bytes_max).
    /// * [`Undecodable`](crate::ErrorKind::Undecodable): it is no envelope, or a damaged one.
    pub fn unpack<'m, 'b>(&self, envelope: &'m [u8], buffer: &'b mut Vec<u8>) -> Result<Contents<'m, 'b>> {
        self.open(envelope, buffer).map_err(|fault| fault.at(None))
    }

    pub(super) fn open<'m, 'b>(
        &self,
        envelope: &'m [u8],
        buffer: &'b mut Vec<u8>,
    ) -> core::result::Result<Contents<'m, 'b>, Fault> {
        let (body, trailer) = Trailer::split(envelope)?;
        if trailer.codec == RAW {
            return Ok(Contents::One(Payload::Borrowed(body)));
        }
        if let Some(feature) = feature_off(trailer.codec) {
            return Err(Fault::FeatureOff(feature));
        }
        if trailer.unpacked_bytes > self.unpacked_bytes_max {
            let (claimed, max) = (trailer.unpacked_bytes.into(), self.unpacked_bytes_max.into());
            return Err(Fault::OverMaximum { claimed, max });
        }
        if !can_become(&trailer, body) {
            return Err(Fault::Damaged("its trailer claims more bytes than it can become"));
        }
        let dictionary = self.find_dictionary(trailer.dictionary)?;
        let bytes = usize::try_from(trailer.unpacked_bytes)
            .map_err(|_| Fault::Damaged("it is too long for this machine"))?;
        let unpacked = room(buffer, bytes);
        with_context(|context| codec::decompress(&trailer, dictionary, body, unpacked, context))?;
        if trailer.is_batch {
            return InnerRecords::parse(unpacked).map(Contents::Batch);
        }
        Ok(Contents::One(Payload::Unpacked(unpacked)))
    }
}
