//! Making a segment's file ready, ahead of its use: allocated, zeroed, headed, synced, named, mapped.

use std::io;
use std::path::{Path, PathBuf};

use super::backend::{Access, File, Storage, StorageFile};
use super::{Body, Directory, Failure};
use crate::error::{Error, Result};
use crate::format::header::{Header, Identity, PAGE, Session};
use crate::format::name;
use crate::format::verify::Verifiers;
use crate::limits::HEADER_BYTES;
use crate::region::Region;

/// The size of zeroing writes where they are needed although none were asked for.
const ZERO_FILL_UNASKED: usize = 64 << 10;

/// Syncs that make so much durable at once gain more by fewer folios, with a fault and a look each, than they lose by
/// writing a larger one at each end.
const GROUP_LARGE: u64 = 64 << 10;
const ZERO_FILL_LARGE_GROUPS: usize = 16 << 10;

/// So many zeros are handed to the device at once, where appends wait for syncs: those come between, and not behind a
/// whole segment.
const ZEROS_AT_ONCE: u64 = 4 << 20;

/// Zeros over what is in the page cache already, where their size decides nothing.
const ZEROS_OVER_CACHED: usize = 256 << 10;

/// How segments are made ready.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Preparation {
    /// Size of the writes that fill with zeros; sets the page cache's folio size. Zero: fresh files are only
    /// allocated.
    pub(crate) zero_fill_bytes: usize,
    /// How much of the mapping takes its write faults ahead of use.
    pub(crate) populate_bytes: usize,
    /// Appends wait for syncs, which must not wait behind many zeros.
    pub(crate) others_sync: bool,
    /// Larger pieces where the groups are large.
    pub(crate) follows_groups: bool,
    /// What is appended is for the most part written through files: mapped pages are of no use.
    pub(crate) through_file: bool,
}

impl Preparation {
    /// For a log whose syncs make so many bytes durable each, of which so many were written through files.
    pub(crate) fn for_groups_of(self, bytes: u64, through_file: u64) -> Self {
        let large = self.follows_groups && bytes >= GROUP_LARGE;
        let zero_fill_bytes = if large { ZERO_FILL_LARGE_GROUPS } else { self.zero_fill_bytes };
        Self { zero_fill_bytes, through_file: bytes > 0 && through_file >= bytes / 2, ..self }
    }
}

/// An allocated file that is no segment at present.
#[derive(Debug)]
pub(crate) struct Spare {
    file: File,
    path: PathBuf,
    zeroed: bool,
    /// What the segment that it was had been written through.
    region: Option<Region>,
}

impl Spare {
    /// A file that still holds the records of the segment that it was.
    pub(crate) fn dirty(file: File, path: PathBuf, region: Option<Region>) -> Self {
        Self { file, path, zeroed: false, region }
    }

    /// Keeps it for the next opening if it is zeroed, and else deletes it.
    pub(crate) fn discard(self, directory: &Directory) -> Result<()> {
        if self.zeroed {
            return Ok(());
        }
        let removed = directory.storage().remove(&self.path);
        removed.map_err(|error| Error::io("cannot remove a retired segment", &self.path, error))
    }
}

impl Directory {
    /// Opens a spare that an earlier opening left. A file gets that name only when it is all zeros behind its
    /// header, durably.
    pub(crate) fn open_spare(&self, number: u64, segment_bytes: u64) -> Option<Spare> {
        let path = self.spare_path(number);
        let file = self.storage().open(&path, Access::Write).ok()?;
        let fits = file.len().is_ok_and(|len| len == HEADER_BYTES + segment_bytes);
        fits.then_some(Spare { file, path, zeroed: true, region: None })
    }

