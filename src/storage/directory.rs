//! Opening, listing, reading and removing the log's files.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::backend::{Access, File, SharedStorage, Storage, StorageFile};
use super::lock::WriterLock;
use super::prepare::rename_or_remove;
use super::{Body, Boot, Counted, Failure, Spare};
use crate::error::{Error, Result};
use crate::format::header::{Header, HeaderError, Identity, PAGE};
use crate::format::meta::{META_BYTES, Meta};
use crate::format::name::{self, Name};
use crate::format::verify::Verifiers;
use crate::limits::{HEADER_BYTES, MAPPED_MAX};
use crate::lsn::Lsn;
use crate::primitive::{Mutex, Patience, lock};
use crate::region::Region;
use crate::stats::Counter;

/// The directory of a log, held by its writer or looked at by a reader.
#[derive(Debug)]
pub(crate) struct Directory {
    storage: SharedStorage,
    path: PathBuf,
    boot: Boot,
    /// Taken by the constructor for a writer, and by nobody for a reader.
    writer: bool,
    lock: Mutex<Option<WriterLock>>,
    /// What `log.meta` says is known to be on the device.
    meta_is_durable: Mutex<bool>,
    /// One more than there are mappings of segments.
    mapped: Counted,
    /// After the writer closed: keeps a later writer from recycling files that are still mapped here.
    pins: Mutex<Option<File>>,
    /// How often damage was met in a segment.
    corruption_events: Counter,
}

/// The files of a log, by what they are.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Base LSNs, ascending.
    pub(crate) segments: Vec<u64>,
    pub(crate) spares: Vec<u64>,
    pub(crate) temporaries: Vec<PathBuf>,
    /// Names of cursors, ascending.
    pub(crate) cursors: Vec<String>,
}

impl Directory {
    /// Takes a directory for writing; creates it if need be.
    pub(crate) fn lock_for_writing(
        storage: SharedStorage,
        path: &Path,
        any_file_system: bool,
    ) -> Result<Self> {
        storage
            .create_directory(path)
            .map_err(|error| Error::io("cannot create the log's directory", path, error))?;
        // An absolute path: a later change of the working directory must not move the log.
        let path = storage
            .resolve(path)
            .map_err(|error| Error::io("cannot resolve the log's directory", path, error))?;
        admit(&*storage, &path, any_file_system)?;
        let boot =
            storage.boot().map_err(|error| Error::io("cannot tell which boot this is", &path, error))?;
        let lock = WriterLock::take(&*storage, &path, boot)?;
        let lock = Mutex::new(Some(lock));
        let (meta_is_durable, pins) = (Mutex::new(false), Mutex::new(None));
        Ok(Self {
            storage,
            path,
            boot,
            writer: true,
            lock,
            meta_is_durable,
            mapped: Counted::default(),
            pins,
            corruption_events: Counter::default(),
        })
    }

