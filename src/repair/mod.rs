//! Making a damaged log usable again, by somebody's decision: what is lost is told before and after, and what is changed is
//! kept as it was.
//!
//! An opening repairs what was promised to nobody, and refuses the rest. What it refuses is decided here, in one of three
//! [ways](Way). [`plan`] tells what would be done and lost, without a change; [`apply`] does it, under the writer's lock.
//!
//! * No LSN changes. What is lost in the midst of the log becomes padding, so every record that is left stays where it was,
//!   and a consumer's position stays right.
//! * Originals are neither deleted nor overwritten. Every file that is to change gets a second name in a directory
//!   `quarantine-N` inside the log's own, durably, before anything else is done; the corrected copy then takes over the first
//!   name. What leaves the log is there under its old name. A file `README` there says what was done. Nothing of tidelog
//!   looks into such a directory or removes it.
//! * A run that is cut short, by a kill or a power cut, has lost nothing, and the same call takes it to its end.
//! * Afterwards the log is as [`Log::close`](crate::Log::close) leaves one.
//!
//! ```
//! use tidelog::repair::{self, Way};
//! use tidelog::{Log, Options};
//!
//! let dir = tempfile::tempdir()?;
//! let log = Options::new().segment_bytes(1 << 16).open(dir.path())?;
//! let lsns: Vec<_> = (0..3).map(|n: u8| log.append(&[n; 100])).collect::<Result<_, _>>()?;
//! log.close()?;
//! # drop(log);
//!
//! // A bit flips in the second record.
//! let segment = dir.path().join("00000000000000000000.seg");
//! let mut bytes = std::fs::read(&segment)?;
//! bytes[4096 + lsns[1].get() as usize + 16] ^= 1;
//! std::fs::write(&segment, &bytes)?;
//!
//! let plan = repair::plan(dir.path(), Way::Salvage)?;
//! assert_eq!((plan.lost()[0].from, plan.lost()[0].to), (lsns[1], lsns[2]));
//! assert_eq!(plan.kept().records, 2);
//!
//! let done = repair::apply(dir.path(), Way::Salvage)?;
//! assert_eq!(std::fs::read(done.quarantine().unwrap().join("00000000000000000000.seg"))?, bytes);
//! let log = Log::open(dir.path())?;
//! assert_eq!(log.snapshot().iter().count(), 2);
//! assert_eq!(log.read(lsns[2])?.payload(), [2; 100]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(clippy::indexing_slicing)]

mod carry_out;
mod draft;
mod look;
mod reads;
mod segment;
mod sessions;
mod walk;

use std::path::{Path, PathBuf};

use self::draft::Draft;
use crate::error::{Error, Result};
use crate::inspect::FrameCounts;
use crate::lsn::Lsn;
use crate::options::Options;
use crate::storage::Directory;

/// What is to be made of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Way {
    /// What the next opening would do by itself: cut away what was promised to nobody, and pad claims that never returned.
    /// But the originals are kept. It refuses a log that is damaged otherwise.
    Tail,
    /// The log as it was: it ends before the first record at or behind this LSN. A batch goes as a whole. What is cut away
    /// leaves the log, and **its LSNs will be given to other records**: consumers that have read beyond must be reset. It
    /// refuses a log that is damaged below.
    To(Lsn),
    /// Everything that still verifies, at its LSN; all else becomes padding, up to the highest position that the log is known
    /// to have reached. So no LSN that was ever given to a record is given to another one.
    Salvage,
}

/// Why records are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Loss {
    /// What stands there does not verify, or is a part of a batch that is not whole.
    Damaged,
    /// The device does not give it.
    Unreadable,
    /// There is no file, or one of another segment.
    Missing,
    /// Zeros, and claims that were not published: no record is known to have been there.
    Unwritten,
    /// It lies behind the place where the log is to end.
    Cut,
}

/// A range of the log that is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// Its first LSN.
    pub from: Lsn,
    /// The first LSN behind it.
    pub to: Lsn,
    /// Why.
    pub why: Loss,
}

