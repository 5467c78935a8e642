//! Appending: measure, claim, copy, publish.

mod large;

use crate::chain::Chain;
use crate::error::{Error, Result};
use crate::format::checksum::crc;
use crate::format::frame::frame_bytes;
use crate::limits::{FRAME_ALIGN, FRAME_HEADER_BYTES};
use crate::lsn::Lsn;
use crate::reentry::{InsideClaim, refuse_inside_claim};
use crate::segment::claim::Claimed;

/// A record or batch in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Appended {
    pub(crate) lsn: u64,
    /// Where it ends: durable when the durable watermark has reached this.
    pub(crate) end: u64,
}

/// The largest payload that fits one claim.
pub(crate) const fn record_bytes_max(claim_max: u64) -> u64 {
    claim_max - FRAME_HEADER_BYTES
}

/// The frame's size for a payload of `len` bytes.
#[inline]
fn measure(chain: &Chain, len: usize) -> Result<u64> {
    let limit = record_bytes_max(chain.geometry.claim_max);
    let len = len as u64;
    if len > limit {
        return Err(Error::too_large("a record", len, limit));
    }
    Ok(frame_bytes(len))
}

/// Appends a copy of `payload`.
#[inline]
pub(crate) fn append(chain: &Chain, payload: &[u8]) -> Result<Appended> {
    if payload.len() as u64 > chain.plain_max {
        return large::append(chain, payload, Chain::claim);
    }
    let bytes = frame_bytes(payload.len() as u64);
    // Before the claim, so that a thread that is preempted here holds nobody up.
    let crc = crc(chain.verifier.checksum, payload);
    let mut claimed = chain.claim(bytes)?;
    let lsn = claimed.lsn();
    claimed.copy_payload(0, payload);
    claimed.publish(payload.len() as u64, crc);
    Ok(Appended { lsn, end: lsn + bytes })
}

/// The same, but it fails where it would wait for a segment. (Written out, as the other one is slower when the way to
/// claim is a parameter of both.)
#[inline(never)]
pub(crate) fn try_append(chain: &Chain, payload: &[u8]) -> Result<Appended> {
    if payload.len() as u64 > chain.plain_max {
        return large::append(chain, payload, Chain::try_claim);
    }
    let bytes = frame_bytes(payload.len() as u64);
    let crc = crc(chain.verifier.checksum, payload);
    let mut claimed = chain.try_claim(bytes)?;
    let lsn = claimed.lsn();
    claimed.copy_payload(0, payload);
    claimed.publish(payload.len() as u64, crc);
    Ok(Appended { lsn, end: lsn + bytes })
}

/// The bytes of the log that a claim for these records takes at most; what a task waits for room for. Too large a claim
/// is refused before anything is waited for.
pub(crate) fn room_for<T: AsRef<[u8]>>(chain: &Chain, records: &[T]) -> u64 {
    let bytes = records.iter().map(|record| frame_bytes(record.as_ref().len() as u64));
    bytes.fold(0, u64::saturating_add).min(chain.geometry.claim_max)
}