    /// Looks at a directory without a lock.
    pub(crate) fn look(storage: SharedStorage, path: &Path, any_file_system: bool) -> Result<Self> {
        let path = storage.resolve(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::not_found(path),
            _ => Error::io("cannot resolve the log's directory", path, error),
        })?;
        admit(&*storage, &path, any_file_system)?;
        let boot =
            storage.boot().map_err(|error| Error::io("cannot tell which boot this is", &path, error))?;
        let (lock, meta_is_durable, pins) = (Mutex::new(None), Mutex::new(false), Mutex::new(None));
        Ok(Self {
            storage,
            path,
            boot,
            writer: false,
            lock,
            meta_is_durable,
            mapped: Counted::default(),
            pins,
            corruption_events: Counter::default(),
        })
    }

    /// Whether a log in it runs threads of its own.
    pub(crate) fn has_threads(&self) -> bool {
        #[cfg(feature = "testing")]
        if !self.storage.has_threads() {
            return false;
        }
        true
    }

    /// In a forked child: lets go of the lock file, which is its parent's to unlock, so that it does not stay locked when
    /// the parent has died.
    pub(crate) fn abandon(&self) {
        if let Ok(mut held) = self.lock.try_lock() {
            *held = None;
        }
    }

    /// Gives the lock up, where there is nothing that a later writer could recycle.
    pub(crate) fn give_up(&self) {
        *lock(&self.lock) = None;
    }

    pub(crate) fn note_corruption(&self) {
        self.corruption_events.add(1);
    }

    pub(crate) fn corruption_events(&self) -> u64 {
        self.corruption_events.get()
    }

    pub(crate) fn storage(&self) -> &SharedStorage {
        &self.storage
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn boot(&self) -> Boot {
        self.boot
    }

    /// True when the previous writer's sync failed in this boot.
    pub(crate) fn found_poisoned(&self) -> bool {
        lock(&self.lock).as_ref().is_some_and(|lock| lock.found_poisoned)
    }

    pub(crate) fn note_poisoned(&self) {
        if let Some(lock) = &*lock(&self.lock) {
            lock.note_poisoned();
        }
    }

    /// Gives the writer's lock up. As long as this directory's segments are mapped here, a later writer deletes
    /// retired files instead of recycling them: a shared lock on the directory says so.
    pub(crate) fn release(&self) -> Result<()> {
        let failed = |error| Error::io("cannot lock the log's directory", &self.path, error);
        let directory = self.storage.open_directory(&self.path).map_err(failed)?;
        // Nobody holds the exclusive lock for longer than a moment: whoever recycles a file.
        let mut patience = Patience::new();
        while !directory.try_lock_shared().map_err(failed)? {
            patience.pause();
        }
        *lock(&self.pins) = Some(directory);
        *lock(&self.lock) = None;
        Ok(())
    }

    /// An exclusive lock on the directory, unless a closed log of this or another process still maps its files.
    fn nothing_pinned(&self) -> Option<File> {
        let directory = self.storage.open_directory(&self.path).ok()?;
        directory.try_lock().ok()?.then_some(directory)
    }

    pub(crate) fn note_healed(&self) -> Result<()> {
        lock(&self.lock).as_ref().map_or(Ok(()), |lock| {
            lock.note_healed()
                .map_err(|error| Error::io("cannot write the lock file", &self.path.join(name::LOCK), error))
        })
    }

    /// How many segments are mapped.
    pub(crate) fn mapped(&self) -> usize {
        Counted::strong_count(&self.mapped) - 1
    }

    /// Counts one more mapping, until it is dropped.
    pub(super) fn count_mapping(&self) -> Option<Counted> {
        Some(Counted::clone(&self.mapped))
    }

    /// True when there is something by this segment's name.
    pub(crate) fn has_segment(&self, base: u64) -> Result<bool> {
        let path = self.segment_path(base);
        self.storage.has_name(&path).map_err(|error| Error::io("cannot stat a segment", &path, error))
    }

    pub(crate) fn segment_path(&self, base: u64) -> PathBuf {
        self.path.join(name::segment(base))
    }

    pub(crate) fn spare_path(&self, number: u64) -> PathBuf {
        self.path.join(name::spare(number))
    }

    /// What is there.
    pub(crate) fn list(&self) -> Result<Listing> {
        let failed = |error| Error::io("cannot list the log's directory", &self.path, error);
        let mut listing = Listing::default();
        let mut sort = |entry: &OsStr| match entry.to_str().map_or(Name::Foreign, name::parse) {
            Name::Segment(base) => listing.segments.push(base),
            Name::Spare(number) => listing.spares.push(number),
            Name::Temporary => listing.temporaries.push(self.path.join(entry)),
            Name::Cursor => {
                listing.cursors.extend(entry.to_str().and_then(name::cursor_of).map(str::to_owned));
            }
            Name::Own | Name::Foreign => {}
        };
        self.storage.list(&self.path, &mut sort).map_err(failed)?;
        listing.segments.sort_unstable();
        listing.spares.sort_unstable();
        listing.cursors.sort_unstable();
        Ok(listing)
    }

    /// Makes the directory's entries durable.
    pub(crate) fn sync(&self) -> Result<()> {
        let synced = self.storage.sync_directory(&self.path);
        synced.map_err(|error| Error::io("cannot sync the log's directory", &self.path, error))
    }

    /// Reads `log.meta`; `None` where there is none.
    pub(crate) fn read_meta(&self) -> Result<Option<Meta>> {
        let path = self.path.join(name::META);
        let bytes = match self.read_meta_bytes(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("cannot read the log's metadata", &path, error)),
        };
        Meta::decode(&bytes).map(Some).map_err(|error| refuse(error, &path))
    }

    /// Its two slots, and no more of a file that is longer.
    fn read_meta_bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.storage.open(path, Access::Read)?;
        read_up_to(&*file, META_BYTES)
    }

    /// Creates `log.meta`, durably.
    pub(crate) fn create_meta(&self, meta: &Meta) -> Result<()> {
        let path = self.path.join(name::META);
        let temporary = self.path.join(format!("{}{}", name::META, name::TEMPORARY));
        let written = self.storage.open(&temporary, Access::Replace).and_then(|file| {
            file.write_all_at(&meta.encode_new(), 0)?;
            file.sync_all()?;
            self.storage.rename(&temporary, &path)
        });
        written.map_err(|error| {
            let _ = self.storage.remove(&temporary);
            Error::io("cannot write the log's metadata", &path, error)
        })?;
        self.sync_names()?;
        *lock(&self.meta_is_durable) = true;
        Ok(())
    }

    /// Makes the directory's entries durable, and the way to them.
    pub(crate) fn sync_names(&self) -> Result<()> {
        self.sync()?;
        self.sync_ancestors()
    }

    /// Makes the way to the directory durable: any part of it may be new, from this creation or from one that was
    /// interrupted.
    fn sync_ancestors(&self) -> Result<()> {
        for ancestor in self.path.ancestors().skip(1) {
            let synced = match self.storage.sync_directory(ancestor) {
                // What may not be read was not made by us, and a file system that knows no such sync needs none.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput
                    ) =>
                {
                    Ok(())
                }
                synced => synced,
            };
            synced
                .map_err(|error| Error::io("cannot sync the way to the log's directory", ancestor, error))?;
        }
        Ok(())
    }

    /// Replaces what `log.meta` says, durably and in place: retiring must work on a full device. The slot that is
    /// not written must be on the device: `before` is what the file says now.
    pub(crate) fn update_meta(&self, before: &Meta, meta: &Meta) -> core::result::Result<(), Failure> {
        let settled = *lock(&self.meta_is_durable);
        if !settled {
            self.settle_meta(before)?;
        }
        self.write_meta(meta)
    }

    /// Makes what `log.meta` says durable: a writer that was killed may have written it and not synced it. It is
    /// written again, as the kernel may take it for written when it is not.
    pub(crate) fn settle_meta(&self, meta: &Meta) -> core::result::Result<(), Failure> {
        self.write_meta(meta)?;
        *lock(&self.meta_is_durable) = true;
        Ok(())
    }

    fn write_meta(&self, meta: &Meta) -> core::result::Result<(), Failure> {
        let path = self.path.join(name::META);
        let failed = |error| Failure::from(Error::io("cannot write the log's metadata", &path, error));
        let file = self.storage.open(&path, Access::Write).map_err(failed)?;
        let written = file.write_all_at(&meta.encode(), meta.slot()).and_then(|()| file.sync_data());
        written.map_err(|error| failed(error).at_a_sync())
    }

    /// Opens a segment's file.
    pub(crate) fn open_segment(&self, base: u64, access: Access) -> Result<File> {
        let path = self.segment_path(base);
        self.storage.open(&path, access).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::corrupt("a segment's file is missing", &path, 0, None),
            _ => Error::io("cannot open a segment", &path, error),
        })
    }

    /// Reads and checks the header of the segment at `base`.
    pub(crate) fn read_header(&self, file: &dyn StorageFile, expected: &Identity) -> Result<Header> {
        let path = self.segment_path(expected.base());
        let mut page = [0; PAGE];
        file.read_exact_at(&mut page, 0).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::corrupt("the segment's file is too short", &path, 0, None),
            _ => Error::io("cannot read a segment's header", &path, error),
        })?;
        let header = Header::decode(&page).map_err(|error| refuse(error, &path))?;
        if header.identity != *expected {
            return Err(Error::corrupt("the file is not the segment that its name tells", &path, 0, None));
        }
        let length = file.len().map_err(|error| Error::io("cannot stat a segment", &path, error))?;
        if length < HEADER_BYTES + expected.segment_bytes {
            return Err(Error::corrupt("the segment's file is too short", &path, length, None));
        }
        Ok(header)
    }

    /// Maps a segment for reading. Without the writer's lock, takes a shared lock on the file, so that the
    /// writer does not recycle it. The mapping keeps the opened file, and with it the lock, without a descriptor.
    pub(crate) fn map_for_reading(&self, identity: &Identity) -> Result<Body> {
        let outcome = self.try_map_for_reading(identity).map_err(|error| {
            // A file that another process retired meanwhile is missing, about to be recycled, or another segment.
            match self.read_meta() {
                Ok(Some(meta)) if identity.base() < meta.start => {
                    Error::retired(Lsn::new(identity.base()), Lsn::new(meta.start))
                }
                // Somebody dropped the partition, or removed the log.
                Ok(None) if matches!(self.storage.has_name(&self.path), Ok(false)) => {
                    Error::not_found(&self.path)
                }
                _ => error,
            }
        });
        if matches!(&outcome, Err(error) if error.is_corruption()) {
            self.note_corruption();
        }
        outcome
    }

    fn try_map_for_reading(&self, identity: &Identity) -> Result<Body> {
        if self.mapped() >= MAPPED_MAX {
            return Err(Error::too_many_mappings(&self.segment_path(identity.base()), None));
        }
        let file = self.open_segment(identity.base(), Access::Read)?;
        if !self.writer {
            let path = self.segment_path(identity.base());
            let failed = |error| Error::io("cannot lock a segment", &path, error);
            if !file.try_lock_shared().map_err(failed)? {
                return Err(failed(io::ErrorKind::WouldBlock.into()));
            }
            // Between opening and locking, the name may have passed to another file.
            if !file.is_named(&path).map_err(failed)? {
                return Err(failed(io::ErrorKind::NotFound.into()));
            }
        }
        let header = self.read_header(&*file, identity)?;
        self.map(&*file, &header, false)
    }

    /// Maps the segment that is being written.
    pub(crate) fn map_for_writing(&self, file: File, header: &Header) -> Result<Body> {
        self.map(&*file, header, true)
    }

    fn map(&self, file: &dyn StorageFile, header: &Header, write: bool) -> Result<Body> {
        let identity = &header.identity;
        let len = (HEADER_BYTES + identity.segment_bytes) as usize;
        let region = file.map(len, write).map_err(|error| {
            let path = self.segment_path(identity.base());
            match error.kind() {
                io::ErrorKind::OutOfMemory if !write => Error::too_many_mappings(&path, Some(error)),
                _ => Error::io("cannot map a segment", &path, error),
            }
        })?;
        let owed = if write { self.owed(identity.base(), len as u64) } else { 0 };
        let verifiers = Verifiers::new(identity, &header.sessions);
        Ok(Body { region, verifiers, owed, _counted: self.count_mapping() })
    }

    /// Makes a retired segment's file a spare, unless a reader has it mapped: then, and when there are enough
    /// spares, it is deleted. The name goes at once; what a reader has mapped stays valid. `region` is what the segment
    /// was written through, if nobody holds it any more.
    pub(crate) fn recycle(
        &self,
        base: u64,
        region: Option<Region>,
        spare: Option<u64>,
    ) -> Result<Option<Spare>> {
        let path = self.segment_path(base);
        let failed = |error| Error::io("cannot remove a retired segment", &path, error);
        if let (Some(number), Some(_nothing_pinned)) = (spare, self.nothing_pinned()) {
            let file = self.storage.open(&path, Access::Write).map_err(failed)?;
            if matches!(file.try_lock(), Ok(true)) {
                // The exclusive lock is held while the name changes, so no reader that comes later takes the
                // file for the segment that it was.
                // The name is a temporary one until the file is zeroed.
                let spare_path = self.path.join(format!("{}{}", name::spare(number), name::TEMPORARY));
                let renamed = rename_or_remove(&*self.storage, &*file, &path, &spare_path).map_err(failed)?;
                return Ok(renamed.then(|| Spare::dirty(file, spare_path, region)));
            }
        }
        self.storage.remove(&path).map_err(failed)?;
        Ok(None)
    }

    pub(crate) fn remove(&self, path: &Path) -> Result<()> {
        self.storage.remove(path).map_err(|error| Error::io("cannot remove a file", path, error))
    }
}