    /// Gives an empty prepared segment back, as a spare for the next opening. One that a reader has mapped is
    /// deleted, as that reader would take what is written to it later for this segment's. Its zeros become durable: the
    /// next opening takes a spare for zeros. False when it was deleted.
    pub(crate) fn unprepare(&self, base: u64, spare: u64) -> Result<bool> {
        let path = self.segment_path(base);
        let storage = &**self.storage();
        let set_aside = storage.open(&path, Access::Write).and_then(|file| match file.try_lock() {
            Ok(true) => {
                file.sync_data()?;
                rename_or_remove(storage, &*file, &path, &self.spare_path(spare))
            }
            _ => storage.remove(&path).map(|()| false),
        });
        set_aside.map_err(|error| Error::io("cannot set a segment aside", &path, error))
    }

    /// Makes a segment ready, from `spare` or from a new file. When it returns, the segment is durable as an
    /// empty one under its name, and mapped.
    pub(crate) fn prepare(
        &self,
        identity: &Identity,
        session: &Session,
        how: Preparation,
        spare: Option<Spare>,
    ) -> core::result::Result<Body, Failure> {
        let path = self.segment_path(identity.base());
        let failed = |error| Failure::from(Error::io("cannot prepare a segment", &path, error));
        let temporary = self.path().join(format!("{}{}", name::segment(identity.base()), name::TEMPORARY));
        let storage = &**self.storage();
        // Opened first, so that what fails below is its sync and not for want of a descriptor.
        let directory = storage.open_directory(self.path()).map_err(failed)?;
        let made = match spare {
            Some(spare) => {
                rename_or_remove(storage, &*spare.file, &spare.path, &temporary).and_then(|renamed| {
                    let contents = match spare.region {
                        _ if spare.zeroed => Contents::Zeros,
                        // (What a snapshot shares is written again, below, to have blocks of its own.)
                        Some(_) if spare.file.may_move()? => Contents::Stale,
                        Some(_) if how.through_file => Contents::Cached,
                        Some(region) => Contents::Mapped(region),
                        _ => Contents::Stale,
                    };
                    if renamed { Ok((spare.file, contents)) } else { create(storage, &temporary) }
                })
            }
            None => create(storage, &temporary),
        };
        let (file, contents) = made.map_err(failed)?;
        let filled = self.fill(&*file, identity, session, how, contents, &failed);
        let synced = filled.and_then(|kept| {
            // The header page alone, of what was used before: its blocks are there.
            let synced = kept.as_ref().map_or_else(|| file.sync_all(), |region| region.flush(0..PAGE));
            synced.map_err(|error| failed(error).at_a_sync())?;
            Ok(kept)
        });
        let ready = synced.and_then(|kept| {
            // A recycled file is locked since it was retired, and the mapping would keep that lock for as long as
            // it lives: no reader could map the segment.
            file.unlock().and_then(|()| storage.rename(&temporary, &path)).map_err(failed)?;
            Ok(kept)
        });
        let kept = ready.inspect_err(|_| {
            // A file that was allocated in part would keep the very room that is missing.
            let _ = remove_now(storage, &*file, &temporary);
        })?;
        let length = (HEADER_BYTES + identity.segment_bytes) as usize;
        let named = directory.sync_all().map_err(|error| failed(error).at_a_sync());
        let mapped = named.and_then(|()| match kept {
            Some(region) => Ok(region),
            None => {
                let region = file.map(length, true).map_err(failed)?;
                if how.zero_fill_bytes == 0 {
                    region.prefer_large_pages();
                }
                region.populate(0..how.populate_bytes.min(length));
                Ok(region)
            }
        });
        let region = mapped.inspect_err(|_| {
            // It has its name, and is not in the log: the next attempt or the closing writes over it.
            let _ = storage.remove(&path);
        })?;
        let owed = self.owed(identity.base(), length as u64);
        let verifiers = Verifiers::new(identity, &[*session]);
        Ok(Body { region, verifiers, owed, _counted: self.count_mapping() })
    }

