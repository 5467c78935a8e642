//! The limits: no logs, only the least that any log must do. Nothing here rolls, pads, tells or recovers.
#![allow(unsafe_code, reason = "stores into a mapping, without a log's care")]

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crc_fast::crc32_iscsi;
use memmap2::{Advice, Mmap, MmapOptions, MmapRaw};

use super::frame;
use crate::log::{Failure, Log, Promise, Setup};

const HEAD: usize = 16;
/// Four segments of 64 MiB.
const RING: u64 = 256 << 20;
const PAGE: usize = 4 << 10;

/// A mapped file and where the next frame goes.
struct Mapping {
    map: MmapRaw,
    cursor: AtomicU64,
}

/// A mapped file of `bytes`, all zeros on stable storage, written in pieces of `piece`: that decides the size of the
/// page cache's folios.
fn mapping(place: &Path, bytes: u64, piece: usize) -> Result<Mapping, Failure> {
    let path = place.with_extension("limit");
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    let zeros = vec![0; piece];
    for _ in 0..bytes.div_ceil(piece as u64) {
        file.write_all(&zeros)?;
    }
    file.sync_all()?;
    Ok(Mapping { map: MmapOptions::new().map_raw(&file)?, cursor: AtomicU64::new(0) })
}

impl Mapping {
    /// Takes a place, over again from the start where it is a ring.
    fn claim(&self, bytes: u64, ring: bool) -> Result<u64, Failure> {
        let length = self.map.len() as u64;
        loop {
            // Relaxed: the place is a number, and nobody reads what is stored there.
            let at = self.cursor.fetch_add(bytes, Ordering::Relaxed);
            let at = if ring { at & (length - 1) } else { at };
            if at + bytes <= length {
                return Ok(at);
            }
            if !ring {
                return Err("the prepared file is full".into());
            }
        }
    }

    fn append(&self, payload: &[u8], ring: bool) -> Result<(), Failure> {
        let sum = crc32_iscsi(payload);
        let length = payload.len() as u64;
        let at = self.claim((HEAD + payload.len()).next_multiple_of(8) as u64, ring)?;
        // SAFETY: `claim` gave a multiple of 8 with room for the frame behind it, inside the mapping, which is as long
        // lived as `self`. The word is only accessed as an atomic. Another thread may store to the rest at the same
        // moment when it is a whole ring ahead; nobody reads it, and no reference to it exists.
        unsafe {
            let frame = self.map.as_mut_ptr().add(at as usize);
            let word = AtomicU64::from_ptr(frame.cast());
            word.store(length | 1 << 32, Ordering::Relaxed);
            std::ptr::copy_nonoverlapping(payload.as_ptr(), frame.add(HEAD), payload.len());
            frame.add(8).cast::<u64>().write(u64::from(sum));
            // Release: as a log would publish.
            word.store(length | 2 << 32, Ordering::Release);
        }
        Ok(())
    }
}

/// Into memory that was written before, over and over.
pub struct Warm(Mapping);

impl Log for Warm {
    const NAME: &'static str = "limit: copy + CRC + add, warm";
    const VERIFIES: bool = false;

    fn promise(_: &Setup) -> Option<Promise> {
        Some(Promise::Kernel)
    }

    fn open(place: &Path, _: &Setup) -> Result<Self, Failure> {
        let mapping = mapping(place, RING, 1 << 20)?;
        mapping.map.advise(Advice::PopulateWrite)?;
        Ok(Self(mapping))
    }

    fn append(&self, payload: &[u8]) -> Result<(), Failure> {
        self.0.append(payload, true)
    }

    fn append_batch(&self, _: &[&[u8]]) -> Result<bool, Failure> {
        Ok(false)
    }

    fn close(self) -> Result<(), Failure> {
        Ok(())
    }

    fn replay(_: &Path, _: &Setup, _: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        Ok(false)
    }
}

/// Into a file that was filled with zeros, in 4 KiB pieces, and never touched through the mapping.
pub struct Fresh(Mapping);