/// Appends `len` bytes that `fill` writes in place. If `fill` panics, the claim becomes padding and the panic
/// goes on.
pub(crate) fn append_with(chain: &Chain, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<Appended> {
    refuse_inside_claim()?;
    let bytes = measure(chain, len)?;
    let mut claimed = chain.claim(bytes)?;
    let lsn = claimed.lsn();
    let crc = {
        let _inside = InsideClaim::enter();
        if claimed.is_copied_by_pages() {
            let mut buffer = vec![0_u8; len + FRAME_ALIGN as usize];
            // At an address that is divisible by eight, as in the mapping.
            let begin = buffer.as_ptr().align_offset(FRAME_ALIGN as usize);
            let payload = &mut buffer[begin..begin + len];
            fill(payload);
            claimed.copy_payload(0, payload);
            crc(chain.verifier.checksum, payload)
        } else {
            let payload = claimed.payload_mut(0, len as u64);
            fill(payload);
            crc(chain.verifier.checksum, payload)
        }
    };
    claimed.publish(len as u64, crc);
    Ok(Appended { lsn, end: lsn + bytes })
}

/// Appends all of `records` as one batch.
pub(crate) fn append_batch<T: AsRef<[u8]>>(chain: &Chain, records: &[T]) -> Result<Option<Appended>> {
    match records {
        [only] => append(chain, only.as_ref()).map(Some),
        _ => append_batch_by(chain, records, Chain::claim),
    }
}

/// The same, but it fails where it would wait for a segment.
pub(crate) fn try_append_batch<T: AsRef<[u8]>>(chain: &Chain, records: &[T]) -> Result<Option<Appended>> {
    match records {
        [only] => try_append(chain, only.as_ref()).map(Some),
        _ => append_batch_by(chain, records, Chain::try_claim),
    }
}

fn append_batch_by<'a, T: AsRef<[u8]>>(
    chain: &'a Chain,
    records: &[T],
    claim: impl FnOnce(&'a Chain, u64) -> Result<Claimed<'a>>,
) -> Result<Option<Appended>> {
    let (first, rest) = match records {
        [] => return Ok(None),
        [first, rest @ ..] => (first.as_ref(), rest),
    };
    let mut bytes = 0_u64;
    for record in records {
        bytes = bytes.saturating_add(measure(chain, record.as_ref().len())?);
    }
    if bytes > chain.geometry.claim_max {
        return Err(Error::too_large("a batch", bytes, chain.geometry.claim_max));
    }
    let mut claimed = claim(chain, bytes)?;
    let lsn = claimed.lsn();
    // The records' `as_ref` is the caller's code, and runs while the claim is open.
    let _inside = InsideClaim::enter();
    let first_len = first.len() as u64;
    if chain.goes_through_file(bytes) && large::write_batch(chain, &claimed, first, rest) {
        claimed.publish_batch(first_len, crc(chain.verifier.checksum, first));
        return Ok(Some(Appended { lsn, end: lsn + bytes }));
    }
    let mut at = frame_bytes(first_len);
    for (index, record) in rest.iter().enumerate() {
        let payload = record.as_ref();
        let next = at.saturating_add(frame_bytes(payload.len() as u64));
        let last = index + 1 == rest.len();
        // An `AsRef` that gives another slice the second time: the claim becomes padding.
        if next > bytes || (last && next != bytes) {
            claimed.abort();
            return Err(Error::invalid_option(
                "a record of the batch changed its length while it was appended",
            ));
        }
        claimed.add_to_batch(at, payload, crc(chain.verifier.checksum, payload), last);
        at = next;
    }
    claimed.copy_payload(0, first);
    claimed.publish_batch(first_len, crc(chain.verifier.checksum, first));
    Ok(Some(Appended { lsn, end: lsn + bytes }))
}

/// The LSNs of a batch that was appended, in its order. It computes them and allocates nothing.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
/// let lsns = log.append_batch(&["a", "bb", "ccc"])?;
/// assert_eq!(lsns.len(), 3);
/// for lsn in lsns {
///     println!("{lsn}: {:?}", log.read(lsn)?.payload());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct BatchLsns<'a, T> {
    next: u64,
    records: core::slice::Iter<'a, T>,
}

impl<'a, T> BatchLsns<'a, T> {
    pub(crate) fn new(first: u64, records: &'a [T]) -> Self {
        Self { next: first, records: records.iter() }
    }
}

impl<T: AsRef<[u8]>> Iterator for BatchLsns<'_, T> {
    type Item = Lsn;

    fn next(&mut self) -> Option<Lsn> {
        let record = self.records.next()?;
        let lsn = self.next;
        self.next = self.next.saturating_add(frame_bytes(record.as_ref().len() as u64));
        Some(Lsn::new(lsn))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.records.size_hint()
    }
}

impl<T: AsRef<[u8]>> ExactSizeIterator for BatchLsns<'_, T> {}
impl<T: AsRef<[u8]>> core::iter::FusedIterator for BatchLsns<'_, T> {}