    /// Gives the mapping back that the file is filled through, if it was mapped.
    fn fill(
        &self,
        file: &dyn StorageFile,
        identity: &Identity,
        session: &Session,
        how: Preparation,
        contents: Contents,
        failed: &impl Fn(io::Error) -> Failure,
    ) -> core::result::Result<Option<Region>, Failure> {
        let length = HEADER_BYTES + identity.segment_bytes;
        let reserved = file.allocate(length).map_err(failed)?;
        let mut kept = None;
        let as_is = match contents {
            // What a snapshot shares is not the file's own: it is written again, or a store could lack room.
            Contents::Zeros => !file.may_move().map_err(failed)?,
            Contents::Nothing => reserved && how.zero_fill_bytes == 0,
            Contents::Stale => false,
            Contents::Cached => {
                zero(file, HEADER_BYTES, length, ZEROS_OVER_CACHED).map_err(failed)?;
                kept = Some(file.map(length as usize, true).map_err(failed)?);
                true
            }
            Contents::Mapped(mut region) => {
                region.clear(PAGE..length as usize);
                kept = Some(region);
                true
            }
        };
        if !as_is {
            let chunk = if how.zero_fill_bytes == 0 { ZERO_FILL_UNASKED } else { how.zero_fill_bytes };
            let mut from = HEADER_BYTES;
            while from < length {
                let to = length.min(from + ZEROS_AT_ONCE);
                zero(file, from, to, chunk).map_err(failed)?;
                if how.others_sync && to < length {
                    file.sync_data().map_err(|error| failed(error).at_a_sync())?;
                }
                from = to;
            }
        }
        let page = Header::encode_new(identity, session, self.storage().unix_nanos());
        debug_assert_eq!(page.len(), PAGE);
        file.write_all_at(page.as_slice(), 0).map_err(failed)?;
        Ok(kept)
    }
}

/// What a file holds behind its header before it is filled.
enum Contents {
    Nothing,
    Zeros,
    Stale,
    /// What it held as a segment, which is mapped and in memory: cheaper to clear there, without a write or a fault. Then
    /// it is zeros in the page cache only: after a power cut its earlier bytes may stand behind the tail. No frame of
    /// theirs verifies, so they pass for a torn tail.
    Mapped(Region),
    /// The same, and it is better not to have it mapped page by page.
    Cached,
}

fn create(storage: &dyn Storage, path: &Path) -> io::Result<(File, Contents)> {
    storage.open(path, Access::Replace).map(|file| (file, Contents::Nothing))
}

/// Renames a file that holds nothing of the log and that nobody has mapped. On a full device a new name may need room,
/// where taking one away never does: then the file goes, and the room that it had is free. False when it went.
pub(super) fn rename_or_remove(
    storage: &dyn Storage,
    file: &dyn StorageFile,
    from: &Path,
    to: &Path,
) -> io::Result<bool> {
    match storage.rename(from, to) {
        Ok(()) => Ok(true),
        Err(error) if is_full(&error) => remove_now(storage, file, from).map(|()| false),
        Err(error) => Err(error),
    }
}

/// Removes a file that nobody has mapped. The room is free when this returns: what only lost its name is freed some time
/// later, on XFS for example. The name goes first, durably: a power cut must leave no segment that is empty.
fn remove_now(storage: &dyn Storage, file: &dyn StorageFile, path: &Path) -> io::Result<()> {
    storage.remove(path)?;
    storage.sync_directory(path.parent().unwrap_or(path))?;
    file.free()
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Writes zeros from `from` to `to`, `chunk` bytes a call: the size of the writes is what decides the size of
/// the page cache's folios, and a store through the mapping later dirties a whole folio.
pub(crate) fn zero(file: &dyn StorageFile, from: u64, to: u64, chunk: usize) -> io::Result<()> {
    let zeros = vec![0; chunk];
    let mut at = from;
    while at < to {
        let len = (to - at).min(chunk as u64 - at % chunk as u64) as usize;
        file.write_all_at(&zeros[..len], at)?;
        at += len as u64;
    }
    Ok(())
}
