//! Forged files with checksums that hold, so that what is hostile gets past them.

use crate::format::{HEADER, Opening, crc64, mix, put, seed, word};

pub const SEGMENT: u64 = 1 << 16;

/// An entry of the session table.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    pub opening: Opening,
    pub number: u32,
    pub acks_durable: bool,
    pub boot: [u8; 16],
}

pub fn session(session: &Session) -> [u8; 64] {
    let mut out = [0; 64];
    put(&mut out, 0, &session.opening.start.to_le_bytes());
    put(&mut out, 8, &session.number.to_le_bytes());
    put(&mut out, 12, &[1 + u8::from(session.opening.crc64), u8::from(session.acks_durable)]);
    put(&mut out, 16, &session.opening.nonce.to_le_bytes());
    put(&mut out, 24, &session.boot);
    let crc = crc64(&out[..56]);
    put(&mut out, 56, &crc.to_le_bytes());
    out
}

/// The first 128 bytes of a segment.
pub fn identity(id: &[u8; 16], number: u64, base: u64, segment_bytes: u64) -> [u8; 128] {
    let mut out = [0; 128];
    put(&mut out, 0, b"TIDELOG\n");
    put(&mut out, 8, &1_u32.to_le_bytes());
    put(&mut out, 12, &4096_u32.to_le_bytes());
    put(&mut out, 16, id);
    put(&mut out, 32, &number.to_le_bytes());
    put(&mut out, 40, &base.to_le_bytes());
    put(&mut out, 48, &segment_bytes.to_le_bytes());
    let crc = crc64(&out[..120]);
    put(&mut out, 120, &crc.to_le_bytes());
    out
}

pub fn mark(id: &[u8; 16], number: u64, end: u64, durable: bool, boot: &[u8; 16]) -> [u8; 64] {
    let mut out = [0; 64];
    put(&mut out, 0, &end.to_le_bytes());
    put(&mut out, 8, &u64::from(durable).to_le_bytes());
    put(&mut out, 16, boot);
    let crc = crc64(&out[..56]) ^ seed(id, mix(number));
    put(&mut out, 56, &crc.to_le_bytes());
    out
}

pub fn hint(id: &[u8; 16], number: u64, offset: u32) -> [u8; 8] {
    let offset = u64::from(offset);
    (offset | mix(seed(id, mix(number)) ^ offset) << 32).to_le_bytes()
}

pub fn meta(id: &[u8; 16], segment_bytes: u64, start: u64, generation: u64, proven: u64) -> [u8; 128] {
    let mut out = [0; 128];
    put(&mut out, 0, b"TIDEMETA");
    put(&mut out, 8, &1_u32.to_le_bytes());
    put(&mut out, 16, id);
    put(&mut out, 32, &segment_bytes.to_le_bytes());
    put(&mut out, 40, &start.to_le_bytes());
    put(&mut out, 48, &generation.to_le_bytes());
    put(&mut out, 56, &proven.to_le_bytes());
    let crc = crc64(&out[..120]);
    put(&mut out, 120, &crc.to_le_bytes());
    out
}

/// A frame; padding and claims take their length as that of the whole.
pub fn frame(id: &[u8; 16], opening: &Opening, lsn: u64, kind: u8, extra: u32, payload: &[u8]) -> Vec<u8> {
    let whole = (payload.len() + 16).next_multiple_of(8);
    let length = if kind <= 2 { whole } else { payload.len() };
    let word = word(kind, length as u32, extra);
    let checked = if kind == 2 { &[][..] } else { payload };
    let mut out = vec![0; whole];
    put(&mut out, 0, &word.to_le_bytes());
    put(&mut out, 8, &crate::format::checksum(id, opening, lsn, word, checked).to_le_bytes());
    put(&mut out, 16, payload);
    out
}

/// A log of three segments, as a running writer has it: two sealed, the third begun.
pub fn three_segments(id: &[u8; 16], boot: [u8; 16], crc64: bool) -> crate::golden::Files {
    let mut files = crate::golden::Files::new();
    let mut file = vec![0; 8192];
    put(&mut file, 0, &meta(id, SEGMENT, 0, 0, 0));
    files.insert("log.meta".to_owned(), file);
    for number in 0..3 {
        let base = number * SEGMENT;
        let opening = Opening { start: base, nonce: 77, crc64 };
        let mut file = vec![0; HEADER + SEGMENT as usize];
        put(&mut file, 0, &identity(id, number, base, SEGMENT));
        put(&mut file, 2048, &session(&Session { opening, number: 1, acks_durable: number == 1, boot }));
        let end = if number < 2 { SEGMENT } else { 20_000 };
        let mut at = 0;
        while at < end {
            let room = SEGMENT - at;
            let len = if room < 6000 { room - 16 } else { 100 + at % 4096 };
            let payload = vec![at as u8; len as usize];
            let kind = if room < 6000 { 2 } else { 3 };
            let bytes = frame(id, &opening, base + at, kind, if kind == 2 { 0 } else { 2 }, &payload);
            put(&mut file, HEADER + at as usize, &bytes);
            at += bytes.len() as u64;
        }
        if number < 2 {
            put(&mut file, 512, &mark(id, number, base + SEGMENT, number == 0, &boot));
        } else {
            put(&mut file, 1024, &hint(id, number, 9000));
        }
        files.insert(format!("{base:020}.seg"), file);
    }
    files
}
