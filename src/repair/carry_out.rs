//! Doing what was worked out. The order is such that a run may end anywhere: first the originals get their second names, and
//! the corrected copies are written, so that a full disk changes nothing; then the newest segments leave, one by one, so that
//! no gap comes to be; then the copies take over, the newest last; and the metadata at the very end.

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

use super::draft::Draft;
use super::segment::Correction;
use super::{Action, Loss, Plan, Way};
use crate::error::{Error, Result};
use crate::format::meta::Meta;
use crate::format::name;
use crate::storage::{Access, Directory, Storage};

/// The directory for originals, before its number.
const QUARANTINE: &str = "quarantine-";

impl Draft {
    /// Where the originals are now.
    pub(super) fn carry_out(&self, directory: &Directory, plan: &Plan) -> Result<Option<PathBuf>> {
        if plan.is_empty() {
            return Ok(None);
        }
        let quarantine = open_quarantine(directory)?;
        let changing =
            plan.actions.iter().filter(|(_, action)| matches!(action, Action::Correct | Action::Remove));
        for (path, _) in changing {
            keep(directory, path, &quarantine)?;
        }
        write_readme(directory, plan, &quarantine)?;
        sync_directory(directory, &quarantine)?;

        // All that needs room, before anything changes.
        let prepared = self
            .corrections
            .iter()
            .try_for_each(|correction| prepare(directory, correction))
            .and_then(|()| self.settle_unchanged(directory, &quarantine));
        prepared.inspect_err(|_| {
            for correction in &self.corrections {
                let _ = directory.storage().remove(&temporary(directory, correction));
            }
        })?;

        let mut spare = self.spare;
        for (base, action) in &self.leaving {
            if *action == Action::Recycle {
                directory.unprepare(*base, spare)?;
                spare = spare.saturating_add(1);
            } else {
                directory.remove(&directory.segment_path(*base))?;
            }
            // One by one, so that a power cut leaves no gap.
            directory.sync()?;
        }
        for path in &self.removed {
            directory.remove(path)?;
        }
        directory.sync()?;
        for correction in &self.corrections {
            replace(directory, correction)?;
        }
        if self.meta_lost {
            directory.create_meta(&self.meta)?;
        } else if self.writes_meta {
            // In place, as a full disk has no room for another file.
            let meta = Meta { generation: self.meta.generation.saturating_add(1), ..self.meta };
            directory.update_meta(&self.meta_before, &meta).map_err(|failure| failure.error)?;
        }
        if directory.found_poisoned() {
            directory.note_healed()?;
        }
        Ok(Some(quarantine))
    }

    /// What stays must be on the device before a mark says so. Where that cannot be had by a sync, a copy takes its place.
    fn settle_unchanged(&self, directory: &Directory, quarantine: &Path) -> Result<()> {
        for (base, header) in &self.unchanged {
            let path = directory.segment_path(*base);
            let opened = directory.storage().open(&path, Access::Write);
            let synced = opened.and_then(|file| file.sync_data());
            if synced.is_ok() && !directory.found_poisoned() {
                continue;
            }
            keep(directory, &path, quarantine)?;
            sync_directory(directory, quarantine)?;
            let full = base.saturating_add(header.identity.segment_bytes);
            let (header, end) = (header.clone(), self.end.min(full));
            let copy = Correction { header, has_source: true, pads: Vec::new(), end };
            prepare(directory, &copy)?;
            replace(directory, &copy)?;
        }
        Ok(())
    }
}

/// Writes a corrected copy, durably, but not under its name yet.
fn prepare(directory: &Directory, correction: &Correction) -> Result<()> {
    let path = directory.segment_path(correction.base());
    let (storage, temporary) = (&**directory.storage(), temporary(directory, correction));
    let written = correction.write(storage, &path, &temporary);
    written.map_err(|error| {
        Error::io("cannot write the corrected copy of a segment; the log is as it was", &path, error)
    })
}

