//! A log whose records are envelopes.

use core::ops::RangeBounds;

use super::address::{Address, Addresses, BatchAddresses};
use super::codec::Compression;
use super::context::{Context, with_context};
use super::follow::CompressedTail;
use super::kept::KeptRecord;
use super::packer::Packer;
use super::replay::Replay;
use super::trailer::RAW_TAG;
use crate::{Log, Lsn, Result, Snapshot, Tail};

/// A [`Log`] whose records are envelopes: compressed where that saves something. Cheap to clone, and used from any number of
/// threads; each compresses by itself, and no lock is taken.
///
/// Everything else (syncing, retirement, cursors, closing) is done at the [log](Self::log) below. What is appended there has
/// no envelope, and does not unpack.
///
/// ```
/// # #[cfg(feature = "lz4")] {
/// use tidelog::compress::{CompressedLog, Compression, Packer};
///
/// # let dir = tempfile::tempdir()?;
/// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
/// let log = CompressedLog::new(log, Packer::new(Compression::Lz4));
/// let lsn = log.append("a record that says the same again and again, ".repeat(9).as_bytes())?;
/// assert!(!log.read(lsn)?.is_pinned()); // it was compressed
/// let lsn = log.append_as(Compression::None, &[7; 4096])?; // this one is to be read without a copy
/// assert!(log.read(lsn)?.is_pinned());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CompressedLog {
    log: Log,
    packer: Packer,
}

impl CompressedLog {
    /// Appends to `log` through `packer`, and reads through it.
    #[must_use]
    pub fn new(log: Log, packer: Packer) -> Self {
        Self { log, packer }
    }

    /// The log below.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Makes and opens its envelopes.
    #[must_use]
    pub fn packer(&self) -> &Packer {
        &self.packer
    }

    /// Appends a record, by the packer's compression. It returns when [`Log::append`] does. Whether it may be stored raw is
    /// decided before anything is claimed, so compressing holds nobody up.
    ///
    /// # Errors
    /// As [`Log::append`]. A record may be larger than [`Log::record_bytes_max`] when its envelope is not.
    pub fn append(&self, payload: &[u8]) -> Result<Lsn> {
        self.append_as(self.packer.compression(), payload)
    }

    /// As [`append`](Self::append), by another compression.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_as(&self, compression: Compression, payload: &[u8]) -> Result<Lsn> {
        with_context(|context| {
            if self.envelop(compression, payload, context) {
                return self.log.append(&context.envelope);
            }
            // In place, so that a raw payload is copied once, as by the log.
            self.log.append_with(payload.len().saturating_add(1), |place| {
                if let Some((tag, place)) = place.split_last_mut() {
                    place.copy_from_slice(payload);
                    *tag = RAW_TAG;
                }
            })
        })
    }

    /// As [`append`](Self::append), but it returns when the record is published, as [`Log::append_nowait`] does.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_nowait(&self, payload: &[u8]) -> Result<Lsn> {
        with_context(|context| {
            if !self.envelop(self.packer.compression(), payload, context) {
                put_raw(payload, &mut context.envelope);
            }
            self.log.append_nowait(&context.envelope)
        })
    }

    /// Appends several records as one: readers see all or none of them, and so does recovery. They are compressed together,
    /// and are one record of the log; where that saves too little, each is stored raw, as a record of the log's batch.
    ///
    /// # Errors
    /// As [`Log::append_batch`].
    ///
    /// ```
    /// # #[cfg(feature = "zstd")] {
    /// # use tidelog::compress::{CompressedLog, Compression, Packer};
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// let log = CompressedLog::new(log, Packer::new(Compression::Zstd { level: 3 }));
    /// let lines: Vec<String> = (0..50).map(|n| format!("temperature of sensor {n}: 20")).collect();
    /// let addresses = log.append_batch(&lines)?;
    /// assert!(addresses.is_packed());
    /// for (address, line) in addresses.zip(&lines) {
    ///     assert_eq!(log.read(address)?.payload(), line.as_bytes());
    /// }
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn append_batch<T: AsRef<[u8]>>(&self, records: &[T]) -> Result<BatchAddresses> {
        self.append_batch_as(self.packer.compression(), records)
    }

    /// As [`append_batch`](Self::append_batch), by another compression.
    ///
    /// # Errors
    /// As [`append_batch`](Self::append_batch).
    pub fn append_batch_as<T: AsRef<[u8]>>(
        &self,
        compression: Compression,
        records: &[T],
    ) -> Result<BatchAddresses> {
        with_context(|context| {
            let mut envelope = core::mem::take(&mut context.envelope);
            let packed = self.packer.pack_together(compression, records, &mut envelope, context);
            context.envelope = envelope;
            if packed {
                let lsn = self.log.append(&context.envelope)?;
                let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
                return Ok(BatchAddresses(Addresses::Packed(lsn, 0..count)));
            }
            let mut envelopes = Vec::with_capacity(records.len());
            for record in records {
                let payload = record.as_ref();
                let mut envelope = Vec::with_capacity(payload.len().saturating_add(1));
                put_raw(payload, &mut envelope);
                envelopes.push(envelope);
            }
            let lsns: Vec<Lsn> = self.log.append_batch(&envelopes)?.collect();
            Ok(BatchAddresses(Addresses::Raw(lsns.into_iter())))
        })
    }

    /// Makes the envelope of what is worth compressing.
    fn envelop(&self, compression: Compression, payload: &[u8], context: &mut Context) -> bool {
        let mut envelope = core::mem::take(&mut context.envelope);
        let packed = self.packer.pack_single(compression, payload, &mut envelope, context);
        context.envelope = envelope;
        packed
    }

    /// The record at an address, or at an LSN; of a packed batch, the LSN alone gives its first. All of the envelope is
    /// decompressed for it: to have several of a batch, use [`read_all`](Self::read_all).
    ///
    /// # Errors
    /// As [`Log::read`], and as [`Packer::unpack`], with the LSN; [`NotARecord`](crate::ErrorKind::NotARecord) when the batch
    /// has fewer records.
    pub fn read(&self, address: impl Into<Address>) -> Result<KeptRecord> {
        let address = address.into();
        KeptRecord::one(&self.packer, self.log.read(address.lsn())?, address.index())
    }

    /// All records of the packed batch at `lsn`, which share one buffer; or the record there, if it is alone.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_all(&self, lsn: Lsn) -> Result<Vec<KeptRecord>> {
        KeptRecord::all(&self.packer, self.log.read(lsn)?)
    }

    /// The records of a snapshot of the log.
    #[must_use]
    pub fn replay<'s>(&self, snapshot: &'s Snapshot) -> Replay<'s> {
        Replay::new(&self.packer, snapshot.iter())
    }

    /// The records of a part of a snapshot: those of whole records of the log whose LSNs are in the range.
    #[must_use]
    pub fn replay_range<'s>(&self, snapshot: &'s Snapshot, range: impl RangeBounds<Lsn>) -> Replay<'s> {
        Replay::new(&self.packer, snapshot.range(range))
    }

    /// The records that a tail of this log gives, one of [`Log::tail`] or [`Log::tail_durable`].
    #[must_use]
    pub fn follow(&self, tail: Tail) -> CompressedTail {
        CompressedTail::new(&self.packer, tail)
    }
}

fn put_raw(payload: &[u8], envelope: &mut Vec<u8>) {
    envelope.clear();
    envelope.extend_from_slice(payload);
    envelope.push(RAW_TAG);
}
