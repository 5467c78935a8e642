//! Opening, listing, reading and removing the log's files.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::lock::WriterLock;
use super::prepare::rename_or_remove;
use super::{Body, Boot, Spare, filesystem};
use crate::error::{Error, Result};
use crate::format::header::{Header, HeaderError, Identity, PAGE};
use crate::format::meta::Meta;
use crate::format::name::{self, Name};
use crate::format::verify::Verifiers;
use crate::limits::HEADER_BYTES;
use crate::lsn::Lsn;
use crate::primitive::{Mutex, lock};
use crate::region::Region;

/// The directory of a log, held by its writer or looked at by a reader.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    boot: Boot,
    /// Taken by the constructor for a writer, and by nobody for a reader.
    writer: bool,
    lock: Mutex<Option<WriterLock>>,
    /// After the writer closed: keeps a later writer from recycling files that are still mapped here.
    pins: Mutex<Option<File>>,
}

/// The files of a log, by what they are.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Base LSNs, ascending.
    pub(crate) segments: Vec<u64>,
    pub(crate) spares: Vec<u64>,
    pub(crate) temporaries: Vec<PathBuf>,
}

impl Directory {
    /// Takes a directory for writing; creates it if need be.
    pub(crate) fn lock_for_writing(path: &Path, any_file_system: bool) -> Result<Self> {
        std::fs::create_dir_all(path)
            .map_err(|error| Error::io("cannot create the log's directory", path, error))?;
        // An absolute path: a later change of the working directory must not move the log.
        let path = std::fs::canonicalize(path)
            .map_err(|error| Error::io("cannot resolve the log's directory", path, error))?;
        filesystem::admit(&path, any_file_system)?;
        let boot =
            Boot::current().map_err(|error| Error::io("cannot tell which boot this is", &path, error))?;
        let lock = WriterLock::take(&path, boot)?;
        Ok(Self { path, boot, writer: true, lock: Mutex::new(Some(lock)), pins: Mutex::new(None) })
    }

