//! The bytes of a batch before they are compressed: how many, how long each, and then the payloads.

use super::fault::Fault;

const WORD: usize = 4;

/// The records inside a packed batch, in their order. From [`Contents::Batch`](super::Contents::Batch).
#[derive(Clone, Debug)]
pub struct InnerRecords<'a> {
    lengths: &'a [u8],
    payloads: &'a [u8],
}

impl<'a> InnerRecords<'a> {
    /// Judges the whole, so that what it gives later needs no judging.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Fault> {
        let damaged = Fault::Damaged("its list of inner records does not fit its length");
        let (count, rest) = bytes.split_first_chunk::<WORD>().ok_or(damaged)?;
        let count = usize::try_from(u32::from_le_bytes(*count)).map_err(|_| damaged)?;
        let table = count.checked_mul(WORD).ok_or(damaged)?;
        let (lengths, payloads) = rest.split_at_checked(table).ok_or(damaged)?;
        let inner = Self { lengths, payloads };
        let total = inner.lengths().fold(0_u64, |sum, length| sum.saturating_add(u64::from(length)));
        if count == 0 || u64::try_from(payloads.len()) != Ok(total) {
            return Err(damaged);
        }
        Ok(inner)
    }

    fn lengths(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.lengths.as_chunks::<WORD>().0.iter().map(|length| u32::from_le_bytes(*length))
    }

    /// Bytes of the payload of the record that comes next.
    pub(super) fn payload_bytes_left(&self) -> usize {
        self.payloads.len()
    }
}

impl<'a> Iterator for InnerRecords<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, lengths) = self.lengths.split_first_chunk::<WORD>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (payload, payloads) = self.payloads.split_at_checked(length)?;
        (self.lengths, self.payloads) = (lengths, payloads);
        Some(payload)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.lengths.len() / WORD;
        (count, Some(count))
    }
}

impl ExactSizeIterator for InnerRecords<'_> {}
impl core::iter::FusedIterator for InnerRecords<'_> {}

/// Writes the records' bytes into `out`. Each record is asked once for its slice, so that lengths and payloads agree. `None`
/// where the numbers have no room for them, or more than `max` bytes would come of it.
pub(super) fn write<T: AsRef<[u8]>>(records: &[T], max: usize, out: &mut Vec<u8>) -> Option<()> {
    out.clear();
    let table = records.len().checked_mul(WORD)?.checked_add(WORD)?;
    if table > max {
        return None;
    }
    out.extend_from_slice(&u32::try_from(records.len()).ok()?.to_le_bytes());
    out.resize(table, 0);
    for (index, record) in records.iter().enumerate() {
        let payload = record.as_ref();
        if out.len().checked_add(payload.len())? > max {
            return None;
        }
        let at = index.checked_mul(WORD)?.checked_add(WORD)?;
        let end = at.checked_add(WORD)?;
        out.get_mut(at..end)?.copy_from_slice(&u32::try_from(payload.len()).ok()?.to_le_bytes());
        out.extend_from_slice(payload);
    }
    Some(())
}
