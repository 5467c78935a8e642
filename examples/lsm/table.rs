//! A sorted table, and its file: the LSN before which everything is in the files, then the entries, each behind its length.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tidelog::Lsn;
use tidelog::kv::{Action, Entry};

use crate::support::Outcome;
use crate::tree::insert;

/// By key; a delete has its place too.
pub type Table = BTreeMap<Vec<u8>, Slot>;

/// The newest that a table has of a key.
pub struct Slot {
    pub unix_ns: u64,
    pub value: Option<Vec<u8>>,
    pub expires_unix_ns: Option<u64>,
}

impl Slot {
    pub fn value(&self, now_unix_ns: u64) -> Option<&[u8]> {
        let expired = self.expires_unix_ns.is_some_and(|at| at <= now_unix_ns);
        self.value.as_deref().filter(|_| !expired)
    }
}

/// The files of tables, oldest first: the LSN is their name.
pub fn paths(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "table") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Writes a table. After a crash its file is there as a whole, or not at all.
pub fn write(directory: &Path, watermark: Lsn, table: &Table) -> Outcome {
    let mut bytes = watermark.get().to_le_bytes().to_vec();
    for (key, slot) in table {
        let action = match &slot.value {
            Some(value) => Action::Put { value, expires_unix_ns: slot.expires_unix_ns },
            None => Action::Delete,
        };
        let entry = Entry { key, unix_ns: slot.unix_ns, action };
        bytes.extend_from_slice(&u32::try_from(entry.encoded_len())?.to_le_bytes());
        entry.encode(&mut bytes)?;
    }
    let path = directory.join(format!("{:020}.table", watermark.get()));
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, bytes)?;
    File::open(&unfinished)?.sync_all()?;
    fs::rename(&unfinished, &path)?;
    File::open(directory)?.sync_all()?;
    Ok(())
}

/// Reads a table, and the LSN before which the log is not needed any more.
pub fn read(path: &Path) -> Outcome<(Lsn, Table)> {
    let bytes = fs::read(path)?;
    let too_short = || format!("{} ends in the middle of an entry", path.display());
    let (watermark, mut rest) = bytes.split_first_chunk().ok_or_else(too_short)?;
    let mut table = Table::new();
    while !rest.is_empty() {
        let (length, entries) = rest.split_first_chunk().ok_or_else(too_short)?;
        let length = usize::try_from(u32::from_le_bytes(*length))?;
        let (entry, behind) = entries.split_at_checked(length).ok_or_else(too_short)?;
        insert(&mut table, &Entry::decode(entry)?);
        rest = behind;
    }
    Ok((Lsn::new(u64::from_le_bytes(*watermark)), table))
}
