//! What one would write first: a `pwrite` for each record, and an `fdatasync` where it has to be durable.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::frame;
use crate::log::{Failure, Log, Promise, Setup};

const KEPT: u64 = 4;

pub struct Naive {
    end: Mutex<End>,
    place: PathBuf,
    durable: bool,
    segment_bytes: u64,
}

/// Where the next record goes.
struct End {
    file: Arc<File>,
    number: u64,
    at: u64,
}

impl Log for Naive {
    const NAME: &'static str = "pwrite + fdatasync a record";
    const VERIFIES: bool = true;

    fn promise(setup: &Setup) -> Option<Promise> {
        Some(if setup.durable { Promise::Durable } else { Promise::Kernel })
    }

    fn open(place: &Path, setup: &Setup) -> Result<Self, Failure> {
        frame::make(place)?;
        let number = frame::numbers(place)?.last().map_or(0, |last| last + 1);
        let end = End { file: segment(place, number, setup.durable)?, number, at: 0 };
        Ok(Self {
            end: Mutex::new(end),
            place: place.to_owned(),
            durable: setup.durable,
            segment_bytes: setup.segment_bytes,
        })
    }

    fn append(&self, payload: &[u8]) -> Result<(), Failure> {
        let bytes = (frame::HEAD + payload.len()) as u64;
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if end.at + bytes > self.segment_bytes {
            let number = end.number + 1;
            *end = End { file: segment(&self.place, number, self.durable)?, number, at: 0 };
        }
        let (file, number, at) = (Arc::clone(&end.file), end.number, end.at);
        end.at += bytes;
        drop(end);
        let mut record = Vec::with_capacity(bytes as usize);
        record.extend_from_slice(&frame::head(number, payload));
        record.extend_from_slice(payload);
        file.write_all_at(&record, at)?;
        if self.durable {
            file.sync_data()?;
        }
        Ok(())
    }

    fn append_batch(&self, _: &[&[u8]]) -> Result<bool, Failure> {
        Ok(false)
    }

    fn drop_old(&self) -> Result<(), Failure> {
        let newest = self.end.lock().unwrap_or_else(PoisonError::into_inner).number;
        for number in frame::numbers(&self.place)? {
            if number + KEPT <= newest {
                std::fs::remove_file(frame::path(&self.place, number))?;
            }
        }
        Ok(())
    }

    fn close(self) -> Result<(), Failure> {
        Ok(())
    }

    fn replay(place: &Path, _: &Setup, each: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        frame::replay(place, each)?;
        Ok(true)
    }
}

fn segment(place: &Path, number: u64, durable: bool) -> Result<Arc<File>, Failure> {
    let file = File::create(frame::path(place, number))?;
    if durable {
        File::open(place)?.sync_all()?;
    }
    Ok(Arc::new(file))
}