/// What happens to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// A corrected copy takes its place.
    Correct,
    /// It was missing, and is made.
    Make,
    /// It leaves the log.
    Remove,
    /// It holds nothing, and becomes a spare.
    Recycle,
}

/// What is done, and what comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    way: Way,
    directory: PathBuf,
    start: Lsn,
    end: Lsn,
    kept: FrameCounts,
    lost: Vec<Lost>,
    actions: Vec<(PathBuf, Action)>,
    quarantine: Option<PathBuf>,
}

/// What a repair of the log in `directory` would do. Changes nothing, and takes no lock; while a writer has the log open, it
/// means nothing.
///
/// # Errors
/// * [`Corrupt`](crate::ErrorKind::Corrupt): the way refuses a log that is damaged so; [`Way::Salvage`] refuses only one of
///   which not even a segment's header is left.
/// * [`NotWritten`](crate::ErrorKind::NotWritten), [`Retired`](crate::ErrorKind::Retired): the log does not reach as far as
///   [`Way::To`], or begins behind it.
/// * [`NotFound`](crate::ErrorKind::NotFound): there is no log here. [`Unsupported`](crate::ErrorKind::Unsupported): another
///   version of the format wrote it. [`Io`](crate::ErrorKind::Io).
pub fn plan(directory: impl AsRef<Path>, way: Way) -> Result<Plan> {
    plan_with(&Options::new(), directory, way)
}

/// Repairs the log in `directory`, and tells what was done.
///
/// # Errors
/// As [`plan`], and [`Locked`](crate::ErrorKind::Locked): a writer has it open. After
/// [`Io`](crate::ErrorKind::Io) or [`StorageFull`](crate::ErrorKind::StorageFull) a part may be done; nothing is lost, and
/// another call goes on.
pub fn apply(directory: impl AsRef<Path>, way: Way) -> Result<Plan> {
    apply_with(&Options::new(), directory, way)
}

/// As [`plan`], on the storage of `options`.
///
/// # Errors
/// As [`plan`].
pub fn plan_with(options: &Options, directory: impl AsRef<Path>, way: Way) -> Result<Plan> {
    let directory = Directory::look(options.storage(), directory.as_ref(), true)?;
    Ok(Draft::new(&directory, way)?.plan(&directory))
}

/// As [`apply`], on the storage of `options`.
///
/// # Errors
/// As [`apply`].
pub fn apply_with(options: &Options, directory: impl AsRef<Path>, way: Way) -> Result<Plan> {
    let path = directory.as_ref();
    // Locking would make a directory where there is none.
    let seen = Directory::look(options.storage(), path, true)?;
    if seen.list()?.segments.is_empty() && matches!(seen.read_meta(), Ok(None)) {
        return Err(Error::not_found(seen.path()));
    }
    let directory = Directory::lock_for_writing(options.storage(), path, options.any_file_system)?;
    let draft = Draft::new(&directory, way)?;
    let mut plan = draft.plan(&directory);
    plan.quarantine = draft.carry_out(&directory, &plan)?;
    directory.give_up();
    Ok(plan)
}

impl Plan {
    /// The way that was asked for.
    #[must_use]
    pub fn way(&self) -> Way {
        self.way
    }

    /// True where there is nothing to repair: no file changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }

    /// Where the log begins.
    #[must_use]
    pub fn start(&self) -> Lsn {
        self.start
    }

    /// Where it ends afterwards.
    #[must_use]
    pub fn end(&self) -> Lsn {
        self.end
    }

    /// What it holds afterwards.
    #[must_use]
    pub fn kept(&self) -> FrameCounts {
        self.kept
    }

    /// The ranges that are given up, oldest first. In some of them there may have been no record.
    #[must_use]
    pub fn lost(&self) -> &[Lost] {
        &self.lost
    }

    /// What happens to which file. Those that are not named stay as they are.
    #[must_use]
    pub fn actions(&self) -> &[(PathBuf, Action)] {
        &self.actions
    }

    /// Where the originals are, once it was carried out; `None` where there was nothing to do.
    #[must_use]
    pub fn quarantine(&self) -> Option<&Path> {
        self.quarantine.as_deref()
    }
}