    /// Looks at a directory without a lock.
    pub(crate) fn look(path: &Path, any_file_system: bool) -> Result<Self> {
        let path = std::fs::canonicalize(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::not_found(path),
            _ => Error::io("cannot resolve the log's directory", path, error),
        })?;
        filesystem::admit(&path, any_file_system)?;
        let boot =
            Boot::current().map_err(|error| Error::io("cannot tell which boot this is", &path, error))?;
        Ok(Self { path, boot, writer: false, lock: Mutex::new(None), pins: Mutex::new(None) })
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
        let pinned = File::open(&self.path).and_then(|directory| {
            directory.lock_shared()?;
            Ok(directory)
        });
        let pinned =
            pinned.map_err(|error| Error::io("cannot lock the log's directory", &self.path, error))?;
        *lock(&self.pins) = Some(pinned);
        *lock(&self.lock) = None;
        Ok(())
    }

    /// An exclusive lock on the directory, unless a closed log of this or another process still maps its files.
    fn nothing_pinned(&self) -> Option<File> {
        let directory = File::open(&self.path).ok()?;
        directory.try_lock().ok()?;
        Some(directory)
    }

    pub(crate) fn note_healed(&self) -> Result<()> {
        lock(&self.lock).as_ref().map_or(Ok(()), |lock| {
            lock.note_healed()
                .map_err(|error| Error::io("cannot write the lock file", &self.path.join(name::LOCK), error))
        })
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
        for entry in std::fs::read_dir(&self.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            match entry.file_name().to_str().map_or(Name::Foreign, name::parse) {
                Name::Segment(base) => listing.segments.push(base),
                Name::Spare(number) => listing.spares.push(number),
                Name::Temporary => listing.temporaries.push(entry.path()),
                Name::Own | Name::Foreign => {}
            }
        }
        listing.segments.sort_unstable();
        listing.spares.sort_unstable();
        Ok(listing)
    }

    /// Makes the directory's entries durable.
    pub(crate) fn sync(&self) -> Result<()> {
        let opened = File::open(&self.path).and_then(|directory| directory.sync_all());
        opened.map_err(|error| Error::io("cannot sync the log's directory", &self.path, error))
    }

    /// Reads `log.meta`; `None` where there is none.
    pub(crate) fn read_meta(&self) -> Result<Option<Meta>> {
        let path = self.path.join(name::META);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("cannot read the log's metadata", &path, error)),
        };
        Meta::decode(&bytes).map(Some).map_err(|error| refuse(error, &path))
    }

    /// Creates `log.meta`, durably.
    pub(crate) fn create_meta(&self, meta: &Meta) -> Result<()> {
        let path = self.path.join(name::META);
        let temporary = self.path.join(format!("{}{}", name::META, name::TEMPORARY));
        let written = File::create(&temporary).and_then(|file| {
            filesystem::keep_in_place(&file)?;
            file.write_all_at(&meta.encode_new(), 0)?;
            file.sync_all()?;
            std::fs::rename(&temporary, &path)
        });
        written.map_err(|error| {
            let _ = std::fs::remove_file(&temporary);
            Error::io("cannot write the log's metadata", &path, error)
        })?;
        self.sync()?;
        self.sync_ancestors()
    }

    /// Makes the way to the directory durable: any part of it may be new, from this creation or from one that was
    /// interrupted.
    fn sync_ancestors(&self) -> Result<()> {
        for ancestor in self.path.ancestors().skip(1) {
            let synced = match File::open(ancestor).and_then(|directory| directory.sync_all()) {
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

    /// Replaces what `log.meta` says, durably and in place: retiring must work on a full device.
    pub(crate) fn update_meta(&self, meta: &Meta) -> Result<()> {
        let path = self.path.join(name::META);
        let written = OpenOptions::new().write(true).open(&path).and_then(|file| {
            file.write_all_at(&meta.encode(), meta.slot())?;
            file.sync_data()
        });
        written.map_err(|error| Error::io("cannot write the log's metadata", &path, error))
    }

    /// Opens a segment's file.
    pub(crate) fn open_segment(&self, base: u64, write: bool) -> Result<File> {
        let path = self.segment_path(base);
        OpenOptions::new().read(true).write(write).open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::corrupt("a segment's file is missing", &path, 0, None),
            _ => Error::io("cannot open a segment", &path, error),
        })
    }

    /// Reads and checks the header of the segment at `base`.
    pub(crate) fn read_header(&self, file: &File, expected: &Identity) -> Result<Header> {
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
        let length = file.metadata().map_err(|error| Error::io("cannot stat a segment", &path, error))?.len();
        if length < HEADER_BYTES + expected.segment_bytes {
            return Err(Error::corrupt("the segment's file is too short", &path, length, None));
        }
        Ok(header)
    }

    /// Maps a segment for reading. Without the writer's lock, takes a shared lock on the file, so that the
    /// writer does not recycle it. The mapping keeps the opened file, and with it the lock, without a descriptor.
    pub(crate) fn map_for_reading(&self, identity: &Identity) -> Result<Body> {
        self.try_map_for_reading(identity).map_err(|error| {
            // A file that another process retired meanwhile is missing, about to be recycled, or another segment.
            match self.read_meta() {
                Ok(Some(meta)) if identity.base() < meta.start => {
                    Error::retired(Lsn::new(identity.base()), Lsn::new(meta.start))
                }
                _ => error,
            }
        })
    }

    fn try_map_for_reading(&self, identity: &Identity) -> Result<Body> {
        let file = self.open_segment(identity.base(), false)?;
        if !self.writer {
            let path = self.segment_path(identity.base());
            let failed = |error| Error::io("cannot lock a segment", &path, error);
            file.try_lock_shared().map_err(|error| failed(error.into()))?;
            // Between opening and locking, the name may have passed to another file.
            let (opened, named) =
                file.metadata().and_then(|opened| Ok((opened, std::fs::metadata(&path)?))).map_err(failed)?;
            if (opened.dev(), opened.ino()) != (named.dev(), named.ino()) {
                return Err(failed(io::ErrorKind::NotFound.into()));
            }
        }
        let header = self.read_header(&file, identity)?;
        self.map(&file, &header, false)
    }

    /// Maps the segment that is being written.
    pub(crate) fn map_for_writing(&self, file: File, header: &Header) -> Result<Body> {
        self.map(&file, header, true)
    }

    fn map(&self, file: &File, header: &Header, write: bool) -> Result<Body> {
        let identity = &header.identity;
        let len = (HEADER_BYTES + identity.segment_bytes) as usize;
        let region = Region::map(file, len, write)
            .map_err(|error| Error::io("cannot map a segment", &self.segment_path(identity.base()), error))?;
        let blocks_owed = if write { super::whole::blocks_owed(file, len as u64) } else { 0 };
        Ok(Body { region, verifiers: Verifiers::new(identity, &header.sessions), blocks_owed })
    }

    /// Makes a retired segment's file a spare, unless a reader has it mapped: then, and when there are enough
    /// spares, it is deleted. The name goes at once; what a reader has mapped stays valid.
    pub(crate) fn recycle(&self, base: u64, spare: Option<u64>) -> Result<Option<Spare>> {
        let path = self.segment_path(base);
        let failed = |error| Error::io("cannot remove a retired segment", &path, error);
        if let (Some(number), Some(_nothing_pinned)) = (spare, self.nothing_pinned()) {
            let file = OpenOptions::new().read(true).write(true).open(&path).map_err(failed)?;
            if file.try_lock().is_ok() {
                // The exclusive lock is held while the name changes, so no reader that comes later takes the
                // file for the segment that it was.
                // The name is a temporary one until the file is zeroed.
                let spare_path = self.path.join(format!("{}{}", name::spare(number), name::TEMPORARY));
                let renamed = rename_or_remove(&file, &path, &spare_path).map_err(failed)?;
                return Ok(renamed.then(|| Spare::dirty(file, spare_path)));
            }
        }
        std::fs::remove_file(&path).map_err(failed)?;
        Ok(None)
    }

    pub(crate) fn remove(&self, path: &Path) -> Result<()> {
        std::fs::remove_file(path).map_err(|error| Error::io("cannot remove a file", path, error))
    }
}

fn refuse(error: HeaderError, path: &Path) -> Error {
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
