//! The tree: a log, a table in memory, and tables in files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tidelog::compress::{CompressedLog, Compression, Packer};
use tidelog::kv::{Action, Entry};
use tidelog::{Log, Lsn, Options};

use crate::support::{Outcome, check};
use crate::table::{self, Slot, Table};

/// Encoded entries in memory, in bytes, at which they go to a file.
const FLUSH_BYTES: usize = 256 << 10;

pub struct Tree {
    log: CompressedLog,
    directory: PathBuf,
    memory: Table,
    memory_bytes: usize,
    /// Oldest first.
    files: Vec<Table>,
    /// Everything before it is in the files.
    flushed: Lsn,
}

impl Tree {
    pub fn open(directory: &Path, compression: Compression) -> Outcome<Self> {
        let log = Options::new().segment_bytes(64 << 10).open(directory.join("log"))?;
        let mut tree = Self {
            log: CompressedLog::new(log, Packer::new(compression)),
            directory: directory.to_owned(),
            memory: Table::new(),
            memory_bytes: 0,
            files: Vec::new(),
            flushed: Lsn::ZERO,
        };
        for path in table::paths(directory)? {
            let (flushed, table) = table::read(&path)?;
            tree.flushed = flushed;
            tree.files.push(table);
        }
        tree.replay()?;
        Ok(tree)
    }

    /// Reads the log from where the files end. It may begin before that: it is dropped by whole segments.
    fn replay(&mut self) -> Outcome {
        let snapshot = self.log.log().snapshot();
        check(snapshot.start() <= self.flushed, || {
            format!("the log begins at LSN {}, and the files end at {}", snapshot.start(), self.flushed)
        })?;
        let mut records = self.log.replay_range(&snapshot, self.flushed..);
        while let Some(record) = records.next()? {
            let payload = record.payload();
            let entry = Entry::decode(&payload)?;
            self.memory_bytes += entry.encoded_len();
            insert(&mut self.memory, &entry);
        }
        Ok(())
    }

    /// Writes all of `entries`, or none; they are durable when it returns.
    pub fn write(&mut self, entries: &[Entry<'_>]) -> Outcome {
        let mut payloads = Vec::with_capacity(entries.len());
        for entry in entries {
            let mut payload = Vec::with_capacity(entry.encoded_len());
            entry.encode(&mut payload)?;
            payloads.push(payload);
        }
        self.log.append_batch(&payloads)?;
        for entry in entries {
            self.memory_bytes += entry.encoded_len();
            insert(&mut self.memory, entry);
        }
        if self.memory_bytes >= FLUSH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Moves the table in memory to a file. The log lets go of its entries when the file is durable, not before.
    fn flush(&mut self) -> Outcome {
        // Only this writes: all that is claimed is in memory.
        let watermark = self.log.log().watermarks().claimed;
        table::write(&self.directory, watermark, &self.memory)?;
        self.files.push(std::mem::take(&mut self.memory));
        self.memory_bytes = 0;
        self.flushed = watermark;
        self.log.log().retire_before(watermark)?;
        Ok(())
    }

    /// The keys that have a value at `now_unix_ns`, ascending, with their newest.
    pub fn iter(&self, now_unix_ns: u64) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        let mut merged = BTreeMap::new();
        for table in self.files.iter().chain([&self.memory]) {
            merged.extend(table);
        }
        let valid = merged.into_iter().filter_map(move |(key, slot)| {
            let value = slot.value(now_unix_ns)?;
            Some((key.clone(), value.to_vec()))
        });
        valid.collect::<Vec<_>>().into_iter()
    }

    pub fn log(&self) -> &Log {
        self.log.log()
    }

    pub fn flushed(&self) -> Lsn {
        self.flushed
    }

    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// Keys in the table in memory.
    pub fn in_memory(&self) -> usize {
        self.memory.len()
    }
}

/// A delete stays in the table: older ones may have the key.
pub fn insert(table: &mut Table, entry: &Entry<'_>) {
    let (value, expires_unix_ns) = match entry.action {
        Action::Put { value, expires_unix_ns } => (Some(value.to_vec()), expires_unix_ns),
        Action::Delete => (None, None),
        // What a later version wrote.
        _ => return,
    };
    table.insert(entry.key.to_vec(), Slot { unix_ns: entry.unix_ns, value, expires_unix_ns });
}
