//! Dictionaries: what small records have in common, known beforehand.

use core::fmt;
use std::sync::{Arc, OnceLock};

use zstd::zstd_safe::{CDict, DDict};

use super::codec::{LEVEL_MAX, LEVEL_MIN, clamp_level};
use crate::{Error, Result};

/// With these a dictionary begins that Zstd has trained; four bytes of an id follow.
const MAGIC: [u8; 4] = 0xec30_a437_u32.to_le_bytes();

const LEVELS: usize = 30;

/// What small records have in common, so that Zstd need not be told anew in each. Cheap to clone.
///
/// A record that was compressed with a dictionary names it by its [`id`](Self::id), which is computed from the bytes, so a
/// wrong dictionary is noticed and never gives wrong bytes. **Who reads the record must have the same bytes**: keep them
/// beside the log or in the program, as long as there are such records. They are not kept in the log by themselves, as
/// retirement would drop them before the records that need them.
///
/// ```
/// use tidelog::compress::{Compression, Contents, Dictionary, Packer};
///
/// let samples: Vec<String> =
///     (0..1000).map(|n| format!("{{\"user\":{n},\"event\":\"login\",\"node\":\"eu-{}\"}}", n % 7)).collect();
/// let dictionary = Dictionary::train(&samples, 4 << 10)?;
/// let packer = Packer::new(Compression::Zstd { level: 3 }).threshold_bytes(32).dictionary(dictionary.clone());
///
/// let record = br#"{"user":5000,"event":"login","node":"eu-3"}"#;
/// let mut envelope = Vec::new();
/// packer.pack(record, &mut envelope);
/// assert!(envelope.len() < record.len());
///
/// let reader = Packer::new(Compression::None).known_dictionary(Dictionary::new(dictionary.bytes())?);
/// let mut buffer = Vec::new();
/// let Contents::One(payload) = reader.unpack(&envelope, &mut buffer)? else { panic!() };
/// assert_eq!(*payload, record[..]);
/// # Ok::<(), tidelog::Error>(())
/// ```
#[derive(Clone)]
pub struct Dictionary(Arc<Inner>);

struct Inner {
    id: u32,
    bytes: Box<[u8]>,
    /// The bytes as they are given to Zstd: without an id of its own, which would cost each record four bytes more.
    digested: Box<[u8]>,
    decoder: DDict<'static>,
    encoders: [OnceLock<Option<CDict<'static>>>; LEVELS],
}

impl Dictionary {
    /// A dictionary of these bytes: trained ones, or any that resemble the records, the likeliest last.
    ///
    /// # Errors
    /// [`InvalidOption`](crate::ErrorKind::InvalidOption): fewer than 8 bytes, or Zstd does not accept them.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        if bytes.len() < 8 {
            return Err(Error::invalid_option(format!(
                "a dictionary of {} bytes is none; give it 8 at least",
                bytes.len()
            )));
        }
        let mut digested: Box<[u8]> = bytes.into();
        if digested.first_chunk() == Some(&MAGIC)
            && let Some(id) = digested.get_mut(4..8)
        {
            id.fill(0);
        }
        let refused = || {
            Error::invalid_option("Zstd does not accept the dictionary; give the bytes that training gave")
        };
        let decoder = DDict::try_create(&digested).ok_or_else(refused)?;
        let inner = Inner {
            id: fingerprint(bytes),
            bytes: bytes.into(),
            digested,
            decoder,
            encoders: [const { OnceLock::new() }; LEVELS],
        };
        let dictionary = Self(Arc::new(inner));
        dictionary.encoder(3).ok_or_else(refused)?;
        Ok(dictionary)
    }

    /// Trains a dictionary of at most `bytes_max` bytes on samples of records: some hundreds, together a hundred times
    /// as many bytes. It takes seconds for megabytes.
    ///
    /// # Errors
    /// [`InvalidOption`](crate::ErrorKind::InvalidOption): too few samples, or nothing in common between them.
    pub fn train<T: AsRef<[u8]>>(samples: &[T], bytes_max: usize) -> Result<Self> {
        let trained = zstd::dict::from_samples(samples, bytes_max).map_err(|error| {
            Error::invalid_option(format!(
                "{} samples make no dictionary: {error}; give more, or fewer bytes_max",
                samples.len()
            ))
        })?;
        Self::new(&trained)
    }

    /// By which records name it: the 32-bit FNV-1a hash of its bytes.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id
    }

    /// What is to be kept, and given to [`new`](Self::new) again.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    pub(super) fn decoder(&self) -> &DDict<'static> {
        &self.0.decoder
    }

    /// Digested once for each level, for all threads.
    pub(super) fn encoder(&self, wanted: i32) -> Option<&CDict<'static>> {
        let wanted = clamp_level(wanted);
        let slot = usize::try_from(wanted.saturating_sub(LEVEL_MIN)).ok()?;
        self.0.encoders.get(slot)?.get_or_init(|| CDict::try_create(&self.0.digested, wanted)).as_ref()
    }
}

const _: () = assert!(LEVEL_MAX.abs_diff(LEVEL_MIN) == 29);

fn fingerprint(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

impl PartialEq for Dictionary {
    fn eq(&self, other: &Self) -> bool {
        self.0.bytes == other.0.bytes
    }
}

impl Eq for Dictionary {}

impl fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dictionary").field("id", &self.0.id).field("bytes", &self.0.bytes.len()).finish()
    }
}
