//! What lies in a log's files, damaged or not, for tools: without the writer's lock, without a mapping, and without a change.
//!
//! [`LogReader`](crate::LogReader) gives records, and gives up where the log is damaged. An [`Inspector`] tells what is there:
//! the metadata, every [segment](SegmentInfo) with its marks and [openings](Opening), every frame, padding included, and where
//! and [why](Stop) the frames of a segment end. All is read with `pread`, so damage, an unreadable block and a file that was
//! cut short are errors, and never a signal. Frames are judged by the code that recovery and readers use.
//!
//! It may run beside a live writer: what is being written is reported as such.
//!
//! ```
//! # let dir = tempfile::tempdir()?;
//! # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
//! use tidelog::inspect::{Inspector, Stop};
//!
//! log.append(b"one")?;
//! log.append(b"two")?;
//! log.close()?;
//!
//! let inspector = Inspector::open(dir.path())?;
//! for segment in inspector.files()?.segments {
//!     let mut frames = inspector.frames(segment.base)?;
//!     while let Some(frame) = frames.next_frame()? {
//!         println!("{} {:?} {:?}", frame.lsn, frame.kind, frame.payload);
//!     }
//!     assert!(matches!(frames.stop(), Some(Stop::Unwritten)));
//! }
//! assert_eq!(inspector.foresee()?.torn_tail, None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

mod frames;
mod segments;

pub use self::frames::{Frame, FrameCounts, FrameKind, Frames, Stop};
pub use self::segments::{
    Files, MissingSegments, Opening, SegmentHeader, SegmentInfo, SegmentState, TailMark,
};

use core::fmt;
use std::path::Path;

use crate::cursors::{self, CursorInfo};
use crate::error::{Error, Result};
use crate::format::meta::Meta;
use crate::lsn::Lsn;
use crate::options::Options;
use crate::recovery::{self, RecoveryReport};
use crate::storage::{Directory, LockSeen};

/// Looks into the files of a log.
pub struct Inspector {
    directory: Directory,
    meta: Meta,
}

/// What `log.meta` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetaInfo {
    /// The log's own id.
    pub log_id: [u8; 16],
    /// Bytes of log in each segment.
    pub segment_bytes: u64,
    /// Everything below was retired.
    pub start: Lsn,
    /// Everything below was durable when this was written.
    pub proven_durable: Lsn,
    /// Counts the changes of the metadata.
    pub generation: u64,
    /// The log's schema tag; 0 where it has none.
    pub schema: u64,
}

/// What is to be seen of the writer's lock, without touching it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockInfo {
    /// The process that holds the lock, by the system's table of locks. `None`: no process that this one can see; one in
    /// another container may hold it. On systems other than Linux it is always `None`.
    pub holder: Option<u32>,
    /// The last process that wrote its number into the lock's file.
    pub noted_pid: Option<u32>,
    /// A sync failed in this boot, and no opening has recovered from it.
    pub poisoned: bool,
}

/// The version of the format that this build reads and writes.
pub const FORMAT_VERSION: u32 = crate::format::header::VERSION;

impl Inspector {
    /// Looks at the log in `directory`; creates and changes nothing.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound): there is no log here. [`Corrupt`](crate::ErrorKind::Corrupt): its metadata is
    /// damaged, or there are segments and no metadata. [`Unsupported`](crate::ErrorKind::Unsupported): another version of the
    /// format wrote it. [`Io`](crate::ErrorKind::Io).
    pub fn open(directory: impl AsRef<Path>) -> Result<Self> {
        // It gives no guarantee that a file system could break, so any will do.
        let directory = Directory::look(Options::new().storage(), directory.as_ref(), true)?;
        let Some(meta) = directory.read_meta()? else {
            if directory.list()?.segments.is_empty() {
                return Err(Error::not_found(directory.path()));
            }
            let path = directory.path().join(crate::format::name::META);
            return Err(Error::corrupt("there are segments but no metadata", &path, 0, None));
        };
        Ok(Self { directory, meta })
    }

    /// Where the log lies.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The metadata, as it was when this was opened.
    #[must_use]
    pub fn meta(&self) -> MetaInfo {
        MetaInfo {
            log_id: self.meta.log_id,
            segment_bytes: self.meta.segment_bytes,
            start: Lsn::new(self.meta.start),
            proven_durable: Lsn::new(self.meta.proven),
            generation: self.meta.generation,
            schema: self.meta.schema,
        }
    }

    /// The writer's lock. It is looked at, never taken, so this stands in no writer's way.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io).
    pub fn lock(&self) -> Result<LockInfo> {
        let seen = LockSeen::look(&**self.directory.storage(), self.directory.path(), self.directory.boot())?;
        Ok(LockInfo { holder: seen.holder, noted_pid: seen.noted_pid, poisoned: seen.poisoned })
    }

    /// The cursors, with their distance to `end`.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io); what is wrong with one cursor stands with it.
    pub fn cursors(&self, end: Lsn) -> Result<Vec<CursorInfo>> {
        cursors::look(&self.directory, self.meta.log_id, end.get())
    }

    /// The metadata as it is now: a live writer retires.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn refresh(&mut self) -> Result<()> {
        let meta = self.directory.read_meta()?;
        self.meta = meta.ok_or_else(|| Error::not_found(self.directory.path()))?;
        Ok(())
    }

    /// What an opening of the log would find and cut away, without doing it. It means something only while no writer has the
    /// log open.
    ///
    /// # Errors
    /// What the opening would fail with: [`Corrupt`](crate::ErrorKind::Corrupt) above all.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// log.append(b"x")?;
    /// log.close()?;
    /// let report = tidelog::inspect::Inspector::open(dir.path())?.foresee()?;
    /// assert_eq!(report.last_close, tidelog::LastClose::Clean);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn foresee(&self) -> Result<RecoveryReport> {
        recovery::foresee(&self.directory)
    }
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector").field("directory", &self.directory()).field("meta", &self.meta()).finish()
    }
}