/// Refuses a directory in which guarantees cannot hold, unless the caller takes that upon himself.
fn admit(storage: &dyn Storage, path: &Path, any_file_system: bool) -> Result<()> {
    if any_file_system {
        return Ok(());
    }
    match storage.objection(path) {
        Ok(None) => Ok(()),
        Ok(Some(objection)) => Err(Error::unsupported(
            format!(
                "the log's directory is {objection}; put it on a local file system (ext4, XFS, Btrfs), or take that \
                 risk with Options::allow_unsupported_file_system"
            ),
            path,
        )),
        Err(error) => Err(Error::io("cannot tell the file system", path, error)),
    }
}

pub(super) fn refuse(error: HeaderError, path: &Path) -> Error {
    match error {
        HeaderError::Corrupt(what) => Error::corrupt(what, path, 0, None),
        HeaderError::Version(version) => Error::unsupported(
            format!(
                "the file has format version {version}; this build reads version {}: use a newer tidelog",
                crate::format::header::VERSION
            ),
            path,
        ),
    }
}

/// The first `most` bytes of a file, or as many as it has.
pub(super) fn read_up_to(file: &dyn StorageFile, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; most];
    let mut at = 0;
    while at < bytes.len() {
        match file.read_at(bytes.get_mut(at..).unwrap_or_default(), at as u64)? {
            0 => break,
            read => at += read,
        }
    }
    bytes.truncate(at);
    Ok(bytes)
}