fn replace(directory: &Directory, correction: &Correction) -> Result<()> {
    let path = directory.segment_path(correction.base());
    let renamed = directory.storage().rename(&temporary(directory, correction), &path);
    renamed.map_err(|error| {
        Error::io("cannot put the corrected copy of a segment in its place", &path, error)
    })?;
    directory.sync()
}

fn temporary(directory: &Directory, correction: &Correction) -> PathBuf {
    directory.path().join(format!("{}{}", name::segment(correction.base()), name::TEMPORARY))
}

/// Makes the first `quarantine-N` that is not there.
fn open_quarantine(directory: &Directory) -> Result<PathBuf> {
    let storage = directory.storage();
    let mut number = 1_u64;
    loop {
        let path = directory.path().join(format!("{QUARANTINE}{number}"));
        let failed = |error| Error::io("cannot make a directory for the originals", &path, error);
        if !storage.has_name(&path).map_err(failed)? {
            storage.create_directory(&path).map_err(failed)?;
            directory.sync()?;
            return Ok(path);
        }
        number = number.saturating_add(1);
    }
}

fn sync_directory(directory: &Directory, path: &Path) -> Result<()> {
    let synced = directory.storage().sync_directory(path);
    synced.map_err(|error| Error::io("cannot sync the directory of the originals", path, error))
}

/// Gives the file a second name in the quarantine, or copies it where there is no such thing.
fn keep(directory: &Directory, path: &Path, quarantine: &Path) -> Result<()> {
    let Some(name) = path.file_name() else { return Ok(()) };
    let (storage, target) = (&**directory.storage(), quarantine.join(name));
    // The metadata is written in place, so that another name of it would change, too.
    let linked =
        if name == name::META { Err(io::ErrorKind::Unsupported.into()) } else { storage.link(path, &target) };
    let kept = linked.or_else(|_: io::Error| copy(storage, path, &target));
    kept.map_err(|error| Error::io("cannot keep the original of a file; nothing was changed", path, error))
}

fn copy(storage: &dyn Storage, from: &Path, to: &Path) -> io::Result<()> {
    let (source, target) = (storage.open(from, Access::Read)?, storage.open(to, Access::Replace)?);
    let mut buffer = vec![0; 64 << 10];
    let mut at = 0_u64;
    loop {
        let read = source.read_at(&mut buffer, at)?;
        if read == 0 {
            return target.sync_all();
        }
        target.write_all_at(buffer.get(..read).unwrap_or_default(), at)?;
        at = at.saturating_add(u64::try_from(read).unwrap_or_default());
    }
}

/// For whoever finds the quarantine.
fn write_readme(directory: &Directory, plan: &Plan, quarantine: &Path) -> Result<()> {
    let mut text = String::from(
        "Originals of files of the tidelog log in the directory above, kept by a repair.\n\
         To go back: let no writer have the log open, and move every file but this one up, over what is there.\n\
         A file that was made is to be removed for that.\n\n",
    );
    let way = match plan.way {
        Way::Tail => "the tail".to_owned(),
        Way::To(lsn) => format!("to LSN {lsn}"),
        Way::Salvage => "salvage".to_owned(),
    };
    // Writing to a string does not fail.
    let _ = writeln!(text, "repaired: {way}; the log is LSN {} to {}", plan.start, plan.end);
    for lost in &plan.lost {
        let why = match lost.why {
            Loss::Damaged => "damaged",
            Loss::Unreadable => "unreadable",
            Loss::Missing => "missing",
            Loss::Unwritten => "unwritten",
            Loss::Cut => "cut",
        };
        let _ = writeln!(text, "lost: LSN {} to {} ({why})", lost.from, lost.to);
    }
    for (path, action) in &plan.actions {
        let what = match action {
            Action::Correct => "corrected",
            Action::Make => "made",
            Action::Remove => "removed",
            Action::Recycle => "recycled (it was empty)",
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let _ = writeln!(text, "{what}: {name}");
    }
    let path = quarantine.join("README");
    let written = directory.storage().open(&path, Access::Replace).and_then(|file| {
        file.write_all_at(text.as_bytes(), 0)?;
        file.sync_all()
    });
    written.map_err(|error| Error::io("cannot write what was done; nothing was changed", &path, error))
}
