//! seglog 0.3.6 (needs Rust 1.95; pure Rust).
//!
//! - At return of `append`: in the process's memory (a `BufWriter` of 16 KiB; write.rs). At return of `commit`:
//!   durable (a commit marker, flush, fdatasync). Recovery keeps only what a marker closes (write.rs `recover`), so
//!   durable appends end in `commit`, not in `sync`.
//! - Concurrency: single writer (`&mut self`), hence a mutex, and the group commit of `group`.
//! - Batches: many appends and one `commit` are recovered together.
//! - Old segments: the crate knows single segments only; rolling and removing files is its user's, so it is done here:
//!   a thread keeps the next segment ready (its creation syncs the file and the directory), old files are unlinked
//!   (segments must not be recycled: write.rs, `recover`). A full segment is committed if appends are durable, else
//!   only flushed.
//! - Replay: the last segment is recovered by `Writer::open`, then all are read by `Reader`; both check CRC-32.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use seglog::read::Reader;
use seglog::write::Writer;

use super::group::{Group, Single};
use crate::log::{Failure, Log, Promise, Setup};

/// A commit marker and the head of a record: what must still fit after the last record.
const SPARE_BYTES: u64 = 32;

pub struct Seglog {
    group: Group<Segments>,
    durable: bool,
    place: PathBuf,
}

struct Segments {
    writer: Writer<0>,
    index: u64,
    oldest: u64,
    records: u64,
    durable: bool,
    next: Receiver<Result<Writer<0>, Failure>>,
    maker: JoinHandle<()>,
}

impl Single for Segments {
    fn put(&mut self, payload: &[u8]) -> Result<(), Failure> {
        if self.writer.remaining_bytes() < payload.len() as u64 + SPARE_BYTES {
            self.roll()?;
        }
        self.writer.append_data(payload)?;
        self.records += 1;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Failure> {
        self.writer.commit(self.records)?;
        Ok(())
    }
}

impl Segments {
    fn roll(&mut self) -> Result<(), Failure> {
        if self.durable {
            self.sync()?;
        } else {
            self.writer.flush_writer()?;
        }
        self.writer = self.next.recv()??;
        self.index += 1;
        Ok(())
    }
}

fn path(place: &Path, index: u64) -> PathBuf {
    place.join(format!("{index:016}.seglog"))
}

fn create(place: &Path, index: u64, setup: &Setup) -> Result<Writer<0>, Failure> {
    let mut writer = Writer::create(path(place, index), usize::try_from(setup.segment_bytes)?, 0)?;
    writer.set_max_record(usize::MAX);
    Ok(writer)
}

fn recover(path: &Path, setup: &Setup) -> Result<Writer<0>, Failure> {
    let mut writer = Writer::open(path, usize::try_from(setup.segment_bytes)?, 0)?;
    writer.set_max_record(usize::MAX);
    Ok(writer)
}

fn number(path: &Path) -> Result<u64, Failure> {
    Ok(path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().parse()?)
}

fn found(place: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut paths: Vec<_> =
        std::fs::read_dir(place)?.map(|entry| Ok(entry?.path())).collect::<Result<_, Failure>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "seglog"));
    paths.sort();
    Ok(paths)
}

impl Log for Seglog {
    const NAME: &'static str = "seglog 0.3.6";
    const VERIFIES: bool = true;

    fn promise(setup: &Setup) -> Option<Promise> {
        Some(if setup.durable { Promise::Durable } else { Promise::Process })
    }

    fn open(place: &Path, setup: &Setup) -> Result<Self, Failure> {
        std::fs::create_dir_all(place)?;
        let there = found(place)?;
        let (index, writer) = match there.last() {
            Some(path) => (number(path)?, recover(path, setup)?),
            None => (0, create(place, 0, setup)?),
        };
        let (send, next) = sync_channel(0);
        let (home, wanted) = (place.to_owned(), *setup);
        let maker = std::thread::spawn(move || {
            for index in index + 1.. {
                let made = create(&home, index, &wanted);
                let failed = made.is_err();
                if send.send(made).is_err() {
                    drop(std::fs::remove_file(path(&home, index)));
                    return;
                }
                if failed {
                    return;
                }
            }
        });
        let durable = setup.durable;
        let oldest = there.first().map_or(Ok(0), |path| number(path))?;
        let segments = Segments { writer, index, oldest, records: 0, durable, next, maker };
        Ok(Self { group: Group::new(segments), durable, place: place.to_owned() })
    }

    fn append(&self, payload: &[u8]) -> Result<(), Failure> {
        self.append_batch(&[payload])?;
        Ok(())
    }

    fn append_batch(&self, payloads: &[&[u8]]) -> Result<bool, Failure> {
        if self.durable {
            self.group.put_durable(payloads)?
        } else {
            self.group.put(payloads)?
        }
        Ok(true)
    }

    fn drop_old(&self) -> Result<(), Failure> {
        let mut segments = self.group.single();
        let keep = segments.index.saturating_sub(3).max(segments.oldest);
        let old = std::mem::replace(&mut segments.oldest, keep)..keep;
        drop(segments);
        for index in old {
            std::fs::remove_file(path(&self.place, index))?;
        }
        Ok(())
    }

    fn close(self) -> Result<(), Failure> {
        let mut segments = self.group.into_single();
        segments.sync()?;
        drop(segments.next);
        segments.maker.join().map_err(|_| "the thread that makes segments panicked")?;
        Ok(())
    }

    fn replay(place: &Path, setup: &Setup, each: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        let paths = found(place)?;
        let last = paths.last().ok_or("no segment")?;
        let writer = recover(last, setup)?;
        for path in &paths {
            let end = (path == last).then(|| writer.flushed_offset());
            let mut reader = Reader::<0>::open_read_only(path, end)?;
            let mut records = reader.iter(0);
            while let Some(record) = records.next_record()? {
                each(&record.data);
            }
        }
        Ok(true)
    }
}