impl Log for Fresh {
    const NAME: &'static str = "limit: copy + CRC + add, fresh 4 KiB pages";
    const VERIFIES: bool = false;

    fn promise(_: &Setup) -> Option<Promise> {
        Some(Promise::Kernel)
    }

    fn open(place: &Path, setup: &Setup) -> Result<Self, Failure> {
        let records = setup.bytes_max / setup.record_bytes as u64 + 4096;
        let frame = (HEAD + setup.record_bytes).next_multiple_of(8) as u64;
        Ok(Self(mapping(place, records * frame, PAGE)?))
    }

    fn append(&self, payload: &[u8]) -> Result<(), Failure> {
        self.0.append(payload, false)
    }

    fn append_batch(&self, _: &[&[u8]]) -> Result<bool, Failure> {
        Ok(false)
    }

    fn close(self) -> Result<(), Failure> {
        Ok(())
    }

    fn replay(_: &Path, _: &Setup, _: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        Ok(false)
    }
}

/// One page, written before, stored to and synced: what a lone durable append cannot be faster than by this way.
pub struct Msync(MmapRaw);

impl Log for Msync {
    const NAME: &'static str = "limit: msync of one warm page";
    const VERIFIES: bool = false;

    fn promise(setup: &Setup) -> Option<Promise> {
        (setup.durable && setup.threads == 1 && setup.record_bytes <= PAGE).then_some(Promise::Durable)
    }

    fn open(place: &Path, _: &Setup) -> Result<Self, Failure> {
        Ok(Self(mapping(place, 16 * PAGE as u64, PAGE)?.map))
    }

    fn append(&self, payload: &[u8]) -> Result<(), Failure> {
        // SAFETY: a payload is no longer than the page; there is one thread, and no reference to the page.
        unsafe { std::ptr::copy_nonoverlapping(payload.as_ptr(), self.0.as_mut_ptr(), payload.len()) };
        Ok(self.0.flush_range(0, PAGE)?)
    }

    fn append_batch(&self, _: &[&[u8]]) -> Result<bool, Failure> {
        Ok(false)
    }

    fn close(self) -> Result<(), Failure> {
        Ok(())
    }

    fn replay(_: &Path, _: &Setup, _: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        Ok(false)
    }
}

/// Reading: frames one behind another in one mapped file, each sum computed.
pub struct Scan(Mutex<BufWriter<File>>);

impl Log for Scan {
    const NAME: &'static str = "limit: one mapping, CRC of each record";
    const VERIFIES: bool = true;

    fn promise(_: &Setup) -> Option<Promise> {
        Some(Promise::Process)
    }

    fn open(place: &Path, _: &Setup) -> Result<Self, Failure> {
        Ok(Self(Mutex::new(BufWriter::with_capacity(1 << 20, File::create(place.with_extension("limit"))?))))
    }

    fn append(&self, payload: &[u8]) -> Result<(), Failure> {
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(&frame::head(0, payload))?;
        out.write_all(&[0; HEAD - frame::HEAD])?;
        out.write_all(payload)?;
        out.write_all(&[0; 8][..payload.len().next_multiple_of(8) - payload.len()])?;
        Ok(())
    }

    fn append_batch(&self, _: &[&[u8]]) -> Result<bool, Failure> {
        Ok(false)
    }

    fn close(self) -> Result<(), Failure> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner).flush()?;
        Ok(())
    }

    fn replay(place: &Path, _: &Setup, each: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        let file = File::open(place.with_extension("limit"))?;
        // SAFETY: nobody writes the file while it is mapped; it lies in a directory of this run's own.
        let map = unsafe { Mmap::map(&file)? };
        let mut rest = &map[..];
        while let Some((head, behind)) = rest.split_first_chunk::<HEAD>() {
            let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize - 1;
            let (payload, next) = behind.split_at(length.next_multiple_of(8));
            let payload = &payload[..length];
            if crc32_iscsi(payload).to_le_bytes() != head[4..8] {
                return Err("a record of the limit line is damaged".into());
            }
            each(payload);
            rest = next;
        }
        Ok(true)
    }
}
