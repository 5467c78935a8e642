//! A log that is as long as one likes and takes next to no room: each segment is a hole with a header, one record and
//! padding. Its bytes are made from `docs/FORMAT.md`, not by the crate.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const ID: [u8; 16] = *b"a sparse log ...";
const NONCE: u64 = 77;
const PAGE: u64 = 4096;
/// Header and payload of the one record in a segment.
const FRAME_BYTES: u64 = 24;
/// A lag that proves nothing.
const NO_EVIDENCE: u64 = 0xff_ffff;

/// Makes a closed log of `segments` segments in `directory`, which must be there. The payload of the record at the
/// beginning of each is the segment's number, little-endian.
pub fn make(directory: &Path, segment_bytes: u64, segments: u64) -> io::Result<()> {
    let end = (segments - 1) * segment_bytes + FRAME_BYTES;
    let mut meta = vec![0; 2 * PAGE as usize];
    put(&mut meta, 0, b"TIDEMETA");
    put(&mut meta, 8, &1_u32.to_le_bytes());
    put(&mut meta, 16, &ID);
    put(&mut meta, 32, &segment_bytes.to_le_bytes());
    put(&mut meta, 56, &end.to_le_bytes());
    seal(&mut meta[..128], 0);
    fs::write(directory.join("log.meta"), meta)?;
    for number in 0..segments {
        let base = number * segment_bytes;
        let last = number + 1 == segments;
        let file = File::create_new(directory.join(format!("{base:020}.seg")))?;
        file.set_len(PAGE + segment_bytes)?;
        let end = if last { end } else { base + segment_bytes };
        let mut bytes = header(number, base, segment_bytes, end);
        bytes.extend(frame(base, 3, 8, NO_EVIDENCE, &number.to_le_bytes()));
        if !last {
            bytes.extend(frame(base + FRAME_BYTES, 2, segment_bytes - FRAME_BYTES, 0, &[]));
        }
        file.write_all_at(&bytes, 0)?;
    }
    Ok(())
}

fn header(number: u64, base: u64, segment_bytes: u64, end: u64) -> Vec<u8> {
    let mut page = vec![0; PAGE as usize];
    put(&mut page, 0, b"TIDELOG\n");
    put(&mut page, 8, &1_u32.to_le_bytes());
    put(&mut page, 12, &4096_u32.to_le_bytes());
    put(&mut page, 16, &ID);
    put(&mut page, 32, &number.to_le_bytes());
    put(&mut page, 40, &base.to_le_bytes());
    put(&mut page, 48, &segment_bytes.to_le_bytes());
    seal(&mut page[..128], 0);
    // The mark: everything below `end` is written, and durable.
    put(&mut page, 512, &end.to_le_bytes());
    put(&mut page, 520, &1_u64.to_le_bytes());
    seal(&mut page[512..576], seed(mix(number)));
    // The one opening, whose frames have a CRC-64.
    put(&mut page, 2048, &base.to_le_bytes());
    put(&mut page, 2056, &1_u32.to_le_bytes());
    put(&mut page, 2060, &[2]);
    put(&mut page, 2064, &NONCE.to_le_bytes());
    seal(&mut page[2048..2112], 0);
    page
}

fn frame(lsn: u64, kind: u64, length: u64, extra: u64, payload: &[u8]) -> Vec<u8> {
    let word = length | (kind << 32) | (extra << 40);
    let checksum = crc64(payload) ^ mix(word ^ mix(seed(NONCE) ^ mix(lsn)));
    [&word.to_le_bytes(), &checksum.to_le_bytes(), payload].concat()
}

/// Puts the checksum of the rest into the last eight bytes.
fn seal(bytes: &mut [u8], mask: u64) {
    let (rest, last) = bytes.split_at_mut(bytes.len() - 8);
    last.copy_from_slice(&(crc64(rest) ^ mask).to_le_bytes());
}

fn put(target: &mut [u8], at: usize, bytes: &[u8]) {
    target[at..at + bytes.len()].copy_from_slice(bytes);
}

fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn seed(n: u64) -> u64 {
    let (low, high) = ID.split_at(8);
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    mix(word(low) ^ mix(word(high) ^ mix(n)))
}

fn crc64(bytes: &[u8]) -> u64 {
    let crc = bytes.iter().fold(u64::MAX, |crc, byte| {
        (0..8).fold(crc ^ u64::from(*byte), |crc, _| (crc >> 1) ^ ((crc & 1) * 0xc96c_5795_d787_0f42))
    });
    !crc
}
