//! The binary format: each record behind its length, each with a checksum. All numbers are little-endian.

use std::io::{BufRead, Read};

use super::{Bad, Header, Item, Next, Place, Source, Totals};

const MAGIC: &[u8; 8] = b"TIDEPORT";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 64;
/// Before each payload: its length, its kind, three zeros, and the LSN.
const HEAD_BYTES: usize = 16;
/// Of the kinds; those of records are 0 to 3.
const END: u8 = 255;
/// No claim of a log is larger.
const PAYLOAD_BYTES_MAX: u32 = 128 << 20;

fn crc(parts: &[&[u8]]) -> [u8; 8] {
    let mut digest = crc64fast::Digest::new();
    for part in parts {
        digest.write(part);
    }
    digest.sum64().to_le_bytes()
}

pub(super) fn begin(header: &Header, out: &mut Vec<u8>) {
    let from = out.len();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(HEADER_BYTES as u32).to_le_bytes());
    out.extend_from_slice(&header.log_id);
    for number in [header.segment_bytes, header.start, header.end] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    let crc = crc(&[&out[from..]]);
    out.extend_from_slice(&crc);
}

fn frame(kind: u8, lsn: u64, payload: &[u8], out: &mut Vec<u8>) {
    let mut head = [0; HEAD_BYTES];
    // A payload is at most 128 MiB, and so is the list of what is missing.
    head[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    head[4] = kind;
    head[8..].copy_from_slice(&lsn.to_le_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc(&[&head, payload]));
}

pub(super) fn record(lsn: u64, place: Place, payload: &[u8], out: &mut Vec<u8>) {
    frame(place as u8, lsn, payload, out);
}

pub(super) fn end(totals: &Totals, out: &mut Vec<u8>) {
    let numbers = [totals.records, totals.batches, totals.payload_bytes];
    let missing = totals.missing.iter().flat_map(|(from, to)| [*from, *to]);
    let payload: Vec<u8> = numbers.into_iter().chain(missing).flat_map(u64::to_le_bytes).collect();
    frame(END, 0, &payload, out);
}

/// Reads an export.
pub(super) struct Reader {
    input: Box<dyn BufRead>,
    header: Header,
    records: u64,
    last: Option<u64>,
}

impl Reader {
    pub(super) fn new(mut input: Box<dyn BufRead>) -> Result<Self, Bad> {
        let mut bytes = Vec::new();
        let read = (&mut input).take(HEADER_BYTES as u64).read_to_end(&mut bytes).map_err(Bad::Io)?;
        if !bytes.starts_with(&MAGIC[..read.min(8)]) {
            return Err(Bad::Wrong(
                "the input does not begin as an export does; name its format with --format, and for files from elsewhere \
                 the field that is the payload with --field"
                    .to_owned(),
            ));
        }
        if read < HEADER_BYTES {
            return Err(Bad::Cut("the export is cut off inside its header".to_owned()));
        }
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]));
        let version = word(8) as u32;
        if version != VERSION {
            return Err(Bad::Wrong(format!(
                "the export has version {version}, and this tool reads {VERSION}; use a later one"
            )));
        }
        if bytes[56..] != crc(&[&bytes[..56]]) {
            return Err(Bad::Wrong("the export's header is damaged: its checksum does not hold".to_owned()));
        }
        let log_id = std::array::from_fn(|index| bytes[16 + index]);
        let header = Header { log_id, segment_bytes: word(32), start: word(40), end: word(48) };
        Ok(Self { input, header, records: 0, last: None })
    }

    /// Exactly so many bytes. The room grows with what is there, so a length that lies takes no memory.
    fn take(&mut self, bytes: u32) -> Result<Vec<u8>, Bad> {
        let mut taken = Vec::new();
        let read = (&mut self.input).take(bytes.into()).read_to_end(&mut taken).map_err(Bad::Io)?;
        if read < bytes as usize {
            return Err(Bad::Cut(match self.last {
                Some(lsn) => {
                    format!("the export is cut off behind record {}, that had LSN {lsn}", self.records)
                }
                None => "the export is cut off before its first record".to_owned(),
            }));
        }
        Ok(taken)
    }
}

impl Source for Reader {
    fn next(&mut self) -> Result<Next, Bad> {
        let number = self.records + 1;
        let wrong = |what: &str| Bad::Wrong(format!("record {number} of the export {what}"));
        let head = self.take(HEAD_BYTES as u32)?;
        let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        if len > PAYLOAD_BYTES_MAX {
            return Err(wrong(&format!("is damaged: it claims {len} bytes, and no record has so many")));
        }
        let payload = self.take(len)?;
        if self.take(8)? != crc(&[&head, &payload]) {
            return Err(wrong("is damaged: its checksum does not hold"));
        }
        let lsn = u64::from_le_bytes(std::array::from_fn(|index| head[8 + index]));
        let place = match head[4] {
            0 => Place::Single,
            1 => Place::First,
            2 => Place::Middle,
            3 => Place::Last,
            END => {
                let totals =
                    totals(&payload).ok_or_else(|| wrong("is the end, and lacks one of its counts"))?;
                if !self.input.fill_buf().map_err(Bad::Io)?.is_empty() {
                    return Err(Bad::Wrong("the input goes on behind the end of the export".to_owned()));
                }
                return Ok(Next::End(Some(totals)));
            }
            kind => return Err(wrong(&format!("is of kind {kind}, which this tool does not know"))),
        };
        self.records = number;
        self.last = Some(lsn);
        Ok(Next::Item(Item { lsn: Some(lsn), place, payload }))
    }

    fn header(&self) -> Option<&Header> {
        Some(&self.header)
    }

    fn place(&self) -> String {
        format!("record {}", self.records)
    }
}

fn totals(payload: &[u8]) -> Option<Totals> {
    let (words, []) = payload.as_chunks::<8>() else { return None };
    let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let [records, batches, payload_bytes, missing @ ..] = words.as_slice() else { return None };
    let (pairs, []) = missing.as_chunks::<2>() else { return None };
    let missing = pairs.iter().map(|[from, to]| (*from, *to)).collect();
    Some(Totals { records: *records, batches: *batches, payload_bytes: *payload_bytes, missing })
}
