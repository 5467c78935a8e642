//! The baselines' files: numbered segments of frames, each a length, a CRC-32C and the payload.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crc_fast::crc32_iscsi;

use crate::log::Failure;

pub const HEAD: usize = 8;

/// Of a file that was used before nothing old may pass for new, so the segment's number is part of the sum.
fn sum(number: u64, payload: &[u8]) -> u32 {
    crc32_iscsi(payload) ^ (number as u32).wrapping_mul(0x9E37_79B1)
}

/// A record's header; its sum takes the segment, which is known when it has its place.
pub fn head(number: u64, payload: &[u8]) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    // Zero is where the log ends.
    head[..4].copy_from_slice(&(payload.len() as u32 + 1).to_le_bytes());
    head[4..].copy_from_slice(&sum(number, payload).to_le_bytes());
    head
}

pub fn path(place: &Path, number: u64) -> PathBuf {
    place.join(format!("{number:08}.segment"))
}

/// The numbers of the segments that are there, in order.
pub fn numbers(place: &Path) -> Result<Vec<u64>, Failure> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(place)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "segment") {
            numbers.extend(path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok()));
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Creates the directory, durably, for those that promise it.
pub fn make(place: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(place)?;
    File::open(place.parent().unwrap_or(place))?.sync_all()?;
    Ok(())
}

/// Bytes that are read at once: they stay in the processor's cache until they are verified.
const PIECE: usize = 512 << 10;

/// Every record of every segment.
pub fn replay(place: &Path, each: &mut dyn FnMut(&[u8])) -> Result<(), Failure> {
    let mut buffer = Vec::new();
    for number in numbers(place)? {
        replay_segment(&mut File::open(path(place, number))?, number, &mut buffer, each)?;
    }
    Ok(())
}

fn replay_segment(
    file: &mut File,
    number: u64,
    buffer: &mut Vec<u8>,
    each: &mut dyn FnMut(&[u8]),
) -> Result<(), Failure> {
    buffer.clear();
    let mut at = 0;
    loop {
        while let Some((head, rest)) = buffer[at..].split_first_chunk::<HEAD>() {
            let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
            if length == 0 {
                return Ok(());
            }
            let Some(payload) = rest.get(..length - 1) else { break };
            if head[4..] != sum(number, payload).to_le_bytes() {
                return Ok(());
            }
            each(payload);
            at += HEAD + payload.len();
        }
        buffer.drain(..at);
        at = 0;
        let held = buffer.len();
        buffer.resize(held + PIECE, 0);
        let read = file.read(&mut buffer[held..])?;
        buffer.truncate(held + read);
        if read == 0 {
            return Ok(());
        }
    }
}
